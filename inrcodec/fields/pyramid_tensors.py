"""A pyramid's evaluation in PyTorch: the definition, point by point; plans on any device; training.

On the CPU plans and the gradients of squared errors are those of the compiled loops, where these are there.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.fields.base import Parameters, Plan, Reference
from inrcodec.fields.interpolation import taps
from inrcodec.fields.pyramid import FILTERS, KERNEL, WEIGHTS, CompiledPlan, Pyramid, interpolated
from inrcodec.kernels import heads, native, vertices
from inrcodec.lattice import Lattice

TILE = 1 << 14
"""Pixels that go through the head at a time: its activations then stay in the cache."""


def initial(field: Pyramid) -> Parameters:
    """Grids of zeros, the prior's filters and head."""
    return {spec.name: spec.values(torch.zeros(spec.shape), 1.0) for spec in field.specs()}


def filtered(grid: Tensor, taps: Tensor) -> Tensor:
    """Vertices (F, h, w) filtered by the same symmetric taps (half + 1,), a vertex's own first, along x and along y; edges are
    repeated."""
    half = len(taps) - 1
    whole = torch.cat([taps[1:].flip(0), taps])
    along_x = F.conv2d(F.pad(grid[:, None], (half, half, 0, 0), mode="replicate"), whole.view(1, 1, 1, -1))
    return F.conv2d(F.pad(along_x, (0, 0, half, half), mode="replicate"), whole.view(1, 1, -1, 1))[:, 0]


def vertices_of(field: Pyramid, parameters: Parameters, age: int) -> Tensor:
    """Those of a level as they are interpolated: (F, h, w)."""
    grid = parameters[f"grid{age}"][:, 0]
    if FILTERS not in parameters:
        return grid
    return filtered(grid, _filters(parameters)[field.ages.index(age)])


def _filters(parameters: Parameters) -> Tensor:
    """A vertex's own tap and those of its neighbors, of each level: (levels, half + 1); all of a filter add up to 1."""
    neighbors = parameters[FILTERS]
    return torch.cat([1 - 2 * neighbors.sum(1, keepdim=True), neighbors], dim=1)


def at(field: Pyramid, parameters: Parameters, points: Tensor) -> Tensor:
    """The definition."""
    return _head(parameters, features_at(field, parameters, points)).T


def features_at(field: Pyramid, parameters: Parameters, points: Tensor) -> Tensor:
    """What the head sees of points: (F, N)."""
    features = []
    for age in field.ages:
        grid = vertices_of(field, parameters, age)
        (rows, row_weights), (columns, column_weights) = (
            taps(points[:, axis].cpu(), field.shape[axis], 2.0**age, KERNEL, field.vertex_filter(age))
            for axis in (1, 2)
        )
        total = 0.0
        for i in range(rows.shape[1]):
            for j in range(columns.shape[1]):
                weight = (row_weights[:, i] * column_weights[:, j]).to(grid.device)
                total = total + grid[:, rows[:, i].to(grid.device), columns[:, j].to(grid.device)] * weight
        features.append(total)
    return torch.cat(features)


def _head(parameters: Parameters, features: Tensor) -> Tensor:
    """(F, N) → (C, N), in tiles."""
    return torch.cat([head_values(parameters, tile) for tile in features.split(TILE, dim=1)], dim=1)


def head_values(parameters: Parameters, features: Tensor) -> Tensor:
    """(F, n) → (C, n)"""
    hidden = torch.relu(torch.addmm(parameters["hidden.bias"][:, None], parameters["hidden"], features))
    if "second" in parameters:
        hidden = torch.relu(torch.addmm(parameters["second.bias"][:, None], parameters["second"], hidden))
    values = torch.addmm(parameters["last.bias"][:, None], parameters["bypass"], features)
    return torch.addmm(values, parameters["last"], hidden)


def _compiled(parameters: Parameters) -> bool:
    """Whether the compiled loops can work on these parameters."""
    return native.available() and parameters["hidden"].device.type == "cpu"


def _arrays(parameters: Parameters) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in parameters.items()}


# -- plans -------------------------------------------------------------------------------------------------------------


def plan(field: Pyramid, parameters: Parameters, lattice: Lattice, keep_bytes: int) -> Plan:
    """Compiled if it can be; gradients flow through the plain one only."""
    wants_gradients = torch.is_grad_enabled() and parameters["hidden"].requires_grad
    if _compiled(parameters) and not wants_gradients:
        return _AsTensors(field, _arrays(parameters), lattice)
    return _BandedPlan(field, parameters, lattice, keep_bytes)


