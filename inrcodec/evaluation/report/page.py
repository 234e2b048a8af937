"""The report as one HTML page that needs nothing else: data, style and script are inside, and its own policy forbids the network.

Text of the lines reaches the page as JSON in which no tag can close or open, and from there as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib import resources

from inrcodec.evaluation.bdrate import Summary
from inrcodec.evaluation.published import PUBLISHED
from inrcodec.evaluation.report.model import (
    METRICS,
    Kind,
    codecs_of,
    file_of,
    in_decibels,
    is_far,
    kinds_of,
    machines_of,
    seconds_per_megapixel,
)
from inrcodec.evaluation.report.style import LIGHT, palette_css

TITLE = "Rate, distortion and speed"


def page(
    lines: list[dict],
    references: Sequence[str] = (),
    crops: dict | None = None,
    title: str = TITLE,
    same_files: bool = False,
) -> str:
    """The page of checked lines (see `read_results`). references: BD-rates are shown at first against the
    first of them that a kind of samples has, by default against the first codec measured.
    crops: what `crops()` returned. same_files: published means are over the very files measured here."""
    style = _asset("page.css") + palette_css()
    script = _asset("chart.js") + _asset("page.js")
    values = {
        "title": html.escape(title),
        "style": style,
        "script": script,
        "style_sha256": _sha256(style),
        "script_sha256": _sha256(script),
        "data": _json(_data(lines, references, crops, same_files)),
    }
    first, *rest = _asset("page.html").split("{{")
    pieces = (piece.split("}}", 1) for piece in rest)
    return first + "".join(values[name] + after for name, after in pieces)


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _sha256(text: str) -> str:
    """As Content-Security-Policy wants it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _json(data: dict) -> str:
    """JSON in ASCII that can stand in a script element: <, > and & only as escapes, numbers finite."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _data(lines: list[dict], references: Sequence[str], crops: dict | None, same_files: bool) -> dict:
    codecs = codecs_of(lines)
    order = {codec: index for index, codec in enumerate(codecs)}
    return {
        "lead": _lead(lines, codecs),
        "codecs": [
            {"name": codec, "shown": codec.removesuffix(PUBLISHED), "published": published}
            for codec, published in codecs.items()
        ],
        "colors": len(LIGHT),
        "references": list(references),
        "kinds": [_kind(kind, order, same_files) for kind in kinds_of(lines, same_files)],
        "crops": crops,
        "made": _made(lines),
    }


def _lead(lines: list[dict], codecs: dict[str, bool]) -> str:
    measured = [line for line in lines if not line["published"]]
    files = len({file_of(line) for line in measured})
    published = sum(codecs.values())
    text = f"{len(measured)} measured points: {len(codecs) - published} codecs on {files} file{'s' if files != 1 else ''}; "
    text += "bytes are those of real files, quality that of the decoded files."
    if published:
        text += f" {published} more curves are published ones, not measured here: they are dashed, hollow and marked."
    return text


def _kind(kind: Kind, order: dict[str, int], same_files: bool) -> dict:
    files = list(kind.files)
    views = [(files.index(file), [line for line in kind.lines if file_of(line) == file]) for file in files]
    views.append((None, kind.mean_lines))
    points = [
        _point(line, kind, order, index) | {"far": is_far(line, shown)} for index, shown in views for line in shown
    ]
    times = {
        codec: {which: seconds_per_megapixel(measured, codec, f"{which}_s") for which in ("encode", "decode")}
        for measured in [[line for line in kind.lines if not line["published"]]]
        for codec in order
    }
    looks = {codec: place for place, codec in enumerate(kind.codecs)}
    return {
        "over": kind.over,
        "looks": [looks.get(codec) for codec in order],
        "files": list(kind.files.values()),
        "has_mean": bool(kind.mean_lines),
        "mean_note": _mean_note(kind, same_files),
        "metrics": [[name, _label(name, kind.over)] for name in kind.metrics],
        "points": points,
        "bd": {
            metric: {codec: [_row(row) for row in rows] for codec, rows in of.items()}
            for metric, of in kind.summaries.items()
        },
        "times": times,
        "time_note": _time_note(kind),
    }


def _mean_note(kind: Kind, same_files: bool) -> str:
    notes = [kind.mean_note]
    if any(line["mean"] for line in kind.mean_lines) and not same_files:
        notes.append("Published means are over files of their own, which are not these: to be looked at, not compared.")
    return " ".join(filter(None, notes))


def _label(metric: str, over: str) -> str:
    """A metric's name; of 4:2:0, MS-SSIM is that of luma (`metrics.ms_ssim`)."""
    if metric == "psnr_db":
        return f"PSNR over {over}"
    return "MS-SSIM of luma" if metric == "ms_ssim" and "4:2:0" in over else METRICS[metric]


def _time_note(kind: Kind) -> str:
    machines = machines_of(kind.lines)
    note = "Wall seconds per million pixels of the signal, mean over all measured points of a codec. "
    note += "Published times are not drawn."
    if len(machines) > 1:
        note += f" The times are of {len(machines)} machines or numbers of threads and so not comparable: {'; '.join(machines)}."
    elif machines:
        note += f" Machine: {machines[0]}."
    return note


def _point(line: dict, kind: Kind, order: dict[str, int], file: int | None) -> dict:
    qualities = {metric: in_decibels(line, metric) for metric in kind.metrics}
    return {
        "codec": order[line["codec"]],
        "file": file,
        "name": line["file"] if file is None else list(kind.files.values())[file],
        "setting": line["setting"],
        "bytes": line.get("bytes"),
        "bpp": line["bpp"],
        "db": {metric: round(value, 4) for metric, value in qualities.items() if value is not None},
        "ms_ssim": line.get("ms_ssim"),
        "encode_s": line.get("encode_s"),
        "decode_s": line.get("decode_s"),
        "macs": line.get("macs_per_pixel"),
    }


def _row(row: Summary) -> dict:
    return {
        "codec": row.codec,
        "files": row.files,
        "compared": row.compared,
        "of_files": row.mean_of_files_percent,
        "of_mean": row.mean_curve_percent,
        "note": row.note,
    }


def _made(lines: list[dict]) -> list[list[str]]:
    """What is known of how the lines were made: rows of a name and a text."""
    measured = [line for line in lines if not line["published"]]
    commits = dict.fromkeys(str(line["commit"]) for line in measured if line.get("commit"))
    rows = [["machine, threads", "; ".join(machines_of(measured))], ["commit", ", ".join(commits)]]
    versions: dict[str, dict[str, None]] = {}
    for line in measured:
        if isinstance(line.get("versions"), dict):
            for name, version in line["versions"].items():
                versions.setdefault(str(name), {})[str(version)] = None
    rows += [[f"version of {name}", ", ".join(of)] for name, of in versions.items()]
    sources: dict[str, dict[str, None]] = {}
    for line in lines:
        if line["published"]:
            sources.setdefault(str(line.get("source", "source not stated")), {})[
                line["codec"].removesuffix(PUBLISHED)
            ] = None
    rows += [[f"published: {source}", f"{', '.join(of)}; not measured here"] for source, of in sources.items()]
    return [row for row in rows if row[1]]
