"""Curves of cost as SVG, by matplotlib (the extra `evaluate`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from inrcodec.evaluation.report.figures import drawing, save_svg
from inrcodec.evaluation.report.style import LIGHT, MATPLOTLIB_MARKERS
from inrcodec.evaluation.speed.tables import pixels_of


def _frame_ms(line: dict) -> float:
    return 1e3 * line["all_cpu_s"]["median_s"] / line["frames"]


def _pixel_ns(line: dict) -> float:
    return 1e9 * line["all_cpu_s"]["median_s"] / pixels_of(line)


def _all_ms(line: dict) -> float:
    return 1e3 * line["all_cpu_s"]["median_s"]


UP: dict[str, tuple[Callable[[dict], float], str, str]] = {
    "pixels": (_frame_ms, "megapixels of a frame", "processor milliseconds a frame"),
    "frames": (_all_ms, "frames", "processor milliseconds, all frames"),
    "depth": (_pixel_ns, "sine layers", "processor nanoseconds a pixel"),
    "width": (_pixel_ns, "features of a layer", "processor nanoseconds a pixel"),
}
"""What is drawn over what is varied, and the labels of both."""


def draw_costs(lines: list[dict], folder: Path) -> list[Path]:
    """Writes speed-cost-<what is varied>.svg from lines of kind "cost", as far as there are any; gives the paths. Raises
    UsageError without matplotlib, OutputError."""
    curves = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if line["kind"] == "cost":
            curves[line["against"]][line["family"]].append(line)
    paths = []
    with drawing() as Figure:
        for against, families in curves.items():
            figure = Figure(figsize=(5.2, 3.6), layout="constrained")
            _draw(figure.subplots(), against, families)
            paths.append(folder / f"speed-cost-{against}.svg")
            save_svg(figure, paths[-1])
    return paths


def _draw(axes, against: str, families: dict[str, list[dict]]) -> None:
    """Both axes logarithmic, so that what is linear has the slope of the gray line."""
    from matplotlib.ticker import LogLocator

    up, *labels = UP[against]
    for index, (family, lines) in enumerate(families.items()):
        points = sorted((line["value"], up(line)) for line in lines)
        style = {"color": LIGHT[index % len(LIGHT)], "marker": MATPLOTLIB_MARKERS[index % len(MATPLOTLIB_MARKERS)]}
        axes.plot(*zip(*points), label=family, markersize=4, **style)
    values = sorted({line["value"] for lines in families.values() for line in lines})
    lowest = min(up(line) for lines in families.values() for line in lines)
    linear = [0.7 * lowest * value / values[0] for value in values]
    axes.plot(values, linear, color="#9aa3ad", linestyle=":", label="linear")
    axes.set(xlabel=labels[0], ylabel=labels[1], xscale="log", yscale="log")
    axes.set_xticks(values, [f"{value:.2g}" if value < 10 else f"{value:g}" for value in values], minor=False)
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda *_: "")
    axes.legend()
