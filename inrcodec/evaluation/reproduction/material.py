"""What fields are fitted to: crops of pictures, and the first frames of videos at a fraction of their size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from inrcodec.encoder.batches import Samples
from inrcodec.errors import InputError, UsageError
from inrcodec.evaluation.signals import open_signal


@dataclass(frozen=True)
class Material:
    """name: as lines call it. samples: of the whole signal."""

    name: str
    samples: Samples

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, C)."""
        return tuple(self.samples.shape)


def picture(path: Path, side: int | None = None) -> Material:
    """A picture, or the square of `side` in its middle. Raises InputError, and UsageError if it is smaller than that."""
    signal = open_signal(path)
    if signal.picture is None:
        raise InputError(f"{path}: is a video, a picture is wanted")
    frame = signal.picture
    height, width, _ = frame.shape
    if side is not None:
        if side > min(height, width):
            raise UsageError(f"{path}: {width}x{height}, a square of {side} does not fit")
        top, left = (height - side) // 2, (width - side) // 2
        frame = frame[top : top + side, left : left + side]
    return _material(f"{path.stem} {frame.shape[1]}x{frame.shape[0]}", frame[None], signal.info)


def video(path: Path, frames: int, reduction: int = 1) -> Material:
    """The first frames of a video, every `reduction`-th sample each way the mean of its square. Raises InputError."""
    signal = open_signal(path, frames)
    with signal.open() as source:
        stack = np.stack([_reduced(frame, reduction) for frame, _ in source])
    count, height, width, _ = stack.shape
    return _material(f"{path.stem} {width}x{height}x{count}", stack, signal.info)


def _reduced(frame: np.ndarray, reduction: int) -> np.ndarray:
    """Means of squares, what is over at the edges left out; the samples' type is kept."""
    height, width = (size // reduction for size in frame.shape[:2])
    squares = frame[: height * reduction, : width * reduction].reshape(height, reduction, width, reduction, -1)
    return squares.mean((1, 3)).round().astype(frame.dtype)


def _material(name: str, frames: np.ndarray, info) -> Material:
    count, height, width, _ = frames.shape
    info = replace(info, frames=count, height=height, width=width)
    return Material(name, Samples(frames, info, torch.device("cpu")))
