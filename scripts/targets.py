"""What the encoder reaches of asked sizes and qualities, and what that costs in time against the same effort without a target.

    python scripts/targets.py PICTURES/ --efforts 1 3 --bpp 0.15 0.5 1.5 --psnr 30 35 --threads 1 -o targets.jsonl

A table goes to standard output, lines to OUT.jsonl. What cannot be measured is one line, the rest stands.
"""

from __future__ import annotations

import argparse
import os
import sys
from itertools import product
from pathlib import Path

from inrcodec.cli.terminal import Words
from inrcodec.errors import UsageError
from inrcodec.evaluation.faults import Faults
from inrcodec.evaluation.lines import append_lines
from inrcodec.evaluation.run import open_signals
from inrcodec.evaluation.signals import find_files
from inrcodec.evaluation.targets import Asked, target_line, target_table


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="targets.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("places", nargs="+", type=Path, metavar="FILE", help="pictures, videos, folders of pictures")
    parser.add_argument("--efforts", nargs="+", type=int, metavar="N", default=[1], help="(1)")
    parser.add_argument("--bpp", nargs="+", type=float, metavar="X", default=[], help="sizes to ask for")
    parser.add_argument("--psnr", nargs="+", type=float, metavar="DB", default=[], help="qualities to ask for")
    parser.add_argument("--threads", type=int, metavar="N", default=os.cpu_count(), help="(all)")
    parser.add_argument("--frames", type=int, metavar="N", default=32, help="only the first N frames of videos (32)")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.jsonl", help="lines are appended")
    return parser


def measured(arguments: argparse.Namespace, faults: Faults, words: Words) -> list[dict]:
    """The lines of all that could be measured; each is written as soon as it is there."""
    asked = [Asked(bpp=value) for value in arguments.bpp] + [Asked(psnr_db=value) for value in arguments.psnr]
    if not asked:
        raise UsageError("nothing is asked for: --bpp or --psnr")
    lines = []
    append_lines(arguments.output)
    files = [path for found in faults.each(lambda place: find_files([place]), arguments.places) for path in found]
    for signal, effort, one in product(open_signals(files, arguments.frames, faults), arguments.efforts, asked):
        words.now(f"{signal.name} at effort {effort}: {one.fact}")
        for line in faults.each(lambda given: target_line(*given), [(signal, one, effort, arguments.threads)]):
            append_lines(arguments.output, [line])
            lines.append(line)
    return lines


def main(argv: list[str] | None = None) -> int:
    """The exit status is 1 if anything failed, whatever was measured beside it."""
    arguments = make_parser().parse_args(argv)
    words = Words()
    faults = Faults("targets", words.say)

    def work() -> None:
        with words.live():
            lines = measured(arguments, faults, words)
        if lines:
            print(target_table(lines))

    return faults.status_of(work, "the lines that were measured are kept")


if __name__ == "__main__":
    sys.exit(main())
