"""Compiled decoding of runs of range-coded symbols: the counterpart of constriction's decoder, bit for bit."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import Structure, c_int, c_int64, c_uint64, c_void_p
from functools import cache
from typing import Protocol

import numpy as np

from inrcodec.errors import StreamError
from inrcodec.kernels.native import loop

TOTAL_BITS = 24
MAX_TABLES = 256
_BUCKET_BITS = 16
FAILURES = {
    1: "entropy-coded data is damaged",
    2: "an escaped symbol is longer than 21 bits",
    3: "a symbol of a plane exceeds ±1048576",
}


class Ranges(Structure):
    """State of a decoder."""

    _fields_ = [
        ("offset", c_uint64),
        ("range", c_uint64),
        ("words", c_void_p),
        ("count", c_int64),
        ("position", c_int64),
    ]


class _Lookup(Structure):
    _fields_ = [("left", c_void_p), ("bucket", c_void_p), ("reach", c_int64), ("likely", c_int64)]


class Lookup:
    """Finds a table's entry by quantile. counts: (2 reach + 2,), at least 1 each, sum 2^24; see `entropy.tables.Table`."""

    def __init__(self, counts: np.ndarray, reach: int) -> None:
        assert len(counts) == 2 * reach + 2 and counts.min() > 0 and counts.sum() == 1 << TOTAL_BITS
        self._left = np.concatenate(([0], np.cumsum(counts))).astype(np.uint32)
        buckets = np.arange((1 << TOTAL_BITS - _BUCKET_BITS) + 1) << _BUCKET_BITS
        self._bucket = np.searchsorted(self._left[:-1], buckets, side="right").astype(np.int32) - np.int32(1)
        self._struct = _Lookup(self._left.ctypes.data, self._bucket.ctypes.data, reach, int(counts.argmax()))
        self.address = ctypes.addressof(self._struct)


class HasLookup(Protocol):
    """A table that keeps its Lookup."""

    lookup: Lookup


@cache
def _decode_runs():
    rest = c_void_p, c_void_p, c_void_p, c_int64, c_void_p, c_void_p
    return loop("decode_runs", Ranges, *rest, result=c_int, filled=[_Lookup])


class _Found:
    """Addresses of the lookups of tables, (MAX_TABLES,) uint64, 0 where there is none yet."""

    def __init__(self, tables: Sequence[HasLookup]) -> None:
        self.tables, self.addresses = tables, np.zeros(MAX_TABLES, dtype=np.uint64)
        self._lookups: list[Lookup] = []  # keeps alive what the addresses point to

    def find(self, needed: np.ndarray) -> None:
        for choice in np.flatnonzero(needed & (self.addresses == 0)).tolist():
            lookup = self.tables[choice].lookup
            self._lookups.append(lookup)  # first: other threads take what has an address
            self.addresses[choice] = lookup.address


_found = _Found(())
"""Of the tables that were asked for last: all pictures and films take the same, and decoders come and go."""


def _found_of(tables: Sequence[HasLookup]) -> _Found:
    global _found
    if tables is not _found.tables:
        _found = _Found(tables)
    return _found


@cache
def _addresses(tables: tuple[HasLookup, ...]) -> np.ndarray:
    return np.array([table.lookup.address for table in tables], dtype=np.uint64)


class CompiledRuns:
    """Decodes `words`, (n,) uint32 of a range coder; `place` names them in errors. Where `native.available()`."""

    def __init__(self, words: np.ndarray, place: str) -> None:
        self._words = np.ascontiguousarray(words, dtype=np.uint32)
        self.place = place
        self._found = _Found(())
        point = [*self._words[:2].tolist(), 0, 0]
        read = min(2, len(words))
        self.state = Ranges(point[0] << 32 | point[1], (1 << 64) - 1, self._words.ctypes.data, len(words), read)

    def run(self, count: int, table: HasLookup) -> np.ndarray:
        """(count,) int32, with their escapes; StreamError on damage."""
        symbols = np.zeros(count, dtype=np.int32)
        address = np.array([table.lookup.address], dtype=np.uint64)
        self._decode(address, np.zeros(count, np.uint8), symbols)
        return symbols

    def mixed(self, choices: np.ndarray, tables: Sequence[HasLookup], onto: np.ndarray) -> None:
        """Adds N symbols to `onto`, (N,) int32, for N choices below MAX_TABLES, grouped by choice, ascending; StreamError on
        damage."""
        assert choices.dtype == np.uint8 or choices.max(initial=0) < MAX_TABLES
        assert onto.dtype == np.int32 and onto.flags.c_contiguous and onto.shape == choices.shape
        choices, needed = np.ascontiguousarray(choices, dtype=np.uint8), np.zeros(MAX_TABLES, bool)
        needed[choices] = True
        self._decode(self.lookups(tables, needed), choices, onto)

    def lookups(self, tables: Sequence[HasLookup], needed: np.ndarray) -> np.ndarray:
        """Addresses of the lookups of tables, those `needed` (MAX_TABLES,) bool and some more: (MAX_TABLES,) uint64, always the
        same array for the same tables; 0 where there is none. They are built when they are needed first."""
        if tables is not self._found.tables:
            self._found = _found_of(tables)
        self._found.find(needed)
        return self._found.addresses

    @staticmethod
    def all_lookups(tables: Sequence[HasLookup]) -> np.ndarray:
        """The same of all tables."""
        return _addresses(tuple(tables))

    def _decode(self, addresses: np.ndarray, choices: np.ndarray, symbols: np.ndarray) -> None:
        order = np.empty(len(symbols), dtype=np.int32)
        failure = _decode_runs()(
            ctypes.byref(self.state), addresses.ctypes.data, None, choices.ctypes.data, len(choices),
            order.ctypes.data, symbols.ctypes.data,
        )  # fmt: skip
        if failure:
            raise StreamError(f"{self.place}: {FAILURES[failure]}")

    def maybe_exhausted(self) -> bool:
        """Whether all words were read and what remains of them may be the encoder's padding (as constriction says)."""
        state = self.state
        return state.position == state.count and (state.range == (1 << 64) - 1 or state.offset < (1 << 33) - 1)
