"""Time spent in one kind of work, among others."""

from __future__ import annotations

import time
from typing import Self


class Stopwatch:
    """Adds up, in `seconds` of wall time, the blocks that it is entered for."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_) -> None:
        self.seconds += time.perf_counter() - self._began
