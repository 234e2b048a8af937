"""Pyramids of pictures: `entropy.planes`, in training `entropy.planes_rate`; their network starts from a prior."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.bytestream import Wired, uint
from inrcodec.entropy import tiles
from inrcodec.entropy.coder import SymbolEncoder
from inrcodec.entropy.codings.base import Quantizer, Rate, Symbols, TrainedCoding, weights_and_biases
from inrcodec.entropy.planes import PlanesCoder
from inrcodec.entropy.planes_network import (
    BIAS_LIMIT,
    BY_ROLE,
    WEIGHT_LIMIT,
    WEIGHT_UNIT,
    PlaneNetwork,
    network_tensors,
)
from inrcodec.errors import StreamError
from inrcodec.passes import PlaneShape
from inrcodec.priors import MODE_UNIT, NETWORK_UNIT, Prior

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MODES = "modes"
"""Name of the coefficients of a prior's modes, among a network's tensors."""
COEFFICIENT_UNIT = 128
"""One, in the whole numbers that they are coded as."""
COEFFICIENT_LIMIT = 2047
MODE_SHIFT = (COEFFICIENT_UNIT * MODE_UNIT // WEIGHT_UNIT).bit_length() - 1
BIASES = {"kind_bias", "plane_bias", "second_bias"}


@dataclass(frozen=True)
class PlanePrecision(Wired):
    """A coded whole number d stands for d · 2^shift in the sum; shifts of weights and of biases."""

    weight_shift: int = uint(0, 5, default=0)
    bias_shift: int = uint(0, 5, default=0)


class Planes(TrainedCoding):
    """A tensor of the network is, in units of 1 / WEIGHT_UNIT and rounded half up,

    prior + [Σ_j coefficient_j mode_j / 2^MODE_SHIFT] + d · 2^shift, clamped to its limit,

    with the prior's whole numbers; the stream holds the coefficients, if the prior has modes, and d. In WAVEFRONT order the
    first layers of all kinds, which see the same neighbors, share one d.
    """

    Shape = PlanePrecision

    def __init__(self, shapes: tuple[PlaneShape, ...], prior: Prior) -> None:
        self.shapes, self.order = shapes, prior.order
        self.width = prior.network_width
        self.roles = list(dict.fromkeys(shape.role for shape in shapes))  # as `passes.bias_rows` counts them
        network = {name: value * (WEIGHT_UNIT // NETWORK_UNIT) for name, value in prior.network.items()}
        by_role = [name for name in BY_ROLE if name in network]
        self.prior = network | {name: network[name][self.roles] for name in by_role}
        self.modes = prior.modes | {name: prior.modes[name][:, self.roles] for name in by_role}

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return network_tensors(self.order, self.width, len(self.prior["plane_bias"]))

    def _difference(self, name: str) -> str:
        """Name of what the stream adds to a tensor of the network."""
        return "entry0" if self.order.by_diagonals and name.startswith("entry") else name

    def groups(self, shape: PlanePrecision) -> list[dict[str, tuple[int, ...]]]:
        differences = {name: size for name, size in self._shapes.items() if self._difference(name) == name}
        return [{MODES: (len(self.modes["second"]),)}, *weights_and_biases(differences, BIASES)]

    def _shift(self, name: str, shape: PlanePrecision) -> int:
        return shape.bias_shift if name in BIASES else shape.weight_shift

    def exact(self, shape: PlanePrecision, network: Symbols) -> dict[str, np.ndarray]:
        """The network's tensors in whole numbers, as `entropy.planes_network` takes them."""
        coefficients = network[MODES].astype(np.int64)
        if np.abs(coefficients).max(initial=0) > COEFFICIENT_LIMIT:
            raise StreamError(
                f"context network: a coefficient is {np.abs(coefficients).max()}, allowed are ±{COEFFICIENT_LIMIT}"
            )
        whole = {}
        for name in self._shapes:
            moved = np.tensordot(coefficients, self.modes[name].astype(np.int64), axes=1)
            moved = (moved + (1 << (MODE_SHIFT - 1))) >> MODE_SHIFT
            difference = network[self._difference(name)].astype(np.int64) << self._shift(name, shape)
            whole[name] = clamped(name, self.prior[name] + moved + difference)
        return whole

    def coder(self, shape: PlanePrecision, network: Symbols) -> PlanesCoder:
        """Of all planes."""
        return PlanesCoder(PlaneNetwork(self.shapes, self.order, self.exact(shape, network)), tiles.initial_counts())

    def encode(self, shape, network, grids) -> list[bytes]:
        encoder = SymbolEncoder()
        self.coder(shape, network).encode(encoder, grids)
        return [encoder.getvalue()]

    def decode(self, decoders, shape, network) -> list[Iterator[np.ndarray]]:
        return [self._decoded(*decoders, shape, network)]

    def _decoded(self, decoder, shape, network) -> Iterator[np.ndarray]:
        coder = self.coder(shape, network)
        symbols = np.zeros(coder.size, np.int32)
        coder.decode(decoder, symbols)
        yield symbols

    def cost_bits(self, shape, network, grids) -> float:
        return self.coder(shape, network).cost_bits(grids)

    def initial(self, shape, generator) -> dict[str, Tensor]:
        """No coefficient, no difference."""
        import torch

        return {name: torch.zeros(size) for group in self.groups(shape) for name, size in group.items()}

    def rate(self, device, sampled: bool = True) -> Rate:
        """sampled: see `PlanesRate`."""
        from inrcodec.entropy.planes_rate import PlanesRate

        rate, summed = PlanesRate(self.shapes, self.order, sampled), self.summing(device)

        def bits(symbols: Tensor, network: dict[str, Tensor], tiles: Sequence[np.ndarray] = ()) -> Tensor:
            """tiles: of each plane, which are coded; none: all are."""
            return rate(symbols, summed(network), tiles)

        return bits

    def summing(self, device: torch.device) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
        """From the float tensors of which the stream holds symbols, to those of the network."""
        import torch

        prior = {name: torch.from_numpy(self.prior[name]).to(device) / WEIGHT_UNIT for name in self._shapes}
        modes = {name: torch.from_numpy(self.modes[name]).to(device) / MODE_UNIT for name in self._shapes}
        return lambda network: {
            name: prior[name] + torch.tensordot(network[MODES], modes[name], dims=1) + network[self._difference(name)]
            for name in self._shapes
        }

    def learning_rate(self, name) -> float:
        return 0.1 if name == MODES else 1e-2

    def quantizer(self, name, shape) -> Quantizer:
        if name == MODES:
            return Quantizer(1 / COEFFICIENT_UNIT, -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT)
        limit = limit_of(name)
        return Quantizer(2 ** self._shift(name, shape) / WEIGHT_UNIT, -limit, limit)


def limit_of(name: str) -> int:
    """Of a tensor's whole numbers."""
    return BIAS_LIMIT if name in BIASES else WEIGHT_LIMIT


def clamped(name: str, tensor: np.ndarray) -> np.ndarray:
    return tensor.clip(-limit_of(name), limit_of(name)).astype(np.int32)
