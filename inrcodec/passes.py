"""Order and neighborhoods of a pyramid's symbols: planes coarse to fine, interlaced passes, what each symbol may look at.

A pyramid is a list of planes, one for each channel of each level, coarse to fine; a plane's parent is the same channel one
level up, half as large (rounded up), and within a level channels follow one another. A symbol
is predicted from what was coded before it: neighbors in the same plane, the parent's 3x3 samples around the symbol's place,
and the symbol at the same place of the channel before. There are three orders.

INTERLACED: the samples of a plane come in passes: first every eighth row and column, then at distances d = 4, 2 and 1 the
diagonal midpoints (odd multiples of d along both axes), the horizontal ones and the vertical ones. All symbols of a pass are
predicted at once; neighbors lie at multiples of d. What is known differs from pass to pass, and so does the place within the
parent's cell: a pass is of one of 7 kinds (every eighth; diagonal, horizontal, vertical at d > 1; the same at d = 1), each
with a first layer of its own.

WAVEFRONT: symbols look at those above and to the left, as in raster order, and are coded by diagonals: all symbols (y, x) of
equal x + 3 y are predicted at once, the diagonals one after the other, each from the top. Symbols are of four kinds by the
place within the parent's cell: whether y and x are even.

SUMMARIZED: the neighbors and diagonals of WAVEFRONT, all symbols of one kind. In place of the parent and of the channel before
symbols see SUMMARIES numbers that are linear in the symbols of all coarser planes of the same channel: of the plane k levels up
the one at (y >> k, x >> k). They are the same for all symbols of a parent's cell, and each level has weights of its own (as the
"IFCE" of Cool-Chic 5.0 has them). A level then has one plane for all colors, and one for alpha.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

BASE_DISTANCE = 8
MAX_KINDS = 7
PARENT_OFFSETS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
OTHER_INPUTS = 14
"""Beside the neighbors: their magnitude, the parent's 9, the magnitudes of its middle and of all 9, the previous channel's
symbol and its magnitude."""
SYMBOL_CLIP = 64
"""Symbols are clipped to ±64 before they enter the network."""

_NEAR = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
_FAR = tuple((dy, dx) for dy in (-2, -1, 1, 2) for dx in (-2, -1, 1, 2) if abs(dy) != abs(dx))
_MAGNITUDE_WEIGHT = {1: 4, 2: 2, 4: 2, 5: 1, 8: 1, 9: 1}
"""Of a neighbor's magnitude, by its squared distance."""


