"""Compiled look-up of a frame at displaced places; `fields.film_tensors.displaced` is its PyTorch counterpart."""

from __future__ import annotations

from ctypes import c_int, c_long, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.native import contiguous, in_parts, library, shares, threads

LANES = 4
"""Channels of a frame as the loop takes it; those that a signal lacks are zeros."""


@cache
def _warp():
    function = library().inrcodec_warp
    function.argtypes = [c_void_p, c_int, c_int, *[c_void_p] * 5, c_long, c_long]
    function.restype = None
    return function


def lanes(frame: np.ndarray) -> np.ndarray:
    """(H, W, C) → (H, W, LANES), C at most LANES."""
    padded = np.zeros((*frame.shape[:2], LANES), np.float32)
    padded[..., : frame.shape[2]] = frame
    return padded


def warp(reference: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`reference` (H, W, LANES) at the places y, x (h, w), float32, in samples: (h, w, LANES)."""
    values = np.empty((*y.shape, LANES), np.float32)
    _run(reference, y, x, values, None, None)
    return values


def warp_slopes(reference: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same, with the derivatives by y and by x."""
    values, by_y, by_x = (np.empty((*y.shape, LANES), np.float32) for _ in range(3))
    _run(reference, y, x, values, by_y, by_x)
    return values, by_y, by_x


def _run(reference, y, x, values, by_y, by_x) -> None:
    height, width, lanes = reference.shape
    assert lanes == LANES and y.shape == x.shape
    reference, y, x = contiguous(reference), contiguous(y), contiguous(x)
    parts = min(threads(), len(y))
    borders = [share * y.shape[1] for share in shares(len(y), parts)]
    outputs = [None if one is None else one.ctypes.data for one in (values, by_y, by_x)]

    def part(index: int) -> None:
        _warp()(
            reference.ctypes.data, height, width, y.ctypes.data, x.ctypes.data, *outputs, borders[index], borders[index + 1]
        )  # fmt: skip

    in_parts(part, parts)
