"""A film's evaluation in PyTorch: the definition, point by point, and plans on any device, with gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor

from inrcodec.fields.base import Parameters, Plan
from inrcodec.fields.film import Film
from inrcodec.fields.film_arrays import CompiledPlan
from inrcodec.fields.hierarchy import built_on
from inrcodec.fields.interpolation import AxisInterpolation, taps
from inrcodec.fields.pyramid import KERNEL
from inrcodec.kernels import native
from inrcodec.lattice import Lattice


def plan(field: Film, parameters: Parameters, lattice: Lattice, keep_bytes: int) -> Plan:
    """Compiled if it can be; gradients flow through the plain one only."""
    sample = next(iter(parameters.values()))
    wants_gradients = torch.is_grad_enabled() and sample.requires_grad
    if native.available() and sample.device.type == "cpu" and not wants_gradients:
        arrays = {name: value.detach().numpy() for name, value in parameters.items()}
        return _AsTensors(field, arrays, lattice, keep_bytes)
    return _TensorPlan(field, parameters, lattice)


class _AsTensors(CompiledPlan):
    def frame(self, index: int) -> Tensor:
        return torch.from_numpy(super().frame(index))


def displaced(reference: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """`reference` (C, H, W) at places y, x (any shape), float32, in samples: (C, any shape). Keys' cubic kernel, a = -1/2."""
    channels, height, width = reference.shape
    total = reference.new_zeros(channels, *y.shape)
    flat = reference.reshape(channels, -1)
    for row, by_row in _cubic(y, height):
        for column, by_column in _cubic(x, width):
            total = total + flat[:, row * width + column] * (by_row * by_column)
    return total


def _cubic(place: Tensor, count: int) -> list[tuple[Tensor, Tensor]]:
    """The 4 samples around each place, and their weights."""
    place = place.clamp(-4, count + 3)
    base = place.detach().floor()
    f = place - base
    weights = (
        ((-0.5 * f + 1) * f - 0.5) * f,
        (1.5 * f - 2.5) * f * f + 1,
        ((-1.5 * f + 2) * f + 0.5) * f,
        (0.5 * f - 0.5) * f * f,
    )
    return [((base.long() + offset).clamp(0, count - 1), weight) for offset, weight in zip(range(-1, 3), weights)]


class _Evaluation(ABC):
    """Values of frames through two ways to look at grids, which subclasses give; whole references are kept."""

    def __init__(self, field: Film, parameters: Parameters) -> None:
        self.field, self.parameters = field, parameters
        self.device = next(iter(parameters.values())).device
        towards: dict[int, Tensor] = {}
        self._motion = {
            link.frame: field.displacements(parameters, link, towards) for link in field.links if link.references
        }
        self.to_samples = torch.from_numpy(field.samples_of_planes).to(self.device)
        self._whole: OrderedDict[int, Tensor] = OrderedDict()

    def whole(self, frame: int) -> Tensor:
        """(C, H, W)."""
        for other in built_on(frame, self.field.link_of, self._whole):  # one after the other: chains are long
            self._one(other)
        return self._one(frame)

    def _one(self, frame: int) -> Tensor:
        """A whole frame whose references are kept, as a rule."""
        if frame not in self._whole:
            self._whole[frame] = self.values(frame, *self.whole_view())
            while len(self._whole) > self.field.deepest + 2:
                self._whole.popitem(last=False)
        self._whole.move_to_end(frame)
        return self._whole[frame]

    @abstractmethod
    def whole_view(self):
        """`values`' arguments for a whole frame."""

    def values(self, frame: int, filtered, linear, y: Tensor, x: Tensor) -> Tensor:
        """(C, places). filtered(grid, age): a level's grid at the places; linear(grid): motion there; y, x: the places, in
        samples."""
        link, ages = self.field.link_of[frame], self.field.ages(frame)
        total = 0.0
        if ages:
            features = torch.cat([filtered(self.parameters[f"grid{age}.{frame}"][:, 0], age) for age in ages])
            total = torch.einsum("cf,f...->c...", self.to_samples[:, : len(features)], features)
        if link.references:
            displacements, weight = self._motion[frame]
            found = []
            for reference, displacement in zip(link.references, displacements):
                by_y, by_x = linear(displacement)
                found.append(displaced(self.whole(reference), y + by_y, x + by_x))
            if weight is None:
                total = total + found[0]
            else:
                share = linear(weight)
                total = total + share * found[0] + (1 - share) * found[1]
        if isinstance(total, float):
            total = torch.zeros(self.field.channels, *torch.broadcast_shapes(y.shape, x.shape), device=self.device)
        return total.clamp(-0.5, 0.5)

    def places(self, positions, axis: int) -> Tensor:
        return torch.as_tensor(np.asarray(positions) * self.field.shape[axis] - 0.5, dtype=torch.float32).to(
            self.device
        )