@dataclass(frozen=True)
class Neighborhood:
    """What the symbols of a kind of pass know in their own plane: offsets (y, x) in units of the pass's distance, and the
    whole-number weights of their magnitudes. others: how many inputs the network has beside these."""

    offsets: tuple[tuple[int, int], ...]
    others: int = OTHER_INPUTS

    @property
    def weights(self) -> tuple[int, ...]:
        return tuple(_MAGNITUDE_WEIGHT[dy * dy + dx * dx] for dy, dx in self.offsets)

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights, adding up to 1."""
        return tuple(weight / sum(self.weights) for weight in self.weights)

    @property
    def inputs(self) -> int:
        """Inputs of the network."""
        return len(self.offsets) + self.others


_DIAGONAL = Neighborhood(tuple(at for at in _NEAR if at[0] and at[1]))
_HORIZONTAL = Neighborhood(tuple(at for at in _NEAR + _FAR if not abs(at[0]) == abs(at[1]) == 1))
_VERTICAL = Neighborhood(_NEAR + _FAR)
_ABOVE = tuple((dy, dx) for dy in (-2, -1) for dx in (-2, -1, 0, 1, 2))
_BEFORE = Neighborhood((*_ABOVE, (-3, 0), (0, -3), (0, -2), (0, -1)))


@dataclass(frozen=True)
class Pass:
    """Rows first_y, first_y + step … and columns first_x, first_x + step … of a plane; neighbors lie `distance` apart."""

    kind: int
    first_y: int
    first_x: int
    step: int
    distance: int

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the pass in a plane."""
        return -(-(height - self.first_y) // self.step), -(-(width - self.first_x) // self.step)


@dataclass(frozen=True)
class Order:
    """neighborhoods: by kind of pass. passes: in coding order; of WAVEFRONT all symbols of a kind, which training predicts at
    once, since it knows all of them. by_diagonals: whether symbols are coded by diagonals instead. summaries: how many of the
    coarser levels symbols see in place of their parent, the previous channel and magnitudes."""

    neighborhoods: tuple[Neighborhood, ...]
    passes: tuple[Pass, ...]
    by_diagonals: bool
    summaries: int = 0

    @property
    def kinds(self) -> int:
        return len(self.neighborhoods)


def _interlaced() -> Iterator[Pass]:
    yield Pass(0, 0, 0, BASE_DISTANCE, BASE_DISTANCE)
    for distance in (4, 2, 1):
        kind = 4 if distance == 1 else 1
        yield Pass(kind, distance, distance, 2 * distance, distance)
        yield Pass(kind + 1, 0, distance, 2 * distance, distance)
        yield Pass(kind + 2, distance, 0, 2 * distance, distance)


INTERLACED = Order(
    (Neighborhood(()), *(_DIAGONAL, _HORIZONTAL, _VERTICAL) * 2), tuple(_interlaced()), by_diagonals=False
)
WAVEFRONT = Order((_BEFORE,) * 4, tuple(Pass(2 * y + x, y, x, 2, 1) for y in (0, 1) for x in (0, 1)), by_diagonals=True)
SUMMARIES = 6
"""Of SUMMARIZED."""
SUMMARIZED = Order(
    (Neighborhood(_BEFORE.offsets, SUMMARIES),),
    tuple(Pass(0, y, x, 2, 1) for y in (0, 1) for x in (0, 1)),
    by_diagonals=True,
    summaries=SUMMARIES,
)
SLOPE = 3
"""Of WAVEFRONT: rows between two symbols of a diagonal that are one row apart take so many columns; the neighbor farthest to
the right is two columns away, one row up."""


@lru_cache(maxsize=64)
def passes_of(order: Order, height: int, width: int) -> tuple[tuple[Pass, tuple[int, int]], ...]:
    """The passes of a plane that are not empty, with their rows and columns."""
    found = ((step, step.size(height, width)) for step in order.passes)
    return tuple((step, size) for step, size in found if min(size) > 0)


@dataclass(frozen=True)
class PlaneShape:
    """One plane: its size, the index of its parent and of the plane coded before it in its level, and `role`: a number that
    means the same in pyramids of any height (its level counted from the finest, and its kind), for biases."""

    height: int
    width: int
    parent: int | None
    previous: int | None
    role: int

    @property
    def age(self) -> int:
        """Its level, counted from the finest."""
        return self.role // 4


def bias_rows(planes: tuple[PlaneShape, ...]) -> list[int]:
    """Of each plane: the row of the network's plane_bias that it adds. Planes of one role share a row; rows are in order of
    first appearance."""
    rows: dict[int, int] = {}
    return [rows.setdefault(plane.role, len(rows)) for plane in planes]


TILE = 32
"""Samples along each side of the parts of a plane that are coded, or not, as a whole (`entropy.tiles`)."""


def spread(tiles: np.ndarray, first_y: int, first_x: int, step: int, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) bool: whether the samples first_y, first_y + step …, first_x … lie in coded tiles."""
    y, x = (first_y + step * np.arange(rows)) // TILE, (first_x + step * np.arange(columns)) // TILE
    return tiles[np.ix_(y, x)] > 0


MAX_LEVELS = 8
LUMA, BLUE, RED, ALPHA = range(4)
"""Kinds of planes."""
ROLES = MAX_LEVELS * 4


def plane_shapes(levels: tuple[tuple[tuple[int, ...], int, int], ...]) -> tuple[PlaneShape, ...]:
    """Planes of levels of (kinds of their channels, height, width), coarse to fine; each kind of a level is in the one above."""
    planes: list[PlaneShape] = []
    above: dict[int, int] = {}
    for age, (kinds, height, width) in zip(range(len(levels) - 1, -1, -1), levels):
        here = {}
        for kind in kinds:
            here[kind] = len(planes)
            previous = len(planes) - 1 if len(here) > 1 else None
            planes.append(PlaneShape(height, width, above.get(kind), previous, age * 4 + kind))
        above = here
    return tuple(planes)
