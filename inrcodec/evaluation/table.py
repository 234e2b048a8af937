"""BD-rates as a Markdown table."""

from __future__ import annotations

from inrcodec.evaluation.bdrate import Summary, summaries

HEADING = """\
| codec | PSNR over | files | BD-rate, mean of files | BD-rate of mean curve | note |
|---|---|---:|---:|---:|---|"""


def bd_table(lines: list[dict], reference_codec: str, same_files: bool = False) -> str:
    """BD-rates of all codecs against one, in percent of its bits at equal PSNR; see `bdrate.summaries`."""
    title = f"BD-rate against {reference_codec} (bits at equal PSNR; negative is better), PCHIP"
    return "\n".join([title, "", HEADING, *map(_row, summaries(lines, reference_codec, same_files))])


def _row(summary: Summary) -> str:
    mean_of_files, of_means = _percent(summary.mean_of_files_percent), _percent(summary.mean_curve_percent)
    note = "; ".join(filter(None, ("published" if summary.published else "", summary.note)))
    return f"| {summary.codec} | {summary.over} | {summary.compared} | {mean_of_files} | {of_means} | {note} |"


def _percent(value: float | None) -> str:
    return "not comparable" if value is None else f"{value:+.1f} %"
