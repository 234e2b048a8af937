"""Measured points, one JSON object a line; what is there is not measured again."""

from __future__ import annotations

from pathlib import Path

from inrcodec.errors import OutputError
from inrcodec.evaluation.lines import KEY, append_lines, read_lines


class Store:
    """A file that lines are appended to, each complete once `add` returns.

    A last line that was cut off when its run was ended is removed; any other line that is not ours is an InputError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.exists():
                self._repair()
            else:
                path.touch()
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
        self.lines = read_lines(path)
        self._keys = {self._key(line) for line in self.lines}

    def _repair(self) -> None:
        data = self.path.read_bytes()
        if data and not data.endswith(b"\n"):
            with self.path.open("rb+") as file:
                file.truncate(data.rfind(b"\n") + 1)

    @staticmethod
    def _key(line: dict) -> tuple:
        return tuple(line[key] for key in KEY)

    def __contains__(self, point: dict) -> bool:
        """point: a dict with (at least) the entries of KEY."""
        return self._key(point) in self._keys

    def add(self, line: dict) -> None:
        append_lines(self.path, [line])
        self.lines.append(line)
        self._keys.add(self._key(line))
