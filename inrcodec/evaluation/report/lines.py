"""Lines of results as the report needs them: read from JSON-lines files and checked, one clear message for each fault.

What a line holds is told in `inrcodec.evaluation`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from inrcodec.errors import InputError
from inrcodec.evaluation.published import read_published

MAX_NAME = 200
"""Characters of a codec, setting or file."""

PUBLISHED = " (published)"
NAMES = ("codec", "setting", "file", "over")
QUALITIES = ("psnr_db", "psnr_611_db", "psnr_y_db", "psnr_u_db", "psnr_v_db", "psnr_rgb_db")
MOST = 1e15
"""Of any number of a line: what a float and the script of the page hold exactly."""
RANGES = {
    "frames": (1, MOST),
    "width": (1, MOST),
    "height": (1, MOST),
    "bytes": (1, MOST),
    "effort": (0, 100),
    "bpp": (1e-9, MOST),
    "ms_ssim": (-1, 1),
    "encode_s": (0, MOST),
    "decode_s": (0, MOST),
    "macs_per_pixel": (0, MOST),
    **{name: (-200, 200) for name in QUALITIES},
}
REQUIRED = (*NAMES, "frames", "bpp", "psnr_db")
NEVER_NULL = (*NAMES, "frames", "bpp")
WHOLE = ("frames", "width", "height", "bytes", "effort")


def read_results(paths: list[Path], published: list[Path]) -> list[dict]:
    """All lines of some files, checked, each (codec, setting, file, frames) once: the last one counts.

    published: files of published curves, see `read_published`. A codec with several efforts becomes a codec for each, and the
    name of what is published ends in PUBLISHED; `folder` keeps the name that a line came with.
    Raises InputError, naming file and line, for what is no line of results, and if there is none at all.
    """
    lines = [line for path in paths for line in _lines_of(path)]
    lines += [_checked(line | {"source": path.name}, str(path)) for path in published for line in read_published(path)]
    if not lines:
        raise InputError(f"no results in {', '.join(map(str, paths)) or 'no file'}")
    return list({_identity(line): line for line in _distinct_names(lines)}.values())


def _identity(line: dict) -> tuple:
    return line["codec"], line["setting"], line["over"], Path(line["file"]).stem, line["frames"], line["mean"]


def _lines_of(path: Path) -> list[dict]:
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    numbered = ((f"{path}, line {number}", row) for number, row in enumerate(text.split("\n"), 1))
    return [_checked(_parsed(row, place), place) for place, row in numbered if row.strip()]


def _parsed(row: str, place: str) -> object:
    try:
        return json.loads(row, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: no JSON of numbers and text ({error})") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _checked(line: object, place: str) -> dict:
    if not isinstance(line, dict):
        raise InputError(f"{place}: not an object")
    missing = [name for name in REQUIRED if name not in line]
    if missing:
        raise InputError(f"{place}: {', '.join(missing)} missing")
    for name in NEVER_NULL:
        if line[name] is None:
            raise InputError(f"{place}: {name} is null")
    for name in NAMES:
        _check_name(name, line[name], place)
    for name in RANGES:
        _check_number(name, line.get(name), place)
    for name in ("published", "mean"):
        if not isinstance(line.setdefault(name, False), bool):
            raise InputError(f"{place}: {name} is {line[name]!r:.60}, allowed are true and false")
    return line


def _check_name(name: str, value: object, place: str) -> None:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME or not value.isprintable():
        raise InputError(f"{place}: {name} is {value!r:.60}, allowed is printable text of 1 to {MAX_NAME} characters")


def _check_number(name: str, value: object, place: str) -> None:
    if value is None:
        return
    kinds = (int,) if name in WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        due = "a whole number" if name in WHOLE else "a number"
        raise InputError(f"{place}: {name} is {value!r:.60}, allowed is {due}")
    low, high = RANGES[name]
    if not low <= value <= high:
        raise InputError(f"{place}: {name} is {value!r:.60}, allowed is {low:g} to {high:g}")


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
