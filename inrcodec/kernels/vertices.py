"""What the vertices of a level pass through before they are interpolated, where its taps are parameters: the same symmetric
filter along x and along y, edges repeated. Defined by its counterpart in PyTorch, `fields.pyramid_tensors.filtered`.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_int, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np

from inrcodec.kernels.native import contiguous, in_parts, loop, shares, threads

MAX_HALF = 5
"""Taps to each side, at most."""
SHARED_FROM = 1 << 15
"""Vertices from which threads share a level."""


class _Filter(Structure):
    _fields_ = [(name, c_void_p) for name in ("given", "taps", "gradient", "out", "sums", "work", "zeros")]
    _fields_ += [(name, c_int) for name in ("height", "width", "half", "along_y")]


@cache
def _loop():
    return loop("filter", _Filter, c_int, c_int)


@dataclass
class Filtered:
    """Vertices (F, h, w) filtered along x, and then along y too."""

    along_x: np.ndarray
    values: np.ndarray


def filtered(grid: np.ndarray, taps: np.ndarray) -> Filtered:
    """grid (F, h, w), taps (half + 1,): that of a vertex itself, and those of its neighbors at distances 1 … half; float32."""
    along_x = _along(grid, taps, along_y=False)[0]
    return Filtered(along_x, _along(along_x, taps, along_y=True)[0])


def filtered_back(
    grid: np.ndarray, taps: np.ndarray, found: Filtered, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients by grid and by taps, of the one by `found.values`."""
    between, by_y = _along(found.along_x, taps, True, gradient)
    back, by_x = _along(grid, taps, False, between)
    return back, (by_x + by_y).astype(np.float32)


def _along(
    grid: np.ndarray, taps: np.ndarray, along_y: bool, gradient: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Filtered along one axis, or, with a gradient by that, the gradients by grid and by taps (float64)."""
    grid, taps = contiguous(grid), contiguous(taps)
    gradient = None if gradient is None else contiguous(gradient)
    (planes, height, width), half = grid.shape, len(taps) - 1
    assert 0 <= half <= MAX_HALF and (gradient is None or gradient.shape == grid.shape)
    out, zeros = np.empty_like(grid), np.zeros(width, np.float32)
    parts = threads() if grid.size >= SHARED_FROM else 1
    borders, sums = shares(planes * height, parts), np.zeros((parts, half + 1))

    def part(index: int) -> None:
        work = np.empty(width + 2 * half, np.float32)
        given = grid, taps, gradient, out, sums[index], work, zeros
        filter = _Filter(*(None if one is None else one.ctypes.data for one in given), height, width, half, along_y)
        _loop()(ctypes.byref(filter), borders[index], borders[index + 1])

    in_parts(part, parts)
    return out, sums.sum(axis=0)
