"""Which parts of a pyramid's planes are coded at all: a tile of TILE by TILE samples that holds nothing but zeros is not.

A yes or no for each tile, in raster order, plane by plane before its symbols, coded by `adaptive` in the context of the tiles to
its left and above it, of the parent plane's tile at the same place and of the previous channel's, and of the plane's class.
"""

from __future__ import annotations

import numpy as np

from inrcodec.entropy.adaptive import Counts, Decide, Listed, Listing, Reading
from inrcodec.entropy.coder import SymbolDecoder
from inrcodec.kernels import native
from inrcodec.passes import LUMA, TILE, PlaneShape

CLASSES = 6
"""Of planes: finest, next and coarser levels of luma, and of other channels."""
_CONTEXTS = 36
"""Of a class."""


def initial_counts() -> Counts:
    return Counts(CLASSES * _CONTEXTS)


def tile_count(shape: PlaneShape) -> tuple[int, int]:
    """Down and across."""
    return -(-shape.height // TILE), -(-shape.width // TILE)


def tiles_of(plane: np.ndarray) -> np.ndarray:
    """Whether anything in a tile of `plane` (H, W) is not zero: uint8 as `tile_count` says."""
    rows, columns = (np.arange(0, size, TILE) for size in plane.shape)
    down = np.logical_or.reduceat(plane != 0, rows, axis=0)
    return np.logical_or.reduceat(down, columns, axis=1).astype(np.uint8)


class TileCoder:
    """Tiles of one plane after the other; counts go on from one set of planes to the next."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self.start()

    def start(self) -> None:
        """Of another set of planes."""
        self._coded: list[np.ndarray] = []

    def listed(self, shape: PlaneShape, coded: np.ndarray) -> Listed:
        """The decisions that say `coded`, of the next plane."""
        self._coded.append(coded)
        if native.available():
            deciding = self._counts.compiled_listing(coded.size)
            deciding.tiles(coded, *self._around(shape), _first_context(shape))
            return Listed(*deciding.listed())
        listing = Listing(self._counts)
        self._walk(shape, listing, coded)
        return listing.listed()

    def decode(self, shape: PlaneShape, decoder: SymbolDecoder) -> np.ndarray:
        """Which tiles of the next plane are coded."""
        coded = np.zeros(tile_count(shape), np.uint8)
        self._coded.append(coded)
        if native.available():
            deciding = self._counts.compiled_reading(decoder)
            deciding.tiles(coded, *self._around(shape), _first_context(shape))
        else:
            self._walk(shape, Reading(self._counts, decoder), coded)
        return coded

    def _around(self, shape: PlaneShape) -> list[np.ndarray | None]:
        """Tiles of the parent and of the previous channel."""
        return [None if index is None else self._coded[index] for index in (shape.parent, shape.previous)]

    def _walk(self, shape: PlaneShape, decide: Decide, coded: np.ndarray) -> None:
        """The definition."""
        parent, previous = self._around(shape)
        for y, x in np.ndindex(coded.shape):
            of_parent = 0 if parent is None else 1 + int(parent[y // 2, x // 2])
            of_previous = 0 if previous is None else 1 + int(previous[y, x])
            left, above = int(x and coded[y, x - 1]), int(y and coded[y - 1, x])
            context = ((of_parent * 3 + of_previous) * 2 + left) * 2 + above
            coded[y, x] = decide(_first_context(shape) + context, bool(coded[y, x]))


def _first_context(shape: PlaneShape) -> int:
    return (2 * min(shape.age, 2) + (shape.role % 4 != LUMA)) * _CONTEXTS
