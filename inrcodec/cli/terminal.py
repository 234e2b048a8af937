"""Words for people, on standard error, and facts on standard output."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

LIVE_INTERVAL_S = 0.1
PLAIN_INTERVAL_S = 10.0


class Words:
    """Lines that stay, and one live line: replaced in place on a terminal, repeated now and then in a pipe."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._live = None
        self._due = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.quiet:
            return
        if self._live is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._live.console.print(_text(text), soft_wrap=True)

    @contextmanager
    def live(self) -> Iterator[None]:
        """While this is open, `now` may be called."""
        self._due = time.monotonic() + (0 if sys.stderr.isatty() else PLAIN_INTERVAL_S)
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.live import Live

        keep = {"redirect_stdout": False, "redirect_stderr": False}
        with Live(console=Console(stderr=True), auto_refresh=False, transient=True, **keep) as self._live:
            try:
                yield
            finally:
                self._live, live = None, self._live
                live.update("")

    def now(self, text: str) -> None:
        """What the live line says from now on."""
        moment = time.monotonic()
        if self.quiet or moment < self._due:
            return
        if self._live is None:
            self.say(text)
            self._due = moment + PLAIN_INTERVAL_S
        else:
            self._live.update(_text(text), refresh=True)
            self._due = moment + LIVE_INTERVAL_S


def _text(text: str):
    from rich.text import Text

    return Text(text, no_wrap=True, overflow="ellipsis")


def print_json(facts: dict) -> None:
    """One object on one line; what is infinite becomes null, as JSON has no word for it."""
    plain = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in facts.items()
    }
    print(json.dumps(plain, allow_nan=False), flush=True)


def print_table(rows: dict[str, object]) -> None:
    """Names and values in two columns."""
    width = max(map(len, rows)) + 2
    for name, value in rows.items():
        print(f"{name:<{width}}{value}")


def duration(seconds: float) -> str:
    """4 s, 3 min 05 s, 2 h 05 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds // 60 % 60:02} min"


def decibels(value: float | None) -> str:
    """Two digits; None and infinite mean that nothing differs."""
    return "lossless" if value is None or math.isinf(value) else f"{value:.2f} dB"
