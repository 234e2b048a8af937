"""Curves that others published, as lines marked so; they are never mixed up with what was measured here.

Formats: CompressAI's JSON of one mean curve ({"name", "results": {"bpp", "psnr-rgb", "ms-ssim-rgb"}}); JSON of several
mean curves ({NAME: {"bpp", "psnr", "dataset"}}); Cool-Chic's tables of points (.tsv with lmbda, seq_name, rate_bpp, psnr_db …).
"""

from __future__ import annotations

import csv
import json
from itertools import zip_longest
from pathlib import Path

from inrcodec.errors import InputError

PUBLISHED = " (published)"
"""Ends the name of each codec that was not measured here."""
COLUMNS = ("seq_name", "lmbda", "rate_bpp", "psnr_db")


def read_published(path: Path) -> list[dict]:
    """The lines (see `inrcodec.evaluation`) of a file; PUBLISHED ends the name of each codec.

    Raises InputError for what cannot be read, or holds no bits per pixel and PSNR.
    """
    try:
        text = path.read_text(encoding="utf-8")
        lines = _table(path, text) if path.suffix == ".tsv" else _curves(path, json.loads(text))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as published curves: {type(error).__name__}: {error}") from None
    if not lines:
        raise InputError(f"{path}: holds no curve of bits per pixel and PSNR")
    return lines


def _line(name: str, setting: str, bpp: float, psnr_db: float, ms_ssim: float | None, **where) -> dict:
    unknown = dict.fromkeys(
        ("effort", "bytes", "encode_s", "decode_s", "macs_per_pixel", "threads", "machine", "commit")
    )
    measured = {"bpp": float(bpp), "psnr_db": float(psnr_db), "ms_ssim": ms_ssim}
    curve = {"codec": name + PUBLISHED, "setting": setting}
    return {**curve, **unknown, **measured, **where, "versions": {}, "published": True}


def _curves(path: Path, content: dict) -> list[dict]:
    """Mean curves: a line's file says what it is the mean of."""
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, an object of curves is wanted")
    if "results" in content:
        curves = {content["name"]: {**content["results"], "psnr": content["results"]["psnr-rgb"]}}
    else:
        curves = {name: curve for name, curve in content.items() if isinstance(curve, dict) and "bpp" in curve}
    lines = []
    for name, curve in curves.items():
        where = {"file": f"mean of {curve.get('dataset', path.stem)}", "frames": 1, "over": "RGB", "mean": True}
        points = zip(curve["bpp"], curve["psnr"], strict=True)
        similar = curve.get("ms-ssim-rgb", [])
        for index, ((bpp, psnr_db), ms_ssim) in enumerate(zip_longest(points, similar[: len(curve["bpp"])])):
            lines.append(_line(name, f"point {index + 1}", bpp, psnr_db, ms_ssim, width=None, height=None, **where))
    return lines


def _table(path: Path, text: str) -> list[dict]:
    """One line a row; the codec is named after the file."""
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}; columns are wanted: {', '.join(COLUMNS)}")
    lines = []
    for row in rows:
        where = {"file": row["seq_name"], "frames": int(row.get("n_frames") or 1), "mean": False}
        where |= {side: int(row[key]) if row.get(key) else None for side, key in (("width", "w"), ("height", "h"))}
        where["over"] = "4:2:0" if "yuv420" in row["seq_name"] else "RGB"
        setting = f"lambda={float(row['lmbda']):g}"
        lines.append(_line(path.stem, setting, row["rate_bpp"], row["psnr_db"], None, **where))
    return lines
