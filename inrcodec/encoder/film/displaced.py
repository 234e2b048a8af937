"""A frame and its references while motion is searched: what vectors of motion cost in errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from inrcodec.fields.pyramid import sparse
from inrcodec.fields.taps import vertices_and_weights
from inrcodec.kernels import heads
from inrcodec.kernels import warp as warping
from inrcodec.lattice import Lattice

FEW = 6
"""Vertices along an axis that are not thinned out any more."""
KNEE = 0.2
"""Bits a sample that grids spend about where it begins to pay."""


@dataclass(frozen=True)
class Scene:
    """current, references: (C, H, W), centered. weights: of squared errors, (C,). predicted: displacement towards the
    first reference (2, h, w) that costs nothing. mirror: the second reference's displacement for one of the first (None: one
    reference). step: of symbols, in samples. block: distance of vertices. bit_cost: the error that a bit is worth. scale: by
    which all is smaller than the film."""

    current: np.ndarray
    references: tuple[np.ndarray, ...]
    weights: np.ndarray
    predicted: np.ndarray
    mirror: float | None
    step: float
    block: int
    bit_cost: float
    scale: int = 1

    def shrunk(self, samples: int) -> Scene:
        """At half the size, if a frame has more samples than that."""
        height, width = self.current.shape[1:]
        if height * width <= samples or self.block % 2:
            return self
        return replace(self._halved(), block=self.block // 2)

    def coarser(self) -> Scene | None:
        """At half the size, with half as many vertices along each axis; None if these are few."""
        if min(self.predicted.shape[1:]) < FEW:
            return None
        return replace(self._halved(), predicted=_halved(self.predicted))

    def _halved(self) -> Scene:
        current, *references = (_halved(one) for one in (self.current, *self.references))
        return replace(self, current=current, references=tuple(references), scale=2 * self.scale)

    def block_costs(self, vectors: np.ndarray) -> np.ndarray:
        """Of each block (h, w), displaced as a whole. vectors: whole numbers (channels, h, w)."""
        return self._costs(self._errors(vectors, self._blocks))

    def vertex_costs(self, vectors: np.ndarray) -> np.ndarray:
        """Of the four cells around each vertex (h, w), with motion interpolated between vertices."""
        half = self.block // 2
        errors = np.pad(self._errors(vectors, self._cells), ((half, 0), (half, 0)))
        cells = self._costs(errors, 1)
        return cells[:-1, :-1] + cells[:-1, 1:] + cells[1:, :-1] + cells[1:, 1:]

    def _costs(self, errors: np.ndarray, more: int = 0) -> np.ndarray:
        height, width = (count + more for count in self.predicted.shape[1:])
        block = self.block
        padded = np.zeros((height * block, width * block), np.float32)
        padded[: errors.shape[0], : errors.shape[1]] = errors[: height * block, : width * block]
        sums = np.add.reduceat(padded, np.arange(0, height * block, block), 0)
        sums = np.add.reduceat(sums, np.arange(0, width * block, block), 1)
        return what_errors_cost(sums * self.scale**2, self.bit_cost * (block * self.scale) ** 2)

    def _errors(self, vectors: np.ndarray, taps) -> np.ndarray:
        """(H, W) weighted squares."""
        rows, columns = taps
        first = self.predicted + vectors[:2] * self.step
        motion = [first]
        if self.mirror is not None:
            second = first * self.mirror + vectors[2:4] * self.step
            motion += [second, (vectors[4:5] * (self.step * warping.WEIGHT_UNIT) + 0.5).clip(0, 1) * self.scale]
        motion = (np.concatenate(motion) / self.scale).astype(np.float32)
        channels, height, width = self.current.shape
        y, x = (np.arange(count, dtype=np.float32) for count in (height, width))
        missing = warping.frame(channels, list(self.references), heads.interpolate(motion, columns), rows, y, x, None)
        missing -= self.current
        missing *= missing
        return np.tensordot(self.weights, missing, 1)

    @cached_property
    def _blocks(self):
        return tuple(
            sparse((np.arange(count) // self.block)[:, None], np.ones((count, 1), np.float32))
            for count in self.current.shape[1:]
        )

    @cached_property
    def _cells(self):
        height, width = self.current.shape[1:]
        lattice = Lattice.full(1, height, width)
        axes = (lattice.y, height), (lattice.x, width)
        return tuple(sparse(*vertices_and_weights(*axis, self.block, "linear")) for axis in axes)


def what_errors_cost(errors, bit_cost: float):
    """Squared errors of blocks, or the bits that grids spend on them: where errors are large they are coded, and a block costs
    but a logarithm of them. bit_cost: squared error that a bit is worth, times the samples of a block. An array or a tensor."""
    knee = KNEE * bit_cost
    return (errors / knee + 1).log() * knee if hasattr(errors, "log") else np.log1p(errors / knee) * knee


def _halved(frame: np.ndarray) -> np.ndarray:
    """(C, ceil(H / 2), ceil(W / 2)): means of 2x2 samples."""
    height, width = frame.shape[1:]
    padded = np.pad(frame, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    return (padded[:, ::2, ::2] + padded[:, 1::2, ::2] + padded[:, ::2, 1::2] + padded[:, 1::2, 1::2]) / 4
