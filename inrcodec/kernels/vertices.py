"""What the vertices of a level pass through before they are interpolated, where its taps are parameters: the same symmetric
filter along x and along y, edges repeated. Defined by its counterpart in PyTorch, `fields.pyramid_tensors.filtered`.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_int, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.native import LANES, contiguous, in_parts, loop, shares, threads

MAX_HALF = 5
"""Taps to each side, at most."""
SHARED_FROM = 1 << 15
"""Vertices from which threads share a level."""


class _Filter(Structure):
    _fields_ = [(name, c_void_p) for name in ("given", "taps", "gradient", "out", "sums", "work")]
    _fields_ += [(name, c_int) for name in ("height", "width", "half", "start", "stop")]


@cache
def _loop():
    return loop("filter", _Filter, c_int)


def filtered(grids: Sequence[np.ndarray], taps: np.ndarray) -> list[np.ndarray]:
    """Grids (F, h, w), one a level; taps (levels, half + 1): that of a vertex itself, and those of its neighbors at distances
    1 … half; float32."""
    return _filtered(grids, taps)[0]


def filtered_back(
    grids: Sequence[np.ndarray], taps: np.ndarray, gradients: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Gradients by grids and by taps, of those by `filtered`."""
    backs, by_taps = _filtered(grids, taps, gradients)
    return backs, by_taps.astype(np.float32)


def _filtered(
    grids: Sequence[np.ndarray], taps: np.ndarray, gradients: Sequence[np.ndarray] | None = None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Filtered, or, with gradients by that, the gradients by grids and by taps (float64). All levels in one call of the loop:
    calls for each would take longer than most of the levels."""
    grids, taps = [contiguous(one) for one in grids], contiguous(taps)
    by = [None] * len(grids) if gradients is None else [contiguous(one) for one in gradients]
    assert len(taps) == len(grids) and 1 <= taps.shape[1] <= MAX_HALF + 1
    assert all(one is None or one.shape == grid.shape for one, grid in zip(by, grids, strict=True))
    outs = [np.empty(one.shape, np.float32) for one in grids]
    parts = threads() if max(one.size for one in grids) >= SHARED_FROM else 1
    sums, widest = np.zeros((parts, *taps.shape)), max(one.shape[2] for one in grids)
    levels = [_level(*given, parts) for given in zip(grids, taps, by, outs)]

    def part(index: int) -> None:
        work = np.empty((2 * taps.shape[1] + 4) * -(-widest // LANES) * LANES, np.float32)
        filters, room, own = (_Filter * len(levels))(), work.ctypes.data, sums[index].ctypes.data
        for position, (addresses, shape, borders) in enumerate(levels):
            place = own + position * sums.strides[1]
            filters[position] = _Filter(*addresses, place, room, *shape, borders[index], borders[index + 1])
        _loop()(filters, len(filters))

    in_parts(part, parts)
    return outs, sums.sum(axis=0)


def _level(grid: np.ndarray, taps: np.ndarray, by: np.ndarray | None, out: np.ndarray, parts: int):
    """What all parts are told of it: addresses, height, width and half, and the borders of their rows."""
    addresses = [None if one is None else one.ctypes.data for one in (grid, taps, by, out)]
    planes, height, width = grid.shape
    return addresses, (height, width, len(taps) - 1), shares(planes * height, parts)
