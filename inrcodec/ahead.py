"""Work that is done in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Argument, Result = TypeVar("Argument"), TypeVar("Result")


def computed_ahead(call: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Iterator[Result]:
    """call(argument) of each, in order; the next one is computed while the caller uses the one before. What a call raises is
    raised in its place."""
    with ThreadPoolExecutor(1, thread_name_prefix="inrcodec-ahead") as executor:
        waiting: Future | None = None
        for argument in arguments:
            before, waiting = waiting, executor.submit(call, argument)
            if before is not None:
                yield before.result()
        if waiting is not None:
            yield waiting.result()


class Errand:
    """At most one call at a time that nobody waits for; what it raises is for others to find."""

    def __init__(self) -> None:
        self._running: Future | None = None

    def send(self, call: Callable[[], object]) -> None:
        """Unless one is still under way."""
        if self._running is None or self._running.done():
            self._running = _errands().submit(call)


@cache
def _errands() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="inrcodec-errand")
