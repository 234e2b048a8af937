"""The samples to fit, and the sub-lattices that an iteration looks at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from inrcodec.fields.base import Importance
from inrcodec.lattice import Lattice
from inrcodec.signal.info import SignalInfo

BAND_PIXELS = 1 << 19
"""Pixels of an image that go forward and backward at a time."""


def channel_weights(info: SignalInfo) -> Tensor:
    """Weight of each channel in the distortion, adding up to 1: a mean over the samples of the format (C,)."""
    weights = torch.tensor([4.0, 1.0, 1.0]) if info.pixel_format == "yuv420" else torch.ones(info.channels)
    return weights / weights.sum()


@dataclass(frozen=True)
class Batch:
    """A sub-lattice, and the indices of its frames, rows and columns in the segment; importance, if they were not drawn alike.
    centered: what `Samples.frame` gives, of a single frame that every iteration looks at."""

    lattice: Lattice
    frames: Tensor
    rows: Tensor
    columns: Tensor
    importance: Importance | None = None
    centered: Tensor | None = None

    @property
    def pixels(self) -> int:
        return len(self.frames) * len(self.rows) * len(self.columns)


class Samples:
    """The frames of a segment: integers in memory, centered floats of a batch on the device."""

    def __init__(self, frames: np.ndarray, info: SignalInfo, device: torch.device) -> None:
        """`frames`: (T, H, W, C) uint8 or uint16."""
        planar = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)).astype(_signed(frames.dtype)))
        self.planar = planar.to(device)
        self.info = info
        self.shape = frames.shape
        self.lattice = Lattice.full(*frames.shape[:3])

    def frame(self, batch: Batch, index: int) -> Tensor:
        """Centered samples of the batch's frame `index`: (h, w, C) float32."""
        if batch.centered is not None:
            return batch.centered
        frame = self.planar[int(batch.frames[index])]
        if len(batch.rows) < frame.shape[1]:
            frame = frame.index_select(1, batch.rows.to(frame.device))
        if len(batch.columns) < frame.shape[2]:
            frame = frame.index_select(2, batch.columns.to(frame.device))
        return (frame.float() * (1 / self.info.peak) - 0.5).permute(1, 2, 0)

    def batch(self, frames: Tensor, rows: Tensor, columns: Tensor, importance: Importance | None = None) -> Batch:
        return Batch(self.lattice.at_indices(frames, rows, columns), frames, rows, columns, importance)

    def bands(self, frames: Tensor) -> list[Batch]:
        """Whole frames, in bands of rows."""
        _, height, width, _ = self.shape
        band = max(1, BAND_PIXELS // (width * len(frames)))
        rows = [torch.arange(start, min(start + band, height)) for start in range(0, height, band)]
        batches = [self.batch(frames, part, torch.arange(width)) for part in rows]
        if len(frames) > 1:
            return batches
        return [replace(batch, centered=self.frame(batch, 0)) for batch in batches]


def _signed(dtype: np.dtype) -> type:
    return np.uint8 if dtype == np.uint8 else np.int32


def stratified(count: int, wanted: int, generator: torch.Generator) -> Tensor:
    """`wanted` ascending indices of `count`, one drawn from each of as many equal strata: (wanted,) int64."""
    if wanted >= count:
        return torch.arange(count)
    borders = torch.arange(wanted, dtype=torch.float64) * count / wanted
    index = borders + torch.rand(wanted, generator=generator, dtype=torch.float64) * (count / wanted)
    return index.long().clamp(max=count - 1)


def whole_frames(samples: Samples) -> Iterator[list[Batch]]:
    """Every iteration sees all pixels of an image."""
    bands = samples.bands(torch.arange(samples.shape[0]))
    while True:
        yield bands


def sub_lattices(
    samples: Samples, pixels: int, frames: int, generator: torch.Generator, whole: int = 1
) -> Iterator[list[Batch]]:
    """Every iteration sees about `pixels` pixels: stratified rows and columns of up to `frames` stratified frames; columns in
    multiples of `whole`, if the width has as many."""
    sizes = lattice_sizes(samples.shape, pixels, frames, whole)
    while True:
        yield [samples.batch(*(stratified(*pair, generator) for pair in zip(samples.shape, sizes)))]


def lattice_sizes(shape: tuple[int, int, int, int], pixels: int, frames: int, whole: int = 1) -> tuple[int, int, int]:
    """Frames, rows and columns of about `pixels` points; see `sub_lattices`."""
    count, height, width, _ = shape
    frames = min(frames, count)
    thinning = max(1.0, (frames * height * width / pixels) ** 0.5)
    columns = max(1, round(width / thinning / whole)) * whole if width >= whole else max(1, round(width / thinning))
    return frames, min(height, max(1, round(pixels / (frames * columns)))), columns


def aligned_patches(
    samples: Samples, patch: tuple[int, int, int], pixels: int, frames: int, generator: torch.Generator
) -> Iterator[list[Batch]]:
    """The same in whole patches of (frames, rows, columns), which a field computes together: ASMR's last digits."""
    counts = [-(-size // length) for size, length in zip(samples.shape[:3], patch)]
    periods = max(1, min(frames // patch[0], counts[0]))
    thinning = max(1.0, (periods * math.prod(counts[1:]) / (pixels / math.prod(patch))) ** 0.5)
    wanted = (periods, *(max(1, round(count / thinning)) for count in counts[1:]))
    while True:
        picked = (stratified(*pair, generator) for pair in zip(counts, wanted))
        yield [samples.batch(*map(_members, picked, patch, samples.shape[:3]))]


def _members(patches: Tensor, length: int, size: int) -> Tensor:
    """Indices of the samples in patches of `length` along an axis of `size`."""
    members = (patches[:, None] * length + torch.arange(length)).flatten()
    return members[members < size]
