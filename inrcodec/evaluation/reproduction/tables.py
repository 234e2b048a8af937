"""Lines of studies as Markdown tables, and put where a page marks their places."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from inrcodec.errors import InputError

REFERENCE = "SIREN"
"""The row that others of its group are compared with."""


@dataclass(frozen=True)
class Layout:
    """labels: settings that name a row. columns: keys of COLUMNS. group: settings that rows to compare have in common."""

    labels: tuple[str, ...]
    columns: tuple[str, ...]
    group: tuple[str, ...] = ()


COST = ("parameters", "cpu_s", "speed_up", "macs", "torch_macs", "fewer_macs")
QUALITY = ("parameters", "macs", "iterations", "psnr")
LAYOUTS = {
    "coordx image inference": Layout(("shape", "row"), COST, ("shape",)),
    "coordx video inference": Layout(("material", "row"), COST, ("material",)),
    "coordx image quality": Layout(("seconds", "row"), (*QUALITY, "gain"), ("seconds",)),
    "coordx video quality": Layout(("material", "seconds", "row"), (*QUALITY, "gain"), ("material", "seconds")),
    "coordx sampling": Layout(("iterations", "seconds", "sampling"), ("iterations", "fit_s", "psnr")),
    "coordx schedules": Layout(("optimizer", "sampling", "pixels"), ("iterations", "psnr")),
    "coordx importance": Layout(("material", "seconds", "sampling"), ("iterations", "psnr")),
    "coordx learn fast": Layout(("seconds", "row", "sampling", "optimizer"), (*QUALITY, "gain"), ("seconds",)),
    "asmr depth, cost": Layout(("layers", "row"), COST, ("layers",)),
    "asmr depth, quality": Layout(("layers", "row"), (*QUALITY, "gain"), ("layers",)),
    "asmr 500, cost": Layout(("bases", "row"), COST, ("bases",)),
    "asmr 500, quality": Layout(("bases", "row"), (*QUALITY, "gain"), ("bases", "seconds")),
    "asmr structure": Layout(("row", "digits", "start", "sampling"), QUALITY),
    "asmr kodak, cost": Layout(("row",), COST, ("shape",)),
    "asmr kodak, quality": Layout(("seconds", "row"), (*QUALITY, "gain"), ("seconds",)),
    "asmr video, cost": Layout(("material", "row"), COST, ("material",)),
    "asmr video, quality": Layout(("material", "seconds", "row"), (*QUALITY, "gain"), ("material", "seconds")),
    "ngp tables": Layout(("material", "seconds", "row"), QUALITY),
    "ngp structure": Layout(("material", "seconds", "row"), QUALITY),
}

Column = Callable[[dict, dict | None], str]


def _shared(value: Callable[[dict, dict], str]) -> Column:
    """Of a result and the reference's; a dash where there is none."""
    return lambda result, reference: "–" if reference is None else value(result, reference)


COLUMNS: dict[str, tuple[str, Column]] = {
    "parameters": ("parameters", lambda result, _: f"{result['parameters']:,}"),
    "cpu_s": ("CPU s", lambda result, _: f"{result['cpu_s']:.3g}"),
    "fit_s": ("CPU s", lambda result, _: f"{result['cpu_s']:.0f}"),
    "speed_up": ("faster than SIREN", _shared(lambda result, other: f"{other['cpu_s'] / result['cpu_s']:.2f}×")),
    "macs": ("MAC/pixel", lambda result, _: f"{result['macs_per_pixel']:,.0f}"),
    "torch_macs": ("by torch's counter", lambda result, _: f"{result['torch_macs_per_pixel']:,.0f}"),
    "fewer_macs": (
        "fewer",
        _shared(lambda result, other: f"{other['macs_per_pixel'] / result['macs_per_pixel']:.1f}×"),
    ),
    "iterations": ("iterations", lambda result, _: f"{result['iterations']:,}"),
    "psnr": ("PSNR dB", lambda result, _: f"{result['psnr_db']:.2f}"),
    "gain": ("against SIREN", _shared(lambda result, other: f"{result['psnr_db'] - other['psnr_db']:+.2f}")),
}
TITLES = {"row": "field", "seconds": "CPU s given", "shape": "size", "iterations": "iterations given"}


def study_table(study: str, lines: list[dict]) -> str:
    """The lines of one study, in their order. Raises InputError for a study that has no layout or no lines."""
    chosen = [line for line in lines if line["study"] == study]
    if study not in LAYOUTS or not chosen:
        raise InputError(f"no lines of a study {study!r}")
    layout = LAYOUTS[study]
    titles = [TITLES.get(name, name) for name in layout.labels] + [COLUMNS[name][0] for name in layout.columns]
    rule = ["---"] * len(layout.labels) + ["---:"] * len(layout.columns)
    rows = [_row(line, layout, chosen) for line in chosen]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, rule, *rows))


def _row(line: dict, layout: Layout, lines: list[dict]) -> list[str]:
    labels = [_label(name, line["settings"]) for name in layout.labels]
    reference = _reference(line, layout, lines)
    return labels + [COLUMNS[name][1](line["result"], reference) for name in layout.columns]


def _reference(line: dict, layout: Layout, lines: list[dict]) -> dict | None:
    def group(one: dict) -> list:
        return [one["settings"].get(name) for name in layout.group]

    others = [one["result"] for one in lines if one["settings"].get("row") == REFERENCE and group(one) == group(line)]
    return others[0] if others and layout.group else None


def _label(name: str, settings: dict) -> str:
    """A setting for people."""
    if name == "digits":
        return "·".join(map(str, settings["config"]["bases_y"]))
    value = settings.get(name)
    if name == "shape":
        return f"{value[2]}×{value[1]}"
    if isinstance(value, list):
        return "·".join(map(str, value))
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


PLACE = re.compile(r"(<!-- table: (?P<study>[^>]+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def filled(page: str, lines: list[dict]) -> str:
    """The page with the tables that it marks: `<!-- table: STUDY -->`, then anything, then `<!-- end -->`."""
    return PLACE.sub(lambda place: place[1] + study_table(place["study"], lines) + place[3], page)
