"""What the report shows, as plain data: curves, points, means over files, BD-rates and times. No HTML, no drawing.

Lines whose PSNR is over unlike samples (`over`) are never compared: each kind of samples is a part of the report.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from inrcodec.evaluation.bdrate import Summary, summaries

METRICS = {
    "psnr_db": "PSNR",
    "psnr_611_db": "PSNR 6:1:1",
    "psnr_y_db": "PSNR Y",
    "psnr_u_db": "PSNR U",
    "psnr_v_db": "PSNR V",
    "psnr_rgb_db": "PSNR RGB",
    "ms_ssim": "MS-SSIM",
}
"""Keys of a line → name. All are drawn and compared in decibels."""
AVERAGED = ("bytes", "bpp", *METRICS, "encode_s", "decode_s", "macs_per_pixel")
FAR = 1.25
"""Published points beyond this many times the largest measured rate are in the tables, not in the charts."""
File = tuple[str, int]
"""(stem, frames): what bdrate.py matches files by."""


@dataclass(frozen=True)
class Kind:
    """The lines over one kind of samples.

    files: every file that was measured (with a published line, if none was), with its name as shown.
    mean_files: what drawn means are over, see `_files_of_means`. mean_note: the same for readers.
    mean_lines: one for each codec and setting that all of mean_files have, and the published means, over files of their own.
    summaries: {metric: {reference codec: BD-rates against it}}.
    """

    over: str
    lines: list[dict]
    files: dict[File, str]
    mean_files: list[File]
    mean_note: str
    mean_lines: list[dict]
    metrics: list[str]
    summaries: dict[str, dict[str, list[Summary]]]

    @property
    def codecs(self) -> dict[str, bool]:
        """{codec: published}, measured ones first; the place of a codec is its color and its marker."""
        return codecs_of([*self.lines, *self.mean_lines])


def in_decibels(line: dict, metric: str) -> float | None:
    """A quality of a line in decibels; MS-SSIM as -10 log10(1 - MS-SSIM). None if it is not known or infinite."""
    value = line.get(metric)
    if metric != "ms_ssim" or value is None:
        return value
    return -10 * math.log10(1 - value) if value < 1 else None


def file_of(line: dict) -> File:
    return Path(line["file"]).stem, line["frames"]


def kinds_of(lines: list[dict], same_files: bool) -> list[Kind]:
    """The parts of the report, in order of appearance; those with something measured come first. same_files: see `summaries`."""
    overs = list(dict.fromkeys(line["over"] for line in sorted(lines, key=lambda line: line["published"])))
    return [_kind(over, [line for line in lines if line["over"] == over], same_files) for over in overs]


def codecs_of(lines: list[dict]) -> dict[str, bool]:
    """{codec: published}, measured ones first."""
    return {line["codec"]: line["published"] for line in sorted(lines, key=lambda line: line["published"])}


def _kind(over: str, lines: list[dict], same_files: bool) -> Kind:
    measured_files = {file_of(line) for line in lines if not line["published"]}
    of_files = [line for line in lines if not line["mean"] and (not measured_files or file_of(line) in measured_files)]
    files: dict[File, str] = {}
    for line in sorted(of_files, key=lambda line: line["published"]):  # a measured file names it, with its suffix
        files.setdefault(file_of(line), line["file"] + ("" if line["frames"] == 1 else f" ×{line['frames']}"))
    files = dict(sorted(files.items()))
    mean_files, note = _files_of_means(of_files, files)
    means = _means(of_files, mean_files) + [line for line in lines if line["mean"]]
    metrics = [name for name in METRICS if any(in_decibels(line, name) is not None for line in lines)]
    return Kind(over, of_files, files, mean_files, note, means, metrics, _summaries(lines, metrics, same_files))


def _files_of_means(lines: list[dict], files: dict[File, str]) -> tuple[list[File], str]:
    """The files that drawn means are over, and what to say of them: of the sets of files that a measured codec has (published
    ones, if nothing was measured), and of what all have in common, the one with the most curves times files."""
    measured = [line for line in lines if not line["published"]] or lines
    has: dict[str, set[File]] = {}
    for line in measured:
        has.setdefault(line["codec"], set()).add(file_of(line))
    if not has:
        return [], ""

    def worth(some: set[File]) -> int:
        curves = sum(some <= of for of in has.values())
        return len(some) * curves if curves > 1 or len(has) == 1 else 0

    chosen = max([set.intersection(*has.values()), *has.values()], key=worth)
    if not worth(chosen):
        return [], "No mean: no two measured codecs have a file in common."
    lacking = [codec for codec, of in has.items() if not chosen <= of]
    names = ", ".join(name for file, name in files.items() if file in chosen)
    note = f"Mean over {len(chosen)} file{'s' if len(chosen) > 1 else ''}: {names}."
    if lacking:
        note += f" Not measured on all of them, so without a mean: {', '.join(lacking)}."
    left_out = len(set().union(*has.values()) - chosen)
    if left_out:
        note += f" Left out: {left_out} file{'s' if left_out > 1 else ''} that other codecs lack."
    return [file for file in files if file in chosen], note


def _means(lines: list[dict], files: list[File]) -> list[dict]:
    """Of each codec and setting that all files have: bpp, qualities, times, each averaged over the files."""
    groups: dict[tuple[str, str], dict[File, dict]] = {}
    for line in lines:
        groups.setdefault((line["codec"], line["setting"]), {})[file_of(line)] = line
    whole = [of for of in groups.values() if files and all(file in of for file in files)]
    return [_mean([of[file] for file in files]) for of in whole]


def _mean(lines: list[dict]) -> dict:
    known = {name: [line.get(name) for line in lines] for name in AVERAGED}
    means = {name: None if None in values else fmean(values) for name, values in known.items()}
    same = {name: lines[0][name] for name in ("codec", "setting", "over", "published")}
    return {**same, "file": f"mean of {len(lines)} file{'s' if len(lines) > 1 else ''}", "mean": False, **means}


def _summaries(lines: list[dict], metrics: list[str], same_files: bool) -> dict[str, dict[str, list[Summary]]]:
    """BD-rates of every metric against every codec. bdrate.py compares `psnr_db`, in decibels: each metric stands in there."""
    result: dict[str, dict[str, list[Summary]]] = {}
    for metric in metrics:
        with_it = [{**line, "psnr_db": in_decibels(line, metric)} for line in lines]
        with_it = [line for line in with_it if line["psnr_db"] is not None]
        result[metric] = {codec: summaries(with_it, codec, same_files) for codec in codecs_of(with_it)}
    return result


def is_far(line: dict, shown: list[dict]) -> bool:
    """Whether a published point has so much more rate than all measured ones beside it that drawing it would squeeze these."""
    rates = [other["bpp"] for other in shown if not other["published"]]
    return line["published"] and bool(rates) and line["bpp"] > FAR * max(rates)


def seconds_per_megapixel(lines: list[dict], codec: str, which: str) -> float | None:
    """Mean of a codec's `encode_s` or `decode_s`, each divided by the million pixels of its signal (all frames); None if
    there is none above zero."""
    values = [
        1e6 * line[which] / (line["width"] * line["height"] * line["frames"])
        for line in lines
        if line["codec"] == codec and line.get(which) and line.get("width") and line.get("height")
    ]
    return fmean(values) if values else None


def machines_of(lines: list[dict]) -> list[str]:
    """The machines that times were measured on, each once, with the threads where a line tells them."""
    timed = [line for line in lines if line.get("encode_s") is not None or line.get("decode_s") is not None]
    named = [f"{line.get('machine') or 'unnamed machine'}{_threads(line)}" for line in timed if not line["published"]]
    return list(dict.fromkeys(named))


def _threads(line: dict) -> str:
    threads = line.get("threads")
    return f", {threads} thread{'s' if threads != 1 else ''}" if isinstance(threads, int) else ""
