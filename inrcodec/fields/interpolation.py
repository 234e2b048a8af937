"""Interpolation on grids whose vertices lie at equal spacing, the first one half a spacing inside of the signal.

A grid of spacing s over N samples has ceil(N / s) vertices; vertex k lies at sample position s (k + 1/2) - 1/2, so that
s = 1 puts the vertices on the sample centers. Beyond the border the outermost vertex is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inrcodec.lattice import sample_index

TAPS = {"linear": 2, "cubic": 4}
PLAIN = (1.0,)
"""The filter that leaves vertices as they are."""
BLOCK = 256
"""Outputs that share one dense block of an interpolation matrix: keeps the cost linear in the number of outputs."""


def vertex_count(samples: int, spacing: float) -> int:
    """Vertices that cover `samples` samples; `spacing` is exact in binary (a whole number of sixteenths)."""
    return max(1, int(-(-samples // spacing)))


def taps(
    positions: Tensor, samples: int, spacing: float, kernel: str, vertex_filter: tuple[float, ...] = PLAIN
) -> tuple[Tensor, Tensor]:
    """Vertices that a position depends on, and their weights: (N, K) int64 and (N, K) float32.

    `positions` (N,) float64 in [0, 1]; kernel "linear" or "cubic" (Keys 1981 with a = -1/2). `vertex_filter`: what vertices
    pass through before (an odd number of taps, divided by their sum). K = TAPS[kernel] + len(vertex_filter) - 1.
    """
    place = (sample_index(positions, samples) + 0.5) / spacing - 0.5
    base = place.floor()
    f = (place - base).float()
    if kernel == "linear":
        weights = torch.stack([1 - f, f], dim=1)
    else:
        weights = torch.stack(
            [
                ((-0.5 * f + 1) * f - 0.5) * f,
                (1.5 * f - 2.5) * f * f + 1,
                ((-1.5 * f + 2) * f + 0.5) * f,
                (0.5 * f - 0.5) * f * f,
            ],
            dim=1,
        )
    weights = _filtered(weights, vertex_filter)
    first = -(TAPS[kernel] // 2 - 1) - len(vertex_filter) // 2
    index = base.long()[:, None] + torch.arange(first, first + weights.shape[1])
    return index.clamp(0, vertex_count(samples, spacing) - 1), weights


def _filtered(weights: Tensor, vertex_filter: tuple[float, ...]) -> Tensor:
    """From weights (N, K) of filtered vertices to those of the vertices as they are, (N, K + filter's length - 1)."""
    filtered = torch.zeros(len(weights), weights.shape[1] + len(vertex_filter) - 1)
    for offset, tap in enumerate(vertex_filter):
        filtered[:, offset : offset + weights.shape[1]] += weights * (tap / sum(vertex_filter))
    return filtered


@dataclass(frozen=True)
class _Block:
    low: int  # first vertex
    high: int  # past the last vertex
    matrix: Tensor  # (outputs, high - low)


class AxisInterpolation:
    """Interpolation along one axis as dense blocks of its band matrix; `positions` must ascend."""

    def __init__(
        self,
        positions: Tensor,
        samples: int,
        spacing: float,
        kernel: str,
        device: torch.device,
        vertex_filter: tuple[float, ...] = PLAIN,
    ) -> None:
        index, weights = taps(positions, samples, spacing, kernel, vertex_filter)
        self.outputs = len(positions)
        on_vertices = spacing == 1 and torch.equal(positions, torch.arange(samples).double().add(0.5).div(samples))
        self.identity = on_vertices and vertex_filter == PLAIN
        self.blocks = []
        for start in range(0, self.outputs, BLOCK):
            rows, values = index[start : start + BLOCK], weights[start : start + BLOCK]
            low, high = int(rows.min()), int(rows.max()) + 1
            matrix = torch.zeros(len(rows), high - low)
            matrix.scatter_add_(1, rows - low, values)
            self.blocks.append(_Block(low, high, matrix.to(device)))

    def rows(self, table: Tensor) -> Tensor:
        """(..., vertices, n) → (..., outputs, n)."""
        if self.identity:
            return table
        return _joined([block.matrix @ table[..., block.low : block.high, :] for block in self.blocks], -2)

    def columns(self, table: Tensor) -> Tensor:
        """(..., vertices) → (..., outputs)."""
        if self.identity:
            return table
        return _joined([table[..., block.low : block.high] @ block.matrix.T for block in self.blocks], -1)

    @property
    def kept_bytes(self) -> int:
        return sum(block.matrix.numel() * 4 for block in self.blocks)


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)
