"""A compiled step of Adam, in place; as `encoder.adam` defines it."""

from __future__ import annotations

import ctypes
import math
from ctypes import Structure, c_float, c_long, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.native import in_parts, lane_shares, loop, threads

SHARED_FROM = 1 << 16
"""Values from which threads share a tensor."""


class _Adam(Structure):
    _fields_ = [(name, c_void_p) for name in ("gradient", "values", "mean", "square")]
    _fields_ += [(name, c_float) for name in ("keeps_mean", "keeps_square", "rate", "root_factor", "epsilon")]


@cache
def _loop():
    return loop("adam", _Adam, c_long, c_long)


class Steps:
    """Of one tensor, whose memory and that of its moments are held: for a few values, finding it costs more than a step."""

    def __init__(
        self, values: np.ndarray, moments: tuple[np.ndarray, np.ndarray], betas: tuple[float, float], epsilon: float
    ) -> None:
        """values and moments: contiguous float32 of one shape."""
        self._held = values, *moments
        assert all(one.dtype == np.float32 and one.flags.c_contiguous for one in self._held)
        self._adam = _Adam(None, *(one.ctypes.data for one in self._held), *betas, epsilon=epsilon)
        self._loop, self._reference, self._size = _loop(), ctypes.byref(self._adam), values.size

    def step(self, gradient: int, corrections: tuple[float, float], rate: float) -> None:
        """gradient: address of as many contiguous float32. corrections: what is in the moments by now, of 1."""
        adam = self._adam
        adam.gradient, adam.rate, adam.root_factor = gradient, rate / corrections[0], 1 / math.sqrt(corrections[1])
        parts = threads() if self._size >= SHARED_FROM else 1
        if parts == 1:
            self._loop(self._reference, 0, self._size)
            return
        borders = lane_shares(self._size, parts)
        in_parts(lambda part: self._loop(self._reference, borders[part], borders[part + 1]), parts)
