"""How the symbols of a field's grids are coded: one interface over the two context models, for streams and for training.

A segment holds a context network as whole-number symbols; what these stand for, and the differentiable counterpart that
training uses, is the business of a coding. `Interlaced` serves grids of any dimension (`context`, `rate`), `Planes` pyramids
of pictures (`planes`, `planes_rate`), whose network starts from a prior. Only what training asks for loads PyTorch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inrcodec.bytestream import Wired, uint
from inrcodec.entropy import context, merging, planes
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.fixed import UNIT, WEIGHT_LIMIT
from inrcodec.errors import StreamError
from inrcodec.passes import PlaneShape
from inrcodec.priors import MODE_UNIT, NETWORK_UNIT, Prior

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Symbols = dict[str, np.ndarray]
"""int32 by the name of a network's tensor."""
Rate = Callable[["Tensor", dict[str, "Tensor"]], "Tensor"]
"""Bits of flat grid symbols under a network of float tensors; differentiable in both."""


class GridCoding(ABC):
    """A context model of one field's grids. `shape` everywhere: an instance of `Shape`, what the stream says of a network."""

    Shape: ClassVar[type[Wired]]

    @abstractmethod
    def groups(self, shape: Wired) -> list[dict[str, tuple[int, ...]]]:
        """Shapes of the network's tensors by name, in coding order; each group is coded with a table of its own."""

    @abstractmethod
    def encode(self, encoder: SymbolEncoder, shape: Wired, network: Symbols, grids: np.ndarray) -> None:
        """`grids`: (N,) int32 of all grids in raster order, one after the other."""

    @abstractmethod
    def decode(self, decoder: SymbolDecoder, shape: Wired, network: Symbols) -> np.ndarray:
        """(N,) int32."""

    @abstractmethod
    def cost_bits(self, shape: Wired, network: Symbols, grids: np.ndarray) -> float:
        """Ideal length of what `encode` writes."""

    # -- training ----------------------------------------------------------------------------------------------------

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


class Interlaced(GridCoding):
    """`entropy.context`: any grids; weights are coded as they are."""

    Shape = context.NetworkShape

    def __init__(self, grids: tuple[context.Grid, ...]) -> None:
        self.contexts = context.contexts_of(grids)

    def groups(self, shape: context.NetworkShape) -> list[dict[str, tuple[int, ...]]]:
        shapes = shape.tensors(self.contexts)
        return _split(shapes, {"second_bias", "scale_bias"})

    def _exact(self, shape: context.NetworkShape, network: Symbols) -> context.Network:
        return context.Network(self.contexts, {name: value << _shift(name, shape) for name, value in network.items()})

    def encode(self, encoder, shape, network, grids) -> None:
        context.encode_grids(encoder, self._exact(shape, network), grids)

    def decode(self, decoder, shape, network) -> np.ndarray:
        return context.decode_grids(decoder, self._exact(shape, network))

    def cost_bits(self, shape, network, grids) -> float:
        return context.cost_bits(self._exact(shape, network), grids)

    def initial(self, shape, generator) -> dict[str, Tensor]:
        from inrcodec.entropy import rate

        return rate.initial_network(shape, self.contexts, generator)

    def rate(self, device) -> Rate:
        from inrcodec.entropy import rate

        return rate.ContextRate(self.contexts, device)

    def learning_rate(self, name) -> float:
        return 5e-2

    def quantizer(self, name, shape) -> Quantizer:
        limit = WEIGHT_LIMIT >> _shift(name, shape)
        unit = context.BIAS_UNIT if name == "scale_bias" else 1
        return Quantizer(unit * 2 ** _shift(name, shape) / UNIT, -limit, limit)


def _shift(name: str, shape: context.NetworkShape) -> int:
    return {"scale_bias": 0, "second_bias": shape.bias_shift}.get(name, shape.weight_shift)


def _split(shapes: dict[str, tuple[int, ...]], biases: set[str]) -> list[dict[str, tuple[int, ...]]]:
    """Weights, then biases."""
    return [{name: size for name, size in shapes.items() if (name in biases) == last} for last in (False, True)]


