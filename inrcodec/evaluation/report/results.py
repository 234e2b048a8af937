"""The lines that a report is made of: measured and published ones of several files, each curve under a name of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from inrcodec.errors import InputError
from inrcodec.evaluation.lines import checked, read_lines
from inrcodec.evaluation.published import PUBLISHED, read_published


def read_results(paths: list[Path], published: list[Path], fault: Callable[[str], None] | None = None) -> list[dict]:
    """All lines of some files, checked, each (codec, setting, file, frames) once: the last one counts.

    published: files of published curves, see `read_published`. A codec with several efforts becomes a codec for each, and the
    name of what is published ends in PUBLISHED; `folder` keeps the name that a line came with.
    fault: told of each file that cannot be used, which is left out; without it, the first one's InputError is raised.
    Raises InputError if no line is left at all.
    """
    lines, errors = [], []
    for path, read in [(path, read_lines) for path in paths] + [(path, _read_published) for path in published]:
        try:
            lines += read(path)
        except InputError as error:
            errors.append(error)
    if not lines and not errors:
        raise InputError(f"no results in {', '.join(map(str, paths)) or 'no file'}")
    for error in errors:
        if fault is None or (not lines and error is errors[-1]):
            raise error
        fault(str(error))
    return list({_identity(line): line for line in _distinct_names(lines)}.values())


def _read_published(path: Path) -> list[dict]:
    return [checked(line | {"source": path.name}, str(path)) for line in read_published(path)]


def _identity(line: dict) -> tuple:
    return line["codec"], line["setting"], line["over"], Path(line["file"]).stem, line["frames"], line["mean"]


def _distinct_names(lines: list[dict]) -> list[dict]:
    """A name for every curve: what was made with unlike effort, or elsewhere, is not one curve."""
    efforts: dict[str, set] = defaultdict(set)
    for line in lines:
        efforts[line["codec"]].add(line.get("effort"))

    def name(line: dict) -> str:
        codec, effort = line["codec"], line.get("effort")
        if line["published"]:
            return codec.removesuffix(PUBLISHED) + PUBLISHED
        return f"{codec}, effort {effort}" if len(efforts[codec]) > 1 and effort is not None else codec

    return [{**line, "codec": name(line), "folder": line["codec"]} for line in lines]
