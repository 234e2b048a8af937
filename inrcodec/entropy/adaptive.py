"""Yes or no, coded with probabilities that follow what was coded before: counts by context, in whole numbers only.

The odds of a context are its counts' quotient, rounded to a quarter of an octave; a table stands for each (the idea of
CABAC, H.264 section 9.3, with counts for states). What decides one after the other, in whose context, is the subject of
`merging` and `tiles`; here in Python, and compiled by `kernels.decisions`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache
from typing import Protocol

import numpy as np

from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.tables import Table
from inrcodec.errors import StreamError
from inrcodec.kernels.decisions import Deciding

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
    """Between the odds of tables, in units of 2^-24: int64."""
    steps = range(-OCTAVES * PER_OCTAVE, OCTAVES * PER_OCTAVE)
    return np.array([int(_odds(step + Decimal("0.5")) * (1 << _ODDS_BITS)) for step in steps], dtype=np.int64)


@cache
def _border_list() -> list[int]:
    return _borders().tolist()


class Counts:
    """How often each of `contexts` was followed by 0 and by 1: (contexts, 2) int64, positive, in units of 1 / UNIT."""

    def __init__(self, contexts: int) -> None:
        self.counts = np.full((contexts, 2), UNIT // 2, dtype=np.int64)

    def table(self, context: int) -> int:
        """Its number among `tables`."""
        zeros, ones = self.counts[context].tolist()
        return bisect_left(_border_list(), (ones << _ODDS_BITS) // zeros)

    def learn(self, context: int, decision: bool) -> None:
        self.counts[context, int(decision)] += UNIT
        if self.counts[context].sum() > LIMIT:
            self.counts[context] = (self.counts[context] + 1) >> 1

    def compiled_listing(self, room: int) -> Deciding:
        """Of decisions that are given, `room` at the most; where `native.available()`."""
        return Deciding(self.counts, _borders(), room)

    def compiled_reading(self, decoder: SymbolDecoder) -> Deciding:
        """Of decisions that are read; where `native.available()`."""
        return Deciding(self.counts, _borders(), runs=decoder.runs, tables=tables())

    def bits(self) -> np.ndarray:
        """(contexts, 2): what 0 and 1 cost now."""
        zeros, ones = self.counts.T
        return _bits()[np.searchsorted(_borders(), (ones << _ODDS_BITS) // zeros)]


@dataclass(frozen=True)
class Listed:
    """Decisions, 0 or 1, with the number of each one's table: (n,) uint8 both."""

    tables: np.ndarray
    decisions: np.ndarray

    def bits(self) -> float:
        """Of an ideal coder."""
        return float(_bits()[self.tables, self.decisions].sum())

    def write(self, encoder: SymbolEncoder) -> None:
        encoder.in_order(self.decisions.astype(np.int32), self.tables, tables())


class Decide(Protocol):
    """Codes a decision in a context, and gives it; who reads is given anything."""

    def __call__(self, context: int, decision: bool) -> bool: ...


class Listing:
    """Of decisions that are given."""

    def __init__(self, counts: Counts) -> None:
        self._counts, self._tables, self._decisions = counts, [], []

    def __call__(self, context: int, decision: bool) -> bool:
        self._tables.append(self._counts.table(context))
        self._decisions.append(decision)
        self._counts.learn(context, decision)
        return decision

    def listed(self) -> Listed:
        return Listed(np.array(self._tables, np.uint8), np.array(self._decisions, np.uint8))


class Reading:
    def __init__(self, counts: Counts, decoder: SymbolDecoder) -> None:
        self._counts, self._decoder = counts, decoder

    def __call__(self, context: int, decision: bool) -> bool:
        (found,) = self._decoder.run(1, tables()[self._counts.table(context)]).tolist()
        if found not in (0, 1):
            raise StreamError(f"{self._decoder.place}: a decision is neither 0 nor 1")
        self._counts.learn(context, found == 1)
        return found == 1
