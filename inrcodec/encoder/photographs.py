"""Photographs to train a prior on: drawn from files, rescaled so that sharp and soft pictures are among them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from inrcodec.errors import InputError, UsageError
from inrcodec.signal.read import open_source

SCALES = (1.0, 1.5, 2.0, 0.7)
"""Photographs are rescaled by these in turn: a prior meets sharp and soft pictures."""
CUT_WIDTH, CUT_HEIGHT = 480, 320
"""Of photographs that were enlarged; the cut is taken from the upper left of their middle CUT_WIDTH x CUT_WIDTH."""


def read_photographs(paths: Iterable[Path], count: int, seed: int) -> list[np.ndarray]:
    """`count` of the files, drawn and ordered by `seed`, rescaled by SCALES in turn: (H, W, 3) uint8 each.

    Raises InputError for a file that is no 8-bit RGB picture, UsageError if there are not so many.
    """
    paths = sorted(paths)
    if not 1 <= count <= len(paths):
        raise UsageError(f"{count} photographs asked for, allowed are 1 … {len(paths)}, the files given")
    random.Random(seed).shuffle(paths)
    return [rescaled(_read(path), SCALES[index % len(SCALES)]) for index, path in enumerate(paths[:count])]


def _read(path: Path) -> np.ndarray:
    with open_source(path) as source:
        info = source.info
        if (info.pixel_format, info.bit_depth, info.frames) != ("rgb", 8, 1):
            kind = f"{info.frames} × {info.pixel_format}, {info.bit_depth} bits"
            raise InputError(f"{path}: {kind}; a prior is trained on RGB pictures of 8 bits")
        return next(iter(source))[0]


def rescaled(photograph: np.ndarray, scale: float) -> np.ndarray:
    """(H, W, 3) uint8 by Lanczos, cut to at most CUT_WIDTH x CUT_HEIGHT where it was enlarged."""
    if scale == 1:
        return photograph
    height, width = (max(1, round(size * scale)) for size in photograph.shape[:2])
    large = np.asarray(Image.fromarray(photograph).resize((width, height), Image.Resampling.LANCZOS))
    if scale < 1:
        return large
    top, left = (max(0, (size - CUT_WIDTH) // 2) for size in (height, width))
    return large[top : top + CUT_HEIGHT, left : left + CUT_WIDTH]
