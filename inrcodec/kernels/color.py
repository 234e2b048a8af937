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


def _planes(values: np.ndarray) -> np.ndarray:
    """`values` (h, w, C ≥ 3) float32 as (C, h, w); a copy unless channels are planes already."""
    assert values.dtype == np.float32 and values.shape[2] >= 3
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def _empty(values: np.ndarray, peak: int) -> np.ndarray:
    return np.empty((*values.shape[:2], 3), np.uint8 if peak <= 255 else np.uint16)


def rgb(values: np.ndarray, matrix: np.ndarray, offset: np.ndarray, peak: int) -> np.ndarray:
    """peak · (matrix (3, 3) value + offset (3,)) of each pixel, rounded half to even and clipped to [0, peak]: (h, w, 3) uint8,
    or uint16 for a peak above 255."""
    planes = _planes(values)
    matrix, offset = (np.ascontiguousarray(one, np.float32) for one in (matrix, offset))
    out = _empty(values, peak)
    pixels = c_void_p, c_long, c_void_p, c_void_p, c_float, c_void_p, c_int, c_long, c_long
    parts = min(threads(), len(values))
    borders = [share * values.shape[1] for share in shares(len(values), parts)]

    def part(index: int) -> None:
        _function("rgb", *pixels)(
            planes.ctypes.data, planes[0].size, matrix.ctypes.data, offset.ctypes.data, peak, out.ctypes.data, out.itemsize == 2,
            borders[index], borders[index + 1],
        )  # fmt: skip

    in_parts(part, parts)
    return out


def subsampled(values: np.ndarray, peak: int) -> np.ndarray:
    """4:2:0 samples (h, w, 3) uint8, or uint16 for a peak above 255: chroma is the mean of its 2x2 block, repeated in it."""
    planes = _planes(values)
    height, width = values.shape[:2]
    out = _empty(values, peak)
    rows = c_void_p, c_long, c_int, c_int, c_float, c_void_p, c_int, c_int, c_int
    pairs = (height + 1) // 2
    parts = min(threads(), pairs)
    borders = [min(2 * share, height) for share in shares(pairs, parts)]

    def part(index: int) -> None:
        _function("subsampled", *rows)(
            planes.ctypes.data, planes[0].size, height, width, peak, out.ctypes.data, out.itemsize == 2,
            borders[index], borders[index + 1],
        )  # fmt: skip

    in_parts(part, parts)
    return out
