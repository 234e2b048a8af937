"""A film's evaluation by the compiled loops, over arrays: without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inrcodec.fields.base import Arrays, Coded, ScaledSymbols
from inrcodec.fields.film import Film
from inrcodec.fields.film_frames import Frames, FramesPlan, Rendering, frames_of
from inrcodec.fields.hierarchy import Link
from inrcodec.fields.pyramid import interpolated, sparse
from inrcodec.kernels import color, heads
from inrcodec.kernels import warp as warping
from inrcodec.kernels.color import Colors, Picture
from inrcodec.lattice import Lattice

Level = tuple[np.ndarray, float]
"""Of grids, (F, height, width): float32 and 0, or int8 and their step."""
Motion = tuple[list[np.ndarray], np.ndarray | None]
"""As `Film.displacements` gives it."""


class Synthesis:
    """The sums of pyramids on a lattice."""

    def __init__(self, field: Film, lattice: Lattice) -> None:
        self._channels = field.channels
        self._taps = dict(zip(field.pyramid.ages, field.pyramid.axis_taps(lattice)))
        self._matrices, column = {}, 0
        for age in field.pyramid.ages:
            count = len(field.pyramid.kinds(age))
            self._matrices[age] = field.samples_of_planes[:, column : column + count]
            column += count

    def _arguments(self, grids: list[np.ndarray], ages: Sequence[int]):
        """Maps, taps along y, and the sum as a head without hidden units."""
        taps = [self._taps[age] for age in ages]
        head = np.concatenate([self._matrix(ages).ravel(), np.zeros(self._channels, np.float32)])
        return interpolated(grids, taps), [rows for rows, _ in taps], head

    def sums(self, levels: dict[int, Level]) -> heads.Sums:
        """The values, for a loop that adds them."""
        taps = [self._taps[age] for age in levels]
        maps = [
            heads.interpolate_sparse(grid, columns, step) for (grid, step), (_, columns) in zip(levels.values(), taps)
        ]
        return heads.Sums(maps, [rows for rows, _ in taps], self._matrix(list(levels)))

    def _matrix(self, ages: Sequence[int]) -> np.ndarray:
        return np.concatenate([self._matrices[age] for age in ages], axis=1)

    def values(self, grids: list[np.ndarray], ages: Sequence[int]) -> np.ndarray:
        """(C, h, w) of the grids of these levels."""
        return heads.head_values(*self._arguments(grids, ages), 0, self._channels)

    def gradients(
        self, grids: list[np.ndarray], ages: Sequence[int], target: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Squared errors against `target` (C, h, w) by channel, and gradients of their weighted sum by the grids."""
        found = heads.head_gradients(*self._arguments(grids, ages), 0, target, weight)
        backs = [
            heads.interpolate_back(one, self._taps[age][1], grid.shape[2])
            for one, age, grid in zip(found.maps, ages, grids)
        ]
        return found.errors, backs


class Places:
    """From motion at its vertices to the places that the points of a lattice look at."""

    def __init__(self, field: Film, lattice: Lattice) -> None:
        self.rows, self._columns = (sparse(*taps) for taps in field.motion_taps(lattice))
        self._width = field.motion_vertices[1]
        self._down = np.zeros(
            (len(self.rows.index), field.motion_vertices[0]), np.float32
        )  # few vertices: a small matrix
        np.add.at(self._down, (np.arange(len(self._down))[:, None], self.rows.index), self.rows.weight)
        self.y, self.x = field.places(lattice)

    def along(self, grid: np.ndarray) -> np.ndarray:
        """(F, vertices, vertices) → (F, vertices, w)."""
        return heads.interpolate(np.ascontiguousarray(grid), self._columns)

    def interpolated(self, grid: np.ndarray) -> np.ndarray:
        """(F, vertices, vertices) → (F, h, w)."""
        return self._down @ self.along(grid)

    def interpolated_back(self, gradient: np.ndarray) -> np.ndarray:
        """The transpose: (F, h, w) → (F, vertices, vertices)."""
        return heads.interpolate_back(self._down.T @ gradient, self._columns, self._width)

    def of(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places y and x (h, w), in samples."""
        y, x = self.interpolated(displacement)
        return y + self.y[:, None], x + self.x


class ArrayRendering(Rendering[np.ndarray]):
    def __init__(self, field: Film, lattice: Lattice) -> None:
        self._channels = field.channels
        self.synthesis, self.places = Synthesis(field, lattice), Places(field, lattice)

    def frame(
        self,
        grids: dict[int, Level],
        references: list[np.ndarray],
        motion: Motion | None,
        shown: tuple[Colors, np.ndarray] | None = None,
        kept: bool = True,
    ) -> np.ndarray | None:
        own = self.synthesis.sums(grids) if grids else None
        along = None
        if motion:
            displacements, weight = motion
            along = self.places.along(np.concatenate([*displacements, *([] if weight is None else [weight])]))
        rows, y, x = self.places.rows, self.places.y, self.places.x
        picture = Picture.of(*shown) if shown else None
        return warping.frame(self._channels, references, along, rows, y, x, own, picture, kept)

    def recolor(self, values: np.ndarray, colors: Colors, samples: np.ndarray) -> None:
        color.rgb(values.transpose(1, 2, 0), colors, samples)


class ArrayFrames(Frames[np.ndarray]):
    def rendering(self, lattice: Lattice) -> ArrayRendering:
        return ArrayRendering(self._field, lattice)

    def _grids(self, frame: int) -> dict[int, Level]:
        levels = {age: _level(self.parameters[f"grid{age}.{frame}"]) for age in self._field.ages(frame)}
        return {age: level for age, level in levels.items() if level}

    def _motion(self, link: Link) -> Motion:
        name = f"motion{link.frame}"
        grid = self.parameters[name]
        values = grid.values if isinstance(grid, ScaledSymbols) else grid
        return self._field.displacements({name: values}, link, self._towards)


def _level(grid: np.ndarray | ScaledSymbols) -> Level | None:
    """None of zeros."""
    if isinstance(grid, np.ndarray):
        return (grid[:, 0], 0.0) if grid.any() else None
    if grid.all_zeros:
        return None
    in_bytes = grid.symbols.dtype == np.int8
    return (grid.symbols[:, 0], grid.step) if in_bytes else (grid.values[:, 0], 0.0)


class CompiledPlan(FramesPlan):
    def __init__(self, field: Film, parameters: Arrays | Coded, lattice: Lattice, keep_bytes: int) -> None:
        super().__init__(field, frames_of(ArrayFrames, field, parameters, keep_bytes), lattice)

    def frame(self, index: int) -> np.ndarray:
        return self.planes(index).transpose(1, 2, 0)
