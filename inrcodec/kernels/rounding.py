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
    return loop("noisy_round", *[c_void_p] * 3, c_long, c_long, c_float, c_float, c_uint)


def noisy_round(values: np.ndarray, temperature: float, deviation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Softly rounded values with noise in between, and the derivatives; both like values.

    The counterpart of `quantize.noisy_round`, whose normal noise is here a sum of four uniform variables.
    """
    values = contiguous(values)
    symbols, slopes = np.empty_like(values), np.empty_like(values)
    parts = threads() if values.size > SHARED_FROM else 1
    borders = lane_shares(values.size, parts)

    def part(index: int) -> None:
        _loop()(
            values.ctypes.data, symbols.ctypes.data, slopes.ctypes.data, borders[index], borders[index + 1],
            temperature, deviation, seed & 0xFFFFFFFF,
        )  # fmt: skip

    in_parts(part, parts)
    return symbols, slopes
