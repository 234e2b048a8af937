"""Compiled last step of a frame of luma and chroma: from centered values to whole samples; `inrcodec.render` has the
counterparts in PyTorch."""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_int, c_long, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np

from inrcodec.kernels.native import apart, in_parts, loop, planes, sample_type, shares, threads


@dataclass(frozen=True)
class Colors:
    """What makes samples of luma and chroma: peak · (matrix (3, 3) value + offset (3,)), rounded half to even and clipped to
    [0, peak]."""

    matrix: np.ndarray
    offset: np.ndarray
    peak: int


class Picture(Structure):
    """Where samples (h, w, 3) go: a pixel's channels lie side by side, or are planes; rows follow each other without a gap."""

    _fields_ = [(name, c_void_p) for name in ("matrix", "offset", "samples")]
    _fields_ += [("pixel", c_long), ("channel", c_long), ("peak", c_float)]

    @classmethod
    def of(cls, colors: Colors, samples: np.ndarray) -> Picture:
        matrix, offset = (np.ascontiguousarray(one, np.float32) for one in (colors.matrix, colors.offset))
        row, pixel, channel = (stride // samples.itemsize for stride in samples.strides)
        assert samples.dtype == sample_type(colors.peak)
        assert row == pixel * samples.shape[1] and (pixel == 1 or (pixel, channel) == (3, 1))
        picture = cls(matrix.ctypes.data, offset.ctypes.data, samples.ctypes.data, pixel, channel, colors.peak)
        picture.kept = matrix, offset, samples
        return picture


@cache
def _rgb():
    return loop("rgb", c_void_p, c_long, Picture, c_long, c_long)


@cache
def _subsampled():
    return loop("subsampled", c_void_p, c_long, c_int, c_int, c_float, c_void_p, c_int, c_int, c_int)


def _planes(values: np.ndarray) -> np.ndarray:
    """`values` (h, w, C ≥ 3) float32 as (C, h, w); a copy unless channels are planes already."""
    assert values.shape[2] >= 3
    return planes(values.transpose(2, 0, 1))


def rgb(values: np.ndarray, colors: Colors, samples: np.ndarray | None = None) -> np.ndarray:
    """Samples (h, w, 3) of values (h, w, 3); where they are to go can be given."""
    channels = _planes(values)
    samples = np.empty(values.shape, sample_type(colors.peak)) if samples is None else samples
    picture = Picture.of(colors, samples)
    parts = min(threads(), len(values))
    borders = [share * values.shape[1] for share in shares(len(values), parts)]

    def part(index: int) -> None:
        first, last = borders[index], borders[index + 1]
        _rgb()(channels.ctypes.data, apart(channels), ctypes.byref(picture), first, last)

    in_parts(part, parts)
    return samples


def subsampled(values: np.ndarray, peak: int) -> np.ndarray:
    """4:2:0 samples (h, w, 3) uint8, or uint16 for a peak above 255: chroma is the mean of its 2x2 block, repeated in it."""
    channels = _planes(values)
    height, width = values.shape[:2]
    out = np.empty((height, width, 3), sample_type(peak))
    pairs = (height + 1) // 2
    parts = min(threads(), pairs)
    borders = [min(2 * share, height) for share in shares(pairs, parts)]

    def part(index: int) -> None:
        _subsampled()(
            channels.ctypes.data, apart(channels), height, width, peak, out.ctypes.data, out.itemsize == 2,
            borders[index], borders[index + 1],
        )  # fmt: skip

    in_parts(part, parts)
    return out
