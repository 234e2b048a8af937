"""Samples of PyAV frames: which pixel formats are read, and the planes as arrays, whatever the line size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inrcodec.errors import InputError
from inrcodec.signal.color import from_planes

if TYPE_CHECKING:
    import av

# name → (channels, type of a sample) of formats with one plane of interleaved samples
PACKED = {
    "gray": (1, "u1"),
    "ya8": (2, "u1"),
    "rgb24": (3, "u1"),
    "rgba": (4, "u1"),
    "gray16le": (1, "<u2"),
    "gray16be": (1, ">u2"),
    "ya16le": (2, "<u2"),
    "ya16be": (2, ">u2"),
    "rgb48le": (3, "<u2"),
    "rgb48be": (3, ">u2"),
    "rgba64le": (4, "<u2"),
    "rgba64be": (4, ">u2"),
}
# 8-bit formats that hold the same samples in another order
REORDERED = {
    **dict.fromkeys(("bgr24", "gbrp", "rgb0", "bgr0", "0rgb", "0bgr"), "rgb24"),
    **dict.fromkeys(("bgra", "argb", "abgr", "gbrap"), "rgba"),
}
SUBSAMPLED = ("yuv420p", "yuvj420p")
BY_CHANNELS = {1: "gray", 2: "graya", 3: "rgb", 4: "rgba"}


def pixel_format_of(name: str, place: str) -> tuple[str, int]:
    """(pixel format, bit depth) of SignalInfo for FFmpeg's pixel format `name`; InputError if it is not read."""
    if name in SUBSAMPLED:
        return "yuv420", 8
    channels, kind = PACKED.get(REORDERED.get(name, name), (0, ""))
    if not channels:
        raise InputError(
            f"{place}: pixel format {name} is not supported; supported are 4:2:0 with 8 bits (yuv420p), "
            "gray and RGB with 8 or 16 bits, with or without alpha"
        )
    return BY_CHANNELS[channels], 8 * np.dtype(kind).itemsize


def frame_samples(frame: av.VideoFrame, quarter_turns: int = 0) -> np.ndarray:
    """(H, W, C) uint8 or uint16, C-contiguous, of a frame whose format `pixel_format_of` accepts.

    quarter_turns: counterclockwise turns that make the picture upright. Planes are turned one by one, so that chroma
    keeps its place in the blocks also at odd sizes.
    """
    if frame.format.name in SUBSAMPLED:
        return from_planes(*(np.rot90(_plane(plane, 1, "u1")[:, :, 0], quarter_turns) for plane in frame.planes))
    if frame.format.name in REORDERED:
        frame = frame.reformat(format=REORDERED[frame.format.name])
    samples = _plane(frame.planes[0], *PACKED[frame.format.name])
    native = samples.dtype.newbyteorder("=")
    return np.ascontiguousarray(np.rot90(samples, quarter_turns), dtype=native)


def _plane(plane, channels: int, kind: str) -> np.ndarray:
    """(height, width, channels) of one plane, a view without the padding of its lines."""
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]
    used = plane.width * channels * np.dtype(kind).itemsize
    return lines[:, :used].view(kind).reshape(plane.height, plane.width, channels)


def fill_plane(plane, samples: np.ndarray) -> None:
    """Copies (height, width * channels) samples into one plane."""
    lines = np.zeros((plane.height, plane.line_size), np.uint8)
    data = np.ascontiguousarray(samples).view(np.uint8)
    lines[:, : data.shape[1]] = data
    plane.update(lines)
