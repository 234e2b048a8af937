"""A thread that helps another one: in the midst of its own work, and when it has done it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from queue import Empty, SimpleQueue

_here = threading.local()


class Helper:
    """Does what others offer: what it finds when it comes to `lend`, and from when it comes to `work` until they `dismiss` it."""

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
            _do(*offered)

    def lend(self) -> None:
        """What is offered by now, if anything is; nobody is waited for."""
        try:
            offered = self._offered.get_nowait()
        except Empty:
            return
        if offered:
            _do(*offered)
        else:
            self.dismiss()  # for `work` to see

    def dismiss(self) -> None:
        self._offered.put(None)


def _do(future: Future, call: Callable[[], None]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)


def helped_by(helper: Helper) -> AbstractContextManager[None]:
    """What the calling thread asks for may be done by `helper` too, where it is worth it."""
    return _known_as("helper", helper)


def helper() -> Helper | None:
    """That of the calling thread."""
    return getattr(_here, "helper", None)


def lending(helper: Helper) -> AbstractContextManager[None]:
    """The calling thread is `helper`, and may `lend_a_hand`."""
    return _known_as("lender", helper)


def lend_a_hand() -> None:
    """Halfway through what the calling thread does itself: does what another one has offered to it, so that both end together."""
    if lender := getattr(_here, "lender", None):
        lender.lend()


@contextmanager
def _known_as(role: str, helper: Helper) -> Iterator[None]:
    """In the calling thread."""
    setattr(_here, role, helper)
    try:
        yield
    finally:
        setattr(_here, role, None)
