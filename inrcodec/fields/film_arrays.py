"""A film's evaluation by the compiled loops, over arrays: without PyTorch."""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from inrcodec.fields.base import Arrays, ShowingPlan
from inrcodec.fields.film import Film
from inrcodec.fields.hierarchy import built_on
from inrcodec.fields.pyramid import interpolated, sparse
from inrcodec.fields.taps import vertices_and_weights
from inrcodec.kernels import color, native
from inrcodec.kernels import warp as warping
from inrcodec.kernels.color import Colors, Picture
from inrcodec.lattice import Lattice

CACHED_BYTES = 160 << 20
"""Of whole frames that are kept for others to refer to: about, and never fewer than a frame may build on."""


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

    def sums(self, grids: list[np.ndarray], ages: Sequence[int]) -> native.Sums:
        """The values, for a loop that adds them."""
        taps = [self._taps[age] for age in ages]
        maps = [native.interpolate_sparse(grid, columns) for grid, (_, columns) in zip(grids, taps)]
        return native.Sums(maps, [rows for rows, _ in taps], self._matrix(ages))

    def _matrix(self, ages: Sequence[int]) -> np.ndarray:
        return np.concatenate([self._matrices[age] for age in ages], axis=1)

    def values(self, grids: list[np.ndarray], ages: Sequence[int]) -> np.ndarray:
        """(C, h, w) of the grids of these levels."""
        return native.head_values(*self._arguments(grids, ages), 0, self._channels)

    def gradients(
        self, grids: list[np.ndarray], ages: Sequence[int], target: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Squared errors against `target` (C, h, w) by channel, and gradients of their weighted sum by the grids."""
        found = native.head_gradients(*self._arguments(grids, ages), 0, target, weight)
        backs = [
            native.interpolate_back(one, self._taps[age][1], grid.shape[2])
            for one, age, grid in zip(found.maps, ages, grids)
        ]
        return found.errors, backs


class Places:
    """From motion at its vertices to the places that the points of a lattice look at."""

    def __init__(self, field: Film, lattice: Lattice) -> None:
        axes = (lattice.y, field.shape[1]), (lattice.x, field.shape[2])
        self.rows, self._columns = (
            sparse(*vertices_and_weights(*axis, field.config.spacing, "linear")) for axis in axes
        )
        self._width = field.motion_vertices[1]
        self._down = np.zeros(
            (len(self.rows.index), field.motion_vertices[0]), np.float32
        )  # few vertices: a small matrix
        np.add.at(self._down, (np.arange(len(self._down))[:, None], self.rows.index), self.rows.weight)
        self.y, self.x = (
            (positions * count - 0.5).astype(np.float32)
            for positions, count in zip((lattice.y, lattice.x), field.shape[1:3])
        )

    def along(self, grid: np.ndarray) -> np.ndarray:
        """(F, vertices, vertices) → (F, vertices, w)."""
        return native.interpolate(np.ascontiguousarray(grid), self._columns)

    def interpolated(self, grid: np.ndarray) -> np.ndarray:
        """(F, vertices, vertices) → (F, h, w)."""
        return self._down @ self.along(grid)

    def interpolated_back(self, gradient: np.ndarray) -> np.ndarray:
        """The transpose: (F, h, w) → (F, vertices, vertices)."""
        return native.interpolate_back(self._down.T @ gradient, self._columns, self._width)

    def of(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places y and x (h, w), in samples."""
        y, x = self.interpolated(displacement)
        return y + self.y[:, None], x + self.x


class Rendering:
    """What a lattice sees of frames."""

    def __init__(self, field: Film, lattice: Lattice) -> None:
        self._channels = field.channels
        self.synthesis, self.places = Synthesis(field, lattice), Places(field, lattice)

    def frame(
        self,
        grids: dict[int, np.ndarray],
        references: list[np.ndarray],
        displacements: list[np.ndarray],
        weight: np.ndarray | None,
        picture: Picture | None = None,
        kept: bool = True,
    ) -> np.ndarray | None:
        """(C, h, w) of a frame: grids by level (those of zeros cost nothing), whole references, and motion as
        `Film.displacements` gives it; picture and kept as in `warp.frame`."""
        ages = [age for age, grid in grids.items() if grid.any()]
        own = self.synthesis.sums([grids[age] for age in ages], ages) if ages else None
        motion = None
        if references:
            motion = self.places.along(np.concatenate([*displacements, *([] if weight is None else [weight])]))
        rows, y, x = self.places.rows, self.places.y, self.places.x
        return warping.frame(self._channels, references, motion, rows, y, x, own, picture, kept)


class Frames:
    """Frames of one set of parameters, which are asked for when a frame needs them; whole ones are kept for others to refer to,
    the last ones that were asked for."""

    def __init__(self, field: Film, parameters: Arrays, keep_bytes: int) -> None:
        self._field, self.parameters = field, parameters
        self._towards: dict[int, np.ndarray] = {}
        self._whole = Rendering(field, Lattice.full(1, *field.shape[1:3]))
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        frame_bytes = 4 * math.prod(field.shape[1:])
        self._capacity = max(field.deepest + 2, min(CACHED_BYTES, keep_bytes) // frame_bytes)

    def whole(self, frame: int) -> np.ndarray:
        """(C, H, W)."""
        self._build(frame)
        return self._one(frame)

    def show(self, frame: int, colors: Colors, samples: np.ndarray) -> None:
        """The samples (H, W, 3) of a whole frame."""
        self._build(frame)
        if frame in self._kept:
            color.rgb(self._one(frame).transpose(1, 2, 0), colors, samples)
            return
        picture, kept = Picture.of(colors, samples), frame in self._field.referred_to
        values = self.seen(frame, self._whole, picture, kept)
        if kept:
            self._keep(frame, values)

    def _build(self, frame: int) -> None:
        """What a frame builds on."""
        for other in built_on(frame, self._field.link_of, self._kept):  # one after the other: chains are long
            self._one(other)

    def _one(self, frame: int) -> np.ndarray:
        """A whole frame whose references are kept, as a rule."""
        if frame in self._kept:
            self._kept.move_to_end(frame)
            return self._kept[frame]
        found = self.seen(frame, self._whole)
        if frame in self._field.referred_to:
            self._keep(frame, found)
        return found

    def _keep(self, frame: int, values: np.ndarray) -> None:
        self._kept[frame] = values
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def seen(
        self, frame: int, rendering: Rendering, picture: Picture | None = None, kept: bool = True
    ) -> np.ndarray | None:
        """(C, h, w); picture and kept as in `warp.frame`."""
        references = [self.whole(reference) for reference in self._field.link_of[frame].references]
        grids = {age: self.parameters[f"grid{age}.{frame}"][:, 0] for age in self._field.ages(frame)}
        return rendering.frame(grids, references, *self._motion(frame), picture, kept)

    def _motion(self, frame: int) -> tuple[list[np.ndarray], np.ndarray | None]:
        """As `Film.displacements` says, of a frame whose references were asked for before; none of the first frame."""
        link = self._field.link_of[frame]
        return self._field.displacements(self.parameters, link, self._towards) if link.references else ([], None)

    @property
    def kept_bytes(self) -> int:
        return sum(one.nbytes for one in self._kept.values())


class CompiledPlan(ShowingPlan):
    """Frames that others refer to are whole ones and are kept."""

    def __init__(self, field: Film, parameters: Arrays, lattice: Lattice, keep_bytes: int) -> None:
        self.field, self.lattice = field, lattice
        self._frames = frames_of(field, parameters, keep_bytes)
        full = Lattice.full(*field.shape[:3])
        self._whole = np.array_equal(lattice.y, full.y) and np.array_equal(lattice.x, full.x)
        self._rendering = None if self._whole else Rendering(field, lattice)

    def frame(self, index: int) -> np.ndarray:
        frame = self.field.frame_at(self.lattice.t[index])
        values = self._frames.whole(frame) if self._whole else self._frames.seen(frame, self._rendering)
        return values.transpose(1, 2, 0)

    def show(self, index: int, colors: Colors, samples: np.ndarray) -> None:
        frame = self.field.frame_at(self.lattice.t[index])
        if self._whole:
            self._frames.show(frame, colors, samples)
        else:
            self._frames.seen(frame, self._rendering, Picture.of(colors, samples), kept=False)

    @property
    def kept_bytes(self) -> int:
        return self._frames.kept_bytes

    @property
    def macs_per_pixel(self) -> float:
        return self.field.macs_per_pixel


def frames_of(field: Film, parameters: Arrays, keep_bytes: int) -> Frames:
    """Whole frames of these parameters, shared by all plans of them (views of several regions, bands)."""
    frames = field.shared and field.shared()
    if frames is None or frames.parameters is not parameters:
        frames = Frames(field, parameters, keep_bytes)
        field.shared = weakref.ref(frames)  # plans keep them; a field that did would never be given up
    return frames
