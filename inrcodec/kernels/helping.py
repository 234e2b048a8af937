"""A thread that helps another one when it has done its own work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue

_here = threading.local()


class Helper:
    """Does what others offer, from when it comes to `work` until they `dismiss` it."""

    def __init__(self) -> None:
        self._offered: SimpleQueue[tuple[Future, Callable[[], None]] | None] = SimpleQueue()

    def both(self, own: Callable[[], None], other: Callable[[], None]) -> None:
        """Both calls, the other one by the helper, unless it has not come to it by the time that the first one ends."""
        future: Future = Future()
        self._offered.put((future, other))
        try:
            own()
        except BaseException:
            if not future.cancel():
                future.exception()  # it is over when this has been raised
            raise
        if future.cancel():
            other()
        else:
            future.result()

    def work(self) -> None:
        while offered := self._offered.get():
            future, call = offered
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

    def dismiss(self) -> None:
        self._offered.put(None)


@contextmanager
def helped_by(helper: Helper) -> Iterator[None]:
    """What the calling thread asks for may be done by `helper` too, where it is worth it."""
    _here.helper = helper
    try:
        yield
    finally:
        _here.helper = None


def helper() -> Helper | None:
    """That of the calling thread."""
    return getattr(_here, "helper", None)
