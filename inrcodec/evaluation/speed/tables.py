"""Lines of speed as Markdown tables for people."""

from __future__ import annotations

from pathlib import Path

from inrcodec.cli.terminal import decibels
from inrcodec.errors import InputError
from inrcodec.evaluation.lines import read_objects
from inrcodec.evaluation.speed.cold import VERBS


def read_speeds(path: Path) -> list[dict]:
    """The lines of a file that scripts/speed.py wrote. Raises InputError, naming file and line, for any other."""
    found = read_objects(path)
    for place, line in found:
        try:
            tables([line])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{place}: no line of scripts/speed.py ({type(error).__name__}: {error})") from None
    return [line for _, line in found]


def tables(lines: list[dict]) -> str:
    """Markdown, a table for each of PARTS that lines are of. Times in milliseconds are medians, with quartiles where a range
    stands. Raises KeyError, TypeError or ValueError for other lines."""
    unknown = {line["kind"] for line in lines} - KINDS
    if unknown:
        raise ValueError(f"kind is {', '.join(unknown)}, known are {', '.join(sorted(KINDS))}")
    parts = [(title, [row(line) for line in lines if line["kind"] == kind]) for title, kind, row in PARTS]
    conditions = dict.fromkeys(_conditions(line) for line in lines)
    shown = [f"{title}\n\n{_table(rows)}" for title, rows in parts if rows]
    return "\n\n".join([*shown, *(f"Measured: {one}." for one in conditions)])


def _table(rows: list[dict[str, str]]) -> str:
    titles = list(rows[0])
    rule = ["---", "---", *["---:"] * (len(titles) - 2)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, rule, *(list(row.values()) for row in rows)))


def _decoding(line: dict) -> dict[str, str]:
    return {
        "file": _file(line),
        "family": line["family"],
        "bytes": f"{line['bytes']:,}",
        "open": _ms(line["open_s"]),
        "symbols": _ms(line["symbols_s"]),
        "plan": _ms(line["plan_s"]),
        "frame (quartiles)": _ms_range(line["frame_s"]),
        "random frame": _ms(line["random_frame_s"]),
        "file to first frame": _ms(line["first_frame_s"]),
        "region, first": _ms(line["region_first_s"]),
        "region": f"{_ms(line['region_s'])} ({line['region'][2]}×{line['region'][3]})",
        "peak MiB": _mebibytes(line["peak_bytes"]) + _on_device(line["peak_device_bytes"]),
    }


def _ratios(line: dict) -> dict[str, str]:
    return {
        "file": _file(line),
        "family": line["family"],
        "direct ms": _ms_range(line["direct_frame_s"]),
        "cached ms": _ms_range(line["cached_frame_s"]),
        "ratio": f"{line['ratio']:.1f}",
        "ratio with plan": f"{line['ratio_with_plan']:.1f}",
        "MAC/pixel direct": f"{line['macs_direct']:.0f}",
        "MAC/pixel cached": f"{line['macs_cached']:.0f}",
        "largest difference": f"{line['largest_difference']:.1e}",
    }


def _playing(line: dict) -> dict[str, str]:
    slow, fast = (line["frames"] / line["play_s"][end] for end in ("high_s", "low_s"))
    return {
        "file": _file(line),
        "family": line["family"],
        "bytes": f"{line['bytes']:,}",
        "frames a second": f"{_three_digits(line['frames_per_s'])} ({_three_digits(slow)}–{_three_digits(fast)})",
        "of symbols": _three_digits(line["rendered_per_s"]) if "rendered_per_s" in line else "",
        "file to first frame": _ms_range(line["first_frame_s"]),
        "random frame": _ms_range(line["random_frame_s"]),
        "slowest of them": _three_digits(1e3 * line["random_frame_s"]["max_s"]),
        "peak MiB": _mebibytes(line["peak_bytes"]) + _on_device(line["peak_device_bytes"]),
    }


