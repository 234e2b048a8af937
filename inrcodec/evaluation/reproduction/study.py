"""Rows of a study, each measured once, whatever interrupts the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from inrcodec.errors import InputError, OutputError
from inrcodec.evaluation.lines import append_lines, read_objects
from inrcodec.evaluation.measure import commit, machine
from inrcodec.kernels.allocator import keep_large_blocks


@dataclass(frozen=True)
class Row:
    """settings: JSON values that tell this row from all others of its study. call: gives the result."""

    study: str
    settings: dict
    call: Callable[[], dict]

    @property
    def key(self) -> str:
        return _key(self.study, self.settings)


def _key(study: str, settings: dict) -> str:
    return json.dumps([study, settings], sort_keys=True)


class Log:
    """A file of lines that rows are appended to. Raises InputError for lines that are none of a study, OutputError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = read_study(path) if path.exists() else []
        self._keys = {_key(line["study"], line["settings"]) for line in self.lines}

    def __contains__(self, row: Row) -> bool:
        return row.key in self._keys

    def add(self, row: Row, result: dict) -> None:
        where = {"threads": torch.get_num_threads(), "machine": machine(), "commit": commit()}
        line = {"study": row.study, "settings": row.settings, "result": result, **where}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from None
        append_lines(self.path, [line])
        self.lines.append(line)
        self._keys.add(row.key)


def read_study(path: Path) -> list[dict]:
    """The lines of a file of measurements. Raises InputError, naming file and line, for any other."""
    found = read_objects(path)
    for place, line in found:
        kinds = [
            isinstance(line.get(name), kind) for name, kind in (("study", str), ("settings", dict), ("result", dict))
        ]
        if not all(kinds):
            raise InputError(f"{place}: no line of a study; scripts/reproduce_*.py write such lines")
    return [line for _, line in found]


def run_rows(rows: Iterable[Row], log: Log, say: Callable[[str], None]) -> None:
    """Measures the rows that the log lacks, one after the other, on one thread."""
    torch.set_num_threads(1)
    keep_large_blocks()
    for row in rows:
        if row in log:
            continue
        say(f"{row.study}: {', '.join(f'{name} {value}' for name, value in row.settings.items())}")
        log.add(row, row.call())
        say(json.dumps(log.lines[-1]["result"]))
