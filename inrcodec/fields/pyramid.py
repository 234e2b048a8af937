"""A picture as a pyramid of grids and a small head: the image codec's field.

Level l (0 the finest) has a vertex for every 2^l by 2^l samples; a picture of color has luma on every level and chroma on
all but the finest, so that the pyramid holds about as many numbers as the picture in 4:2:0; or, for the longest fits, a single
plane on every level, whose colors the head finds (`single`). Vertices pass through a filter, which may be the picture's own,
and are interpolated (Keys' cubic kernel); the features of a point go through a ReLU network of two hidden layers, or of a wider
one, with a linear bypass beside it. It is a multi-resolution grid encoding (Instant-NGP, arXiv 2201.05989, section 3) whose
every level is dense and dyadic, which is what its entropy model (`passes`) builds on; latents of several resolutions that are
filtered and enlarged, a small synthesis and an entropy model, overfitted together, are Cool-Chic's idea (arXiv 2212.05458).

The networks start from a prior that ships with the package (`priors`): the stream holds differences to it, and the prior
says which filters, or which ones a picture's own are differences to.

Here are its structure and its compiled evaluation, which need no PyTorch; `pyramid_tensors` has the definition and training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.bytestream import Wired, uint
from inrcodec.errors import UsageError
from inrcodec.fields.base import PLAN_BYTES, Arrays, Field, Importance, Parameters, Plan, Reference, TensorSpec
from inrcodec.fields.taps import PLAIN, TAPS, vertex_count, vertices_and_weights
from inrcodec.kernels import heads, native, vertices
from inrcodec.lattice import Lattice
from inrcodec.passes import ALPHA, BLUE, LUMA, MAX_LEVELS, RED, PlaneShape, plane_shapes
from inrcodec.priors import PLAIN_FILTERS, Prior, load_prior

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from inrcodec.fields.interpolation import AxisInterpolation

KERNEL = "cubic"
KINDS = {1: (LUMA,), 2: (LUMA, ALPHA), 3: (LUMA, BLUE, RED), 4: (LUMA, BLUE, RED, ALPHA)}
"""Kinds of planes by the picture's channels: gray, gray + alpha, RGB, RGBA."""
SINGLE_KINDS = {1: (LUMA,), 2: (LUMA, ALPHA), 3: (LUMA,), 4: (LUMA, ALPHA)}
"""The same where one plane a level is for all colors, on every level."""
FINEST_KINDS = (LUMA, ALPHA)
LUMA_OF_RGB = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""ITU-T T.871: a gray picture's head is the prior's, looked at through it."""
HEAD_STEP = 2**-6
"""Of the head's differences to the prior, at the start of training."""
STEP_GAIN = {"hidden": 4.0, "last": 0.5, "bypass": 0.5}
"""Features are a few tenths at most, and the first layer's weights are larger by as much."""
HEAD_RATE = 5e-3
PATIENT_STEP = 2**-9
"""Of the head's differences in fits of thousands of iterations, which the noise of larger steps spoils: the loss of `kodim23` is
0.491 after 2000 of them, 0.507 with 2^-8 (docs/research.md, "Summaries")."""
PATIENT_GAIN = {"hidden": 20.0, "bypass": 20.0}
"""Of the rates there: colors have to be found."""
FILTERS = "filters"
"""The taps of a picture's own filters of vertices."""
FILTER_STEP, FILTER_RATE = 2**-10, 0.002
"""At the start of training; the noise of taps is felt everywhere."""
GRID_RATE = 0.05
"""Learning rate of grids, in units of their steps."""
WEIGHTS = ("hidden", "bypass", "hidden.bias", "last.bias", "second", "second.bias", "last")
"""The head's tensors in the order of the compiled loops: the first two and the next two are stacked there. `second` and its bias
are those of heads of two hidden layers."""
CODED = ("hidden", "second", "last", "bypass", "hidden.bias", "second.bias", "last.bias")
"""The same in coding order."""


@dataclass(frozen=True)
class PyramidConfig(Wired):
    """levels: of the pyramid. prior: number of the prior that the networks start from."""

    levels: int = uint(1, MAX_LEVELS)
    prior: int = uint(1, 255)


