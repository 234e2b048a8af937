"""How a film's motion is coded: a vertex is like one of its neighbors, or costs nothing, or has a vector of its own.

Vectors of a frame are constant over regions of any shape. In raster order a vertex takes over the whole vector of the one to
its left, above it, or above to the right, or is all zeros (the motion that is predicted from another frame), or holds numbers of
its own: merge mode and motion vector differences of HEVC (Sullivan et al., 2012, section IV-E). Which neighbors are alike
already is the context of these decisions, and none is coded that could say nothing new. A number is coded as its difference to
the median of the three neighbors': its bit length step by step, its bits, its sign.

Vertices (y, x) with equal x + 2 y depend on earlier ones only and are coded together, those of all frames: as many steps as a
frame has columns and twice its rows. Decisions are coded by `adaptive`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inrcodec.entropy.adaptive import UNIT, Counts, Decide, Measuring, Reading, Writing
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.tables import MAX_SYMBOL
from inrcodec.errors import StreamError

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


def initial_counts() -> Counts:
    return Counts(np.full((EVEN + 1, 2), UNIT // 2))


@dataclass(frozen=True)
class Vectors:
    """height, width: of every frame, in vertices. kinds: of frames, 0 … KINDS - 1. channels: of frames, 1 … CHANNELS."""

    height: int
    width: int
    kinds: tuple[int, ...]
    channels: tuple[int, ...]

    @cached_property
    def size(self) -> int:
        return self.height * self.width * sum(self.channels)

    @cached_property
    def steps(self) -> list[np.ndarray]:
        """Places of vertices in a frame that has a row more above, a column more on both sides."""
        y, x = np.indices((self.height, self.width))
        order = (x + 2 * y).ravel()
        places = ((y + 1) * (self.width + 2) + x + 1).ravel()
        found = np.argsort(order, kind="stable")
        return np.split(places[found], np.flatnonzero(np.diff(order[found])) + 1)

    def padded(self, flat: np.ndarray) -> np.ndarray:
        """Flat symbols, frame by frame, channel by channel, as (places, frames, CHANNELS)."""
        found = np.zeros((self.height + 1, self.width + 2, len(self.kinds), CHANNELS), np.int32)
        start = 0
        for frame, channels in enumerate(self.channels):
            stop = start + channels * self.height * self.width
            own = flat[start:stop].reshape(channels, self.height, self.width)
            found[1:, 1:-1, frame, :channels] = own.transpose(1, 2, 0)
            start = stop
        return found.reshape(-1, len(self.kinds), CHANNELS)

    def flat(self, padded: np.ndarray) -> np.ndarray:
        whole = padded.reshape(self.height + 1, self.width + 2, len(self.kinds), CHANNELS)[1:, 1:-1]
        frames = enumerate(self.channels)
        return np.concatenate([whole[:, :, frame, :count].transpose(2, 0, 1).ravel() for frame, count in frames])


class _Walk:
    """One pass over all vertices. target: (places, frames, CHANNELS) of an encoder; None: read them, from `place`."""

    def __init__(self, vectors: Vectors, decide: Decide, target: np.ndarray | None, place: str = "") -> None:
        self._vectors, self._decide, self._target, self._place = vectors, decide, target, place
        places = (vectors.height + 1) * (vectors.width + 2)
        self._kinds, self._channels = np.array(vectors.kinds), np.array(vectors.channels)
        self._names = np.zeros((places, len(vectors.kinds)), np.int32)
        """Of each vertex's vector: a row of `_values`, 0 for zeros."""
        self._values = np.zeros((1 + places * len(vectors.kinds), CHANNELS), np.int32)
        self._known = {bytes(self._values[0]): 0}

    def run(self) -> np.ndarray:
        """(places, frames, CHANNELS)."""
        for places in self._vectors.steps:
            self._step(places)
        return self._values[self._names]

    def _step(self, places: np.ndarray) -> None:
        row = self._vectors.width + 2
        around = [self._names[places - offset].ravel() for offset in (1, row, row - 1, row + 1)]
        kinds = np.tile(self._kinds, len(places))
        wanted = None if self._target is None else self._target[places].reshape(-1, CHANNELS)
        names, own = self._merged(around, kinds, wanted)
        if own.size:
            frames = own % len(self._kinds)
            near = [self._values[names_of[own]] for names_of in around[:3]]
            found = self._numbers(near, frames, None if wanted is None else wanted[own])
            names[own] = [self._name(vector) for vector in found]
        self._names[places] = names.reshape(len(places), -1)

    def _name(self, vector: np.ndarray) -> int:
        """Vectors that are equal have one name, wherever they come from."""
        name = self._known.setdefault(vector.tobytes(), len(self._known))
        self._values[name] = vector
        return name

    def _merged(self, around: list[np.ndarray], kinds: np.ndarray, wanted) -> tuple[np.ndarray, np.ndarray]:
        """Names of vectors, and which vertices have one of their own."""
        left, above, corner, _ = around
        candidates = left, above, corner, np.zeros_like(left)
        contexts, news = patterns(*around)
        names, open_ = np.zeros_like(left), np.arange(len(left))
        for mode, candidate in enumerate(candidates):
            here = open_[news[mode][open_]]
            if not here.size:
                continue
            context = (kinds[here] * MODES + mode) * PATTERNS + contexts[here]
            alike = None if wanted is None else (wanted[here] == self._values[candidate[here]]).all(1)
            taken = self._decide(context, alike)
            names[here[taken]] = candidate[here[taken]]
            rest = np.ones(len(left), bool)
            rest[here[taken]] = False
            open_ = open_[rest[open_]]
        return names, open_

    def _numbers(self, near: list[np.ndarray], frames: np.ndarray, wanted) -> np.ndarray:
        """(n, CHANNELS) vectors of their own, amid those of three neighbors."""
        predicted = np.median(np.stack(near), axis=0).astype(np.int32)
        found = np.zeros_like(predicted)
        size = np.zeros(len(frames), np.int64)
        for channel in range(int(self._channels[frames].max())):
            (here,) = np.nonzero(self._channels[frames] > channel)
            context = ((self._kinds[frames[here]] * CHANNELS + channel) * SIZES + size[here]) * _OF_LENGTH
            base = predicted[here, channel]
            numbers = self._number(context + _MODE_CONTEXTS, None if wanted is None else wanted[here, channel] - base)
            size[here] = size_class(numbers)
            found[here, channel] = numbers + base
        if wanted is None and np.abs(found).max() > MAX_SYMBOL:
            raise StreamError(f"{self._place}: a symbol of motion is {np.abs(found).max()}, allowed are ±{MAX_SYMBOL}")
        return found

    def _number(self, contexts: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """Whole numbers; contexts: the first one of each."""
        decide = self._decide
        magnitudes = None if wanted is None else np.abs(wanted)
        lengths = np.zeros(len(contexts), np.int64)
        open_ = np.arange(len(contexts))
        for length in range(LENGTHS):
            longer = None if magnitudes is None else magnitudes[open_] >> length > 0
            open_ = open_[decide(contexts[open_] + length, longer)]
            if not open_.size:
                break
            lengths[open_] += 1
        found = (lengths > 0).astype(np.int32)
        for place in range(1, int(lengths.max())):
            (here,) = np.nonzero(lengths > place)
            bit = lengths[here] - 1 - place
            context = np.where(place == 1, contexts[here] + LENGTHS + lengths[here], EVEN)
            is_set = None if magnitudes is None else magnitudes[here] >> bit & 1 > 0
            found[here] = found[here] << 1 | decide(context, is_set)
        (here,) = np.nonzero(found)
        if here.size:
            negative = None if wanted is None else wanted[here] < 0
            found[here[decide(contexts[here] + 2 * LENGTHS + 1, negative)]] *= -1
        return found


def patterns(left, above, corner, opposite) -> tuple[np.ndarray, list[np.ndarray]]:
    """Contexts of decisions, below PATTERNS, by the names of the vectors around; and for each mode, whether it says anything new.
    opposite: above to the left."""
    alike = [left == 0, above == 0, corner == 0, above == left, corner == above, corner == left, opposite == above]
    contexts = sum(one.astype(np.int64) << place for place, one in enumerate(alike))
    zero = alike[0] | alike[1] | alike[2]
    return contexts, [np.ones_like(zero), ~alike[3], ~(alike[4] | alike[5]), ~zero]


def size_class(numbers: np.ndarray) -> np.ndarray:
    return (np.abs(numbers) > 0).astype(np.int64) + (np.abs(numbers) > 2)


def encode_vectors(encoder: SymbolEncoder, vectors: Vectors, symbols: np.ndarray) -> None:
    """`symbols`: (N,) int32 of all frames, in raster order, within ±MAX_SYMBOL."""
    _Walk(vectors, Writing(initial_counts(), encoder), vectors.padded(symbols)).run()


def decode_vectors(decoder: SymbolDecoder, vectors: Vectors) -> np.ndarray:
    """(N,) int32; StreamError if one exceeds ±MAX_SYMBOL."""
    return vectors.flat(_Walk(vectors, Reading(initial_counts(), decoder), None, decoder.place).run())


def cost_bits(vectors: Vectors, symbols: np.ndarray, counts: Counts | None = None) -> float:
    """Ideal length of what `encode_vectors` writes. counts: those that were learned before, and that learn of this."""
    measuring = Measuring(counts or initial_counts())
    _Walk(vectors, measuring, vectors.padded(symbols)).run()
    return measuring.bits
