"""Compiled decisions one by one: the counterparts of the walks of `inrcodec.entropy.merging` and of `inrcodec.entropy.tiles`."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_int, c_int64, c_void_p
from functools import cache

import numpy as np

from inrcodec.errors import StreamError
from inrcodec.kernels.native import loop
from inrcodec.kernels.ranges import CompiledRuns, HasLookup, Ranges

TOO_LARGE = 3
MAX_SYMBOL = 1 << 20


class _Decisions(Structure):
    _fields_ = [
        ("counts", c_void_p),
        ("borders", c_void_p),
        ("ranges", POINTER(Ranges)),
        ("lookups", c_void_p),
        ("tables", c_void_p),
        ("listed", c_void_p),
        ("count", c_int64),
    ]


class _Vectors(Structure):
    _fields_ = [("values", c_void_p)]
    _fields_ += [(name, c_int) for name in ("height", "width", "channels", "kind", "refused")]


@cache
def _walks():
    vectors = loop("vectors", _Vectors, _Decisions, result=c_int)
    tiles = loop("tiles", c_void_p, c_int, c_int, c_void_p, c_void_p, c_int64, _Decisions, result=c_int)
    return vectors, tiles


class Deciding:
    """counts: (contexts, 2) int64, which learn. borders: of odds, int64. Decisions are read by `runs` with `tables`; or they are
    given, `room` at the most, and listed."""

    def __init__(
        self,
        counts: np.ndarray,
        borders: np.ndarray,
        room: int = 0,
        runs: CompiledRuns | None = None,
        tables: Sequence[HasLookup] = (),
    ) -> None:
        self._runs, self._tables = runs, np.empty(room, np.uint8)
        self._decisions = np.empty(room, np.uint8)
        lookups = runs.all_lookups(tables) if runs else None
        self._kept = counts, borders, lookups
        self._struct = _Decisions(
            counts.ctypes.data, borders.ctypes.data, ctypes.pointer(runs.state) if runs else None,
            lookups.ctypes.data if runs else None, self._tables.ctypes.data, self._decisions.ctypes.data, 0,
        )  # fmt: skip

    def listed(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of tables and decisions, (n,) uint8."""
        return self._tables[: self._struct.count], self._decisions[: self._struct.count]

    def vectors(self, values: np.ndarray, kind: int) -> None:
        """values: (channels, height, width) int32, given or filled."""
        channels, height, width = values.shape
        vectors = _Vectors(values.ctypes.data, height, width, channels, kind, 0)
        failure = _walks()[0](ctypes.byref(vectors), ctypes.byref(self._struct))
        if failure == TOO_LARGE:
            number, limit = abs(vectors.refused), f"allowed are ±{MAX_SYMBOL}"
            raise StreamError(f"{self._runs.place}: a symbol of motion is {number}, {limit}")
        self._check(failure)

    def tiles(
        self, coded: np.ndarray, parent: np.ndarray | None, previous: np.ndarray | None, first_context: int
    ) -> None:
        """coded: (down, across) uint8, given or filled; parent: (down / 2, across / 2), previous: as coded."""
        around = [None if one is None else one.ctypes.data for one in (parent, previous)]
        self._check(_walks()[1](coded.ctypes.data, *coded.shape, *around, first_context, ctypes.byref(self._struct)))

    def _check(self, failure: int) -> None:
        if failure:
            raise StreamError(f"{self._runs.place}: a decision is neither 0 nor 1, entropy-coded data is damaged")
