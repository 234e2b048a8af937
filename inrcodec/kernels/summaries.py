"""What the symbols of a pyramid see of all coarser planes in SUMMARIZED order (`passes`), compiled: sums, by weights, and their
transpose. Defined by its counterpart in PyTorch, `entropy.planes_rate`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import Structure, c_int, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.native import LANES, in_parts, lanes, loop, shares, threads
from inrcodec.passes import SUMMARIES, PlaneShape, bias_rows

MAX_ABOVE = 8
"""Coarser planes, at most."""


class _Summed(Structure):
    _fields_ = [("planes", c_void_p * MAX_ABOVE), ("gradients", c_void_p * MAX_ABOVE)]
    _fields_ += [(name, c_void_p) for name in ("weights", "summaries", "work", "sums")]
    _fields_ += [("widths", c_int * MAX_ABOVE)]
    _fields_ += [(name, c_int) for name in ("above", "stride", "height", "width", "room")]


@cache
def _loop():
    return loop("summaries", _Summed, c_int, c_int, c_int)


class PlaneSummaries:
    """Of the planes of flat symbols (N,), by weights (roles, SUMMARIES · coarser planes, the nearest first); float32."""

    def __init__(self, shapes: Sequence[PlaneShape], symbols: np.ndarray, weights: np.ndarray) -> None:
        self._shapes, self._symbols, self._weights = shapes, symbols, weights
        self._rows = bias_rows(shapes)
        self._starts = np.cumsum([0, *(shape.height * shape.width for shape in shapes)])

    def of(self, index: int) -> np.ndarray | None:
        """(SUMMARIES, rows and columns of the parent), LANES floats behind them that may be read; None without a parent."""
        parent = self._shapes[index].parent
        if parent is None:
            return None
        height, width = self._shapes[parent].height, self._shapes[parent].width
        room = np.empty(SUMMARIES * height * width + LANES, np.float32)
        found = room[:-LANES].reshape(SUMMARIES, height, width)
        self._in_bands(index, lambda: self._summed(index, found, 1), backward=0)
        return found

    def back(self, gradients: Sequence[np.ndarray | None], by_symbols: np.ndarray) -> np.ndarray:
        """The gradient by weights, of those by what `of` gave for each plane; that by symbols is added to `by_symbols`."""
        by_weights = np.zeros_like(self._weights)
        for index, gradient in enumerate(gradients):
            if gradient is None:
                continue
            parts = self._in_bands(index, lambda i=index, g=gradient: self._summed(i, g, 2, by_symbols), backward=1)
            row = by_weights[self._rows[index]].reshape(SUMMARIES, -1)
            for summed, (_, sums) in parts:
                found = sums[: summed.above * SUMMARIES * lanes()].reshape(summed.above, SUMMARIES, lanes()).sum(2)
                row[:, : summed.above] += found.T
        return by_weights

    def _above(self, index: int) -> list[int]:
        """The coarser planes, the nearest first."""
        found, parent = [], self._shapes[index].parent
        while parent is not None:
            found.append(parent)
            parent = self._shapes[parent].parent
        return found

    def _summed(
        self, index: int, summaries: np.ndarray, buffers: int, by_symbols: np.ndarray | None = None
    ) -> tuple[_Summed, tuple[np.ndarray, np.ndarray]]:
        """For one thread, and the arrays that it has of its own: work, and sums."""
        above, (_, height, width) = self._above(index), summaries.shape
        assert len(above) <= MAX_ABOVE
        room = -(-width // (2 * LANES)) * 2 * LANES
        work = np.zeros((buffers * len(above), room), np.float32)
        sums = np.zeros(SUMMARIES * len(above) * LANES, np.float32)
        summed = _Summed(above=len(above), height=height, width=width, room=room)
        for place, plane in enumerate(above):
            summed.planes[place] = self._symbols.ctypes.data + 4 * int(self._starts[plane])
            summed.widths[place] = self._shapes[plane].width
            if by_symbols is not None:
                summed.gradients[place] = by_symbols.ctypes.data + 4 * int(self._starts[plane])
        row = self._weights[self._rows[index]]
        summed.weights, summed.stride = row.ctypes.data, row.size // SUMMARIES
        summed.summaries, summed.work, summed.sums = summaries.ctypes.data, work.ctypes.data, sums.ctypes.data
        return summed, (work, sums)

    def _in_bands(self, index: int, make: Callable[[], tuple], backward: int) -> list[tuple]:
        """Side by side, bands of rows whose symbols are nobody else's, on any level."""
        height, apart = self._shapes[self._shapes[index].parent].height, 1 << len(self._above(index))
        bands = -(-height // apart)
        parts = max(1, min(threads(), bands))
        borders = [min(height, apart * border) for border in shares(bands, parts)]
        made = [make() for _ in range(parts)]

        def part(number: int) -> None:
            _loop()(ctypes.byref(made[number][0]), borders[number], borders[number + 1], backward)

        in_parts(part, parts)
        return made
