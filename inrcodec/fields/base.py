"""What a field is: the contract that every family keeps.

A field is a pure function of its parameters, so the same code serves training (parameters are dequantized symbols with
gradients) and decoding (parameters come from the stream). It is defined once, per point, by `at`; `plan` evaluates the
same function on a lattice and keeps whatever does not depend on the frame. Both must agree, in any order of frames.

This file loads no PyTorch, and neither does a family that can do without it (`Field.takes_arrays`).

Values are centered: a sample in [0, 1] is coded as sample - 1/2.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np

from inrcodec.bytestream import Wired
from inrcodec.lattice import Lattice

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from inrcodec.kernels.color import Colors

Parameters = dict[str, "Tensor"]
"""Float32 tensors by name, shaped as `Field.specs` says."""

Arrays = dict[str, np.ndarray]
"""The same as arrays."""


def times(symbols: np.ndarray, step: float) -> np.ndarray:
    """Whole numbers of any type in units of a step, float32, in one pass."""
    return np.multiply(symbols, np.float32(step), dtype=np.float32)


@dataclass(frozen=True)
class ScaledSymbols:
    """A parameter tensor as it is coded: symbols, whole numbers of any integer type, times step; zeros may be a single one with
    strides of 0."""

    symbols: np.ndarray
    step: float

    @property
    def values(self) -> np.ndarray:
        """Float32."""
        return times(self.symbols, self.step)

    @property
    def all_zeros(self) -> bool:
        """Where this is known; some that hold nothing else may not say so."""
        return not any(self.symbols.strides)


class Coded(Mapping[str, ScaledSymbols]):
    """Parameters as they are coded, by name; device: where to evaluate them, None: over arrays."""

    device: torch.device | None


Reference = Callable[[int], "Tensor"]
"""Samples of a frame of a lattice, centered: index → (H, W, C) float32."""

Importance = tuple["Tensor", "Tensor"]
"""What errors are multiplied with: those of each row (h,) and those of each column (w,)."""

Numbers = TypeVar("Numbers", np.ndarray, "Tensor")

PLAN_BYTES = 512 << 20
"""What a plan may keep, by default; above it, it works in bands of rows."""


@dataclass(frozen=True, eq=False)
class TensorSpec:
    """One parameter tensor of a field.

    name: unique in the field. shape: of the float32 tensor.
    kind: "weight" (coded symbol by symbol with one table), or "grid" (channels, [t,] y, x), coded from its neighbors.
    group: tensors of one group share a quantizer step and, if weights, an entropy model.
    step: the step at the start of training, in units of the parameter; training changes it.
    rate: learning rate of Adam, in units of the parameter.
    parent: name of the next coarser grid of the same kind, whose symbols help to predict this one's.
    offset: what a symbol of zero stands for, for all entries or for each.
    decays: whether training may pull it towards 0 (`soap`).
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    group: str
    step: float
    rate: float
    parent: str | None = None
    offset: float | np.ndarray = 0.0
    decays: bool = False

    @property
    def count(self) -> int:
        """Number of parameters."""
        return math.prod(self.shape)

    def values(self, symbols: Numbers, step: Tensor | float) -> Numbers:
        """Parameters that symbols stand for, float32; an array (of whole numbers of any type) or a tensor, as given."""
        scaled = times(symbols, step) if isinstance(symbols, np.ndarray) else symbols * step
        return scaled if self._is_plain else scaled + self._offset_for(symbols)

    def symbols(self, values: Tensor, step: Tensor | float) -> Tensor:
        """The inverse, not rounded."""
        return (values if self._is_plain else values - self._offset_for(values)) / step

    @property
    def _is_plain(self) -> bool:
        """Whether parameters are their symbols times the step."""
        return isinstance(self.offset, float) and not self.offset

    def _offset_for(self, numbers: Numbers) -> Numbers | float:
        if isinstance(numbers, np.ndarray) or not isinstance(self.offset, np.ndarray):
            return self.offset
        import torch

        return torch.from_numpy(self.offset).to(numbers.device)


