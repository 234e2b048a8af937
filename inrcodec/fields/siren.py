"""SIREN: one network of sine layers from position to sample (Sitzmann et al. 2020, arXiv 2006.09661).

The reference for every speed-up: nothing of a point's evaluation is shared with any other point.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inrcodec.bytestream import Wired, uint
from inrcodec.fields.base import PLAN_BYTES, Field, Parameters, Plan, TensorSpec
from inrcodec.fields.sine import (
    Layer,
    centered,
    chain,
    first_bound,
    hidden_bound,
    layer_initial,
    layer_specs,
    outer,
    row_tiles,
)
from inrcodec.lattice import Lattice


@dataclass(frozen=True)
class SirenConfig(Wired):
    """layers: sine layers, the first included. omega_first, omega_hidden: frequency factors (30 in the paper)."""

    width: int = uint(1, 1024)
    layers: int = uint(1, 16)
    omega_first: int = uint(1, 255, default=30)
    omega_hidden: int = uint(1, 255, default=30)


class Siren(Field):
    """See the module's text; `config` is the header, shape is (T, H, W, C). With T = 1 time is no input."""

    family = "siren"
    Config = SirenConfig

    def __init__(self, config: SirenConfig, shape: tuple[int, int, int, int]) -> None:
        super().__init__(config, shape)
        self.axes = (0, 1, 2) if shape[0] > 1 else (1, 2)
        width, omega, inputs = config.width, config.omega_hidden, len(self.axes)
        bound = hidden_bound(width, omega)
        self.layers = (
            Layer("layer0", inputs, width, first_bound(inputs), config.omega_first),
            *(Layer(f"layer{index}", width, width, bound, omega) for index in range(1, config.layers)),
            Layer("last", width, self.channels, bound, None),
        )

    def specs(self) -> tuple[TensorSpec, ...]:
        return layer_specs(self.layers, self.config.width)

    def initial(self, generator: torch.Generator) -> Parameters:
        return layer_initial(self.layers, generator)

    def at(self, parameters: Parameters, points: Tensor) -> Tensor:
        device = parameters["last.weight"].device
        return chain(self.layers, parameters, centered(points[:, self.axes], device).T).T

    def plan(self, parameters: Parameters, lattice: Lattice, keep_bytes: int = PLAN_BYTES) -> Plan:
        return _SirenPlan(self, parameters, lattice)

    @property
    def macs_per_point(self) -> float:
        return float(sum(layer.macs for layer in self.layers))


class _SirenPlan(Plan):
    """Keeps nothing but the coordinates of each axis."""

    def __init__(self, field: Siren, parameters: Parameters, lattice: Lattice) -> None:
        self.field, self.parameters, self.lattice = field, parameters, lattice
        device = parameters["last.weight"].device
        self.t, self.y, self.x = (centered(axis, device) for axis in (lattice.t, lattice.y, lattice.x))

    def frame(self, index: int) -> Tensor:
        _, height, width = self.lattice.shape
        bands = [self._band(index, start, stop) for start, stop in row_tiles(height, width)]
        return torch.cat(bands, dim=1).view(-1, height, width).permute(1, 2, 0)

    def _band(self, index: int, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a frame: (C, N)."""
        axes = (self.t[index : index + 1], self.y[start:stop], self.x)
        coordinates = outer([axes[axis] for axis in self.field.axes])
        return chain(self.field.layers, self.parameters, coordinates)

    @property
    def kept_bytes(self) -> int:
        return 4 * sum(self.lattice.shape)

    @property
    def macs_per_pixel(self) -> float:
        return self.field.macs_per_point
