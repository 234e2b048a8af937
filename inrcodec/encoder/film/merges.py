"""What vectors of motion cost amid their neighbors, as `entropy.merging` codes them, and the choice among candidates."""

from __future__ import annotations

import numpy as np

from inrcodec.entropy.adaptive import Counts
from inrcodec.entropy.merging import CHANNELS, EVEN, KINDS, LENGTHS, MODES, PATTERNS, SIZES, patterns, size_class

REACH = 4095
"""Of symbols that the search chooses, so that a vector fits into one whole number."""
_SHIFTS = (0, 13, 26, 39, 52)
AFFECTED = ((0, 0), (0, 1), (1, 0), (1, -1))
"""Whose cost depends on a vertex: itself, and those to the right, below, and below to the left."""
COLORS = ((0, 0), (0, 1), (1, 0), (1, 1))


def packed(vectors: np.ndarray) -> np.ndarray:
    """(..., C, h, w) whole numbers within ±REACH as (..., h, w) int64, 0 for zeros."""
    return sum(vectors[..., channel, :, :].astype(np.int64) << _SHIFTS[channel] for channel in range(vectors.shape[-3]))


class Prices:
    """Bits of vectors in frames of a kind, as counts have it."""

    def __init__(self, counts: Counts, kind: int) -> None:
        bits = counts.bits()
        modes = bits[: KINDS * MODES * PATTERNS].reshape(KINDS, MODES, PATTERNS, 2)
        numbers = bits[KINDS * MODES * PATTERNS : EVEN].reshape(KINDS, CHANNELS, SIZES, -1, 2)
        self._modes = modes[kind]
        steps = numbers[kind, :, :, :LENGTHS]
        stops = np.concatenate([steps[..., 0], np.zeros((CHANNELS, SIZES, 1))], -1)
        before = np.concatenate([np.zeros((CHANNELS, SIZES, 1)), steps[..., 1].cumsum(-1)], -1)
        self._lengths = before + stops + np.arange(LENGTHS + 1)
        """(CHANNELS, SIZES, bit length): the bits below the first one count as one each, and so does the sign."""

    def own(self, differences: np.ndarray) -> np.ndarray:
        """(..., C, n) differences to what is predicted → (..., n)."""
        total, size = 0.0, np.zeros(differences.shape[:-2] + differences.shape[-1:], np.int64)
        for channel in range(differences.shape[-2]):
            numbers = differences[..., channel, :]
            lengths = np.frexp(np.abs(numbers).astype(np.float64))[1]
            total = total + self._lengths[channel, size, lengths]
            size = size_class(numbers)
        return total

    def __call__(self, names, values, around, values_around) -> np.ndarray:
        """Of vertices: names (..., n) and values (..., C, n), amid `around` (left, above, corner, opposite) alike."""
        contexts, news = patterns(*around)
        total, open_ = np.zeros(names.shape), np.ones(names.shape, bool)
        for mode, candidate in enumerate((*around[:3], 0)):
            asked = open_ & news[mode]
            taken = names == candidate
            total += np.where(asked, np.where(taken, self._modes[mode, contexts, 1], self._modes[mode, contexts, 0]), 0)
            open_ = open_ & ~(asked & taken)
        if open_.any():
            left, above, corner = values_around
            median = np.maximum(np.minimum(left, above), np.minimum(np.maximum(left, above), corner))
            total += np.where(open_, self.own(values - median), 0)
        return total


class Grid:
    """Vectors (C, h, w) that choose among candidates, by errors and prices."""

    def __init__(self, vectors: np.ndarray, prices: Prices) -> None:
        self.vectors, self._prices = vectors, prices

    def choose(self, candidates: np.ndarray, errors: np.ndarray, bit_cost: float, color: tuple[int, int]) -> np.ndarray:
        """For vertices of a color, those of candidates (K, C, h, w) with the least errors (K, h, w) and bits take their places;
        gives the number of the chosen candidate (rows, columns)."""
        first_y, first_x = color
        tried = candidates[:, :, first_y::2, first_x::2]
        shape = tried.shape[2:]
        if not tried.size:
            return np.zeros(shape, np.int64)
        costs = errors[:, first_y::2, first_x::2] + bit_cost * self._bits(tried.reshape(*tried.shape[:2], -1), color)
        best = costs.reshape(len(tried), -1).argmin(0).reshape(shape)
        chosen = np.take_along_axis(tried, best[None, None], 0)[0]
        self.vectors[:, first_y::2, first_x::2] = chosen
        return best

    def _bits(self, tried: np.ndarray, color: tuple[int, int]) -> np.ndarray:
        """(K, rows, columns): of these vertices and all whose cost depends on them."""
        height, width = self.vectors.shape[1:]
        values = np.zeros((len(self.vectors), height + 4, width + 6), np.int64)
        values[:, 2:-2, 3:-3] = self.vectors
        names = packed(values)
        rows, columns = (len(range(start, size, 2)) for start, size in zip(color, (height, width)))
        own_names = packed(tried[..., None])[..., 0]

        def at(dy: int, dx: int):
            y, x = 2 + color[0] + dy, 3 + color[1] + dx
            window = np.s_[y : y + 2 * rows - 1 : 2, x : x + 2 * columns - 1 : 2]
            return names[window].ravel(), values[(slice(None), *window)].reshape(len(values), -1)

        total = 0.0
        ys, xs = (2 * index.ravel() + start for index, start in zip(np.indices((rows, columns)), color))
        for dy, dx in AFFECTED:
            around = [(dy, dx - 1), (dy - 1, dx), (dy - 1, dx + 1), (dy - 1, dx - 1)]
            found = [(own_names, tried) if place == (0, 0) else at(*place) for place in around]
            name, value = (own_names, tried) if (dy, dx) == (0, 0) else at(dy, dx)
            shape = own_names.shape
            bits = self._prices(
                np.broadcast_to(name, shape),
                value,
                [np.broadcast_to(one, shape) for one, _ in found],
                [one for _, one in found[:3]],
            )
            exists = (ys + dy < height) & (xs + dx >= 0) & (xs + dx < width)
            total = total + bits * exists
        return total.reshape(len(tried), rows, columns)
