"""A shot of video as a film: grids along (y, x) for every frame, displaced along t by grids of motion.

    V(t, p) = clip(Σ_r w_r(t, p) V(r, p + d_r(t, p)) + S(t, p)),  within ±1/2

over the frames r that t refers to (`hierarchy`): the values of frame r, looked up between its samples (Keys' cubic kernel, the
border repeated) at the place from where t's content came, and S, the sum of the frame's own grids: a pyramid as in
`pyramid`, filtered and interpolated alike, without a network. The first frame refers to none, so it is a pyramid alone. The
split of CoordX (arXiv 2201.12425), (y, x) against t, with grids for branches; that motion carries one frame to the others is
every video codec's idea (and, with overfitted grids, that of Cool-Chic video, arXiv 2402.03179).

Motion of frame t has a vertex for every `spacing` samples, interpolated linearly: the displacement towards the first
reference, as a difference to that of the frame's parent, scaled by their distances in time (without a parent's motion: to 0);
for two references also what the displacement towards the second lacks to the first one's mirror image, and what the first one's
weight lacks to 1/2. So what moves evenly costs nothing.

Grids of a frame may lack their finest levels (`finest`): most frames between anchors need none.

Here are structure and compiled evaluation, which need no PyTorch; `film_tensors` has the definition.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.bytestream import Wired, choice, uint, uints
from inrcodec.entropy.merging import KINDS, Vectors
from inrcodec.errors import UsageError
from inrcodec.fields.base import PLAN_BYTES, Arrays, Field, Parameters, Plan, TensorSpec
from inrcodec.fields.hierarchy import MAX_DEPTH, Link, links
from inrcodec.fields.pyramid import Pyramid, PyramidConfig, interpolated, sparse
from inrcodec.fields.taps import vertex_count, vertices_and_weights
from inrcodec.kernels import native
from inrcodec.kernels import warp as warping
from inrcodec.lattice import Lattice
from inrcodec.passes import BLUE, LUMA, MAX_LEVELS, RED, PlaneShape

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MAX_FRAMES = 1024
MAX_SPACING = 64
MOTION_STEP = 0.25
"""Of displacements, in samples, at the start of training."""
MOTION_CHANNELS = {1: 2, 2: 5}
"""By the number of references: displacement (y, x); difference of the second one (y, x); weight."""
WEIGHT_UNIT = 0.5
"""A weight's difference to 1/2, for one unit of the grid."""
GRID_RATE = 0.05
"""Learning rate of grids, in units of their steps."""
CHROMA_GAIN = 1.3
SAMPLES_OF_PLANES = {
    "own": np.eye(4, dtype=np.float32),
    "ycbcr": np.array(
        [[1, 0, 1.402, 0], [1, -0.344136, -0.714136, 0], [1, 1.772, 0, 0], [0, 0, 0, 1]], dtype=np.float32
    )
    * np.array([1, CHROMA_GAIN, CHROMA_GAIN, 1], dtype=np.float32),
}
"""What planes of luma, chroma and alpha add to the channels: themselves, or as RGB of YCbCr (ITU-T T.871)."""
CACHED_FRAMES = 24
"""Frames that others refer to and that a plan keeps, beside what memory allows."""


@dataclass(frozen=True)
class FilmConfig(Wired):
    """levels: of pyramids. prior: number of the prior whose filters and context networks they take. gop: distance of anchors,
    in frames. spacing: of motion, in samples. planes: what they stand for. finest: of each frame, the finest level that it has
    (`levels`: none)."""

    levels: int = uint(1, MAX_LEVELS)
    prior: int = uint(1, 255)
    gop: int = uint(1, 1 << (MAX_DEPTH - 2))
    spacing: int = uint(2, MAX_SPACING)
    planes: str = choice("own", "ycbcr")
    finest: tuple[int, ...] = uints(1, MAX_FRAMES, 0, MAX_LEVELS)


