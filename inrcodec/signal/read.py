"""Reading media frame by frame: pictures, videos and arrays are one kind of source."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from inrcodec.errors import InputError, UsageError
from inrcodec.signal.info import CHANNELS, MAX_FRAMES, MAX_SIDE, SignalInfo

ARRAY_FRAME_RATE = 25
NPY_MAGIC = b"\x93NUMPY"

Frames = Iterator[tuple[np.ndarray, int]]


class Source:
    """One signal, as a context manager and as an iterable of (samples, pts).

    samples: (H, W, C) uint8 or uint16, C-contiguous, in the native representation of `SignalInfo`. pts: in ticks of the
    time base, relative to the first frame that is given (so the first is 0). It may be iterated more than once, one
    iteration after the other; one frame at a time is in memory (an array that the caller passed aside).

    `info.frames` is the number of frames that the container announces; a video that is damaged at its end, or that a
    decoder drops frames of, may give fewer (never more), so count while iterating.
    """

    def __init__(self, info: SignalInfo, produce: Callable[[], Frames], close: Callable[[], None]) -> None:
        self.info = info
        self._produce = produce
        self._close = close

    @property
    def expected_frames(self) -> int:
        return self.info.frames

    def __iter__(self) -> Frames:
        return self._produce()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        self._close()


def open_source(source: str | Path | bytes | np.ndarray, frames: tuple[int | None, int | None] | None = None) -> Source:
    """Opens media for reading; see `Source`.

    source: a path, "-" (standard input), the bytes of a file, or an array (H, W), (H, W, C) or (T, H, W, C) of uint8 or
    uint16 with 1 to 4 channels (gray, gray and alpha, RGB, RGBA). A `.npy` file holds such an array. More than one frame
    of an array plays at 25 frames a second.
    frames: half-open selection (start, stop), None for an open end.

    Raises InputError for what is missing, unreadable, damaged or of an unsupported format, UsageError for a selection
    that is empty or out of range.
    """
    if isinstance(source, np.ndarray):
        return _array_source(source, "array", frames, _nothing)
    if isinstance(source, bytes):
        return _file_source(io.BytesIO(source), "input", frames)
    if str(source) == "-":
        return _file_source(_spooled(sys.stdin.buffer), "standard input", frames)
    path = Path(source)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; a picture, a video or a .npy file is wanted")
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror}") from None
    return _file_source(file, str(path), frames)


def _nothing() -> None:
    """Nothing to close."""


def _spooled(stream: BinaryIO) -> BinaryIO:
    """What a pipe holds, in a file that can seek; raw video is too large for memory."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the source closes it)
    shutil.copyfileobj(stream, file)
    file.seek(0)
    return file


def _file_source(file: BinaryIO, place: str, frames) -> Source:
    """The first reader that knows the file by its first bytes; owns `file`, and closes it on error."""
    from inrcodec.signal.picture import read_picture
    from inrcodec.signal.video import video_source

    try:
        head = file.read(len(NPY_MAGIC))
        file.seek(0)
        if not head:
            raise InputError(f"{place}: is empty")
        if head == NPY_MAGIC:
            return _array_source(_mapped_array(file, place), place, frames, file.close)
        picture = read_picture(file, place)
        if picture is not None:
            file.close()
            return _array_source(picture[None], place, frames, _nothing)
        file.seek(0)
        return video_source(file, place, frames)
    except OSError as error:
        file.close()
        raise InputError(f"{place}: cannot be read: {error}") from None
    except BaseException:
        file.close()
        raise


def _mapped_array(file: BinaryIO, place: str) -> np.ndarray:
    """The array of a .npy file, mapped where it is a file of the system, so that it need not fit in memory."""
    try:
        major, minor = np.lib.format.read_magic(file)
        if (major, minor) != (1, 0):  # later versions are for large tables of named columns
            raise ValueError(f"its version is {major}.{minor}, 1.0 is read")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        order = "F" if fortran else "C"
        if isinstance(file, io.BytesIO):
            return np.ndarray(shape, dtype, file.getbuffer(), file.tell(), order=order)
        return np.memmap(file, dtype, "r", file.tell(), shape, order)
    except (ValueError, TypeError, EOFError, OverflowError) as error:
        raise InputError(f"{place}: is not a readable .npy file: {error}") from None


def _array_source(array: np.ndarray, place: str, frames, close: Callable[[], None]) -> Source:
    array = _four_axes(array, place)
    count, height, width, channels = array.shape
    check_size(width, height, place)
    start, stop = selection(frames, count, place)
    info = SignalInfo(
        width=width,
        height=height,
        frames=stop - start,
        pixel_format=next(name for name, number in CHANNELS.items() if number == channels),
        bit_depth=8 * array.dtype.itemsize,
        matrix=0 if channels >= 3 else 2,
        time_base_num=int(count > 1),
        time_base_den=ARRAY_FRAME_RATE * int(count > 1),
        frame_ticks=int(count > 1),
    )
    native = array.dtype.newbyteorder("=")

    def produce() -> Frames:
        for index in range(start, stop):
            yield np.ascontiguousarray(array[index], dtype=native), index - start

    return Source(info, produce, close)


def _four_axes(array: np.ndarray, place: str) -> np.ndarray:
    """(T, H, W, C) of an array of two to four axes."""
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise InputError(f"{place}: samples are {array.dtype}, allowed are uint8 and uint16")
    shape = array.shape
    if array.ndim == 2:
        array = array[None, :, :, None]
    elif array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or not 1 <= array.shape[3] <= 4 or not 1 <= array.shape[0] <= MAX_FRAMES:
        raise InputError(
            f"{place}: shape is {shape}, allowed are (H, W), (H, W, C) and (T, H, W, C) with 1 to 4 channels "
            f"and 1 to {MAX_FRAMES} frames"
        )
    return array


def check_size(width: int, height: int, place: str) -> None:
    """InputError unless both sides are coded."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InputError(f"{place}: size is {width}x{height}, allowed are sides of 1 to {MAX_SIDE}")


def selection(frames: tuple[int | None, int | None] | None, count: int, place: str) -> tuple[int, int]:
    """(start, stop) of a half-open selection out of `count` frames; UsageError if it is empty or out of range."""
    start, stop = frames or (None, None)
    start, stop = 0 if start is None else start, count if stop is None else stop
    if not 0 <= start < stop <= count:
        raise UsageError(f"{place}: frames {start}:{stop} are asked for, available are 0:{count}")
    return start, stop
