"""Compiled noisy soft rounding; `inrcodec.quantize` defines it."""

from __future__ import annotations

from ctypes import c_float, c_long, c_uint, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.native import contiguous, in_parts, lane_shares, loop, threads

SHARED_FROM = 1 << 16
"""Values from which threads share them."""


@cache
def _loop():
    return loop("noisy_round", c_void_p, c_float, *[c_void_p] * 2, c_long, c_long, c_float, c_float, c_uint)


def noisy_round(
    values: np.ndarray,
    step: float,
    temperature: float,
    deviation: float,
    seed: int,
    into: tuple[np.ndarray, np.ndarray],
) -> None:
    """Softly rounded values, in units of step, with noise in between, and the derivatives by the values in these units, to two
    contiguous float32 arrays of as many numbers.

    The counterpart of `quantize.noisily_rounded`, whose normal noise is here a sum of four uniform variables.
    """
    values = contiguous(values)
    assert all(one.dtype == np.float32 and one.flags.c_contiguous and one.size == values.size for one in into)
    addresses = values.ctypes.data, step, *(one.ctypes.data for one in into)
    parts = threads() if values.size > SHARED_FROM else 1
    borders = lane_shares(values.size, parts)

    def part(index: int) -> None:
        _loop()(*addresses, borders[index], borders[index + 1], temperature, deviation, seed & 0xFFFFFFFF)

    in_parts(part, parts)
