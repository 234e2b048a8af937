"""A compiled step of SOAP, in place; as `encoder.soap` defines it, but for the first bases, which are given."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import Structure, c_float, c_int, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.native import LANES, loop


class _Rotated(Structure):
    _fields_ = [(name, c_void_p) for name in ("gradient", "values", "mean", "square")]
    _fields_ += [(name, c_void_p) for name in ("row_moments", "row_basis", "column_moments", "column_basis", "work")]
    _fields_ += [(name, c_int) for name in ("rows", "columns", "tall", "wide", "room")]
    _fields_ += [(name, c_float) for name in ("keeps", "correction", "kept", "rate", "epsilon")]


@cache
def _loop():
    return loop("rotated", _Rotated, c_int)


def filled_up(size: int) -> int:
    """Floats from one row to the next of a matrix with `size` columns, for the loops: whole vectors."""
    return -(-size // LANES) * LANES


class Rotated:
    """Steps of one tensor, whose memory and that of its state are held."""

    def __init__(
        self,
        values: np.ndarray,
        moments: Sequence[np.ndarray],
        sides: Sequence[np.ndarray],
        beta: float,
        epsilon: float,
    ) -> None:
        """values: contiguous. moments: first and second, of its shape. sides: of a matrix (n, m) second moments and basis of rows
        (n, n), of columns (m, m); of other shapes none. All are float32, and rows of all but values begin `filled_up` floats
        apart, with zeros in between."""
        rows, columns = values.shape if sides else (1, values.size)
        tall, wide = filled_up(rows), filled_up(columns)
        assert all(one.dtype == np.float32 for one in (values, *moments, *sides)) and values.flags.c_contiguous
        matrices = (*moments, *sides) if sides else ()
        assert all(len(one) == 1 or one.strides[0] == 4 * filled_up(one.shape[1]) for one in matrices)
        room = max(rows, columns) * max(tall, wide) if sides else wide
        self._held = values, *moments, *sides, np.empty(4 * room, np.float32)
        *given, work = (one.ctypes.data for one in self._held)
        given += [None] * (4 - len(sides))
        self._rotated = _Rotated(None, *given, work, rows, columns, tall, wide, room, keeps=beta, epsilon=epsilon)
        self._loop, self._reference = _loop(), ctypes.byref(self._rotated)

    def step(self, gradient: int, correction: float, kept: float, rate: float, looks: bool) -> None:
        """gradient: address of as many contiguous float32. correction: what is in the moments by now, of 1. kept: of the values,
        what decay leaves. looks: whether bases are renewed."""
        rotated = self._rotated
        rotated.gradient, rotated.correction, rotated.kept, rotated.rate = gradient, correction, kept, rate
        self._loop(self._reference, looks)