class Film(Field):
    """See the module's text; shape is (T, H, W, C), C = 1 … 4."""

    family = "film"
    Config = FilmConfig

    def __init__(self, config: FilmConfig, shape: tuple[int, int, int, int]) -> None:
        super().__init__(config, shape)
        if len(config.finest) != shape[0]:
            raise UsageError(f"a film of {shape[0]} frames, finest levels of {len(config.finest)}")
        if max(config.finest) > config.levels:
            raise UsageError(f"a finest level is {max(config.finest)}, allowed are 0 to {config.levels}")
        if config.planes == "ycbcr" and shape[3] < 3:
            raise UsageError(f"planes are ycbcr, but the film has {shape[3]} channels")
        self.pyramid = Pyramid(PyramidConfig(config.levels, config.prior), (1, *shape[1:]))
        self.links = links(shape[0], config.gop)
        self.link_of = {link.frame: link for link in self.links}
        self._kept: tuple[Arrays | Parameters, Frames] | None = None

    # -- structure ---------------------------------------------------------------------------------------------------

    def ages(self, frame: int) -> range:
        """Levels of a frame, coarse to fine."""
        return range(self.config.levels - 1, self.config.finest[frame] - 1, -1)

    @property
    def motion_vertices(self) -> tuple[int, int]:
        return tuple(vertex_count(size, self.config.spacing) for size in self.shape[1:3])

    @cached_property
    def _specs(self) -> tuple[TensorSpec, ...]:
        specs = []
        for link in self.links:
            if link.references:
                shape = (MOTION_CHANNELS[len(link.references)], 1, *self.motion_vertices)
                specs.append(TensorSpec(f"motion{link.frame}", shape, "grid", "motion", MOTION_STEP, MOTION_STEP))
        for link in self.links:
            for age in self.ages(link.frame):
                shape = (len(self.pyramid.kinds(age)), 1, *self.pyramid.vertices(age))
                name, group = f"grid{age}.{link.frame}", f"grid{age}.depth{link.depth}"
                specs.append(TensorSpec(name, shape, "grid", group, step=1.0, rate=GRID_RATE))
        return tuple(specs)

    def specs(self) -> tuple[TensorSpec, ...]:
        return self._specs

    def frame_planes(self, frame: int) -> tuple[PlaneShape, ...]:
        """What the entropy model sees of a frame's grids."""
        finest = self.config.finest[frame]
        return tuple(plane for plane in self.pyramid.planes if plane.age >= finest)

    @cached_property
    def planes(self) -> dict[str, tuple[PlaneShape, ...]]:
        """What the entropy model sees of grids, by kind: of the first frame, of the others."""
        first, *others = self.links
        return {
            "first": self.frame_planes(first.frame),
            "others": _joined(self.frame_planes(link.frame) for link in others),
        }

    def motion_vectors(self, frames: Iterable[Link]) -> Vectors:
        """What the entropy model sees of the motion of frames, those with references."""
        kinds, channels = [], []
        for link in frames:
            if link.references:
                kinds.append(min(link.depth, KINDS) - 1)
                channels.append(MOTION_CHANNELS[len(link.references)])
        return Vectors(*self.motion_vertices, tuple(kinds), tuple(channels))

    @property
    def samples_of_planes(self) -> np.ndarray:
        """(C, planes of a pyramid), float32: what the sum of a pyramid's features adds to each channel."""
        matrix = SAMPLES_OF_PLANES[self.config.planes]
        kinds = [plane.role % 4 for plane in self.pyramid.planes]
        if self.channels < 3:
            return np.eye(self.channels, dtype=np.float32)[:, [0 if kind == LUMA else 1 for kind in kinds]]
        assert (LUMA, BLUE, RED) == (0, 1, 2)
        return np.ascontiguousarray(matrix[: self.channels, kinds])

    # -- evaluation --------------------------------------------------------------------------------------------------

    @property
    def takes_arrays(self) -> bool:
        return native.available()

    def plan(self, parameters: Parameters | Arrays, lattice: Lattice, keep_bytes: int = PLAN_BYTES) -> Plan:
        if isinstance(next(iter(parameters.values())), np.ndarray):
            return CompiledPlan(self, self.frames(parameters, keep_bytes), lattice)
        from inrcodec.fields import film_tensors

        return film_tensors.plan(self, parameters, lattice, keep_bytes)

    def frames(self, parameters: Arrays, keep_bytes: int) -> Frames:
        """Whole frames of these parameters; asked again for the same ones, the same object."""
        if self._kept is None or self._kept[0] is not parameters:
            self._kept = parameters, Frames(self, parameters, keep_bytes)
        return self._kept[1]

    def initial(self, generator: torch.Generator) -> Parameters:
        """Zeros."""
        import torch

        return {spec.name: torch.zeros(spec.shape) for spec in self.specs()}

    def at(self, parameters: Parameters, points: Tensor) -> Tensor:
        from inrcodec.fields import film_tensors

        return film_tensors.at(self, parameters, points)

    def frame_at(self, t: float) -> int:
        """The frame that is shown at a position in [0, 1]."""
        return min(max(int(np.floor(t * self.shape[0] + 1e-6)), 0), self.shape[0] - 1)

    def displacements(self, parameters: Parameters | Arrays, link: Link, towards: dict[int, Parameters]):
        """At the vertices: (y, x) displacement towards each reference, and the first one's weight (1 for one reference).

        `towards`: displacement towards the first reference by frame, of all frames before; this frame's is added."""
        grid = parameters[f"motion{link.frame}"][:, 0]
        parent = self.link_of[link.parent]
        first = grid[:2]
        distance = link.frame - link.references[0]
        if parent.references:
            first = first + towards[parent.frame] * (distance / (parent.frame - parent.references[0]))
        towards[link.frame] = first
        if len(link.references) == 1:
            return [first], None
        second = first * ((link.frame - link.references[1]) / distance) + grid[2:4]
        return [first, second], (grid[4:5] * WEIGHT_UNIT + 0.5).clip(0, 1)

    # -- complexity --------------------------------------------------------------------------------------------------

    @property
    def macs_per_point(self) -> float:
        """Of a point whose references are there: its pyramid, and two places of 16 samples each."""
        return self.pyramid.feature_count * (self.pyramid.taps**2 + self.channels) + 2 * 16 * warping.LANES

    @property
    def macs_per_pixel(self) -> float:
        """By a plan, of a frame with all levels and two references."""
        return self.pyramid.feature_count * (2 * self.pyramid.taps + self.channels) + 2 * 20 * warping.LANES


