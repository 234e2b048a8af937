"""How an encode tells how far it is: one live line on a terminal, now and then a line elsewhere, or nothing."""

from __future__ import annotations

import os
import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from inrcodec.cli.report import say

if TYPE_CHECKING:
    from inrcodec.encode import Progress

PLAIN_INTERVAL_S = 10.0
BAR_WIDTH = 20


def make_progress(name: str, quiet: bool) -> AbstractContextManager:
    """An object to enter and then to call with each `Progress`; `say(words)` says a line beside it. name: of the input."""
    if quiet:
        return SilentProgress()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return LiveProgress(name)
    return PlainProgress(name)


def describe(progress: Progress) -> str:
    """A moment in words; time left is that of this segment and of all that follow."""
    after = progress.segments - progress.segment - 1
    left_s = progress.left_s + after * (progress.elapsed_s + progress.left_s)
    segment = f"segment {progress.segment + 1}/{progress.segments}, " if progress.segments > 1 else ""
    rate = f"{progress.psnr_db:.2f} dB, {progress.bpp:.4f} bpp"
    return f"{segment}iteration {progress.iteration}, {rate}, {_clock(left_s)} left"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class SilentProgress(AbstractContextManager):
    """Says nothing but what must be said."""

    def __exit__(self, *_) -> None:
        """Nothing to end."""

    def __call__(self, progress: Progress) -> None:
        """Nothing to show."""

    def say(self, words: str) -> None:
        say(words)


class PlainProgress(SilentProgress):
    """A line every PLAIN_INTERVAL_S seconds, for logs and pipes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self._last >= PLAIN_INTERVAL_S:
            self._last = time.monotonic()
            say(f"{self.name}: {describe(progress)}")


class LiveProgress(AbstractContextManager):
    """One line that is rewritten, with a bar; it vanishes at the end. Colors heed NO_COLOR (rich does)."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
        console = Console(file=sys.stderr)
        self.name = name
        self._bar = Progress(BarColumn(BAR_WIDTH), text, console=console, transient=True, redirect_stdout=False)
        self._task = self._bar.add_task(name, total=1.0)

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        completed = (progress.segment + progress.fraction) / progress.segments
        self._bar.update(self._task, completed=completed, description=f"{self.name}: {describe(progress)}")

    def say(self, words: str) -> None:
        self._bar.console.print(words, markup=False, highlight=False)
