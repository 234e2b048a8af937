"""How a film's motion is coded: a vertex is like one of its neighbors, or costs nothing, or has a vector of its own.

Vectors of a frame are constant over regions of any shape. In raster order a vertex takes over the whole vector of the one to
its left, above it, or above to the right, or is all zeros (the motion that is predicted from another frame), or holds numbers of
its own: merge mode and motion vector differences of HEVC (Sullivan et al., 2012, section IV-E). Which neighbors are alike
already is the context of these decisions, and none is coded that could say nothing new. A number is coded as its difference to
the median of the three neighbors': its bit length step by step, its bits, its sign. Decisions are coded by `adaptive`; their
counts go on from frame to frame of a chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inrcodec.entropy.adaptive import Counts, Decide, Listed, Listing, Reading
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.tables import MAX_SYMBOL
from inrcodec.errors import StreamError
from inrcodec.kernels import native

CHANNELS = 5
KINDS = 3
"""Of frames: their statistics differ."""
LEFT, ABOVE, CORNER, ZERO, OWN = range(5)
MODES = 4
"""Decisions of a vertex at most, in this order."""
PATTERNS = 128
LENGTHS = MAX_SYMBOL.bit_length() + 1
"""Differences are below 2^LENGTHS in magnitude."""
SIZES = 3
"""Classes of magnitude of the channel before."""
_OF_LENGTH = 2 + 2 * LENGTHS
_MODE_CONTEXTS = KINDS * MODES * PATTERNS
_NUMBER_CONTEXTS = KINDS * CHANNELS * SIZES * _OF_LENGTH
EVEN = _MODE_CONTEXTS + _NUMBER_CONTEXTS
"""The context of bits that are 0 or 1 equally likely, in the long run."""
DECISIONS = MODES + CHANNELS * (2 * LENGTHS + 1)
"""Of a vertex, at the most."""


def initial_counts() -> Counts:
    return Counts(EVEN + 1)


@dataclass(frozen=True)
class Vectors:
    """height, width: of a frame, in vertices. kind: of frame, 0 … KINDS - 1. channels: of its vectors, 1 … CHANNELS."""

    height: int
    width: int
    kind: int
    channels: int

    @property
    def size(self) -> int:
        return self.channels * self.height * self.width


def listed(vectors: Vectors, symbols: np.ndarray, counts: Counts) -> Listed:
    """The decisions that say `symbols`: (N,) int32, channel by channel in raster order, within ±MAX_SYMBOL. `counts` learn."""
    if native.available():
        room = DECISIONS * vectors.height * vectors.width
        deciding = counts.compiled_listing(room)
        deciding.vectors(_shaped(vectors, symbols), vectors.kind)
        return Listed(*deciding.listed())
    listing = Listing(counts)
    _Walk(vectors, listing, _shaped(vectors, symbols)).run()
    return listing.listed()


def encode_vectors(encoder: SymbolEncoder, vectors: Vectors, symbols: np.ndarray, counts: Counts) -> None:
    listed(vectors, symbols, counts).write(encoder)


def decode_vectors(decoder: SymbolDecoder, vectors: Vectors, counts: Counts) -> np.ndarray:
    """(N,) int32; StreamError if one exceeds ±MAX_SYMBOL."""
    found = np.zeros((vectors.channels, vectors.height, vectors.width), np.int32)
    if native.available():
        counts.compiled_reading(decoder).vectors(found, vectors.kind)
    else:
        _Walk(vectors, Reading(counts, decoder), found, decoder.place).run()
    return found.ravel()


def cost_bits(vectors: Vectors, symbols: np.ndarray, counts: Counts) -> float:
    """Ideal length of what `encode_vectors` writes."""
    return listed(vectors, symbols, counts).bits()


def _shaped(vectors: Vectors, symbols: np.ndarray) -> np.ndarray:
    """A copy."""
    return symbols.astype(np.int32).reshape(vectors.channels, vectors.height, vectors.width)


class _Walk:
    """One pass over all vertices; the definition. values: (channels, height, width), those of an encoder, or to be filled by
    one who reads from `place`."""

    def __init__(self, vectors: Vectors, decide: Decide, values: np.ndarray, place: str = "") -> None:
        self._vectors, self._decide, self._values, self._place = vectors, decide, values, place
        self._zeros = (0,) * vectors.channels

    def run(self) -> None:
        for y in range(self._vectors.height):
            for x in range(self._vectors.width):
                self._values[:, y, x] = self._vertex(y, x)

    def _at(self, y: int, x: int) -> tuple[int, ...]:
        if y < 0 or not 0 <= x < self._vectors.width:
            return self._zeros
        return tuple(self._values[:, y, x].tolist())

    def _vertex(self, y: int, x: int) -> tuple[int, ...]:
        near = self._at(y, x - 1), self._at(y - 1, x), self._at(y - 1, x + 1)
        wanted = self._at(y, x)
        pattern, news = patterns(*near, self._at(y - 1, x - 1), self._zeros)
        for mode, candidate in enumerate((*near, self._zeros)):
            context = (self._vectors.kind * MODES + mode) * PATTERNS + int(pattern)
            if news[mode] and self._decide(context, wanted == candidate):
                return candidate
        return self._own(near, wanted)

    def _own(self, near: tuple, wanted: tuple[int, ...]) -> tuple[int, ...]:
        found, size = [], 0
        for channel, given in enumerate(wanted):
            base = sorted(one[channel] for one in near)[1]
            context = ((self._vectors.kind * CHANNELS + channel) * SIZES + size) * _OF_LENGTH + _MODE_CONTEXTS
            number = self._number(context, given - base)
            size = int(size_class(number))
            found.append(number + base)
            if self._place and abs(found[-1]) > MAX_SYMBOL:
                limit = f"allowed are ±{MAX_SYMBOL}"
                raise StreamError(f"{self._place}: a symbol of motion is {abs(found[-1])}, {limit}")
        return tuple(found)

    def _number(self, context: int, given: int) -> int:
        length = 0
        while length < LENGTHS and self._decide(context + length, abs(given) >> length > 0):
            length += 1
        found = int(length > 0)
        for place in range(1, length):
            bit_context = context + LENGTHS + length if place == 1 else EVEN
            found = found << 1 | self._decide(bit_context, bool(abs(given) >> (length - 1 - place) & 1))
        return -found if found and self._decide(context + 2 * LENGTHS + 1, given < 0) else found


def patterns(left, above, corner, opposite, zero=0):
    """The context of decisions, below PATTERNS, by the vectors around (or what names them); and for each mode, whether it says
    anything new. opposite: above to the left. Of one vertex, or of arrays."""
    alike = [
        left == zero,
        above == zero,
        corner == zero,
        above == left,
        corner == above,
        corner == left,
        opposite == above,
    ]
    contexts = sum(np.int64(one) << place for place, one in enumerate(alike))
    known = np.logical_or(np.logical_or(alike[0], alike[1]), alike[2])
    news = (
        True | known,
        np.logical_not(alike[3]),
        np.logical_not(np.logical_or(alike[4], alike[5])),
        np.logical_not(known),
    )
    return contexts, news


def size_class(numbers):
    """Of whole numbers."""
    return (np.abs(numbers) > 0).astype(np.int64) + (np.abs(numbers) > 2)
