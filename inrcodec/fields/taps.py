"""Interpolation along one axis of a grid: which vertices a position depends on, and by how much.

A grid of spacing s over N samples has ceil(N / s) vertices; vertex k lies at sample position s (k + 1/2) - 1/2, so that
s = 1 puts the vertices on the sample centers. Beyond the border the outermost vertex is repeated.
"""

from __future__ import annotations

import numpy as np

from inrcodec.lattice import sample_index

TAPS = {"linear": 2, "cubic": 4}
PLAIN = (1.0,)
"""The filter that leaves vertices as they are."""


def vertex_count(samples: int, spacing: float) -> int:
    """Vertices that cover `samples` samples; `spacing` is exact in binary (a whole number of sixteenths)."""
    return max(1, int(-(-samples // spacing)))


def vertices_and_weights(
    positions: np.ndarray, samples: int, spacing: float, kernel: str, vertex_filter: tuple[float, ...] = PLAIN
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices that a position depends on, and their weights: (N, K) int64 and (N, K) float32.

    `positions` (N,) float64 in [0, 1]; kernel "linear" or "cubic" (Keys 1981 with a = -1/2). `vertex_filter`: what vertices
    pass through before (an odd number of taps, divided by their sum). K = TAPS[kernel] + len(vertex_filter) - 1.
    """
    place = (sample_index(positions, samples) + 0.5) / spacing - 0.5
    base = np.floor(place)
    f = (place - base).astype(np.float32)
    if kernel == "linear":
        weights = np.stack([1 - f, f], axis=1)
    else:
        weights = np.stack(
            [
                ((-0.5 * f + 1) * f - 0.5) * f,
                (1.5 * f - 2.5) * f * f + 1,
                ((-1.5 * f + 2) * f + 0.5) * f,
                (0.5 * f - 0.5) * f * f,
            ],
            axis=1,
        )
    weights = _filtered(weights, vertex_filter)
    first = -(TAPS[kernel] // 2 - 1) - len(vertex_filter) // 2
    index = base.astype(np.int64)[:, None] + np.arange(first, first + weights.shape[1])
    return index.clip(0, vertex_count(samples, spacing) - 1), weights


def _filtered(weights: np.ndarray, vertex_filter: tuple[float, ...]) -> np.ndarray:
    """From weights (N, K) of filtered vertices to those of the vertices as they are, (N, K + filter's length - 1)."""
    filtered = np.zeros((len(weights), weights.shape[1] + len(vertex_filter) - 1), dtype=np.float32)
    for offset, tap in enumerate(vertex_filter):
        filtered[:, offset : offset + weights.shape[1]] += weights * np.float32(tap / sum(vertex_filter))
    return filtered
