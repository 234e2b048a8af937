"""Lines of measurements, appended to files of JSON lines; read from them and checked, one clear message for each fault.

What a line holds is told in `inrcodec.evaluation`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from inrcodec.errors import InputError, OutputError

KEY = ("codec", "setting", "file", "frames", "width", "height")
"""What makes a point; the size tells files of one name apart."""
MAX_NAME = 200
"""Characters of a codec, setting or file."""
NAMES = ("codec", "setting", "file", "over")
QUALITIES = ("psnr_db", "psnr_611_db", "psnr_y_db", "psnr_u_db", "psnr_v_db", "psnr_rgb_db")
MOST = 1e15
"""Of any number of a line: what a float and the script of the report's page hold exactly."""
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
REQUIRED = (*NAMES, "frames", "width", "height", "bpp", "psnr_db")
NEVER_NULL = (*NAMES, "frames", "bpp")
WHOLE = ("frames", "width", "height", "bytes", "effort")


def read_lines(path: Path) -> list[dict]:
    """The lines of a file, checked; `published` and `mean` are false where a line does not say.

    Raises InputError, naming file and line, for what is not there or is no line of ours.
    """
    return [checked(line, place) for place, line in read_objects(path)]


def read_objects(path: Path) -> list[tuple[str, dict]]:
    """The JSON objects of a file, one a line, each with its place. Raises InputError."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    numbered = ((f"{path}, line {number}", row) for number, row in enumerate(text.split("\n"), 1))
    return [(place, _object(row, place)) for place, row in numbered if row.strip()]


def _object(row: str, place: str) -> dict:
    try:
        line = json.loads(row, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: no JSON of numbers and text ({error})") from None
    if not isinstance(line, dict):
        raise InputError(f"{place}: not an object")
    return line


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def append_lines(path: Path | None, lines: Iterable[dict] = ()) -> None:
    """Appends to a file of lines (None: nowhere), complete once this returns; without lines it only tries whether the file can be
    written. Raises OutputError."""
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None


def checked(line: dict, place: str) -> dict:
    """`line`, or InputError that names `place`."""
    missing = [name for name in REQUIRED if name not in line]
    if missing:
        raise InputError(f"{place}: {', '.join(missing)} missing; scripts/rd.py writes such lines")
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
