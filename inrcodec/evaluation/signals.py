"""What is encoded: files, opened once to learn what they hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inrcodec.errors import InputError, UsageError
from inrcodec.signal.info import SignalInfo
from inrcodec.signal.read import Source, open_source

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".avif")
"""Of a folder, only these are taken; files that are named are taken whatever their suffix."""


@dataclass(frozen=True)
class Signal:
    """A picture or the first frames of a video. picture: (H, W, C) of a picture, which is held in memory, so that reading it is
    in no codec's time; None for a video, which is read while it is encoded."""

    path: Path
    info: SignalInfo
    picture: np.ndarray | None

    @property
    def name(self) -> str:
        return self.path.name

    def open(self) -> Source:
        """The frames, as `signal.read.open_source` gives them."""
        if self.picture is not None:
            return open_source(self.picture)
        return open_source(self.path, (0, self.info.frames))


def open_signal(path: Path, frames: int | None = None) -> Signal:
    """The signal of a file; of a video, at most `frames` frames. Raises InputError, see `open_source`."""
    with open_source(path) as source:
        count = source.info.frames
    chosen = (0, count if frames is None else min(frames, count))
    with open_source(path, chosen) as source:
        if source.info.is_video:
            return Signal(path, source.info, None)
        return Signal(path, source.info, next(iter(source))[0])


def find_files(places: list[Path]) -> list[Path]:
    """Files as they are, and the pictures of folders by name.

    Raises InputError for a place that is not there and for a folder without pictures, UsageError if two files share a name
    (results are kept under names).
    """
    files = []
    for place in places:
        files += _pictures_of(place) if place.is_dir() else [_existing(place)]
    for name, count in Counter(path.name for path in files).most_common(1):
        if count > 1:
            raise UsageError(f"{count} files are called {name}; results are kept under names, so they must differ")
    return files


def _pictures_of(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder}: holds no picture ({' '.join(PICTURE_SUFFIXES)}); videos are named one by one")
    return found


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: is not there")
    return path
