"""BD-rates, and what single points take, as Markdown tables."""

from __future__ import annotations

from inrcodec.evaluation.bdrate import File, Summary, summaries
from inrcodec.evaluation.points import excesses

HEADING = """\
| codec | PSNR over | files | BD-rate, mean of files | BD-rate of mean curve | note |
|---|---|---:|---:|---:|---|"""

POINTS_HEADING = """\
| codec | setting | file | bytes | PSNR | more bits |
|---|---|---|---:|---:|---:|"""


def bd_table(lines: list[dict], reference_codec: str, same_files: bool = False) -> str:
    """BD-rates of all codecs against one, in percent of its bits at equal PSNR; see `bdrate.summaries`."""
    title = f"BD-rate against {reference_codec} (bits at equal PSNR; negative is better), PCHIP"
    return "\n".join([title, "", HEADING, *map(_row, summaries(lines, reference_codec, same_files))])


def files_table(lines: list[dict], reference_codec: str) -> str:
    """BD-rates of all codecs against one, file by file, a codec a column."""
    found = summaries(lines, reference_codec)
    files = list(dict.fromkeys(file for one in found for file in one.by_file))
    title = f"BD-rate against {reference_codec}, file by file"
    heading = [f"| file | {' | '.join(one.codec for one in found)} |", f"|---|{'---:|' * len(found)}"]
    return "\n".join([title, "", *heading, *(_file_row(file, found) for file in files)])


def _file_row(file: File, found: list[Summary]) -> str:
    stem, frames = file
    name = stem if frames == 1 else f"{stem} ×{frames}"
    cells = [_percent(one.by_file[file]) if file in one.by_file else "" for one in found]
    return f"| {name} | {' | '.join(cells)} |"


def points_table(lines: list[dict], reference_codec: str) -> str:
    """Each point of other codecs against the curve of one, in percent of its bits at equal PSNR; see `points.excesses`."""
    title = f"Points against the curve of {reference_codec} (more bits at equal PSNR; negative is better), PCHIP"
    return "\n".join([title, "", POINTS_HEADING, *(_point_row(*one) for one in excesses(lines, reference_codec))])


def _point_row(line: dict, excess: float | None) -> str:
    cells = line["codec"], line["setting"], line["file"], line["bytes"], f"{line['psnr_db']:.2f} dB", _percent(excess)
    return f"| {' | '.join(map(str, cells))} |"


def _row(summary: Summary) -> str:
    mean_of_files, of_means = _percent(summary.mean_of_files_percent), _percent(summary.mean_curve_percent)
    note = "; ".join(filter(None, ("published" if summary.published else "", summary.note)))
    return f"| {summary.codec} | {summary.over} | {summary.compared} | {mean_of_files} | {of_means} | {note} |"


def _percent(value: float | None) -> str:
    return "not comparable" if value is None else f"{value:+.1f} %"
