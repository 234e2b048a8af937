"""Seconds and peak memory of encoding, against the size of a picture.

    python scripts/sizes.py LARGE.png --megapixels 0.4 1.5 3.4 6.3 --efforts 1 --threads 1 -o sizes.jsonl

A table goes to standard output, lines to OUT.jsonl. Each encode runs in a process of its own. A picture is made smaller to each
number of megapixels; one that has fewer stays as it is. What cannot be measured is one line, the rest stands.
"""

from __future__ import annotations

import argparse
import os
import sys
from itertools import product
from pathlib import Path

from inrcodec.cli.terminal import Words
from inrcodec.evaluation.faults import Faults
from inrcodec.evaluation.lines import append_lines
from inrcodec.evaluation.signals import find_files
from inrcodec.evaluation.speed.sizes import size_line, size_table


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sizes.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("places", nargs="+", type=Path, metavar="PICTURE", help="pictures, and folders of them")
    parser.add_argument("--megapixels", nargs="+", type=float, metavar="M", default=[None], help="(as they are)")
    parser.add_argument("--efforts", nargs="+", type=int, metavar="N", default=[1], help="(1)")
    parser.add_argument("--rate-lambda", type=float, metavar="X", default=2e-3, help="(2e-3)")
    parser.add_argument("--threads", type=int, metavar="N", default=os.cpu_count(), help="(all)")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.jsonl", help="lines are appended")
    return parser


def measured(arguments: argparse.Namespace, faults: Faults, words: Words) -> list[dict]:
    """The lines of all that could be measured; each is written as soon as it is there."""
    lines = []
    append_lines(arguments.output)
    files = [path for found in faults.each(lambda place: find_files([place]), arguments.places) for path in found]
    for path, effort, megapixels in product(files, arguments.efforts, arguments.megapixels):
        words.now(f"{path.name} at effort {effort}")
        given = (path, megapixels, effort, arguments.threads, arguments.rate_lambda)
        for line in faults.each(lambda one: size_line(*one), [given]):
            append_lines(arguments.output, [line])
            lines.append(line)
    return lines


def main(argv: list[str] | None = None) -> int:
    """The exit status is 1 if anything failed, whatever was measured beside it."""
    arguments = make_parser().parse_args(argv)
    words = Words()
    faults = Faults("sizes", words.say)

    def work() -> None:
        with words.live():
            lines = measured(arguments, faults, words)
        if lines:
            print(size_table(lines))

    return faults.status_of(work, "the lines that were measured are kept")


if __name__ == "__main__":
    sys.exit(main())
