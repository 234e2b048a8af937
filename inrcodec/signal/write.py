"""Writing media frame by frame; nothing appears under the name of the output before it is complete."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import numpy as np

from inrcodec.errors import OutputError, UsageError
from inrcodec.signal.encoders import PICTURES, VIDEOS, NpyEncoder, PictureEncoder, VideoEncoder, Y4mEncoder
from inrcodec.signal.info import SignalInfo

STREAMABLE = (".npy", ".y4m", ".png")
FOLDER_PATTERN = "%05d.png"
COUNTER = re.compile(r"%0?\d*d")


def open_sink(target: str | Path, info: SignalInfo, overwrite: bool = False, format: str | None = None) -> Sink:
    """Opens an output for frames of `info`; see `Sink`. Its kind follows the suffix of `target`:

    - .png .tif .tiff .webp .bmp (lossless), .jpg (quality 95): one picture; more frames are a UsageError. Depths between
      8 and 16 bits are shifted up to 16 (.png, .tif).
    - a folder (existing, or with a final "/"): one PNG a frame, named 00000.png and on. A name with a counter
      (`frames/%04d.webp`): one picture a frame, in that folder, counted from 0.
    - .mp4 .mkv .mov .webm: a visually lossless video, see `VideoEncoder`. .y4m: the exact native planes.
    - .npy: integers (T, H, W, C).

    "-" is standard output, for `format` npy, y4m or png. `format` (a suffix without its dot) goes before the suffix.
    Raises UsageError for a kind that cannot hold the signal, OutputError for a target that exists (unless `overwrite`)
    or cannot be written.
    """
    return Sink(target, info, overwrite, format)


def sink_wants(target: str | Path, info: SignalInfo, format: str | None = None) -> str:
    """ "native" if `open_sink` wants the samples as `info` describes them (.y4m; videos of a yuv420 signal), otherwise
    "rgb": samples and info as `to_rgb` and `rgb_info` give them (the same thing for gray and RGB)."""
    kind = _kind(target, format)
    keeps_native = kind == ".y4m" or (kind in VIDEOS and info.pixel_format == "yuv420")
    return "native" if keeps_native else "rgb"


class Sink:
    """An output as a context manager. On leaving it is complete under its name; if the block raises, nothing is there
    (standard output aside). Exactly `info.frames` frames must be written.
    """

    def __init__(self, target: str | Path, info: SignalInfo, overwrite: bool, format: str | None) -> None:
        self.target, self.info = str(target), info
        self.written = 0
        kind = _kind(target, format)
        if kind in PICTURES and info.frames > 1:
            raise UsageError(
                f"{target}: one picture cannot hold {info.frames} frames; "
                f"use a folder, a pattern such as frames/%05d{kind}, or a video suffix ({' '.join(VIDEOS)} .y4m .npy)"
            )
        with ExitStack() as stack, _as_output_error(self.target):
            self._encoder = self._opened(stack, kind, overwrite)
            self._stack = stack.pop_all()

    def _opened(self, stack: ExitStack, kind: str, overwrite: bool):
        if kind == "folder":
            return _FolderEncoder(stack, *_folder_and_pattern(self.target), self.info, overwrite)
        if self.target == "-":
            stack.callback(sys.stdout.buffer.flush)
            return _encoder(sys.stdout.buffer, self.info, kind)
        return _encoder(stack.enter_context(_temporary_file(Path(self.target), overwrite)), self.info, kind)

    def write(self, samples: np.ndarray, pts: int | None = None) -> None:
        """Appends a frame (H, W, C) of integers as `info` describes it. pts: in ticks of its time base, ascending; without it
        frames follow each other at the nominal rate."""
        expected = (self.info.height, self.info.width, self.info.channels)
        assert samples.shape == expected, f"frame of shape {samples.shape}, expected {expected}"
        if self.written == self.info.frames:
            raise UsageError(f"{self.target}: more than {self.info.frames} frames")
        with _as_output_error(self.target):
            self._encoder.frame(samples, self.written * (self.info.frame_ticks or 1) if pts is None else pts)
        self.written += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if error:
            self._stack.__exit__(kind, error, trace)
            return
        with _as_output_error(self.target), self._stack:
            if self.written != self.info.frames:
                raise UsageError(f"{self.target}: {self.written} of {self.info.frames} frames were written")
            self._encoder.finish()


class _FolderEncoder:
    """One picture a frame, collected in a hidden folder and moved to their names at the end."""

    def __init__(self, stack: ExitStack, folder: Path, pattern: str, info: SignalInfo, overwrite: bool) -> None:
        self.folder, self.pattern, self.count = folder, pattern, 0
        self.pictures = PictureEncoder(None, info, Path(pattern).suffix.lower())
        taken = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        clash = next((pattern % index for index in range(info.frames) if pattern % index in taken), None)
        if clash and not overwrite:
            raise OutputError(f"{folder / clash}: exists already; overwriting must be asked for (-y)")
        self.hidden = _hidden(folder / "frames" if folder.is_dir() else folder)
        self.hidden.mkdir()
        stack.callback(shutil.rmtree, self.hidden, ignore_errors=True)

    def frame(self, samples: np.ndarray, pts: int) -> None:
        (self.hidden / (self.pattern % self.count)).write_bytes(self.pictures.encoded(samples))
        self.count += 1

    def finish(self) -> None:
        self.folder.mkdir(exist_ok=True)
        for index in range(self.count):
            (self.hidden / (self.pattern % index)).replace(self.folder / (self.pattern % index))


def _kind(target: str | Path, format: str | None) -> str:
    """A suffix that has an encoder, or "folder"."""
    text = str(target)
    if (
        format is None
        and text != "-"
        and (text.endswith("/") or COUNTER.search(Path(text).name) or Path(text).is_dir())
    ):
        return "folder"
    suffix = Path(text).suffix.lower() if format is None else f".{format.lower()}"
    known = STREAMABLE if text == "-" else (*PICTURES, *VIDEOS, ".y4m", ".npy")
    if suffix not in known:
        what = f"format {format!r}" if format else ("no format" if text == "-" else f"suffix {suffix!r}")
        raise UsageError(
            f"{text}: {what} for the output, allowed are {' '.join(known)}" + ("" if text == "-" else ", a folder")
        )
    return suffix


def _folder_and_pattern(target: str) -> tuple[Path, str]:
    path = Path(target)
    if not COUNTER.search(path.name):
        return path, FOLDER_PATTERN
    if path.name.count("%") != 1 or path.suffix.lower() not in PICTURES:
        raise UsageError(f"{target}: wants one counter and a suffix of {' '.join(PICTURES)}, for instance %05d.png")
    return path.parent, path.name


def _encoder(stream, info: SignalInfo, kind: str):
    if kind in PICTURES:
        return PictureEncoder(stream, info, kind)
    if kind in VIDEOS:
        return VideoEncoder(stream, info, kind)
    return {".npy": NpyEncoder, ".y4m": Y4mEncoder}[kind](stream, info)


def _hidden(path: Path) -> Path:
    """A name beside `path`, so that moving it there is one step of the file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


@contextmanager
def _temporary_file(path: Path, overwrite: bool):
    """A binary file beside `path` that takes its name when the block ends well and vanishes otherwise."""
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: exists and is no regular file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; overwriting must be asked for (-y)")
    hidden = _hidden(path)
    try:
        with hidden.open("xb+") as file:
            yield file
        hidden.replace(path)
    except BaseException:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)
        raise


@contextmanager
def _as_output_error(target: str):
    """Errors of the file system, and of Pillow's writers, as OutputError."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from None