class _AsTensors(CompiledPlan):
    def frame(self, index: int) -> Tensor:
        return torch.from_numpy(super().frame(index))

    def samples(self, index: int, peak: int) -> Tensor:
        return torch.from_numpy(super().samples(index, peak))


class _BandedPlan(Plan):
    """Bands of rows as far as memory asks for them; vertices are kept if they are filtered."""

    def __init__(self, field: Pyramid, parameters: Parameters, lattice: Lattice, keep_bytes: int) -> None:
        self.field, self.parameters, self.lattice = field, parameters, lattice
        self._vertices = [vertices_of(field, parameters, age) for age in field.ages]
        needed = 4 * field.feature_count * lattice.shape[1] * lattice.shape[2]
        self.band = max(1, min(lattice.shape[1], lattice.shape[1] * keep_bytes // max(needed, 1)))

    def frame(self, index: int) -> Tensor:
        height = self.lattice.shape[1]
        bands = [self._band(start, min(start + self.band, height)) for start in range(0, height, self.band)]
        return torch.cat(bands)

    def _band(self, start: int, stop: int) -> Tensor:
        lattice, device = self.lattice.rows(start, stop), self.parameters["hidden"].device
        features = []
        for age, grid in zip(self.field.ages, self._vertices):
            rows, columns = self.field.interpolation(age, lattice, device)
            features.append(columns.columns(rows.rows(grid)))
        values = _head(self.parameters, torch.cat(features).flatten(1))
        return values.view(-1, *lattice.shape[1:]).permute(1, 2, 0)

    @property
    def kept_bytes(self) -> int:
        return 4 * sum(grid.numel() for grid in self._vertices) if FILTERS in self.parameters else 0

    @property
    def macs_per_pixel(self) -> float:
        return self.field.macs_per_pixel


# -- training ----------------------------------------------------------------------------------------------------------


def sweeps(parameters: Parameters) -> bool:
    """Whether `squared_errors` can do it."""
    return _compiled(parameters) and torch.is_grad_enabled()


def squared_errors(
    field: Pyramid, parameters: Parameters, lattice: Lattice, reference: Reference, sample: native.Sample
) -> Tensor:
    """Squared errors by channel, (C,), through the compiled head. sample: what gradients of matrices are taken from."""
    grids = [parameters[f"grid{age}"].squeeze(1) for age in field.ages]
    if FILTERS in parameters:
        grids = _Filtered.apply(_filters(parameters), *grids)
    target = reference(0).permute(2, 0, 1)
    head = torch.cat([parameters[name].reshape(-1) for name in WEIGHTS if name in parameters])
    return _Errors.apply(field.axis_taps(lattice), target, head, field.prior.width, sample, *grids)


class _Filtered(torch.autograd.Function):
    """`filtered` of all levels, compiled."""

    @staticmethod
    def forward(ctx, taps: Tensor, *grids: Tensor) -> tuple[Tensor, ...]:
        ctx.given = [grid.detach().numpy() for grid in grids], taps.detach().numpy()
        return tuple(map(torch.from_numpy, vertices.filtered(*ctx.given)))

    @staticmethod
    def backward(ctx, *upstream: Tensor):
        backs, by_taps = vertices.filtered_back(*ctx.given, [one.numpy() for one in upstream])
        return torch.from_numpy(by_taps), *map(torch.from_numpy, backs)


class _Errors(torch.autograd.Function):
    """Squared errors by channel through the compiled head, whose gradients come with them in one sweep."""

    @staticmethod
    def forward(
        ctx, axis_taps, target: Tensor, head: Tensor, width: int, sample: native.Sample, *grids: Tensor
    ) -> Tensor:
        maps = interpolated([grid.detach().numpy() for grid in grids], axis_taps)
        rows = [rows for rows, _ in axis_taps]
        weight = np.ones(len(target), dtype=np.float32)
        found = heads.head_gradients(maps, rows, head.detach().numpy(), width, target.numpy(), weight, sample)
        backs = [
            heads.interpolate_back(one, columns, grid.shape[2])
            for one, (_, columns), grid in zip(found.maps, axis_taps, grids)
        ]
        ctx.save_for_backward(*(torch.from_numpy(one) for one in (found.parameters, *backs)))
        return torch.from_numpy(found.errors).float()

    @staticmethod
    def backward(ctx, upstream: Tensor):
        assert bool((upstream == upstream[0]).all()), "the sweep weighs all channels alike"
        head, *grids = ctx.saved_tensors
        return None, None, head * upstream[0], None, None, *(grid * upstream[0] for grid in grids)
