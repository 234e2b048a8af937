"""Compiled frames of films: references looked up at displaced places; `fields.film_tensors` is the PyTorch counterpart.

Frames of films are planes (C, H, W): points that lie side by side in a row look, as a rule, at samples that do so too, and are
looked up together. What training displaces, point by point with derivatives, is (H, W, LANES), so that a sample's
channels are one vector.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_int, c_long, c_void_p
from functools import cache

import numpy as np

from inrcodec.kernels.color import Picture
from inrcodec.kernels.heads import Head, Sums, Taps
from inrcodec.kernels.native import (
    MAX_CHANNELS,
    apart,
    contiguous,
    empty_planes,
    in_parts,
    loop,
    planes,
    shares,
    threads,
)

LANES = 4
"""Channels of a frame as `warp_slopes` takes it; those that a signal lacks are zeros."""
WEIGHT_UNIT = 0.5
"""A weight's difference to 1/2, for one unit of the grid."""
BAND = 16
"""Rows that a thread takes at a time."""


class _Film(Structure):
    _fields_ = [("reference", c_void_p * 2), ("plane", c_long * 2)]
    _fields_ += [(name, c_void_p) for name in ("motion", "index", "weight", "y", "x", "own", "out")]
    _fields_ += [("out_plane", c_long), ("picture", c_void_p), ("bands", c_void_p)]
    _fields_ += [
        (name, c_int) for name in ("references", "channels", "height", "width", "vertices", "taps", "rows", "columns")
    ]


@cache
def _film():
    return loop("film", _Film, filled=[Head, Picture])


@cache
def _warp():
    return loop("warp", c_void_p, c_int, c_int, *[c_void_p] * 5, c_long, c_long)


def lanes(frame: np.ndarray) -> np.ndarray:
    """(H, W, C) → (H, W, LANES), C at most LANES."""
    padded = np.zeros((*frame.shape[:2], LANES), np.float32)
    padded[..., : frame.shape[2]] = frame
    return padded


def frame(
    channels: int,
    references: list[np.ndarray],
    motion: np.ndarray | None,
    rows: Taps,
    y: np.ndarray,
    x: np.ndarray,
    own: Sums | None,
    picture: Picture | None = None,
    kept: bool = True,
) -> np.ndarray | None:
    """(channels, h, w) of a film's frame, within ±1/2; and samples made of it, if there is a `picture` to take them. Without
    values that are `kept` it is nothing but those.

    references: up to two, (channels, H, W). motion: (2, vertices, w) displacement (y, x) in samples, for two references (5, …):
    that of the second, and the first one's weight; along x interpolated already, along y by `rows`. y: (h,), x: (w,)
    float32, in samples. own: of (channels, h, w), added, or None.
    """
    shape = channels, len(y), len(x)
    out = empty_planes(shape) if kept else None
    references = [planes(one) for one in references]
    assert channels <= MAX_CHANNELS and all(len(one) == channels for one in references)
    assert own is None or own.shape == shape
    bands = c_int(0)
    film = _Film(
        (c_void_p * 2)(*(one.ctypes.data for one in references)), (c_long * 2)(*map(apart, references)),
        None if motion is None else motion.ctypes.data, rows.index.ctypes.data, rows.weight.ctypes.data,
        y.ctypes.data, x.ctypes.data, None if own is None else ctypes.addressof(own.head),
        None if out is None else out.ctypes.data, 0 if out is None else apart(out),
        None if picture is None else ctypes.addressof(picture), ctypes.addressof(bands),
        len(references), channels, *(references[0].shape[1:] if references else (0, 0)),
        0 if motion is None else motion.shape[1], rows.count, len(y), len(x),
    )  # fmt: skip
    in_parts(lambda _: _film()(ctypes.byref(film)), min(threads(), -(-len(y) // BAND)))
    return out


def warp_slopes(reference: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`reference` (H, W, LANES) at the places y, x (h, w), float32, in samples: (h, w, LANES); its derivatives by y and by x."""
    height, width, lanes = reference.shape
    assert lanes == LANES and y.shape == x.shape
    reference, y, x = contiguous(reference), contiguous(y), contiguous(x)
    outputs = tuple(np.empty((*y.shape, LANES), np.float32) for _ in range(3))
    parts = min(threads(), len(y))
    borders = [share * y.shape[1] for share in shares(len(y), parts)]

    def part(index: int) -> None:
        _warp()(
            reference.ctypes.data, height, width, y.ctypes.data, x.ctypes.data, *(one.ctypes.data for one in outputs),
            borders[index], borders[index + 1],
        )  # fmt: skip

    in_parts(part, parts)
    return outputs
