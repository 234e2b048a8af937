"""What the scripts of all studies share: arguments, and running the rows that were chosen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from inrcodec.encoder.fit import Budget
from inrcodec.errors import InrError
from inrcodec.evaluation.reproduction.study import Log, Row, run_rows

Rows = Callable[[argparse.Namespace], Iterable[Row]]


def make_parser(name: str, text: str, studies: dict[str, Rows]) -> argparse.ArgumentParser:
    """Arguments of all studies; each script adds its own."""
    parser = argparse.ArgumentParser(
        prog=name, description=text, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.jsonl", help="lines are appended")
    parser.add_argument(
        "--studies", nargs="+", choices=list(studies), default=list(studies), metavar="NAME", help="(all)"
    )
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0], help="of the processor, for a fit (60)")
    parser.add_argument("--width", type=int, default=256, help="of evaluated fields (256)")
    parser.add_argument("--fit-width", type=int, default=256, help="of fitted fields (256)")
    parser.add_argument("--fit-size", type=int, default=512, help="side of the square that is fitted (512)")
    return parser


def run(parser: argparse.ArgumentParser, studies: dict[str, Rows], argv: list[str] | None) -> int:
    """Measures the rows of the chosen studies that the output lacks. Exit status 1: an error, in one line; 130: interrupted."""
    arguments = parser.parse_args(argv)
    try:
        log = Log(arguments.output)
        for name in arguments.studies:
            run_rows(studies[name](arguments), log, say)
    except InrError as error:
        say(f"{parser.prog}: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the rows that were measured are kept")
        return 130
    return 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def budgets(arguments: argparse.Namespace) -> list[Budget]:
    return [Budget(seconds=seconds) for seconds in arguments.seconds]
