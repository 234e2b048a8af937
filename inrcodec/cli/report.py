"""What is said to the user, where, and with which exit status."""

from __future__ import annotations

import json
import math
import os
import sys
import traceback
from contextlib import suppress

from inrcodec.errors import DeviceError, InrError, OutputError, StreamError

INTERRUPTED = 130
INTERNAL = 1
DEBUG = "INRCODEC_DEBUG"
"""Environment variable; if it is set, errors come with their traceback."""


def say(words: str) -> None:
    """A line for the user, on standard error; if nobody listens there, the work goes on."""
    with suppress(BrokenPipeError):
        print(words, file=sys.stderr, flush=True)


def print_json(values: dict) -> None:
    """One object, on one line of standard output; what is infinite (the PSNR of equal pictures) becomes null."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }
    print(json.dumps(finite, allow_nan=False), flush=True)


def print_table(rows: dict[str, object]) -> None:
    """Names and values, a line each, on standard output."""
    width = max(map(len, rows)) + 2
    print("\n".join(f"{name:<{width}}{value}" for name, value in rows.items()), flush=True)


def report_error(error: BaseException | str, place: str | None = None) -> int:
    """Says an error in one line and returns its exit status. place: the stream that a StreamError is about."""
    if isinstance(error, Exception) and _is_broken_pipe(error):
        _forget_stdout()
        return OutputError.exit_status
    if DEBUG in os.environ and isinstance(error, Exception):
        traceback.print_exception(error)
    words = " ".join(str(error).split())
    if isinstance(error, StreamError) and place is not None:
        words = f"{place}: {words}"
    if isinstance(error, MemoryError):
        words, status = f"not enough memory{': ' if words else ''}{words}", DeviceError.exit_status
    elif isinstance(error, (InrError, str)):
        status = getattr(error, "exit_status", INTERNAL)
    else:
        words, status = f"internal error: {type(error).__name__}: {words}", INTERNAL
    say(f"inrcodec: {words}")
    return status


def _is_broken_pipe(error: Exception) -> bool:
    """Whether the reader of a pipe has gone; the sinks turn that into an OutputError."""
    return isinstance(error, BrokenPipeError) or (
        isinstance(error, OutputError) and isinstance(error.__context__, BrokenPipeError)
    )


def _forget_stdout() -> None:
    """Python flushes standard output when it ends, and would complain about the broken pipe then."""
    with suppress(OSError), open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