def _cost(line: dict) -> dict[str, str]:
    return {
        "family": line["family"],
        "against": line["against"],
        "value": f"{line['value']:.3g}",
        "size": f"×{line['frames']}, {line['width']}×{line['height']}",
        "all frames (quartiles)": _ms_range(line["all_cpu_s"]),
        "nanoseconds a pixel": _three_digits(1e9 * line["all_cpu_s"]["median_s"] / pixels_of(line)),
        "MAC/pixel": f"{line['macs_per_pixel']:.0f}",
    }


def pixels_of(line: dict) -> int:
    """Of all frames."""
    return line["frames"] * line["width"] * line["height"]


def _machine(line: dict) -> dict[str, str]:
    """At best: what a program could reach, whatever else runs."""
    product, copy = line["product_s"], line["copy_s"]
    return {
        "threads": str(line["threads"]),
        "device": line["device"],
        "GFLOP/s, median": _three_digits(1e-9 * line["product_flop"] / product["median_s"]),
        "at best": _three_digits(1e-9 * line["product_flop"] / product["min_s"]),
        "GB/s, median": _three_digits(1e-9 * line["copy_bytes"] / copy["median_s"]),
        "best": _three_digits(1e-9 * line["copy_bytes"] / copy["min_s"]),
    }


def _cold(line: dict) -> dict[str, str]:
    spreads = {f"{verb} (quartiles)": _ms_range(line[f"{verb}_s"]) for verb in VERBS}
    return {"file": _file(line), "family": line["family"], "bytes": f"{line['bytes']:,}", **spreads}


def _encoding(line: dict) -> dict[str, str]:
    spread = line["encode_s"]
    per_second = line["iterations_per_s"]
    return {
        "file": _file(line),
        "family": line["family"],
        "effort": str(line["effort"]),
        "seconds (range)": f"{spread['median_s']:.1f} ({spread['min_s']:.1f}–{spread['max_s']:.1f})",
        "iterations": f"{line['iterations']:,}",
        "iterations a second": "–" if per_second is None else f"{per_second:.2f}",
        "bpp": f"{line['bpp']:.4f}",
        "PSNR": decibels(line["psnr_db"]),
    }


def _file(line: dict) -> str:
    frames = "" if line["frames"] == 1 else f" ×{line['frames']}"
    return f"{line['file']}{frames}, {line['width']}×{line['height']}"


def _ms(spread: dict) -> str:
    return _three_digits(1e3 * spread["median_s"])


def _ms_range(spread: dict) -> str:
    return f"{_ms(spread)} ({_three_digits(1e3 * spread['low_s'])}–{_three_digits(1e3 * spread['high_s'])})"


def _three_digits(value: float) -> str:
    """At least; never as a power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _mebibytes(count: int | None) -> str:
    return "–" if count is None else f"{count / (1 << 20):.0f}"


def _on_device(count: int | None) -> str:
    return "" if count is None else f", {_mebibytes(count)} on the GPU"


def _conditions(line: dict) -> str:
    threads = f"{line['threads']} thread{'s' if line['threads'] != 1 else ''}"
    calls = f"{line['warmup']} warm-up, {line['repetitions']} repetition{'s' if line['repetitions'] != 1 else ''}"
    gpu = line["versions"].get("gpu", line["device"])
    return f"{line['kind']}, {line['machine']}, {gpu}, {threads}, {calls}, commit {line['commit']}"


PARTS = (
    ("Decoding, milliseconds", "decode", _decoding),
    ("Cached against direct evaluation of a frame", "decode", _ratios),
    ("Videos played, milliseconds", "play", _playing),
    ("Commands from nothing, milliseconds", "cold", _cold),
    ("Encoding", "encode", _encoding),
    ("Cost, milliseconds of the processor", "cost", _cost),
    ("The machine", "machine", _machine),
)
"""A title, the kind of lines, and the row of a line."""
KINDS = {kind for _, kind, _ in PARTS}
