"""Code lengths of symbols, and of those one less and one more, looked up and put to their places, compiled."""

from __future__ import annotations

from ctypes import c_int, c_int64, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels import native
from inrcodec.kernels.prediction import Residuals


@cache
def _loop():
    arrays = (c_void_p,) * 4
    return native.loop("code_lengths", c_int64, *arrays, c_int, c_int64, c_void_p, result=c_int)


def code_lengths(coded: Residuals, known: np.ndarray, found: np.ndarray) -> bool:
    """Those of `coded` to `found`, (3, symbols of the plane) float32, whose rows may lie apart. known: (tables, 2 near + 1)
    float32, lengths of what is added to the predicted whole parts, from -near on. False, with nothing done, if some are further
    away."""
    assert known.dtype == found.dtype == np.float32 and known.flags.c_contiguous and found.strides[1] == found.itemsize
    rest, places = (np.ascontiguousarray(one, np.int32) for one in (coded.rest, coded.places))
    tables = np.ascontiguousarray(coded.tables, np.uint8)
    arrays = (one.ctypes.data for one in (rest, tables, places, known))
    apart = found.strides[0] // found.itemsize
    return bool(_loop()(len(rest), *arrays, known.shape[1] // 2, apart, found.ctypes.data))
