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

An anchor and the frames between it and the one before are a group; the symbols of `chained` groups lie in one chain (the last one
may be shorter; the first frame is in the first chain), which is decoded without those before.

Here is its structure; `film_tensors` has the definition, `film_arrays` the compiled evaluation, which needs no PyTorch,
`film_device` that on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from inrcodec.bytestream import Wired, choice, uint, uints
from inrcodec.entropy.codings import Frames, FrameSymbols
from inrcodec.entropy.merging import KINDS, Vectors
from inrcodec.errors import UsageError
from inrcodec.fields.base import PLAN_BYTES, Arrays, Coded, Field, Parameters, Plan, TensorSpec
from inrcodec.fields.hierarchy import MAX_DEPTH, Link, links
from inrcodec.fields.pyramid import Pyramid, PyramidConfig
from inrcodec.fields.taps import vertex_count, vertices_and_weights
from inrcodec.kernels import native, on_gpu
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


@dataclass(frozen=True)
class FilmConfig(Wired):
    """levels: of pyramids. prior: number of the prior whose filters and context networks they take. gop: distance of anchors,
    in frames. spacing: of motion, in samples. planes: what they stand for. chained: groups whose symbols lie in one chain.
    finest: of each frame, the finest level that it has (`levels`: none)."""

    levels: int = uint(1, MAX_LEVELS)
    prior: int = uint(1, 255)
    gop: int = uint(1, 1 << (MAX_DEPTH - 2))
    spacing: int = uint(2, MAX_SPACING)
    planes: str = choice("own", "ycbcr")
    chained: int = uint(1, MAX_FRAMES)
    finest: tuple[int, ...] = uints(1, MAX_FRAMES, 0, MAX_LEVELS)


