"""Where a stream comes from, in a form that can be pickled and opened anew in every process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from inrcodec.bitstream import StreamReader
from inrcodec.errors import InputError, UsageError
from inrcodec.metadata import Timeline


class Source:
    """A path, bytes, or a binary file object (read to its end at once, so that it can be pickled).

    `reader` and `times` open it when first asked for, and again after a fork: the child shares the position of its
    parent's file, so it needs a file of its own.
    """

    def __init__(self, source: str | Path | bytes | BinaryIO) -> None:
        self.__setstate__(Path(source) if isinstance(source, (str, Path)) else _bytes_of(source))

    def __getstate__(self) -> Path | bytes:
        return self._origin

    def __setstate__(self, origin: Path | bytes) -> None:
        self._origin = origin
        self._file: BinaryIO | None = None
        self._process: int | None = None
        self._closed = False

    @property
    def reader(self) -> StreamReader:
        """Raises InputError (cannot be read), StreamError (no stream), UsageError (closed)."""
        self._ready()
        return self._reader

    @property
    def times(self) -> Timeline:
        """When the frames are shown."""
        self._ready()
        return self._times

    def _ready(self) -> None:
        if self._closed:
            raise UsageError("the decoder is closed")
        if self._process != os.getpid():
            self._open()

    def _open(self) -> None:
        if isinstance(self._origin, Path):
            try:
                self._file = open(self._origin, "rb")  # noqa: SIM115 (closed by `close`)
            except OSError as error:
                raise InputError(f"cannot read {self._origin}: {error.strerror}") from None
        try:
            self._reader = StreamReader(self._file or self._origin)
        except BaseException:
            self._close_file()
            raise
        self._times = Timeline(self._reader)
        self._process = os.getpid()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def close(self) -> None:
        self._closed = True
        self._close_file()


def _bytes_of(source) -> bytes:
    data = source.read() if hasattr(source, "read") else source
    if not isinstance(data, (bytes, bytearray, memoryview)):
        kind = type(source).__name__
        raise UsageError(f"source is {kind}, allowed are a path, bytes or a file opened in binary mode")
    return bytes(data)
