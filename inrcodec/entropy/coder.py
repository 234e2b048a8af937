"""Range coding of integer symbols in long runs, one call of constriction per table; decoding is compiled where it can be.

A symbol outside of its table's reach is coded as the table's escape; the excesses of a run follow it, each as a sign and
an Exp-Golomb code of equally likely bits. Words are little-endian 32-bit, whatever the machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import constriction
import numpy as np

from inrcodec.entropy.tables import MAX_SYMBOL, Table
from inrcodec.errors import StreamError
from inrcodec.kernels import native
from inrcodec.kernels.ranges import CompiledRuns

_queue = constriction.stream.queue
_BIT = constriction.stream.model.Uniform(2)
WORD_BYTES = 4
"""Payloads are whole words."""


def _runs(choices: np.ndarray) -> list[np.ndarray]:
    """Positions of equal choices, grouped, in ascending order of the choice and then of the position."""
    order = np.argsort(choices, kind="stable")
    borders = np.flatnonzero(np.diff(choices[order])) + 1
    return np.split(order, borders) if len(order) else []


class SymbolEncoder:
    """Collects symbols; `getvalue` gives the payload."""

    def __init__(self) -> None:
        self._coder = _queue.RangeEncoder()

    def run(self, symbols: np.ndarray, table: Table) -> None:
        """Codes a vector of integers with one table."""
        self.in_order(symbols, np.zeros(len(symbols), np.uint8), (table,))

    def mixed(
        self, symbols: np.ndarray, choices: np.ndarray, tables: Sequence[Table], sizes: Sequence[int] = ()
    ) -> None:
        """Codes a vector of integers, each with tables[choice]: grouped by choice, ascending. sizes: of parts that are coded one
        after the other, each grouped for itself; none: it is one part."""
        keys = choices + np.repeat(np.arange(len(sizes)) << 8, sizes) if len(sizes) else choices
        order = np.argsort(keys, kind="stable")
        self._runs(symbols[order], choices[order], tables, keys[order])

    def in_order(self, symbols: np.ndarray, choices: np.ndarray, tables: Sequence[Table]) -> None:
        """The same in the order in which they stand: a run wherever the same choice is made again and again."""
        self._runs(symbols, choices, tables, choices)

    def _runs(self, symbols: np.ndarray, choices: np.ndarray, tables: Sequence[Table], keys: np.ndarray) -> None:
        """Runs of equal keys, each of one choice. They are many and short: what can be done of all at once is."""
        used = {choice: tables[choice] for choice in np.unique(choices).tolist()}
        reach = np.zeros(max(used, default=0) + 1, np.int64)
        reach[list(used)] = [table.reach for table in used.values()]
        outside = np.abs(symbols) > reach[choices]
        entries = np.where(outside, 2 * reach[choices] + 1, symbols + reach[choices]).astype(np.int32)
        starts = np.flatnonzero(keys[1:] != keys[:-1]) + 1
        starts = [0, *starts.tolist()] if len(keys) else []
        escapes = np.logical_or.reduceat(outside, starts).tolist() if starts else []
        for start, stop, choice, escaped in zip(starts, [*starts[1:], len(keys)], choices[starts].tolist(), escapes):
            self._coder.encode(entries[start:stop], used[choice].model)
            if escaped:
                for symbol in symbols[start:stop][outside[start:stop]].tolist():
                    self._escape(symbol, used[choice].reach)

    def _escape(self, symbol: int, reach: int) -> None:
        excess = abs(symbol) - reach
        length = excess.bit_length()
        bits = [int(symbol < 0)] + [0] * (length - 1) + [excess >> shift & 1 for shift in range(length - 1, -1, -1)]
        self._coder.encode(np.array(bits, dtype=np.int32), _BIT)

    def getvalue(self) -> bytes:
        return self._coder.get_compressed().astype("<u4").tobytes()


class PlainRuns:
    """The counterpart of `kernels.ranges.CompiledRuns` by constriction, where nothing is compiled."""

    def __init__(self, words: np.ndarray, place: str) -> None:
        self.place = place
        self._coder = _queue.RangeDecoder(words)
        self.maybe_exhausted = self._coder.maybe_exhausted

    def _decode(self, model, count: int) -> np.ndarray:
        try:
            return self._coder.decode(model, count)
        except (AssertionError, ValueError):  # what constriction raises on impossible data
            raise StreamError(f"{self.place}: entropy-coded data is damaged") from None

    def run(self, count: int, table: Table) -> np.ndarray:
        """(count,) int32."""
        symbols = self._decode(table.model, count) - np.int32(table.reach)
        for position in np.flatnonzero(symbols > table.reach):
            symbols[position] = self._escape(table.reach)
        return symbols

    def mixed(self, choices: np.ndarray, tables: Sequence[Table], onto: np.ndarray) -> None:
        """Adds N symbols for N choices to `onto`, (N,) int32."""
        for positions in _runs(choices):
            onto[positions] += self.run(len(positions), tables[choices[positions[0]]])

    def _bit(self) -> int:
        return int(self._decode(_BIT, 1)[0])

    def _escape(self, reach: int) -> int:
        negative = self._bit()
        length = 1
        while not self._bit():
            length += 1
            if length > MAX_SYMBOL.bit_length():
                raise StreamError(f"{self.place}: an escaped symbol is longer than {MAX_SYMBOL.bit_length()} bits")
        excess = 1
        for _ in range(length - 1):
            excess = excess << 1 | self._bit()
        return -(reach + excess) if negative else reach + excess


Runs = CompiledRuns | PlainRuns


class SymbolDecoder:
    """Reads back, in the same order, what a SymbolEncoder coded. `place` names the payload in errors."""

    def __init__(self, payload: bytes, place: str) -> None:
        if len(payload) % WORD_BYTES:
            raise StreamError(f"{place}: payload of {len(payload)} bytes, a multiple of {WORD_BYTES} is due")
        self.place = place
        words = np.frombuffer(payload, dtype="<u4").astype(np.uint32)
        self.runs = (CompiledRuns if native.available() else PlainRuns)(words, place)

    def run(self, count: int, table: Table) -> np.ndarray:
        """(count,) int32; StreamError on damage."""
        return self.runs.run(count, table)

    def mixed(self, choices: np.ndarray, tables: Sequence[Table], onto: np.ndarray | None = None) -> np.ndarray:
        """(N,) int32 for N choices of 0 … 255, added to what `onto` holds (and kept there); StreamError on damage."""
        symbols = np.zeros(len(choices), dtype=np.int32) if onto is None else onto
        self.runs.mixed(choices, tables, symbols)
        return symbols

    def end(self) -> None:
        """All of the payload must have been used."""
        if not self.runs.maybe_exhausted():
            raise StreamError(f"{self.place}: entropy-coded data is left over after the last symbol")