def kind_of(link: Link) -> str:
    """Of the context network that codes a frame's grids: by its depth, those of 3 and more alike."""
    return ("first", "anchors", "middles", "others")[min(link.depth, 3)]


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
        if config.finest[0] == config.levels:
            raise UsageError(f"the first frame has no level, its finest is {config.finest[0]} of {config.levels}")
        if config.planes == "ycbcr" and shape[3] < 3:
            raise UsageError(f"planes are ycbcr, but the film has {shape[3]} channels")
        self.pyramid = Pyramid(PyramidConfig(config.levels, config.prior), (1, *shape[1:]))
        self.links = links(shape[0], config.gop)
        self.link_of = {link.frame: link for link in self.links}
        self.deepest = max(link.depth for link in self.links)
        self.referred_to = {frame for link in self.links for frame in link.references}
        self.shared: Callable[[], Any] | None = None  # to what plans of the same parameters share

    # -- structure ---------------------------------------------------------------------------------------------------

    def ages(self, frame: int) -> range:
        """Levels of a frame, coarse to fine."""
        return range(self.config.levels - 1, self.config.finest[frame] - 1, -1)

    @property
    def motion_vertices(self) -> tuple[int, int]:
        return tuple(vertex_count(size, self.config.spacing) for size in self.shape[1:3])

    @cached_property
    def _specs(self) -> dict[int, tuple[TensorSpec, ...]]:
        """By frame, in coding order."""
        return {link.frame: tuple(self._frame_specs(link)) for link in self.links}

    def _frame_specs(self, link: Link) -> Iterator[TensorSpec]:
        if link.references:
            shape = (MOTION_CHANNELS[len(link.references)], 1, *self.motion_vertices)
            yield TensorSpec(f"motion{link.frame}", shape, "grid", "motion", MOTION_STEP, MOTION_STEP)
        for age in self.ages(link.frame):
            shape = (len(self.pyramid.kinds(age)), 1, *self.pyramid.vertices(age))
            name, group = f"grid{age}.{link.frame}", f"grid{age}.depth{link.depth}"
            yield TensorSpec(name, shape, "grid", group, step=1.0, rate=GRID_RATE)

    def specs(self) -> tuple[TensorSpec, ...]:
        return self._every_spec

    @cached_property
    def _every_spec(self) -> tuple[TensorSpec, ...]:
        return tuple(spec for own in self._specs.values() for spec in own)

    def frame_grids(self, frame: int) -> tuple[TensorSpec, ...]:
        return self._specs[frame]

    def chains(self) -> list[list[TensorSpec]]:
        return [[spec for link in chain for spec in self._specs[link.frame]] for chain in self.linked_chains]

    @cached_property
    def linked_chains(self) -> list[list[Link]]:
        """The links of each chain, in coding order."""
        anchors = [place for place, link in enumerate(self.links) if link.depth == 1]
        starts = [0, *anchors[self.config.chained :: self.config.chained], len(self.links)]
        return [list(self.links[start:stop]) for start, stop in pairwise(starts)]

    def frame_planes(self, frame: int) -> tuple[PlaneShape, ...]:
        """What the entropy model sees of a frame's grids."""
        finest = self.config.finest[frame]
        return tuple(plane for plane in self.pyramid.planes if plane.age >= finest)

    def motion_vectors(self, link: Link) -> Vectors | None:
        """What the entropy model sees of a frame's motion; None of a frame without references."""
        if not link.references:
            return None
        return Vectors(*self.motion_vertices, min(link.depth, KINDS) - 1, MOTION_CHANNELS[len(link.references)])

    @cached_property
    def coding(self) -> Frames:
        """Of all symbols."""
        chains = [[self._frame_symbols(link) for link in chain] for chain in self.linked_chains]
        return Frames(chains, self.pyramid.prior)

    def _frame_symbols(self, link: Link) -> FrameSymbols:
        return FrameSymbols(self.motion_vectors(link), self.frame_planes(link.frame), kind_of(link))

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

    def takes_coded(self, device: torch.device) -> bool:
        return on_gpu.available(device)

    def plan(self, parameters: Parameters | Arrays | Coded, lattice: Lattice, keep_bytes: int = PLAN_BYTES) -> Plan:
        coded = isinstance(parameters, Coded)
        if coded and parameters.device is not None:
            from inrcodec.fields.film_device import DevicePlan

            return DevicePlan(self, parameters, lattice, keep_bytes)
        if coded or isinstance(parameters[self.specs()[0].name], np.ndarray):
            from inrcodec.fields.film_arrays import CompiledPlan

            return CompiledPlan(self, parameters, lattice, keep_bytes)
        from inrcodec.fields import film_tensors

        return film_tensors.plan(self, parameters, lattice, keep_bytes)

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

    def motion_taps(self, lattice: Lattice) -> list[tuple[np.ndarray, np.ndarray]]:
        """Along y and along x: vertices of motion that a lattice's points depend on, and their weights."""
        axes = zip((lattice.y, lattice.x), self.shape[1:3])
        return [vertices_and_weights(*axis, self.config.spacing, "linear") for axis in axes]

    def places(self, lattice: Lattice) -> list[np.ndarray]:
        """Along y and along x: a lattice's points in samples, float32."""
        axes = zip((lattice.y, lattice.x), self.shape[1:3])
        return [(positions * count - 0.5).astype(np.float32) for positions, count in axes]

    def displacements(self, parameters: Parameters | Arrays, link: Link, towards: dict[int, Parameters]):
        """At the vertices: (y, x) displacement towards each reference, and the first one's weight (1 for one reference).

        `towards`: displacement towards the first reference by frame, of all frames before; this frame's is added."""
        grid = parameters[f"motion{link.frame}"][:, 0]
        of_parent, of_first = self.motion_scales(link)
        first = grid[:2]
        if of_parent is not None:
            first = first + towards[link.parent] * of_parent
        towards[link.frame] = first
        if len(link.references) == 1:
            return [first], None
        second = first * of_first + grid[2:4]
        return [first, second], (grid[4:5] * warping.WEIGHT_UNIT + 0.5).clip(0, 1)

    def motion_scales(self, link: Link) -> tuple[float | None, float | None]:
        """What the parent's displacement towards its first reference is multiplied with to predict the frame's (None: it has
        none), and the frame's own to predict that towards its second one (None: there is none)."""
        distance, parent = link.frame - link.references[0], self.link_of[link.parent]
        of_parent = distance / (parent.frame - parent.references[0]) if parent.references else None
        return of_parent, (link.frame - link.references[1]) / distance if len(link.references) == 2 else None

    # -- complexity --------------------------------------------------------------------------------------------------

    @property
    def macs_per_point(self) -> float:
        """Of a point whose references are there: its pyramid, and two places of 16 samples each."""
        return self.pyramid.feature_count * (self.pyramid.taps**2 + self.channels) + 2 * 16 * warping.LANES

    @property
    def macs_per_pixel(self) -> float:
        """By a plan, of a frame with all levels and two references."""
        return self.pyramid.feature_count * (2 * self.pyramid.taps + self.channels) + 2 * 20 * warping.LANES
