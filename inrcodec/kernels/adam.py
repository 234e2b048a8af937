"""A compiled step of Adam, in place; as `encoder.adam` defines it."""

from __future__ import annotations

import ctypes
import math
from ctypes import Structure, c_float, c_long, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.native import contiguous, in_parts, lane_shares, loop, threads

SHARED_FROM = 1 << 16
"""Values from which threads share a tensor."""


class _Adam(Structure):
    _fields_ = [(name, c_void_p) for name in ("gradient", "values", "mean", "square")]
    _fields_ += [(name, c_float) for name in ("keeps_mean", "keeps_square", "rate", "root_factor", "epsilon")]


@cache
def _loop():
    return loop("adam", _Adam, c_long, c_long)


def step(
    values: np.ndarray,
    gradient: np.ndarray,
    moments: tuple[np.ndarray, np.ndarray],
    betas: tuple[float, float],
    steps: int,
    rate: float,
    epsilon: float,
) -> None:
    """Step number `steps`, from 1 on. values and moments, contiguous float32 of the shape of the gradient, are changed."""
    gradient = contiguous(gradient)
    assert all(one.dtype == np.float32 and one.flags.c_contiguous for one in (values, *moments))
    addresses = (one.ctypes.data for one in (gradient, values, *moments))
    corrections = [1 - beta**steps for beta in betas]
    adam = _Adam(*addresses, *betas, rate / corrections[0], 1 / math.sqrt(corrections[1]), epsilon)
    parts = threads() if values.size >= SHARED_FROM else 1
    borders = lane_shares(values.size, parts)
    in_parts(lambda part: _loop()(ctypes.byref(adam), borders[part], borders[part + 1]), parts)
