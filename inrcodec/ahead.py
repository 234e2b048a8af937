"""Work that is done in the background."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Iterator
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


class Errands:
    """Calls that nobody waits for; what they raise is for others to find. Each is sent once, by its name."""

    def __init__(self) -> None:
        self.sent: dict[Hashable, Future] = {}

    def send(self, name: Hashable, call: Callable[[], object], workers: int) -> None:
        """workers: that may be under way at the same time, of all errands that were sent with this number."""
        if name not in self.sent:
            self.sent[name] = _errands(workers).submit(call)

    def cancel(self) -> None:
        """Those that have not begun."""
        for one in self.sent.values():
            one.cancel()


@cache
def _errands(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="inrcodec-errand")


def after_fork(call: Callable[[], object]) -> None:
    """In every child of this process, which has none of its threads, and locks as they were."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


after_fork(_errands.cache_clear)
