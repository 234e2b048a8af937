"""Rate–distortion of inrcodec and of other codecs, from real files; docs/evaluation.md is the protocol.

    python scripts/rd.py photographs/ --codecs jpeg webp avif inrcodec:effort=3 -o rd.jsonl
    python scripts/rd.py clip.mp4 --frames 32 --codecs x264 x265:preset=slow,crf=24/30/36 inrcodec:q=30/60 -o rd.jsonl
    python scripts/rd.py -o ours.jsonl --beside peers.jsonl --published anchors/kodak_vtm.json --bd avif --by-file
    python scripts/rd.py -o ours.jsonl --published anchors/coolchic.tsv --points "coolchic (published)"
    python scripts/rd.py --list

A codec is NAME or NAME:KEY=VALUE,…; its rates are values with slashes between them. Points that OUT.jsonl has are not
measured again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from inrcodec.cli.terminal import Words, duration
from inrcodec.errors import UsageError
from inrcodec.evaluation.faults import Faults
from inrcodec.evaluation.lines import read_lines
from inrcodec.evaluation.measure import Conditions
from inrcodec.evaluation.names import described, parse_codec
from inrcodec.evaluation.published import read_published
from inrcodec.evaluation.run import Task, open_signals, plan, run
from inrcodec.evaluation.signals import find_files
from inrcodec.evaluation.store import Store
from inrcodec.evaluation.table import bd_table, files_table, points_table


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rd.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("places", nargs="*", type=Path, metavar="PATH", help="files, and folders of pictures")
    parser.add_argument("--codecs", nargs="+", default=[], metavar="CODEC", help="see above, and --list")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.jsonl", help="lines are appended")
    parser.add_argument("--frames", type=int, metavar="N", help="only the first N frames of videos")
    parser.add_argument("--threads", type=int, metavar="N", default=os.cpu_count(), help="of every codec (all)")
    parser.add_argument("--no-ms-ssim", action="store_true", help="it takes longer than many a codec")
    parser.add_argument("--decoded", type=Path, metavar="FOLDER", help="keep decoded pictures, for scripts/report.py")
    parser.add_argument("--beside", nargs="+", type=Path, default=[], metavar="FILE", help="more lines to compare")
    parser.add_argument("--published", nargs="+", type=Path, default=[], metavar="FILE", help="curves to compare")
    parser.add_argument("--bd", metavar="CODEC", help="print BD-rates against this curve, by its name in the lines")
    parser.add_argument("--by-file", action="store_true", help="with --bd: the BD-rate of each file too")
    parser.add_argument("--points", metavar="CODEC", help="print what each point takes more than this curve")
    parser.add_argument(
        "--same-files", action="store_true", help="published means are over the very files measured here"
    )
    parser.add_argument("--list", action="store_true", help="codecs, their options, and what is not installed")
    return parser


def measure_all(arguments: argparse.Namespace, faults: Faults, words: Words) -> None:
    paths = [path for found in faults.each(lambda place: find_files([place]), arguments.places) for path in found]
    find_files(paths)  # names must differ
    codecs = faults.each(parse_codec, arguments.codecs)
    store = Store(arguments.output)
    for notice in filter(None, (codec.prepare() for codec in codecs)):
        words.say(f"rd: {notice}")
    tasks = plan(codecs, open_signals(paths, arguments.frames, faults), store, faults)

    def report(done: int, task: Task, left_s: float | None) -> None:
        words.now(f"{done}/{len(tasks)} {task}" + ("" if left_s is None else f", {duration(left_s)} left"))

    conditions = Conditions(arguments.threads, not arguments.no_ms_ssim, arguments.decoded)
    with words.live():
        run(tasks, store, conditions, faults, report)
    words.say(f"{arguments.output}: {len(store.lines)} points")


def print_comparisons(arguments: argparse.Namespace, faults: Faults) -> None:
    lines = read_lines(arguments.output)
    more = faults.each(read_lines, arguments.beside) + faults.each(read_published, arguments.published)
    lines += [line for found in more for line in found]
    tables = []
    if arguments.bd:
        tables.append(bd_table(lines, arguments.bd, arguments.same_files))
    if arguments.bd and arguments.by_file:
        tables.append(files_table(lines, arguments.bd))
    if arguments.points:
        tables.append(points_table(lines, arguments.points))
    print("\n\n".join(tables))


def main(argv: list[str] | None = None) -> int:
    """The exit status is 1 if anything failed, whatever was measured beside it."""
    arguments = make_parser().parse_args(argv)
    words = Words()
    faults = Faults("rd", words.say)
    if arguments.list:
        print("\n".join(described()))
        return 0

    def work() -> None:
        for name in ("threads", "frames"):
            if getattr(arguments, name) is not None and getattr(arguments, name) < 1:
                raise UsageError(f"--{name} is {getattr(arguments, name)}, allowed are 1 and more")
        compares = arguments.bd or arguments.points
        if not arguments.output or not (arguments.places or compares):
            raise UsageError(
                "files and -o OUT.jsonl are wanted, or -o OUT.jsonl and --bd or --points CODEC (see --help)"
            )
        if arguments.places:
            measure_all(arguments, faults, words)
        if compares:
            print_comparisons(arguments, faults)

    return faults.status_of(work, "the points that were measured are kept, the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