# -- the definition ----------------------------------------------------------------------------------------------------


class _AtPoints(_Evaluation):
    """Point by point."""

    def at(self, frame: int, points: Tensor) -> Tensor:
        """(C, N) at points (N, 2) of a frame."""
        return self.values(frame, *self._view(points))

    def whole_view(self):
        height, width = self.field.shape[1:3]
        filtered, linear, y, x = self._view(Lattice.full(1, height, width).points()[:, 1:])
        shape = (height, width)
        return (
            lambda grid, age: filtered(grid, age).view(-1, *shape),
            lambda grid: linear(grid).view(-1, *shape),
            y.view(shape),
            x.view(shape),
        )

    def _view(self, points: Tensor):
        def look_up(grid: Tensor, *arguments) -> Tensor:
            (rows, row_weights), (columns, column_weights) = (
                taps(points[:, axis].cpu(), self.field.shape[axis + 1], *arguments) for axis in (0, 1)
            )
            total = 0.0
            for i in range(rows.shape[1]):
                for j in range(columns.shape[1]):
                    weight = (row_weights[:, i] * column_weights[:, j]).to(grid.device)
                    total = total + grid[:, rows[:, i].to(grid.device), columns[:, j].to(grid.device)] * weight
            return total

        def filtered(grid: Tensor, age: int) -> Tensor:
            return look_up(grid, 2.0**age, KERNEL, self.field.pyramid.vertex_filter(age))

        def linear(grid: Tensor) -> Tensor:
            return look_up(grid, self.field.config.spacing, "linear")

        return filtered, linear, self.places(points[:, 0], 1), self.places(points[:, 1], 2)


def at(field: Film, parameters: Parameters, points: Tensor) -> Tensor:
    evaluation = _AtPoints(field, parameters)
    frames = torch.tensor([field.frame_at(t) for t in points[:, 0].tolist()])
    values = next(iter(parameters.values())).new_zeros(len(points), field.channels)
    for frame in frames.unique().tolist():
        (here,) = torch.nonzero(frames == frame, as_tuple=True)
        here = here.to(values.device)
        values = values.index_copy(0, here, evaluation.at(frame, points[here.to(points.device), 1:]).T)
    return values


# -- plans -------------------------------------------------------------------------------------------------------------


class _OnLattice(_Evaluation):
    def whole_view(self):
        return self.view(Lattice.full(1, *self.field.shape[1:3]))

    def view(self, lattice: Lattice):
        motion = self._axes(lattice, self.field.config.spacing, "linear")
        levels = {age: self.field.pyramid.interpolation(age, lattice, self.device) for age in self.field.pyramid.ages}

        def filtered(grid: Tensor, age: int) -> Tensor:
            rows, columns = levels[age]
            return columns.columns(rows.rows(grid))

        def linear(grid: Tensor) -> Tensor:
            rows, columns = motion
            return columns.columns(rows.rows(grid))

        return filtered, linear, self.places(lattice.y, 1)[:, None], self.places(lattice.x, 2)

    def _axes(self, lattice: Lattice, spacing: float, kernel: str) -> tuple[AxisInterpolation, AxisInterpolation]:
        axes = (lattice.y, self.field.shape[1]), (lattice.x, self.field.shape[2])
        return tuple(AxisInterpolation(*axis, spacing, kernel, self.device) for axis in axes)


class _TensorPlan(Plan):
    """Frames that others refer to are whole ones and are kept."""

    def __init__(self, field: Film, parameters: Parameters, lattice: Lattice) -> None:
        self.field, self.lattice = field, lattice
        self._evaluation = _OnLattice(field, parameters)
        self._view = self._evaluation.view(lattice)

    def frame(self, index: int) -> Tensor:
        frame = self.field.frame_at(self.lattice.t[index])
        return self._evaluation.values(frame, *self._view).permute(1, 2, 0)

    @property
    def kept_bytes(self) -> int:
        return 0

    @property
    def macs_per_pixel(self) -> float:
        return self.field.macs_per_pixel