class Pyramid(Field):
    """See the module's text; shape is (1, H, W, C), C = 1 … 4: gray, gray + alpha, RGB, RGBA."""

    family = "pyramid"
    Config = PyramidConfig

    def __init__(self, config: PyramidConfig, shape: tuple[int, int, int, int], prior: Prior | None = None) -> None:
        """`prior`: one that is still in the making, in place of config's."""
        super().__init__(config, shape)
        if shape[0] != 1:
            raise UsageError(f"a pyramid holds one frame, not {shape[0]}")
        self.prior = prior or load_prior(config.prior)
        self.ages = range(config.levels - 1, -1, -1)  # coarse to fine
        self.turns = native.turns(shape[1] * shape[2])  # of training
        self._last_taps: tuple[Lattice, list[tuple[heads.Taps, heads.Taps]]] | None = None  # training asks again

    # -- structure ---------------------------------------------------------------------------------------------------

    def kinds(self, age: int) -> tuple[int, ...]:
        """Kinds of planes on a level."""
        if self.single:
            return SINGLE_KINDS[self.channels]
        every = KINDS[self.channels]
        return every if age else tuple(kind for kind in every if kind in FINEST_KINDS)

    @cached_property
    def planes(self) -> tuple[PlaneShape, ...]:
        """The planes that the entropy model sees: those of all levels, coarse to fine."""
        return plane_shapes(tuple((self.kinds(age), *self.vertices(age)) for age in self.ages))

    @property
    def single(self) -> bool:
        """Whether one plane a level is for all colors; fits then take thousands of iterations."""
        return self.prior.order.summaries > 0

    @property
    def filtered(self) -> bool:
        """Whether vertices pass through filters before they are interpolated."""
        return self.prior.filters != PLAIN_FILTERS

    def vertex_filter(self, age: int) -> tuple[float, ...]:
        """What the vertices of a level pass through before they are interpolated, unless the picture has FILTERS of its own."""
        return PLAIN if self.prior.filters_coded else self._prior_filter(age)

    def _prior_filter(self, age: int) -> tuple[float, ...]:
        return self.prior.filters[min(age, len(self.prior.filters) - 1)]

    def vertices(self, age: int) -> tuple[int, int]:
        """Of a level, along y and x."""
        return tuple(vertex_count(size, 2.0**age) for size in self.shape[1:3])

    @cached_property
    def _specs(self) -> tuple[TensorSpec, ...]:
        specs = []
        for age in self.ages:
            name, shape = f"grid{age}", (len(self.kinds(age)), 1, *self.vertices(age))
            specs.append(TensorSpec(name, shape, "grid", name, step=1.0, rate=GRID_RATE))
        if self.prior.filters_coded:
            specs.append(self._filters_spec)
        for name, offset in self._head_offsets().items():
            bias = name.endswith("bias")
            step = PATIENT_STEP if self.single else HEAD_STEP
            if not bias:
                step *= STEP_GAIN.get(name, 1.0)
            rate = HEAD_RATE * (PATIENT_GAIN.get(name, 1.0) if self.single else 1.0)
            group = "bias" if bias and not self.prior.apart else name
            specs.append(
                TensorSpec(
                    name,
                    tuple(offset.shape),
                    "weight",
                    group,
                    step,
                    rate,
                    offset=offset,
                )
            )
        return tuple(specs)

    def specs(self) -> tuple[TensorSpec, ...]:
        return self._specs

    @property
    def _filters_spec(self) -> TensorSpec:
        """Of each level, coarse to fine, taps of a vertex's neighbors at distances 1, 2, …; its own is what they leave of 1."""
        taps = np.array([self._prior_filter(age) for age in self.ages], dtype=np.float32)
        taps /= taps.sum(axis=1, keepdims=True)
        offset = taps[:, taps.shape[1] // 2 + 1 :].copy()
        return TensorSpec(FILTERS, offset.shape, "weight", FILTERS, FILTER_STEP, FILTER_RATE, offset=offset)

    def _head_offsets(self) -> dict[str, np.ndarray]:
        """The prior's head for this picture's channels and levels."""
        head = self.prior.head
        roles = [plane.role for plane in self.planes]
        alpha = np.array([role % 4 == ALPHA for role in roles])
        to_samples = np.eye(3, dtype=np.float32) if self.channels >= 3 else LUMA_OF_RGB[None]
        own = {
            "hidden": np.where(alpha, np.float32(0), head["hidden"][:, roles]),
            "last": to_samples @ head["last"],
            "bypass": np.where(alpha, np.float32(0), to_samples @ head["bypass"][:, roles]),
            "last.bias": to_samples @ head["last.bias"],
        }
        offsets = {name: own.get(name, head[name]) for name in CODED if name in head}
        if alpha.any():  # alpha is the sum of its levels until training finds better
            offsets["last"] = np.concatenate([offsets["last"], np.zeros((1, self.prior.width), np.float32)])
            offsets["bypass"] = np.concatenate([offsets["bypass"], alpha[None].astype(np.float32)])
            offsets["last.bias"] = np.append(offsets["last.bias"], np.float32(0))
        return offsets

    # -- evaluation --------------------------------------------------------------------------------------------------

    @property
    def takes_arrays(self) -> bool:
        return native.available()

    def plan(self, parameters: Parameters | Arrays, lattice: Lattice, keep_bytes: int = PLAN_BYTES) -> Plan:
        if isinstance(parameters["hidden"], np.ndarray):
            return CompiledPlan(self, parameters, lattice)
        from inrcodec.fields import pyramid_tensors

        return pyramid_tensors.plan(self, parameters, lattice, keep_bytes)

    def initial(self, generator: torch.Generator) -> Parameters:
        """Grids of zeros, the prior's filters and head."""
        from inrcodec.fields import pyramid_tensors

        return pyramid_tensors.initial(self)

    def at(self, parameters: Parameters, points: Tensor) -> Tensor:
        from inrcodec.fields import pyramid_tensors

        return pyramid_tensors.at(self, parameters, points)

    def squared_errors(
        self, parameters: Parameters, lattice: Lattice, reference: Reference, importance: Importance | None = None
    ) -> Tensor:
        from inrcodec.fields import pyramid_tensors

        if importance is not None or not pyramid_tensors.sweeps(parameters):
            return super().squared_errors(parameters, lattice, reference, importance)
        return pyramid_tensors.squared_errors(self, parameters, lattice, reference, next(self.turns))

    def interpolation(
        self, age: int, lattice: Lattice, device: torch.device
    ) -> tuple[AxisInterpolation, AxisInterpolation]:
        """Of a level's vertices, filtered, along y and along x."""
        from inrcodec.fields.interpolation import AxisInterpolation

        axes = (lattice.y, self.shape[1]), (lattice.x, self.shape[2])
        return tuple(AxisInterpolation(*axis, 2.0**age, KERNEL, device, self.vertex_filter(age)) for axis in axes)

    def axis_taps(self, lattice: Lattice) -> list[tuple[heads.Taps, heads.Taps]]:
        """Interpolation along y and along x of each level, for the compiled loops."""
        if self._last_taps is None or self._last_taps[0] is not lattice:
            axes = (lattice.y, self.shape[1]), (lattice.x, self.shape[2])
            levels = [
                tuple(sparse(*vertices_and_weights(*axis, 2.0**age, KERNEL, self.vertex_filter(age))) for axis in axes)
                for age in self.ages
            ]
            self._last_taps = lattice, levels
        return self._last_taps[1]

    # -- complexity --------------------------------------------------------------------------------------------------

    @property
    def feature_count(self) -> int:
        return len(self.planes)

    @property
    def taps(self) -> int:
        """Vertices along an axis that a point depends on, at most."""
        return TAPS[KERNEL] + max(map(len, self.prior.filters)) - 1

    @property
    def head_macs(self) -> int:
        width = self.prior.width
        between = (self.prior.layers - 1) * width * width
        return (width + self.channels) * self.feature_count + between + width * self.channels

    @property
    def macs_per_point(self) -> float:
        return self.head_macs + self.feature_count * self.taps**2

    @property
    def macs_per_pixel(self) -> float:
        """By a plan."""
        if not self.prior.filters_coded:
            return self.head_macs + self.feature_count * 2 * self.taps
        filtered = sum(plane.height * plane.width for plane in self.planes) / (self.shape[1] * self.shape[2])
        return self.head_macs + self.feature_count * 2 * TAPS[KERNEL] + filtered * 2 * len(self.prior.filters[0])


def stacked(parameters: Arrays) -> np.ndarray:
    """The head's tensors as one vector, in the order of the compiled loops."""
    return np.concatenate([parameters[name].ravel() for name in WEIGHTS if name in parameters])


def interpolated(grids: list[np.ndarray], axis_taps: list[tuple[heads.Taps, heads.Taps]]) -> list[np.ndarray]:
    """Grids (F, vertices, vertices) along x: (F, vertices, W) each."""
    return [heads.interpolate(grid, columns) for grid, (_, columns) in zip(grids, axis_taps)]


def sparse(index: np.ndarray, weight: np.ndarray) -> heads.Taps:
    """Taps without those that no position uses: where positions are vertices, as on the finest level, some never are."""
    used = np.abs(weight).max(axis=0) > 0
    return heads.Taps(np.ascontiguousarray(index[:, used], np.int32), np.ascontiguousarray(weight[:, used]))


class CompiledPlan(Plan):
    """By the compiled loops, over arrays: grids interpolated along x are kept, the head works row by row."""

    def __init__(self, field: Pyramid, parameters: Arrays, lattice: Lattice) -> None:
        self.field, self.lattice = field, lattice
        self._axis_taps = field.axis_taps(lattice)
        grids = [parameters[f"grid{age}"][:, 0] for age in field.ages]
        if FILTERS in parameters:
            filters = np.column_stack([1 - 2 * parameters[FILTERS].sum(axis=1), parameters[FILTERS]])
            grids = vertices.filtered(grids, filters)
        self._maps = interpolated(grids, self._axis_taps)
        self._head = stacked(parameters)

    def frame(self, index: int) -> np.ndarray:
        return heads.head_values(*self._arguments()).transpose(1, 2, 0)

    def samples(self, index: int, peak: int) -> np.ndarray:
        return heads.head_samples(*self._arguments(), peak)

    def _arguments(self) -> tuple:
        rows = [rows for rows, _ in self._axis_taps]
        return self._maps, rows, self._head, self.field.prior.width, self.field.channels

    @property
    def kept_bytes(self) -> int:
        return sum(one.nbytes for one in self._maps)

    @property
    def macs_per_pixel(self) -> float:
        return self.field.macs_per_pixel
