"""What every coding of grids does, for streams and for training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from inrcodec.bytestream import Wired
from inrcodec.entropy.coder import SymbolDecoder

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Symbols = dict[str, np.ndarray]
"""int32 by the name of a network's tensor."""
Rate = Callable[..., "Tensor"]
"""Bits of flat grid symbols (N,) under a network of float tensors, by name; differentiable in both."""


COARSEST = 3
"""Power of 2 of the largest common unit of a network's tensors."""


class GridCoding(ABC):
    """A context model of one field's grids. `shape` everywhere: an instance of `Shape`, what the stream says of a network."""

    Shape: ClassVar[type[Wired]]

    @abstractmethod
    def groups(self, shape: Wired) -> list[dict[str, tuple[int, ...]]]:
        """Shapes of the network's tensors by name, in coding order; each group is coded with a table of its own."""

    @abstractmethod
    def encode(self, shape: Wired, network: Symbols, grids: np.ndarray) -> list[bytes]:
        """A payload for each chain (`Field.chains`). `grids`: (N,) int32 of all grids in raster order, one after the other."""

    @abstractmethod
    def decode(self, decoders: Sequence[SymbolDecoder], shape: Wired, network: Symbols) -> list[Iterator[np.ndarray]]:
        """Of each chain, from its own decoder: flat int32, in parts where there is one to wait for: of a film frame by frame.
        Chains may be read in any order, also in turn, but one at a time."""

    @abstractmethod
    def cost_bits(self, shape: Wired, network: Symbols, grids: np.ndarray) -> float:
        """Ideal length of what `encode` writes."""


class TrainedCoding(GridCoding):
    """One whose network is trained together with the grids of the whole field."""

    @abstractmethod
    def initial(self, shape: Wired, generator: torch.Generator) -> dict[str, Tensor]:
        """A network of float tensors before training."""

    @abstractmethod
    def rate(self, device: torch.device) -> Rate:
        """The differentiable counterpart of `cost_bits`."""

    @abstractmethod
    def learning_rate(self, name: str) -> float:
        """Of Adam, for a tensor of the network."""

    @abstractmethod
    def quantizer(self, name: str, shape: Wired) -> Quantizer:
        """From a float tensor to its symbols and back."""

    def evenly(self, shape: Wired, shift: int) -> Wired:
        """`shape` with coded whole numbers of all tensors in units of 2^shift."""
        return replace(shape, weight_shift=shift, bias_shift=shift)

    def coarser(self, shape: Wired, by: int) -> Wired:
        """`shape` with units of all tensors 2^by times as large, as far as they may be."""
        return self.evenly(shape, min(shape.weight_shift + by, COARSEST))

    def moved(self, shape: Wired) -> Iterator[Wired]:
        """Those in which the unit of one group is twice or half as large, if each has one of its own."""
        return iter(())

    def symbols(self, shape: Wired, network: dict[str, Tensor]) -> Symbols:
        """What the stream holds for a float network."""
        return {
            name: self.quantizer(name, shape).symbols(value.detach().cpu()).round().int().numpy()
            for name, value in network.items()
        }


@dataclass(frozen=True)
class Quantizer:
    """value = step · symbol; symbols are clamped to [low, high]."""

    step: float
    low: int
    high: int

    def symbols(self, values: Tensor) -> Tensor:
        """Not rounded."""
        return (values / self.step).clamp(self.low, self.high)

    def values(self, symbols: Tensor) -> Tensor:
        return symbols * self.step


def weights_and_biases(shapes: dict[str, tuple[int, ...]], biases: set[str]) -> list[dict[str, tuple[int, ...]]]:
    """Two groups: the tensors that are no biases, then those that are."""
    return [{name: size for name, size in shapes.items() if (name in biases) == last} for last in (False, True)]
