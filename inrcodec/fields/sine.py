"""Sine layers (SIREN, Sitzmann et al. 2020, arXiv 2006.09661) and what the families made of them share.

Activations lie as (features, N), which `addmm` multiplies fastest on a CPU, and go through a chain of layers in tiles
that stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inrcodec.fields.base import Parameters, TensorSpec

TILE = 1 << 14
"""Points that go through a chain of layers at a time."""
STEPS_PER_DEVIATION = 24
"""Initial quantizer steps in one standard deviation of a weight: about 7 bits a weight."""
BIAS_STEPS_PER_RADIAN = 8


def first_bound(inputs: int) -> float:
    """Weights of a layer that sees coordinates are drawn from U(-bound, bound) (section 3.2)."""
    return 1 / inputs


def hidden_bound(inputs: int, omega: int) -> float:
    """The same for a layer that sees sines: its sum then has the standard deviation 1 times omega."""
    return math.sqrt(6 / inputs) / omega


def uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """Float32 samples of U(-bound, bound)."""
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound


def learning_rate(width: int) -> float:
    """Of all tensors of a field: 2e-3 at width 32, and smaller as the weights of hidden layers get smaller.

    Measured on a photograph of 96x64 in 200 iterations of Adam with a cosine schedule: 2e-3 to 4e-3 are best for width
    32 (SIREN, CoordX, ASMR), 1e-3 to 2e-3 for width 64; twice the best rate loses 2 to 11 dB.
    """
    return 2e-3 * math.sqrt(32 / max(width, 16))


def weight_spec(name: str, outputs: int, inputs: int, bound: float, rate: float, decays: bool = False) -> TensorSpec:
    """A weight matrix drawn from U(-bound, bound), a group of its own."""
    step = bound / math.sqrt(3) / STEPS_PER_DEVIATION
    return TensorSpec(name, (outputs, inputs), "weight", name, step, rate, decays=decays)


def bias_spec(name: str, outputs: int, omega: int, rate: float) -> TensorSpec:
    """A bias; all biases of a field are one group, `omega` is the largest factor that any of them is multiplied by."""
    return TensorSpec(name, (outputs,), "weight", "bias", 1 / (BIAS_STEPS_PER_RADIAN * omega), rate)


@dataclass(frozen=True)
class Layer:
    """`sin(omega (W x + b))`, or `W x + b` where omega is None; W and b start in U(-bound, bound)."""

    name: str
    inputs: int
    outputs: int
    bound: float
    omega: int | None

    @property
    def weight(self) -> str:
        return f"{self.name}.weight"

    @property
    def bias(self) -> str:
        return f"{self.name}.bias"

    @property
    def macs(self) -> int:
        """Multiply–accumulates per point."""
        return self.inputs * self.outputs

    def __call__(self, parameters: Parameters, values: Tensor) -> Tensor:
        """(inputs, N) → (outputs, N)."""
        weight, bias = parameters[self.weight], parameters[self.bias][:, None]
        if self.omega is None:
            return torch.addmm(bias, weight, values)
        return sine(torch.addmm(bias, weight, values, beta=self.omega, alpha=self.omega))


def sine(phases: Tensor) -> Tensor:
    """The sine of a tensor that nothing else needs: in place where no gradient has to pass."""
    return phases.sin() if phases.requires_grad else phases.sin_()


def layer_specs(layers: Sequence[Layer], width: int) -> tuple[TensorSpec, ...]:
    """All weights, then all biases, of a field of hidden layers of `width`.

    Matrices from sines to sines decay: they grow under noisy gradients, and sines of large sums are noise themselves."""
    omega, rate = max(layer.omega or 1 for layer in layers), learning_rate(width)
    weights = [
        weight_spec(
            layer.weight,
            layer.outputs,
            layer.inputs,
            layer.bound,
            rate,
            layer.omega is not None and layer.inputs == width,
        )
        for layer in layers
    ]
    return (*weights, *(bias_spec(layer.bias, layer.outputs, omega, rate) for layer in layers))


def layer_initial(layers: Sequence[Layer], generator: torch.Generator) -> Parameters:
    """Parameters of `layers` before training, in the order of `layer_specs`.

    Phases of more than half a turn are others within it, whose biases take fewer bits."""
    weights = {layer.weight: uniform((layer.outputs, layer.inputs), layer.bound, generator) for layer in layers}
    bounds = [min(layer.bound, math.pi / (layer.omega or 1)) for layer in layers]
    return weights | {layer.bias: uniform((layer.outputs,), bound, generator) for layer, bound in zip(layers, bounds)}


def chain(layers: Sequence[Layer], parameters: Parameters, values: Tensor) -> Tensor:
    """(inputs, N) → (outputs, N) through all layers, tile by tile."""
    tiles = []
    for tile in values.split(TILE, dim=1):
        for layer in layers:
            tile = layer(parameters, tile)
        tiles.append(tile)
    return tiles[0] if len(tiles) == 1 else torch.cat(tiles, dim=1)


def centered(positions: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Float64 positions in [0, 1] → float32 coordinates in [-1, 1]."""
    return (2 * torch.as_tensor(positions) - 1).float().to(device)


def outer(vectors: Sequence[Tensor]) -> Tensor:
    """All combinations of k vectors, the last one fastest: (k, N)."""
    return torch.stack([axis.reshape(-1) for axis in torch.meshgrid(*vectors, indexing="ij")])


def row_tiles(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Bands of rows [start, stop) of about `TILE` pixels each."""
    rows = max(1, TILE // width)
    return ((start, min(start + rows, height)) for start in range(0, height, rows))
