"""Makes one self-contained HTML page, and figures for papers, of measured and published results.

    python scripts/report.py results/kodak.jsonl results/video.jsonl -o report.html
    python scripts/report.py results/kodak.jsonl -o report.html --published anchors/kodak_vtm.json --figures figures
    python scripts/report.py results/kodak.jsonl -o report.html --crops kodim23.png --decoded decoded --codecs inrcodec webp

The lines are those of scripts/rd.py; --published takes what rd.py takes. --decoded lies as
FOLDER/<codec>/<setting>/<stem of the file>.png, and its bytes are those of the lines.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inrcodec.errors import InrError, OutputError, UsageError
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
        "--reference", metavar="CODEC", help="BD-rates are against it at first; by default the first one measured"
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


def make(options: argparse.Namespace) -> None:
    request = crop_request(options)
    lines = read_results(options.results, options.published)
    names = list(dict.fromkeys(line["codec"] for line in lines))
    if options.reference not in (None, *names):
        raise UsageError(f"--reference is {options.reference!r}, the results have {', '.join(names)}")
    text = page(lines, options.reference, crops(request, lines) if request else None, options.title, options.same_files)
    try:
        options.output.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError(f"{options.output}: cannot be written: {error.strerror}") from None
    print(
        f"{options.output}: {len(lines)} points, {len(names)} codecs, {len(text) / 1e6:.1f} MB",
        file=sys.stderr,
    )
    if options.figures:
        from inrcodec.evaluation.report.figures import figures

        print(
            f"{options.figures}: {len(figures(lines, options.figures, options.reference, options.same_files))} files",
            file=sys.stderr,
        )


def main(arguments: list[str] | None = None) -> int:
    try:
        make(parsed(arguments))
    except InrError as error:
        print(f"report: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
