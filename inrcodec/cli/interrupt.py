"""Ctrl-C while encoding: the first one asks to finish, the second one aborts."""

from __future__ import annotations

import signal
import threading
from typing import Self


class Interrupt:
    """While it is entered, the first SIGINT sets `requested` and the second one raises KeyboardInterrupt.

    Python takes signals in its main thread only; in another one nothing changes.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, *_) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
