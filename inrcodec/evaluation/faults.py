"""What goes wrong in a script of measurements: one line each, and the other results stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from inrcodec.errors import InrError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Faults:
    """Tells each fault as one line that begins with the name of the script, and counts them."""

    def __init__(self, script: str, say: Callable[[str], None]) -> None:
        self._script, self._say, self.count = script, say, 0

    def __call__(self, text: str) -> None:
        self.count += 1
        self._say(f"{self._script}: {' '.join(text.split())}")

    def each(self, call: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """What `call` gives for every item that it raises no InrError for; a fault for each other one."""
        results = []
        for item in items:
            try:
                results.append(call(item))
            except InrError as error:
                self(str(error))
        return results

    def status_of(self, work: Callable[[], None], kept: str) -> int:
        """Does a script's work, and gives its exit status: 1 if anything failed, whatever was done beside it. An InrError that
        ends the work is one more fault; so is Ctrl-C, which says what is `kept`."""
        try:
            work()
        except InrError as error:
            self(str(error))
        except KeyboardInterrupt:
            self(f"interrupted; {kept}")
            return 130
        return int(self.count > 0)
