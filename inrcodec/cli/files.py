"""Where streams come from and go to: nothing appears under the name of an output before it is complete and verified."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inrcodec.errors import InrError, OutputError, StreamError, UsageError

STANDARD = "-"


def stream_source(text: str) -> Path | bytes:
    """The stream named on the command line: a path, or all of standard input."""
    return sys.stdin.buffer.read() if text == STANDARD else Path(text)


def check_standard_output(json: bool) -> None:
    """UsageError if data cannot go to standard output: a terminal, or a place that is taken by JSON."""
    if json:
        raise UsageError("-o - and --json both want standard output; write to a file and print JSON, or one of the two")
    if sys.stdout.isatty():
        raise UsageError("standard output is a terminal, which cannot show binary data; redirect it or name a file")


@contextmanager
def reserved(path: Path, overwrite: bool) -> Iterator[Path]:
    """A new hidden file beside `path`, so that a place where nothing can be written is told before the work is done."""
    _refuse_existing(path, overwrite)
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with _output_errors(str(path)):
            hidden.touch(exist_ok=False)
        yield hidden
    finally:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)


def publish(data: bytes, hidden: Path, path: Path, overwrite: bool) -> None:
    """Writes a stream to the reserved file, reads it back, verifies it and gives it its name."""
    with _output_errors(str(path)):
        with hidden.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        written = hidden.read_bytes()
    if written != data:
        raise OutputError(f"{path}: what was written reads back differently")
    check_stream(written)
    _refuse_existing(path, overwrite)
    with _output_errors(str(path)):
        hidden.replace(path)


def send(data: bytes) -> None:
    """Writes a verified stream to standard output."""
    check_stream(data)
    with _output_errors("standard output"):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def check_stream(data: bytes) -> None:
    """Verifies a stream that we made; a fault is ours."""
    from inrcodec.decode import Decoder

    try:
        with Decoder(data, device="cpu") as decoder:
            decoder.verify()
    except StreamError as error:
        raise InrError(f"internal error: the new stream is faulty: {error}") from error


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: exists and is no regular file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; -y overwrites it")


@contextmanager
def _output_errors(target: str) -> Iterator[None]:
    """Errors of the file system as OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
