"""Speed of decoding and of encoding, in depth; docs/evaluation.md is the protocol.

    python scripts/speed.py decode streams/ clip.inr 'more/*.inr' --threads 2 -o speed.jsonl
    python scripts/speed.py play clip.inr film.inr --threads 2 -o speed.jsonl
    python scripts/speed.py cold streams/ --threads 2 -o speed.jsonl
    python scripts/speed.py encode photo.png clip.mp4 --frames 32 --efforts 1 3 5 --repetitions 1 -o speed.jsonl
    python scripts/speed.py cost --threads 1 -o speed.jsonl
    python scripts/speed.py machine --threads 1 -o speed.jsonl
    python scripts/speed.py table speed.jsonl
    python scripts/speed.py figures speed.jsonl -o figures/

Tables go to standard output, lines to OUT.jsonl. What cannot be measured is one line, the rest stands.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path

from inrcodec.cli.terminal import Words
from inrcodec.encoder import EncodeOptions
from inrcodec.errors import InrError
from inrcodec.evaluation.faults import Faults
from inrcodec.evaluation.lines import append_lines
from inrcodec.evaluation.run import open_signals
from inrcodec.evaluation.signals import find_files
from inrcodec.evaluation.speed import (
    Conditions,
    cold_speed,
    cost_speed,
    costs,
    decode_speed,
    draw_costs,
    encode_speed,
    find_streams,
    machine_speed,
    play_speed,
    read_speeds,
    tables,
)

OF_STREAMS = {"decode": decode_speed, "play": play_speed, "cold": cold_speed}
"""What measures a stream, by verb."""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="speed.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    decode = verbs.add_parser("decode", help="streams: parts of decoding, memory, cached against direct evaluation")
    play = verbs.add_parser("play", help="streams: frames a second from file to last frame, random frames, memory")
    cold = verbs.add_parser("cold", help="streams: inrcodec info, verify and decode as processes of their own")
    encode = verbs.add_parser("encode", help="pictures and videos: seconds by effort, iterations a second")
    cost = verbs.add_parser("cost", help="random fields: the processor's time against pixels, frames, depth and width")
    machine = verbs.add_parser("machine", help="what the machine gives: products of matrices, copies of memory")
    for verb in (decode, play, cold, encode):
        what = "FILE" if verb is encode else "STREAM"
        verb.add_argument("places", nargs="+", type=Path, metavar=what, help=f"{what.lower()}s, and folders of them")
    for verb in (decode, play, cold, encode, machine):
        verb.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 … (auto)")
    for verb in (decode, encode):
        verb.add_argument("--frames", type=int, metavar="N", default=32, help="only the first N frames of videos (32)")
    for verb in (decode, play, cold, encode, cost, machine):
        repetitions = 3 if verb in (encode, cost) else 5
        verb.add_argument("-o", "--output", type=Path, metavar="OUT.jsonl", help="lines are appended")
        verb.add_argument("--threads", type=int, metavar="N", default=os.cpu_count(), help="(all)")
        verb.add_argument("--warmup", type=int, metavar="N", default=1, help="calls before the clock starts (1)")
        verb.add_argument("--repetitions", type=int, metavar="N", default=repetitions, help=f"({repetitions})")
    encode.add_argument("--efforts", nargs="+", type=int, metavar="N", default=[1, 3], help="(1 3)")
    encode.add_argument("--rate-lambda", type=float, metavar="X", help="as of inrcodec encode")
    encode.add_argument("--family", default="auto", help="as of inrcodec encode")
    table = verbs.add_parser("table", help="the tables of lines that were measured before")
    figures = verbs.add_parser("figures", help="the curves of lines of cost, as SVG")
    figures.add_argument("-o", "--output", type=Path, metavar="FOLDER", required=True)
    for verb in (table, figures):
        verb.add_argument("places", nargs="+", type=Path, metavar="FILE.jsonl")
    return parser


def calls_of(arguments: argparse.Namespace, faults: Faults) -> list[tuple[str, Callable[[], dict]]]:
    """What is to be measured: a name, and what gives its line."""
    given = {"device", "threads", "warmup", "repetitions", "frames"} & vars(arguments).keys()
    conditions = Conditions(**{"device": "cpu"} | {name: getattr(arguments, name) for name in given})
    if arguments.verb == "machine":
        return [("the machine", partial(machine_speed, conditions))]
    if arguments.verb == "cost":
        return [(f"{cost.family}, {cost.against}", partial(cost_speed, cost, conditions)) for cost in costs()]
    if arguments.verb in OF_STREAMS:
        paths = chain.from_iterable(faults.each(find_streams, arguments.places))
        return [(path.name, partial(OF_STREAMS[arguments.verb], path, conditions)) for path in paths]
    chosen = {"rate_lambda": arguments.rate_lambda, "family": arguments.family}
    efforts = [EncodeOptions(effort=effort, **chosen) for effort in arguments.efforts]
    paths = chain.from_iterable(faults.each(lambda place: find_files([place]), arguments.places))
    return [
        (f"{signal.name} at effort {options.effort}", partial(encode_speed, signal, options, conditions))
        for signal in open_signals(paths, arguments.frames, faults)
        for options in efforts
    ]


def measured(arguments: argparse.Namespace, faults: Faults, words: Words) -> list[dict]:
    """The lines of all that could be measured; each is written as soon as it is there."""
    lines = []
    append_lines(arguments.output)
    with words.live():
        for name, call in calls_of(arguments, faults):
            words.now(name)
            try:
                line = call()
            except Exception as error:  # one file's failure, and the other results stand
                kind = "" if isinstance(error, InrError) else f"{type(error).__name__}: "
                faults(f"{name}: {kind}{error}")
                continue
            append_lines(arguments.output, [line])
            lines.append(line)
    return lines


def main(argv: list[str] | None = None) -> int:
    """The exit status is 1 if anything failed, whatever was measured beside it."""
    arguments = make_parser().parse_args(argv)
    words = Words()
    faults = Faults("speed", words.say)

    def work() -> None:
        if arguments.verb in ("table", "figures"):
            lines = [line for found in faults.each(read_speeds, arguments.places) for line in found]
        else:
            lines = measured(arguments, faults, words)
        if arguments.verb == "figures":
            print("\n".join(str(path) for path in draw_costs(lines, arguments.output)))
        elif lines:
            print(tables(lines))

    return faults.status_of(work, "the lines that were measured are kept")


if __name__ == "__main__":
    sys.exit(main())
