"""Interpolation on grids (`taps`) by PyTorch: as tensors, and along a whole axis at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inrcodec.fields.taps import PLAIN, vertices_and_weights
from inrcodec.lattice import window

BLOCK = 256
"""Outputs that share one dense block of an interpolation matrix: keeps the cost linear in the number of outputs."""


def taps(
    positions: np.ndarray | Tensor,
    samples: int,
    spacing: float,
    kernel: str,
    vertex_filter: tuple[float, ...] = PLAIN,
) -> tuple[Tensor, Tensor]:
    """`vertices_and_weights` of positions on the CPU, as tensors."""
    found = vertices_and_weights(np.asarray(positions), samples, spacing, kernel, vertex_filter)
    return tuple(torch.from_numpy(one) for one in found)


@dataclass(frozen=True)
class _Block:
    low: int  # first vertex
    high: int  # past the last vertex
    matrix: Tensor  # (outputs, high - low)


class AxisInterpolation:
    """Interpolation along one axis as dense blocks of its band matrix; `positions` must ascend."""

    def __init__(
        self,
        positions: np.ndarray | Tensor,
        samples: int,
        spacing: float,
        kernel: str,
        device: torch.device,
        vertex_filter: tuple[float, ...] = PLAIN,
    ) -> None:
        index, weights = taps(positions, samples, spacing, kernel, vertex_filter)
        self.outputs = len(positions)
        on_vertices = spacing == 1 and np.array_equal(positions, window(0, samples, samples))
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
