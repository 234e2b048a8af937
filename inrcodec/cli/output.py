"""Where streams are written: a file appears under its name only when it is complete, read back and verified."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from inrcodec.decode import Decoder
from inrcodec.errors import OutputError, StreamError

STDOUT = "-"


def check_target(target: str, overwrite: bool) -> None:
    """Raises OutputError for a file that could not be written later; an encode takes minutes."""
    if target == STDOUT:
        return
    path = Path(target)
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: exists and is no regular file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; overwriting must be asked for (-y)")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: folder {path.parent} is not writable")


def write_stream(data: bytes, target: str) -> None:
    """Writes and verifies a stream. Raises OutputError."""
    if target == STDOUT:
        _verify(data)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with hidden.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        written = hidden.read_bytes()
        if written != data:
            raise OutputError(f"{path}: what was written reads back differently")
        _verify(written)
        os.replace(hidden, path)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        hidden.unlink(missing_ok=True)


def _verify(data: bytes) -> None:
    try:
        with Decoder(data, device="cpu") as decoder:
            decoder.verify()
    except StreamError as error:
        raise AssertionError(f"the encoder made a stream that does not verify: {error}") from error
