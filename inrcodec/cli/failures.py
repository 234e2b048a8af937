"""What the user hears of an error: one line on standard error, and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from inrcodec.errors import DeviceError, InrError, OutputError

DEBUG = "INRCODEC_DEBUG"
INTERNAL, INTERRUPTED, TERMINATED = 1, 130, 143


class Interrupted(InrError):
    """Ctrl-C ended an encode early; its file was written all the same."""

    exit_status = INTERRUPTED


class Terminated(BaseException):
    """SIGTERM ends what is done at once, but hidden files that were begun are removed."""


@contextmanager
def ends_when_terminated() -> Iterator[None]:
    """SIGTERM raises Terminated in here, where this is the main thread: no other one may have a handler."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_) -> None:
    raise Terminated


def report(error: BaseException, about: str = "") -> int:
    """Says what went wrong and returns the exit status. about: the input, put before a message that doesn't name it."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
        _forget_stdout()
        return OutputError.exit_status
    message, status = _told(error)
    if about and about not in message:
        message = f"{about}: {message}"
    print(f"inrcodec: {message}", file=sys.stderr, flush=True)
    return status


def _told(error: BaseException) -> tuple[str, int]:
    if isinstance(error, InrError):
        return " ".join(str(error).split()), error.exit_status
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, Terminated):
        return "terminated", TERMINATED
    if isinstance(error, MemoryError):
        return "not enough memory", DeviceError.exit_status
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return f"internal error: {words} ({DEBUG}=1 shows where)", INTERNAL


def _forget_stdout() -> None:
    """The reader of our pipe has gone: what is still buffered for it must not fail again when Python ends."""
    with suppress(OSError, ValueError):  # standard output may be no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
