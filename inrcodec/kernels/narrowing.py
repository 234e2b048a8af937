"""Symbols in as few bytes as they take, and their checksum, compiled: most are zeros in long runs."""

from __future__ import annotations

import ctypes
import sys
from ctypes import c_int, c_int64, c_uint32, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels import native


def available() -> bool:
    return native.available() and sys.byteorder == "little"


@cache
def _narrow():
    return native.loop("narrow", c_void_p, c_int64, c_void_p, c_void_p, result=c_int)


def narrow(symbols: np.ndarray, checksum: int) -> tuple[np.ndarray | None, int]:
    """Whole numbers (…) int32 as int8, or as the number 0 with strides of 0, or None if they take more bytes; and the CRC-32 of
    what had `checksum` and then these as little-endian int32. Where it is `available`."""
    assert symbols.dtype == np.int32 and symbols.flags.c_contiguous
    found, crc = np.empty(symbols.shape, np.int8), c_uint32(checksum)
    bits = _narrow()(symbols.ctypes.data, symbols.size, found.ctypes.data, ctypes.byref(crc))
    if bits < 0:
        return np.broadcast_to(np.int8(0), symbols.shape), crc.value
    return found if bits <= np.iinfo(np.int8).max else None, crc.value
