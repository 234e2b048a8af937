"""Makes one self-contained HTML page, and figures for papers, of measured and published results.

    python scripts/report.py results/kodak-*.jsonl results/videos-*.jsonl -o report.html
    python scripts/report.py results/kodak-*.jsonl -o report.html --published results/published/* --figures figures
    python scripts/report.py results/kodak-*.jsonl -o report.html --crops kodim23.png --decoded decoded --codecs avif webp

The lines are those of scripts/rd.py; --published takes what rd.py takes. --decoded lies as
FOLDER/<codec>/<setting>/<stem of the file>.png, and its bytes are those of the lines.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inrcodec.errors import InputError, InrError, OutputError, UsageError
from inrcodec.evaluation.faults import Faults
from inrcodec.evaluation.report import CropRequest, crops, page, read_results


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path, help="files of JSON lines")
    parser.add_argument("--published", nargs="+", type=Path, default=[], metavar="FILE", help="published curves")
    parser.add_argument(
        "--same-files", action="store_true", help="published means are over the very files measured here"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the page; one that is there is replaced")
    parser.add_argument("--title", default="Rate, distortion and speed")
    parser.add_argument(
        "--reference",
        nargs="+",
        default=[],
        metavar="CODEC",
        help="BD-rates are against it at first (of several: the first one there is); by default the first one measured",
    )
    parser.add_argument(
        "--figures", type=Path, metavar="FOLDER", help="write the charts as PNG and SVG there, by matplotlib"
    )
    parser.add_argument("--crops", type=Path, metavar="IMAGE", help="the original of crops to be shown side by side")
    parser.add_argument("--decoded", type=Path, metavar="FOLDER", help="decoded pictures of --crops")
    parser.add_argument(
        "--codecs", nargs="+", default=[], metavar="CODEC", help="those of --crops; by default all that have a picture"
    )
    parser.add_argument(
        "--crop-bytes", type=int, metavar="N", help="the size at which codecs are shown (default: the median there is)"
    )
    parser.add_argument("--region", metavar="X,Y,W,H", help="of the crop, in pixels (default: 256 x 256 at the center)")
    return parser.parse_args(arguments)


def crop_request(options: argparse.Namespace) -> CropRequest | None:
    """What --crops asks for. Raises UsageError for options that make no sense."""
    if (options.crops is None) != (options.decoded is None):
        raise UsageError("--crops and --decoded need each other: the original, and the folder of decoded pictures")
    if options.crops is None:
        return None
    if options.crop_bytes is not None and options.crop_bytes < 1:
        raise UsageError(f"--crop-bytes is {options.crop_bytes}, allowed is 1 and more")
    region = None
    if options.region is not None:
        try:
            x, y, width, height = map(int, options.region.split(","))
        except ValueError:
            raise UsageError(f"--region is {options.region!r}, allowed are four whole numbers X,Y,W,H") from None
        region = (x, y, width, height)
    return CropRequest(options.crops, options.decoded, tuple(options.codecs), options.crop_bytes, region)


def shown_crops(request: CropRequest | None, lines: list[dict], faults: Faults) -> dict | None:
    """None, and a fault, if a picture is missing: the page then has no crops."""
    try:
        return crops(request, lines) if request else None
    except InputError as error:
        faults(str(error))
        return None


def make(options: argparse.Namespace, faults: Faults) -> None:
    request = crop_request(options)
    lines = read_results(options.results, options.published, faults)
    names = list(dict.fromkeys(line["codec"] for line in lines))
    for reference in options.reference:
        if reference not in names:
            raise UsageError(f"--reference is {reference!r}, the results have {', '.join(names)}")
    pictures = shown_crops(request, lines, faults)
    text = page(lines, options.reference, pictures, options.title, options.same_files)
    try:
        options.output.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError(f"{options.output}: cannot be written: {error.strerror}") from None
    say(f"{options.output}: {len(lines)} points, {len(names)} codecs, {len(text) / 1e6:.1f} MB")
    if options.figures:
        from inrcodec.evaluation.report.figures import figures

        made = figures(lines, options.figures, options.reference, options.same_files)
        say(f"{options.figures}: {len(made)} files")


def say(text: str) -> None:
    print(text, file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """The exit status is that of the error if nothing was made, 1 if something had to be left out."""
    faults = Faults("report", say)
    try:
        make(parsed(arguments), faults)
    except InrError as error:
        faults(str(error))
        return error.exit_status
    return int(faults.count > 0)


if __name__ == "__main__":
    sys.exit(main())