MODES = "modes"
"""Name of the coefficients of a prior's modes, among a network's tensors."""
COEFFICIENT_UNIT = 128
"""One, in the whole numbers that they are coded as."""
COEFFICIENT_LIMIT = 2047
MODE_SHIFT = (COEFFICIENT_UNIT * MODE_UNIT // planes.WEIGHT_UNIT).bit_length() - 1
BIASES = {"kind_bias", "plane_bias", "second_bias"}


@dataclass(frozen=True)
class PlanePrecision(Wired):
    """A coded whole number d stands for d · 2^shift in the sum; shifts of weights and of biases."""

    weight_shift: int = uint(0, 5, default=0)
    bias_shift: int = uint(0, 5, default=0)


class Planes(GridCoding):
    """`entropy.planes`: a pyramid's planes. A tensor of the network is, in units of 1 / WEIGHT_UNIT and rounded half up,

    prior + [Σ_j coefficient_j mode_j / 2^MODE_SHIFT] + d · 2^shift, clamped to its limit,

    with the prior's whole numbers; the stream holds the coefficients, and d.
    """

    Shape = PlanePrecision

    def __init__(self, shapes: tuple[PlaneShape, ...], prior: Prior) -> None:
        self.shapes = shapes
        self.width = prior.network_width
        roles = list(dict.fromkeys(shape.role for shape in shapes))  # as `passes.bias_rows` counts them
        network = {name: value * (planes.WEIGHT_UNIT // NETWORK_UNIT) for name, value in prior.network.items()}
        self.prior = network | {"plane_bias": network["plane_bias"][roles]}
        self.modes = prior.modes | {"plane_bias": prior.modes["plane_bias"][:, roles]}

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return planes.network_tensors(self.width, len(self.prior["plane_bias"]))

    def groups(self, shape: PlanePrecision) -> list[dict[str, tuple[int, ...]]]:
        return [{MODES: (len(self.modes["second"]),)}, *_split(self._shapes, BIASES)]

    @staticmethod
    def _shift(name: str, shape: PlanePrecision) -> int:
        return shape.bias_shift if name in BIASES else shape.weight_shift

    def _exact(self, shape: PlanePrecision, network: Symbols) -> planes.PlaneNetwork:
        coefficients = network[MODES].astype(np.int64)
        if np.abs(coefficients).max(initial=0) > COEFFICIENT_LIMIT:
            raise StreamError(
                f"context network: a coefficient is {np.abs(coefficients).max()}, allowed are ±{COEFFICIENT_LIMIT}"
            )
        whole = {}
        for name in self._shapes:
            moved = np.tensordot(coefficients, self.modes[name].astype(np.int64), axes=1)
            moved = (moved + (1 << (MODE_SHIFT - 1))) >> MODE_SHIFT
            limit = planes.BIAS_LIMIT if name in BIASES else planes.WEIGHT_LIMIT
            tensor = self.prior[name] + moved + (network[name].astype(np.int64) << self._shift(name, shape))
            whole[name] = tensor.clip(-limit, limit).astype(np.int32)
        return planes.PlaneNetwork(self.shapes, whole)

    def encode(self, encoder, shape, network, grids) -> None:
        planes.encode_planes(encoder, self._exact(shape, network), grids)

    def decode(self, decoder, shape, network) -> np.ndarray:
        return planes.decode_planes(decoder, self._exact(shape, network))

    def cost_bits(self, shape, network, grids) -> float:
        return planes.cost_bits(self._exact(shape, network), grids)

    def initial(self, shape, generator) -> dict[str, Tensor]:
        """No coefficient, no difference."""
        import torch

        return {name: torch.zeros(size) for group in self.groups(shape) for name, size in group.items()}

    def rate(self, device) -> Rate:
        import torch

        from inrcodec.entropy.planes_rate import PlanesRate

        rate = PlanesRate(self.shapes)
        prior = {name: torch.from_numpy(self.prior[name]).to(device) / planes.WEIGHT_UNIT for name in self._shapes}
        modes = {name: torch.from_numpy(self.modes[name]).to(device) / MODE_UNIT for name in self._shapes}

        def bits(symbols: Tensor, network: dict[str, Tensor]) -> Tensor:
            summed = {
                name: prior[name] + torch.tensordot(network[MODES], modes[name], dims=1) + network[name]
                for name in self._shapes
            }
            return rate(symbols, summed)

        return bits

    def learning_rate(self, name) -> float:
        return 0.1 if name == MODES else 1e-2

    def quantizer(self, name, shape) -> Quantizer:
        if name == MODES:
            return Quantizer(1 / COEFFICIENT_UNIT, -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT)
        limit = planes.BIAS_LIMIT if name in BIASES else planes.WEIGHT_LIMIT
        return Quantizer(2 ** self._shift(name, shape) / planes.WEIGHT_UNIT, -limit, limit)


class Merging(GridCoding):
    """`entropy.merging`: a film's motion. It has no network; its symbols are searched for, not trained."""

    Shape = PlanePrecision

    def __init__(self, vectors: merging.Vectors) -> None:
        self.vectors = vectors

    def groups(self, shape) -> list[dict[str, tuple[int, ...]]]:
        return []

    def encode(self, encoder, shape, network, grids) -> None:
        merging.encode_vectors(encoder, self.vectors, grids)

    def decode(self, decoder, shape, network) -> np.ndarray:
        return merging.decode_vectors(decoder, self.vectors)

    def cost_bits(self, shape, network, grids) -> float:
        return merging.cost_bits(self.vectors, grids)

    def initial(self, shape, generator) -> dict[str, Tensor]:
        return {}

    def rate(self, device) -> Rate:
        """Without slopes."""
        import torch

        def bits(symbols: Tensor, network: dict[str, Tensor]) -> Tensor:
            whole = symbols.detach().cpu().round().int().numpy()
            return torch.tensor(merging.cost_bits(self.vectors, whole), device=device)

        return bits

    def learning_rate(self, name) -> float:
        raise KeyError(name)

    def quantizer(self, name, shape) -> Quantizer:
        raise KeyError(name)


class Several(GridCoding):
    """Kinds of symbols that have little in common: one coding after the other.

    `parts`: codings by name, with the number of symbols of each; their tensors are named `name.tensor`.
    """

    Shape = PlanePrecision

    def __init__(self, parts: dict[str, tuple[Planes | Merging, int]]) -> None:
        self.codings = {name: coding for name, (coding, _) in parts.items()}
        self._counts = [count for _, count in parts.values()]

    def _part(self, name: str, network: dict[str, Any]) -> dict[str, Any]:
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in network.items() if key.startswith(prefix)}

    def _cut(self, grids: Any) -> list[Any]:
        """Flat symbols of each part."""
        borders = np.cumsum([0, *self._counts])
        return [grids[start:stop] for start, stop in zip(borders, borders[1:])]

    def groups(self, shape: PlanePrecision) -> list[dict[str, tuple[int, ...]]]:
        return [
            {f"{name}.{tensor}": size for tensor, size in group.items()}
            for name, coding in self.codings.items()
            for group in coding.groups(shape)
        ]

    def encode(self, encoder, shape, network, grids) -> None:
        for (name, coding), part in zip(self.codings.items(), self._cut(grids)):
            coding.encode(encoder, shape, self._part(name, network), part)

    def decode(self, decoder, shape, network) -> np.ndarray:
        return np.concatenate(
            [coding.decode(decoder, shape, self._part(name, network)) for name, coding in self.codings.items()]
        )

    def cost_bits(self, shape, network, grids) -> float:
        parts = zip(self.codings.items(), self._cut(grids))
        return sum(coding.cost_bits(shape, self._part(name, network), part) for (name, coding), part in parts)

    def initial(self, shape, generator) -> dict[str, Tensor]:
        return {
            f"{name}.{tensor}": value
            for name, coding in self.codings.items()
            for tensor, value in coding.initial(shape, generator).items()
        }

    def rate(self, device) -> Rate:
        rates = {name: coding.rate(device) for name, coding in self.codings.items()}

        def bits(symbols: Tensor, network: dict[str, Tensor]) -> Tensor:
            parts = zip(rates.items(), self._cut(symbols))
            return sum(rate(part, self._part(name, network)) for (name, rate), part in parts)

        return bits

    def _owner(self, name: str) -> tuple[GridCoding, str]:
        part, tensor = name.split(".", 1)
        return self.codings[part], tensor

    def learning_rate(self, name) -> float:
        coding, tensor = self._owner(name)
        return coding.learning_rate(tensor)

    def quantizer(self, name, shape) -> Quantizer:
        coding, tensor = self._owner(name)
        return coding.quantizer(tensor, shape)
