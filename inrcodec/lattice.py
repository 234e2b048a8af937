"""The one coordinate convention: positions, sub-lattices, regions and scales.

A position is (t, y, x), each in [0, 1] as a fraction of the signal's extent. The center of sample i of N lies at
(i + 1/2) / N. Positions are float64, so that a field can recover the sample index exactly (`sample_index`).
A lattice is one vector of positions per axis: the field is evaluated on their outer product.

Vectors are NumPy arrays; whoever computes in PyTorch takes them from there. Only `Lattice.points` loads PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Vector = TypeVar("Vector", np.ndarray, "Tensor")


def window(start: int, length: int, total: int, count: int | None = None) -> np.ndarray:
    """Positions of `count` equally spaced centers that cover the samples [start, start + length) of an axis of `total`.

    With the default `count = length` these are the centers of the samples themselves. (count,) float64.
    """
    count = length if count is None else count
    return (start + (np.arange(count) + 0.5) * (length / count)) / total


def sample_index(positions: Vector, count: int) -> Vector:
    """Positions, float64, in units of samples: 0 at the first center, count - 1 at the last; an array or a tensor, as given.

    Values within 1e-4 of a whole number are made whole, so that rounding in p = (i + 1/2) / N never moves a sample
    center across a cell boundary.
    """
    index = positions * count - 0.5
    rest = index.round() - index
    return index + rest * (abs(rest) < 1e-4)  # exact: the difference of two close numbers is


@dataclass(frozen=True)
class Lattice:
    """Positions per axis: `t` (T,), `y` (H,), `x` (W,), float64 in [0, 1]."""

    t: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @classmethod
    def full(cls, frames: int, height: int, width: int) -> Lattice:
        """The sample centers of a whole signal."""
        return cls(*(window(0, count, count) for count in (frames, height, width)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return len(self.t), len(self.y), len(self.x)

    def at_indices(self, t: Tensor, y: Tensor, x: Tensor) -> Lattice:
        """The sub-lattice with these indices (int64 vectors) of each axis."""
        return Lattice(self.t[np.asarray(t)], self.y[np.asarray(y)], self.x[np.asarray(x)])

    def rows(self, start: int, stop: int) -> Lattice:
        """The band of rows [start, stop)."""
        return Lattice(self.t, self.y[start:stop], self.x)

    def points(self) -> Tensor:
        """All positions in the order t, y, x: (T * H * W, 3) float64."""
        import torch

        grid = np.meshgrid(self.t, self.y, self.x, indexing="ij")
        return torch.from_numpy(np.stack([axis.ravel() for axis in grid], axis=1))
