"""Measured points, one JSON object a line; what is there is not measured again."""

from __future__ import annotations

import json
from pathlib import Path

from inrcodec.errors import InputError, OutputError

KEY = ("codec", "setting", "file", "frames", "width", "height")
"""What makes a point; the size tells files of one name apart."""


def read_lines(path: Path) -> list[dict]:
    """The lines of a file. Raises InputError for what is not there or is no line of ours."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    return [_line(row, f"{path}:{number}") for number, row in enumerate(text.splitlines(), 1) if row.strip()]


def _line(text: str, place: str) -> dict:
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: is no JSON: {error}") from None
    missing = [key for key in (*KEY, "bpp", "psnr_db", "over", "published") if key not in line]
    if missing:
        raise InputError(f"{place}: has no {', '.join(missing)}; scripts/rd.py writes such lines")
    return line


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
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from None
        self.lines.append(line)
        self._keys.add(self._key(line))
