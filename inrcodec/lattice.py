"""The one coordinate convention: positions, sub-lattices, regions and scales.

A position is (t, y, x), each in [0, 1] as a fraction of the signal's extent. The center of sample i of N lies at
(i + 1/2) / N. Positions are float64, so that a field can recover the sample index exactly (`sample_index`).
A lattice is one vector of positions per axis: the field is evaluated on their outer product.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def window(start: int, length: int, total: int, count: int | None = None) -> Tensor:
    """Positions of `count` equally spaced centers that cover the samples [start, start + length) of an axis of `total`.

    With the default `count = length` these are the centers of the samples themselves. (count,) float64.
    """
    count = length if count is None else count
    return (start + (torch.arange(count, dtype=torch.float64) + 0.5) * (length / count)) / total


def sample_index(positions: Tensor, count: int) -> Tensor:
    """Positions in units of samples: 0 at the first center, count - 1 at the last; (N,) float64.

    Values within 1e-4 of a whole number are made whole, so that rounding in p = (i + 1/2) / N never moves a sample
    center across a cell boundary.
    """
    index = positions.double() * count - 0.5
    whole = index.round()
    return torch.where((index - whole).abs() < 1e-4, whole, index)


@dataclass(frozen=True)
class Lattice:
    """Positions per axis: `t` (T,), `y` (H,), `x` (W,), float64 in [0, 1], on the CPU."""

    t: Tensor
    y: Tensor
    x: Tensor

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
        return Lattice(self.t[t], self.y[y], self.x[x])

    def rows(self, start: int, stop: int) -> Lattice:
        """The band of rows [start, stop)."""
        return Lattice(self.t, self.y[start:stop], self.x)

    def points(self) -> Tensor:
        """All positions in the order t, y, x: (T * H * W, 3) float64."""
        grid = torch.meshgrid(self.t, self.y, self.x, indexing="ij")
        return torch.stack([axis.reshape(-1) for axis in grid], dim=1)
