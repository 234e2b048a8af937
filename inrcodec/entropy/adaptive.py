"""Yes or no, coded with probabilities that follow what was coded before: counts by context, in whole numbers only.

The odds of a context are its counts' quotient, rounded to a quarter of an octave; a table stands for each (the idea of
CABAC, H.264 section 9.3, with counts for states). Decisions come in vectors: those of one vector do not learn of each other.
"""

from __future__ import annotations

from decimal import Context, Decimal
from functools import cache
from typing import Protocol

import numpy as np

from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.tables import Table
from inrcodec.errors import StreamError

OCTAVES = 12
"""Odds lie between 2^-12 and 2^12."""
PER_OCTAVE = 4
LIMIT = 1 << 10
"""Counts are halved when their sum exceeds this."""
UNIT = 4
"""What one decision adds to a count."""
_ODDS_BITS = 24
_CONTEXT = Context(prec=40)


def _odds(quarters: Decimal) -> Decimal:
    return _CONTEXT.power(Decimal(2), _CONTEXT.divide(quarters, Decimal(PER_OCTAVE)))


@cache
def tables() -> tuple[Table, ...]:
    """For odds 2^(k / PER_OCTAVE) of 1 against 0, from the least to the greatest."""
    found = []
    for quarters in range(-OCTAVES * PER_OCTAVE, OCTAVES * PER_OCTAVE + 1):
        one, unit = int(_odds(Decimal(quarters)).scaleb(12)), 10**12
        found.append(Table([0, unit, one], 1))
    return tuple(found)


@cache
def _bits() -> np.ndarray:
    """(tables, 2): what 0 and 1 cost."""
    return np.stack([table.bits[1:3] for table in tables()])


@cache
def _borders() -> np.ndarray:
    """Between the odds of tables, in units of 2^-24."""
    steps = range(-OCTAVES * PER_OCTAVE, OCTAVES * PER_OCTAVE)
    return np.array([int(_odds(step + Decimal("0.5")) * (1 << _ODDS_BITS)) for step in steps], dtype=np.int64)


class Counts:
    """How often each of `contexts` was followed by 0 and by 1. It starts at `start` (contexts, 2), positive whole numbers in
    units of 1 / UNIT."""

    def __init__(self, start: np.ndarray) -> None:
        self.counts = np.array(start, dtype=np.int64, order="C")

    def tables(self, contexts: np.ndarray) -> np.ndarray:
        """Numbers of `tables`, uint8."""
        zeros, ones = self.counts[contexts].T
        return np.searchsorted(_borders(), (ones << _ODDS_BITS) // zeros).astype(np.uint8)

    def learn(self, contexts: np.ndarray, decisions: np.ndarray) -> None:
        np.add.at(self.counts.ravel(), 2 * contexts + decisions, UNIT)
        large = contexts[self.counts[contexts].sum(1) > LIMIT]
        if large.size:
            self.counts[large] = (self.counts[large] + 1) >> 1

    def bits(self) -> np.ndarray:
        """(contexts, 2): what 0 and 1 cost now."""
        return _bits()[self.tables(np.arange(len(self.counts)))]


class Decide(Protocol):
    """Codes a vector of decisions (n,) bool in contexts (n,), and gives them; who reads is given None."""

    def __call__(self, contexts: np.ndarray, decisions: np.ndarray | None) -> np.ndarray: ...


class Writing:
    def __init__(self, counts: Counts, encoder: SymbolEncoder) -> None:
        self._counts, self._encoder = counts, encoder

    def __call__(self, contexts, decisions) -> np.ndarray:
        self._encoder.mixed(decisions.astype(np.int32), self._counts.tables(contexts), tables())
        self._counts.learn(contexts, decisions)
        return decisions


class Reading:
    def __init__(self, counts: Counts, decoder: SymbolDecoder) -> None:
        self._counts, self._decoder = counts, decoder

    def __call__(self, contexts, decisions) -> np.ndarray:
        symbols = self._decoder.mixed(self._counts.tables(contexts), tables())
        if ((symbols < 0) | (symbols > 1)).any():
            raise StreamError(f"{self._decoder.place}: a decision is neither 0 nor 1")
        decisions = symbols == 1
        self._counts.learn(contexts, decisions)
        return decisions


class Measuring:
    """Adds up `bits`, those of an ideal coder."""

    def __init__(self, counts: Counts) -> None:
        self._counts, self.bits = counts, 0.0

    def __call__(self, contexts, decisions) -> np.ndarray:
        self.bits += float(_bits()[self._counts.tables(contexts), decisions.astype(np.int64)].sum())
        self._counts.learn(contexts, decisions)
        return decisions
