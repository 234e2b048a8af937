"""Where a pyramid's planes lie in memory for the compiled loops: with margins, and with even and odd columns apart; or by
diagonals."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import c_int, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.native import loop
from inrcodec.passes import SLOPE, PlaneShape

MARGIN = 16
"""Around every plane: neighbors are up to 16 samples away."""


@cache
def _columns_loop():
    return loop("columns", c_void_p, c_int, c_int, c_void_p, c_int, c_int)


class PaddedPlanes:
    """Where planes lie in one buffer with margins of zeros; flat symbols are their concatenation in raster order.

    Two buffers hold the same samples: "plain", and "split", in which the even columns of a row come before the odd ones,
    so that the symbols of the finest passes lie side by side.
    """

    def __init__(self, shapes: tuple[PlaneShape, ...]) -> None:
        self.shapes = shapes
        self.strides = [shape.width + shape.width % 2 + 2 * MARGIN for shape in shapes]
        self.zeros = MARGIN  # first of a row of zeros that stands for a missing plane
        self.starts = []
        end = 2 * MARGIN + max(self.strides)
        for shape, stride in zip(shapes, self.strides):
            self.starts.append(end)
            end += stride * (shape.height + 2 * MARGIN)
        self.size = end + MARGIN
        assert self.size < 1 << 31, "planes are addressed by 32 bits"

    def _plain(self, buffer: np.ndarray, index: int) -> np.ndarray:
        shape = self.shapes[index]
        return self._rows(buffer, index)[:, MARGIN : MARGIN + shape.width]

    def _rows(self, buffer: np.ndarray, index: int) -> np.ndarray:
        shape, stride = self.shapes[index], self.strides[index]
        first = self.starts[index] + MARGIN * stride
        return buffer[first : first + stride * shape.height].reshape(shape.height, stride)

    def plain(self, flat: np.ndarray) -> np.ndarray:
        """The plain buffer."""
        plain = np.zeros(self.size, np.float32)
        for index, plane in enumerate(self._planes(flat)):
            self._plain(plain, index)[:] = plane
        return plain

    def split(self, flat: np.ndarray) -> np.ndarray:
        """The split buffer."""
        split = np.zeros(self.size, np.float32)
        for index, plane in enumerate(self._planes(flat)):
            self._columns(plane, split, index, joins=False)
        return split

    def flat(self, plain: np.ndarray | None, split: np.ndarray) -> np.ndarray:
        """The sum of both buffers, without margins; plain: None for zeros."""
        flat = np.empty(sum(shape.height * shape.width for shape in self.shapes), np.float32)
        for index, plane in enumerate(self._planes(flat)):
            self._columns(plane, split, index, joins=True)
            if plain is not None:
                plane += self._plain(plain, index)
        return flat

    def _columns(self, plane: np.ndarray, split: np.ndarray, index: int, joins: bool) -> None:
        """Between a contiguous plane and the split buffer."""
        addresses = plane.ctypes.data, *plane.shape, split.ctypes.data + 4 * self.split_position(index)
        _columns_loop()(*addresses, self.strides[index], joins)

    def _planes(self, flat: np.ndarray) -> Iterator[np.ndarray]:
        """Views of the planes of flat symbols."""
        start = 0
        for shape in self.shapes:
            stop = start + shape.height * shape.width
            yield flat[start:stop].reshape(shape.height, shape.width)
            start = stop

    def extent(self, index: int) -> tuple[int, int]:
        """Where a plane with its margins begins and ends in either buffer."""
        start = self.starts[index]
        return start, start + self.strides[index] * (self.shapes[index].height + 2 * MARGIN)

    def plain_position(self, index: int | None) -> int:
        """Of a plane's first sample in the plain buffer; -1 for none."""
        return -1 if index is None else self.starts[index] + MARGIN * self.strides[index] + MARGIN

    def split_position(self, index: int | None) -> int:
        """The same in the split buffer."""
        return -1 if index is None else self.starts[index] + MARGIN * self.strides[index] + MARGIN // 2


class ShearedPlanes:
    """Where planes lie in one buffer with margins of zeros, diagonal after diagonal of WAVEFRONT.

    A diagonal's symbols lie side by side, from the top; so do their neighbors in each direction, on another diagonal. Diagonals
    begin `stride` apart, wherever in the plane their first symbol is.
    """

    ROWS = 4
    """Of zeros between two diagonals: neighbors are up to 3 rows up, and a parent's one row down."""
    BEFORE, AFTER = SLOPE * 3 + 1, SLOPE + 2
    """Diagonals of zeros around a plane: neighbors lie up to 3 rows up, a parent's a row and a column on."""
    ROOM = 64
    """The compiled loops look at so many rows at a time, at most, and one before."""

    def __init__(self, shapes: tuple[PlaneShape, ...]) -> None:
        self._shapes = shapes
        self.strides = [min(shape.height, -(-shape.width // SLOPE)) + self.ROWS for shape in shapes]
        self.zeros = self.ROOM  # first of a column of zeros that stands for a missing plane's diagonals
        self._extents = []
        end = self.zeros + max(shape.height for shape in shapes) + self.ROOM
        for shape, stride in zip(shapes, self.strides):
            start, end = end, end + stride * (self.BEFORE + diagonal_count(shape.height, shape.width) + self.AFTER)
            self._extents.append((start, end))
        self.size = end + self.ROOM

    def position(self, index: int) -> int:
        """Of a plane's first symbol."""
        return self._extents[index][0] + self.BEFORE * self.strides[index]

    def places(self, index: int) -> np.ndarray:
        """Of a plane's symbols in raster order, (height · width,) int64."""
        shape = self._shapes[index]
        y, x = np.divmod(np.arange(shape.height * shape.width), shape.width)
        diagonal = x + SLOPE * y
        first = np.maximum(diagonal - shape.width + SLOPE, 0) // SLOPE  # row of a diagonal
        return self.position(index) + diagonal * self.strides[index] + y - first

    def extent(self, index: int) -> tuple[int, int]:
        """Where a plane with its margins begins and ends."""
        return self._extents[index]


def diagonal_count(height: int, width: int) -> int:
    return width + SLOPE * (height - 1)
