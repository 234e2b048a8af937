"""Compiled last step of a frame of luma and chroma: from centered values to whole samples; `inrcodec.render` has the
counterparts in PyTorch."""

from __future__ import annotations

from ctypes import c_float, c_int, c_long, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.native import in_parts, library, shares, threads


@cache
def _function(name: str, *types):
    function = getattr(library(), f"inrcodec_{name}")
    function.argtypes, function.restype = types, None
    return function


def _lanes(values: np.ndarray) -> tuple[np.ndarray, int]:
    """`values` (h, w, C ≥ 3) float32, such that pixels lie side by side, and the floats from one to the next."""
    assert values.dtype == np.float32 and values.shape[2] >= 3
    lanes = values.strides[1] // 4
    if values.strides != (4 * lanes * values.shape[1], 4 * lanes, 4):
        return np.ascontiguousarray(values), values.shape[2]
    return values, lanes


def _empty(values: np.ndarray, peak: int) -> np.ndarray:
    return np.empty((*values.shape[:2], 3), np.uint8 if peak <= 255 else np.uint16)


def rgb(values: np.ndarray, matrix: np.ndarray, offset: np.ndarray, peak: int) -> np.ndarray:
    """peak · (matrix (3, 3) value + offset (3,)) of each pixel, rounded half to even and clipped to [0, peak]: (h, w, 3) uint8,
    or uint16 for a peak above 255."""
    values, lanes = _lanes(values)
    matrix, offset = (np.ascontiguousarray(one, np.float32) for one in (matrix, offset))
    out = _empty(values, peak)
    pixels = c_void_p, c_long, c_void_p, c_void_p, c_float, c_void_p, c_int, c_long, c_long
    parts = min(threads(), len(values))
    borders = [share * values.shape[1] for share in shares(len(values), parts)]

    def part(index: int) -> None:
        _function("rgb", *pixels)(
            values.ctypes.data, lanes, matrix.ctypes.data, offset.ctypes.data, peak, out.ctypes.data, out.itemsize == 2,
            borders[index], borders[index + 1],
        )  # fmt: skip

    in_parts(part, parts)
    return out


def subsampled(values: np.ndarray, peak: int) -> np.ndarray:
    """4:2:0 samples (h, w, 3) uint8, or uint16 for a peak above 255: chroma is the mean of its 2x2 block, repeated in it."""
    values, lanes = _lanes(values)
    height, width = values.shape[:2]
    out = _empty(values, peak)
    rows = c_void_p, c_long, c_int, c_int, c_float, c_void_p, c_int, c_int, c_int
    pairs = (height + 1) // 2
    parts = min(threads(), pairs)
    borders = [min(2 * share, height) for share in shares(pairs, parts)]

    def part(index: int) -> None:
        _function("subsampled", *rows)(
            values.ctypes.data, lanes, height, width, peak, out.ctypes.data, out.itemsize == 2,
            borders[index], borders[index + 1],
        )  # fmt: skip

    in_parts(part, parts)
    return out
