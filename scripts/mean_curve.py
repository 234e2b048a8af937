"""A codec's mean curve over some images of a set against published means over all of them (`inrcodec.evaluation.means`).

    python scripts/mean_curve.py results/kodak-coordx.jsonl --table results/published/coolchic5_kodak.tsv \\
        --published results/published/kodak_inr_codecs.json --against COIN COIN++ \\
        --points "e6 coordx bpp=0.03" "e6 coordx bpp=0.1" "e5 coordx bpp=0.3"

Each point is a codec's name (without `inrcodec`) and a setting of the lines. Prints every point's mean, where the mean over all
images would lie, and the bits that it takes in place of each published curve at equal PSNR; then the curve's BD-rates.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import fmean

from inrcodec.errors import InputError, InrError
from inrcodec.evaluation.bdrate import Point, bd_rate_percent
from inrcodec.evaluation.lines import read_lines
from inrcodec.evaluation.means import bpp_at, lead_db, table_of
from inrcodec.evaluation.published import PUBLISHED, read_published


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mean_curve.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lines", type=Path, metavar="FILE.jsonl", help="measured lines")
    parser.add_argument("--table", type=Path, required=True, metavar="FILE.tsv", help="every image of the set")
    parser.add_argument("--published", type=Path, required=True, metavar="FILE.json", help="mean curves")
    parser.add_argument("--against", nargs="+", required=True, metavar="NAME", help="of the published curves")
    parser.add_argument("--points", nargs="+", required=True, metavar="POINT")
    return parser


def point(lines: list[dict], name: str, table: dict) -> tuple[str, Point]:
    """A row's text, and the point moved to all images."""
    own = [line for line in lines if f"{line['codec']} {line['setting']}" == f"inrcodec {name}"]
    if not own:
        raise InputError(f"no line of {name!r}")
    bpp, psnr_db = (fmean(line[key] for line in own) for key in ("bpp", "psnr_db"))
    moved = psnr_db - lead_db(table, (Path(line["file"]).stem for line in own), bpp)
    slowest = max(line["encode_s"] for line in own)
    return (
        f"{name}: {len(own)} images, {bpp:.4f} bpp, {psnr_db:.2f} dB, at all {moved:.2f} dB, {slowest:.0f} s at most",
        (
            bpp,
            moved,
        ),
    )


def compared(curve: list[Point], bpp: float, psnr_db: float) -> str:
    other = bpp_at(curve, psnr_db)
    return "outside of its curve" if other is None else f"{100 * (bpp / other - 1):+.1f} %"


def main(argv: list[str] | None = None) -> int:
    arguments = make_parser().parse_args(argv)
    try:
        lines, table = read_lines(arguments.lines), table_of(read_published(arguments.table))
        published = read_published(arguments.published)
        curves = {
            name: [(line["bpp"], line["psnr_db"]) for line in published if line["codec"] == name + PUBLISHED]
            for name in arguments.against
        }
        rows = [point(lines, name, table) for name in arguments.points]
        for text, moved in rows:
            print(text, *(f"{name} {compared(curve, *moved)}" for name, curve in curves.items()), sep="; ")
        for name, curve in curves.items():
            rate = bd_rate_percent(curve, [moved for _, moved in rows])
            print(f"BD-rate against {name}: " + ("too little in common" if rate is None else f"{rate:+.1f} %"))
    except (InrError, OSError) as error:
        print(f"mean_curve.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