def quantized(values: Numbers, peak: int) -> Numbers:
    """Whole numbers in [0, peak] of centered values, half to even."""
    return ((values + 0.5).clip(0, 1) * peak).round()


class Plan(ABC):
    """A field on a lattice, with all that does not depend on the frame computed once."""

    lattice: Lattice

    @abstractmethod
    def frame(self, index: int) -> Tensor:
        """Values at frame `index` of the lattice: (H, W, C) float32, centered. Any order gives the same values."""

    @property
    @abstractmethod
    def kept_bytes(self) -> int:
        """Memory of what the plan keeps between frames."""

    @property
    @abstractmethod
    def macs_per_pixel(self) -> float:
        """Multiply–accumulates of one frame in sequence, per pixel, without what is computed once per plan."""

    def samples(self, index: int, peak: int) -> Numbers:
        """`quantized` values of a frame."""
        return quantized(self.frame(index), peak)

    def frames(self) -> Tensor:
        """All frames: (T, H, W, C)."""
        import torch

        return torch.stack([self.frame(index) for index in range(self.lattice.shape[0])])


class ShowingPlan(Plan):
    """One with a shorter way from luma and chroma to samples in other colors than the values of a frame."""

    @abstractmethod
    def show(self, index: int, colors: Colors, samples: np.ndarray) -> None:
        """Frame `index` in these colors, to `samples` (H, W, 3)."""


class Field(ABC):
    """One implicit neural representation of a signal of `shape` (T, H, W, C)."""

    family: ClassVar[str]
    Config: ClassVar[type[Wired]]

    def __init__(self, config: Wired, shape: tuple[int, int, int, int]) -> None:
        self.config = config
        self.shape = shape

    @property
    def channels(self) -> int:
        return self.shape[3]

    @abstractmethod
    def specs(self) -> tuple[TensorSpec, ...]:
        """The parameter tensors, in the order in which they are coded."""

    @abstractmethod
    def initial(self, generator: torch.Generator) -> Parameters:
        """Parameters before training, drawn from `generator` as the family's paper says."""

    @abstractmethod
    def at(self, parameters: Parameters, points: Tensor) -> Tensor:
        """The definition: positions (N, 3) float64 in the order t, y, x → values (N, C) float32. Slow, obvious."""

    @abstractmethod
    def plan(self, parameters: Parameters, lattice: Lattice, keep_bytes: int = PLAN_BYTES) -> Plan:
        """The field on a lattice; differentiable in the parameters."""

    @property
    def takes_arrays(self) -> bool:
        """Whether `plan` takes Arrays too: its frames are arrays then, and PyTorch is not loaded."""
        return False

    def takes_coded(self, device: torch.device) -> bool:
        """Whether `plan` takes Coded parameters for this device: nothing else is sent there."""
        return False

    @property
    def unfolds(self) -> bool:
        """Whether frames have grids of their own, and can be decoded one after the other."""
        return bool(self.frame_grids(0))

    def frame_grids(self, frame: int) -> tuple[TensorSpec, ...]:
        """Those that are a frame's own; none where frames share them."""
        return ()

    def chains(self) -> list[list[TensorSpec]]:
        """Grids in coding order, cut where decoding can begin without those before."""
        grids = [spec for spec in self.specs() if spec.kind == "grid"]
        return [grids] if grids else []

    def squared_errors(
        self, parameters: Parameters, lattice: Lattice, reference: Reference, importance: Importance | None = None
    ) -> Tensor:
        """Squared errors against the samples of a lattice, summed over its points: (C,); differentiable in the parameters.

        importance: one everywhere if it is not given."""
        plan = self.plan(parameters, lattice, keep_bytes=1 << 40)
        squares = ((plan.frame(index) - reference(index)).square() for index in range(lattice.shape[0]))
        if importance is not None:
            rows, columns = importance
            squares = (one * rows[:, None, None] * columns[:, None] for one in squares)
        return sum(one.sum((0, 1)) for one in squares)

    @property
    @abstractmethod
    def macs_per_point(self) -> float:
        """Multiply–accumulates of `at` for one point."""

    @property
    def parameter_count(self) -> int:
        return sum(spec.count for spec in self.specs())