def _joined(parts) -> tuple[PlaneShape, ...]:
    """Lists of planes, one after the other."""
    planes: list[PlaneShape] = []
    for part in parts:
        start = len(planes)
        planes += [
            replace(
                plane,
                parent=None if plane.parent is None else plane.parent + start,
                previous=None if plane.previous is None else plane.previous + start,
            )
            for plane in part
        ]
    return tuple(planes)


class Synthesis:
    """The sums of pyramids on a lattice, by the compiled loops."""

    def __init__(self, field: Film, lattice: Lattice) -> None:
        self._field = field
        self._taps = dict(zip(field.pyramid.ages, field.pyramid.axis_taps(lattice)))

    def grids(self, parameters: Arrays, frame: int) -> list[np.ndarray]:
        return [parameters[f"grid{age}.{frame}"][:, 0] for age in self._field.ages(frame)]

    def taps(self, ages: range) -> list[tuple[native.Taps, native.Taps]]:
        return [self._taps[age] for age in ages]

    def head(self, ages: range) -> np.ndarray:
        """The sum of planes as a head without hidden units."""
        matrix = self._field.samples_of_planes[:, : sum(len(self._field.pyramid.kinds(age)) for age in ages)]
        return np.concatenate([matrix.ravel(), np.zeros(len(matrix), np.float32)])

    def values(self, grids: list[np.ndarray], ages: range) -> np.ndarray:
        """(C, h, w) of the grids of these levels."""
        taps = self.taps(ages)
        rows = [rows for rows, _ in taps]
        return native.head_values(interpolated(grids, taps), rows, self.head(ages), 0, self._field.channels)

    def gradients(
        self, grids: list[np.ndarray], ages: range, target: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Squared errors against `target` (C, h, w) by channel, and gradients of their weighted sum by the grids."""
        taps = self.taps(ages)
        rows = [rows for rows, _ in taps]
        found = native.head_gradients(interpolated(grids, taps), rows, self.head(ages), 0, target, weight)
        backs = [
            native.interpolate_back(one, columns, grid.shape[2])
            for one, (_, columns), grid in zip(found.maps, taps, grids)
        ]
        return found.errors, backs


class Places:
    """From motion at its vertices to the places that the points of a lattice look at."""

    def __init__(self, field: Film, lattice: Lattice) -> None:
        axes = (lattice.y, field.shape[1]), (lattice.x, field.shape[2])
        self._rows, self._columns = (
            sparse(*vertices_and_weights(*axis, field.config.spacing, "linear")) for axis in axes
        )
        self._height, self._width = field.motion_vertices
        self._y, self._x = (
            (positions * count - 0.5).astype(np.float32)
            for positions, count in zip((lattice.y, lattice.x), field.shape[1:3])
        )

    def interpolated(self, grid: np.ndarray) -> np.ndarray:
        """(F, vertices, vertices) → (F, h, w)."""
        along = native.interpolate(np.ascontiguousarray(grid), self._columns)
        index, weight = self._rows.index, self._rows.weight
        return sum(along[:, index[:, tap]] * weight[:, tap, None] for tap in range(self._rows.count))

    def interpolated_back(self, gradient: np.ndarray) -> np.ndarray:
        """The transpose: (F, h, w) → (F, vertices, vertices)."""
        index, weight = self._rows.index, self._rows.weight
        along = np.zeros((len(gradient), self._height, gradient.shape[2]), np.float32)
        for tap in range(self._rows.count):
            np.add.at(along, (slice(None), index[:, tap]), gradient * weight[:, tap, None])
        return native.interpolate_back(along, self._columns, self._width)

    def of(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places y and x (h, w), in samples."""
        y, x = self.interpolated(displacement)
        return y + self._y[:, None], x + self._x


class Frames:
    """Whole frames of one set of parameters, for others to refer to; the last ones are kept."""

    def __init__(self, field: Film, parameters: Arrays, keep_bytes: int) -> None:
        self.field, self.parameters = field, parameters
        self._towards: dict[int, np.ndarray] = {}
        self._motion = {
            link.frame: field.displacements(parameters, link, self._towards) for link in field.links if link.references
        }
        self._whole = Rendering(field, Lattice.full(1, *field.shape[1:3]))
        self._frames: OrderedDict[int, np.ndarray] = OrderedDict()
        frame_bytes = 4 * warping.LANES * field.shape[1] * field.shape[2]
        self._capacity = max(2, min(CACHED_FRAMES, keep_bytes // frame_bytes))

    def whole(self, frame: int) -> np.ndarray:
        """(H, W, LANES)."""
        if frame not in self._frames:
            self._frames[frame] = self.values(frame, self._whole)
            while len(self._frames) > self._capacity:
                self._frames.popitem(last=False)
        self._frames.move_to_end(frame)
        return self._frames[frame]

    def values(self, frame: int, view: Rendering) -> np.ndarray:
        """(h, w, LANES) of a frame, where `view` looks."""
        link = self.field.link_of[frame]
        total = view.own(self.parameters, frame)
        if link.references:
            displacements, weight = self._motion[frame]
            total += view.predicted([self.whole(reference) for reference in link.references], displacements, weight)
        return total.clip(-0.5, 0.5, out=total)

    @property
    def kept_bytes(self) -> int:
        return sum(one.nbytes for one in self._frames.values())


class Rendering:
    """What a lattice sees of frames."""

    def __init__(self, field: Film, lattice: Lattice) -> None:
        self._field, self.synthesis, self.places = field, Synthesis(field, lattice), Places(field, lattice)
        self._shape = lattice.shape[1:]

    def own(self, parameters: Arrays, frame: int) -> np.ndarray:
        """(h, w, LANES): what a frame's own grids add up to."""
        ages = self._field.ages(frame)
        if not ages:
            return np.zeros((*self._shape, warping.LANES), np.float32)
        values = self.synthesis.values(self.synthesis.grids(parameters, frame), ages)
        return warping.lanes(values.transpose(1, 2, 0))

    def predicted(self, references: list[np.ndarray], displacements: list[np.ndarray], weight) -> np.ndarray:
        """(h, w, LANES): what the references give."""
        found = [warping.warp(one, *self.places.of(by)) for one, by in zip(references, displacements)]
        if weight is None:
            return found[0]
        share = self.places.interpolated(weight)[0, :, :, None]
        found[0] -= found[1]
        found[0] *= share
        found[0] += found[1]
        return found[0]


class CompiledPlan(Plan):
    """By the compiled loops, over arrays. Frames that others refer to are whole ones and are kept."""

    def __init__(self, field: Film, frames: Frames, lattice: Lattice) -> None:
        self.field, self.lattice, self._frames = field, lattice, frames
        full = Lattice.full(*field.shape[:3])
        self._whole = np.array_equal(lattice.y, full.y) and np.array_equal(lattice.x, full.x)
        self._view = None if self._whole else Rendering(field, lattice)

    def frame(self, index: int) -> np.ndarray:
        frame = self.field.frame_at(self.lattice.t[index])
        values = self._frames.whole(frame) if self._whole else self._frames.values(frame, self._view)
        return values[..., : self.field.channels]

    @property
    def kept_bytes(self) -> int:
        return self._frames.kept_bytes

    @property
    def macs_per_pixel(self) -> float:
        return self.field.macs_per_pixel
