"""The charts of the page as PNG and SVG, for papers, by matplotlib (the extra `evaluate`)."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from inrcodec.errors import OutputError, UsageError
from inrcodec.evaluation.report.model import (
    METRICS,
    Kind,
    file_of,
    in_decibels,
    is_far,
    kinds_of,
    seconds_per_megapixel,
)
from inrcodec.evaluation.report.style import LIGHT, MATPLOTLIB_MARKERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PNG_DPI = 200
AXES_HEIGHT = 3.3
"""Inches of a figure without its legend."""
STYLE = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "inrcodec",  # the same file from the same numbers
    "font.size": 9,
    "axes.grid": True,
    "grid.color": "#e6e9ed",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def figures(lines: list[dict], folder: Path, references: Sequence[str] = (), same_files: bool = False) -> list[Path]:
    """Writes rd-<samples>-<mean or file> and time-<samples> as .png and .svg; gives the paths. references: BD-rates are against
    the first of them that a kind of samples has, by default against the first codec measured. same_files: see `summaries`.

    Raises UsageError if matplotlib is not installed, OutputError if the folder cannot be written.
    """
    drawn = {}
    with drawing() as Figure:
        for kind in kinds_of(lines, same_files):
            for name, chosen in _views(kind):
                figure = drawn[_free(f"rd-{_slug(kind.over)}-{name}", drawn)] = Figure(layout="constrained")
                _draw_rates(figure, kind, chosen)
            figure = Figure(figsize=(7.2, AXES_HEIGHT), layout="constrained")
            if _draw_times(figure, kind, references):
                drawn[_free(f"time-{_slug(kind.over)}", drawn)] = figure
        return [path for stem, figure in drawn.items() for path in _save(figure, folder, stem)]


@contextmanager
def drawing() -> Iterator[type[Figure]]:
    """Figures of matplotlib, in STYLE. Raises UsageError without it."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("figures need matplotlib: pip install 'inrcodec[evaluate]'") from None
    with matplotlib.rc_context(STYLE):
        yield Figure


def save_svg(figure: Figure, path: Path) -> None:
    """The same file from the same numbers, in a folder that is made if need be. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None


def _views(kind: Kind) -> list[tuple[str, list[dict]]]:
    """(name, lines) of the mean and of each file."""
    mean = [("mean", kind.mean_lines)] if kind.mean_lines else []
    files = [(_slug(stem) + (f"-{frames}-frames" if frames > 1 else ""), (stem, frames)) for stem, frames in kind.files]
    return mean + [(name, [line for line in kind.lines if file_of(line) == file]) for name, file in files]


def _slug(name: str) -> str:
    """Fit for a file's name anywhere."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"


def _free(stem: str, taken: Container[str]) -> str:
    """The stem, with a number if another name has become the same one."""
    numbered = (f"{stem}-{number}" for number in count(2))
    return next(name for name in chain([stem], numbered) if name not in taken)


def _draw_rates(figure, kind: Kind, lines: list[dict]) -> None:
    """PSNR and, if known, MS-SSIM against bits per pixel, side by side over one legend."""
    metrics = [name for name in ("psnr_db", "ms_ssim") if any(in_decibels(line, name) is not None for line in lines)]
    figure.set_size_inches(3.6 * max(len(metrics), 1), AXES_HEIGHT)
    handles = {}
    for metric, axes in zip(metrics, figure.subplots(1, len(metrics) or 1, squeeze=False)[0]):
        for index, (codec, published) in enumerate(kind.codecs.items()):
            near = [line for line in lines if line["codec"] == codec and not is_far(line, lines)]
            own = [(line["bpp"], in_decibels(line, metric)) for line in near]
            points = sorted(point for point in own if point[1] is not None)
            if points:
                (handle,) = axes.plot(*zip(*points), **_look(index, published))
                handles.setdefault(codec, handle)
        axes.set_xlabel("bits per pixel")
        axes.set_ylabel(
            f"{METRICS[metric]} over {kind.over}, dB" if metric != "ms_ssim" else "−10 log10(1 − MS-SSIM), dB"
        )
    _legend(figure, handles)


def _legend(figure: Figure, handles: dict) -> None:
    """Below the axes, in as few rows as the figure's width allows; the figure grows by them, so that the axes keep their size."""
    if not handles:
        return
    width, height = figure.get_size_inches()
    for rows in range(1, len(handles) + 1):
        columns = ceil(len(handles) / rows)
        legend = figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
        extent = legend.get_window_extent()
        if extent.width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    figure.set_size_inches(width, height + extent.height / figure.dpi)


def _look(index: int, published: bool) -> dict:
    """Published curves are dashed and hollow, as in the page."""
    color, marker = LIGHT[index % len(LIGHT)], MATPLOTLIB_MARKERS[index % len(MATPLOTLIB_MARKERS)]
    look = {"color": color, "marker": marker, "markersize": 4, "linewidth": 1.2}
    return look | ({"linestyle": "--", "markerfacecolor": "white"} if published else {})


def _draw_times(figure, kind: Kind, references: Sequence[str]) -> bool:
    """Seconds per megapixel against BD-rate over psnr_db, encoding and decoding; False if there is nothing to draw."""
    measured = [line for line in kind.lines if not line["published"]]
    summaries = kind.summaries.get("psnr_db", {})
    chosen = next((codec for codec in (*references, *kind.codecs) if codec in summaries), None)
    rates = {row.codec: row.mean_of_files_percent for row in summaries.get(chosen, [])} | {chosen: 0.0}
    handles = {}
    for which, axes in zip(("encode", "decode"), figure.subplots(1, 2)):
        for index, codec in enumerate(kind.codecs):
            seconds = seconds_per_megapixel(measured, codec, f"{which}_s")
            if seconds is not None and rates.get(codec) is not None:
                look = _look(index, published=False) | {"markersize": 6, "linestyle": "none"}
                (handles[codec],) = axes.plot([seconds], [rates[codec]], **look)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(f"{which}, seconds per megapixel")
        axes.set_ylabel(f"BD-rate against {chosen}, %")
        axes.margins(0.1)
    _legend(figure, handles)
    return bool(handles)


def _save(figure, folder: Path, stem: str) -> list[Path]:
    paths = [folder / f"{stem}.png", folder / f"{stem}.svg"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            figure.savefig(path, dpi=PNG_DPI, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise OutputError(f"{folder / stem}: cannot be written: {error.strerror}") from None
    return paths
