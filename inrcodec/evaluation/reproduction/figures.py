"""Lines of studies as SVG, by matplotlib (the extra `evaluate`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inrcodec.evaluation.report.figures import drawing, save_svg
from inrcodec.evaluation.report.style import LIGHT, MATPLOTLIB_MARKERS

PLAIN_NUMBERS = "{x:,g}"
"""Logarithmic axes would have powers, in a notation that texts of these figures are not read for."""


@dataclass(frozen=True)
class Chart:
    """What of a study's lines is drawn: across and up are numbers of a line, one curve for every value of `curve`, side by side
    for every value of `panel`."""

    study: str
    across: Callable[[dict], float]
    up: Callable[[dict], float]
    curve: Callable[[dict], str]
    labels: tuple[str, str]
    logarithmic: tuple[bool, bool] = (False, False)
    panel: Callable[[dict], str] = lambda line: ""


def _row(line: dict) -> str:
    return line["settings"]["row"]


def _psnr_db(line: dict) -> float:
    return line["result"]["psnr_db"]


def _seconds(line: dict) -> float:
    return line["settings"]["seconds"]


CHARTS = {
    "reproduction-asmr-depth-macs": Chart(
        "asmr depth, cost",
        lambda line: line["settings"]["layers"],
        lambda line: line["result"]["macs_per_pixel"],
        _row,
        ("sine layers", "multiply–accumulates per pixel"),
        (False, True),
    ),
    "reproduction-asmr-depth-psnr": Chart(
        "asmr depth, quality",
        lambda line: line["settings"]["layers"],
        _psnr_db,
        _row,
        ("sine layers", "PSNR, dB"),
    ),
    "reproduction-coordx-quality": Chart(
        "coordx image quality",
        lambda line: line["result"]["macs_per_pixel"],
        _psnr_db,
        lambda line: _row(line).split(", R")[0],
        ("multiply–accumulates per pixel", "PSNR, dB"),
        (True, False),
    ),
    "reproduction-coordx-schedules": Chart(
        "coordx schedules",
        lambda line: line["settings"]["pixels"],
        _psnr_db,
        lambda line: f"{line['settings']['sampling']}, {line['settings']['optimizer']}",
        ("samples an iteration", "PSNR, dB"),
        (True, False),
    ),
    "reproduction-ngp-tables": Chart(
        "ngp tables",
        _seconds,
        _psnr_db,
        _row,
        ("seconds of one core", "PSNR, dB"),
        (True, False),
        lambda line: line["settings"]["material"],
    ),
    "reproduction-coordx-learn-fast": Chart(
        "coordx learn fast",
        _seconds,
        _psnr_db,
        lambda line: f"{_row(line)}, {line['settings']['sampling']}, {line['settings']['optimizer']}",
        ("seconds of one core", "PSNR, dB"),
        (True, False),
    ),
}


def draw(lines: list[dict], folder: Path) -> list[Path]:
    """Writes the charts whose studies have lines; gives the paths. Raises UsageError without matplotlib, OutputError."""
    paths = []
    with drawing() as Figure:
        for name, chart in CHARTS.items():
            chosen = [line for line in lines if line["study"] == chart.study]
            if not chosen:
                continue
            panels = list(dict.fromkeys(map(chart.panel, chosen)))
            figure = Figure(figsize=(5.2 * len(panels), 3.6), layout="constrained")
            for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0]):
                axes.set_title(panel)
                _draw(axes, chart, [line for line in chosen if chart.panel(line) == panel])
            paths.append(folder / f"{name}.svg")
            save_svg(figure, paths[-1])
    return paths


def _draw(axes, chart: Chart, lines: list[dict]) -> None:
    curves = defaultdict(list)
    for line in lines:
        curves[chart.curve(line)].append((chart.across(line), chart.up(line)))
    for index, (name, points) in enumerate(curves.items()):
        marker = MATPLOTLIB_MARKERS[index % len(MATPLOTLIB_MARKERS)]
        axes.plot(*zip(*sorted(points)), label=name, color=LIGHT[index % len(LIGHT)], marker=marker, markersize=4)
    axes.set_xlabel(chart.labels[0])
    axes.set_ylabel(chart.labels[1])
    if chart.logarithmic[0]:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(PLAIN_NUMBERS)
    if chart.logarithmic[1]:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(PLAIN_NUMBERS)
    axes.legend()
