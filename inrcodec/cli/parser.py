"""The options of every verb. Values are only parsed here; whoever uses them checks their range."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

import inrcodec
from inrcodec.bitstream import FAMILY_NAMES
from inrcodec.errors import UsageError

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
EPILOG = """\
exit status:
  0 ok             3 input unreadable               6 target missed (the file is written)
  1 internal       4 stream damaged or newer        7 device or memory
  2 usage          5 output exists or unwritable  130 interrupted, 143 terminated
"""
DECODE_EPILOG = """\
OUT is, by its suffix: a picture (.png .tif .webp .bmp .jpg); a folder, or a name such as frames/%05d.png; a visually
lossless video (.mp4 .mkv .mov: H.264, crf 10; .webm: VP9, crf 10); .y4m; .npy (integers, frames x height x width x
channels). "-" is standard output, as --format says.
"""


class _Parser(argparse.ArgumentParser):
    """Errors in one line, through the same door as all others."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


class _Version(argparse.Action):
    """Looks the version up when it is asked for, which takes its time."""

    def __call__(self, parser, namespace, values, option_string=None) -> NoReturn:
        print(f"inrcodec {inrcodec.__version__}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command; `verb` of what it parses names a module of this folder."""
    parser = _Parser(
        prog="inrcodec",
        description="Images and videos as small neural fields.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _encode(_verb(verbs, "encode", "encode pictures or videos"))
    _decode(_verb(verbs, "decode", "decode a stream, or a part of it", DECODE_EPILOG))
    info = _verb(verbs, "info", "what a stream holds, without decoding it")
    _stream(info)
    _json(info)
    _stream(_verb(verbs, "verify", "check a stream: checksums, all symbols, times; no pixels"))
    _evaluate(_verb(verbs, "evaluate", "compare a stream with its source"))
    _verb(verbs, "doctor", "versions, devices and a self-test")
    return parser


def _verb(verbs, name: str, what: str, epilog: str | None = None) -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    description = what[0].upper() + what[1:] + "."
    return verbs.add_parser(
        name, help=what, description=description, epilog=epilog, formatter_class=formatter, allow_abbrev=False
    )


def _encode(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("inputs", metavar="IN", nargs="+", help='a picture, a video or a .npy file; "-": standard input')
    verb.add_argument("-o", "--output", metavar="OUT.inr", required=True, help='a file, a folder, or "-"')
    families = ("auto", *sorted(FAMILY_NAMES))
    verb.add_argument("--family", choices=families, default="auto", help="of the field (auto: the best one we have)")
    verb.add_argument("-e", "--effort", type=int, metavar="1..9", default=5, help="the encoder's time (5)")
    rate = verb.add_mutually_exclusive_group()
    rate.add_argument("-q", "--quality", type=float, metavar="0..100", help="higher is better (50)")
    rate.add_argument("--rate-lambda", type=float, metavar="X", help="of loss = MSE + X * bpp, e.g. 0.001")
    rate.add_argument("--target-bpp", type=float, metavar="X", help="at most so many bits per pixel")
    rate.add_argument("--target-size", type=byte_count, metavar="BYTES", help="at most: 1500, 20k, 1.5M (k = 1000)")
    rate.add_argument("--target-psnr", type=float, metavar="DB", help="at least so many decibels")
    verb.add_argument("--time-limit", type=float, metavar="S", help="of the optimization of a file, in seconds")
    _frames(verb)
    _device(verb)
    verb.add_argument("--threads", type=int, metavar="N", help="of the processor")
    verb.add_argument("--seed", type=int, metavar="N", default=0, help="of all randomness (0)")
    _output_options(verb)


def _decode(verb: argparse.ArgumentParser) -> None:
    _stream(verb)
    verb.add_argument("-o", "--output", metavar="OUT", required=True, help="see below")
    _frames(verb)
    verb.add_argument("--region", type=region, metavar="X,Y,W,H", help="only this part of each frame")
    verb.add_argument("--scale", type=float, metavar="S", default=1.0, help="of both sides; above 1 is fine (1)")
    verb.add_argument("-f", "--format", choices=("y4m", "npy", "png"), help='of OUT "-"')
    _device(verb)
    _output_options(verb)


def _evaluate(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("reference", metavar="REFERENCE", help="what was encoded")
    _stream(verb)
    _frames(verb, "frames of the reference that were encoded")
    _json(verb)


def _stream(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("input", metavar="IN.inr", help='a stream; "-": standard input')


def _frames(verb: argparse.ArgumentParser, what: str = "frames A to B - 1; either may be left out") -> None:
    verb.add_argument("--frames", type=frame_range, metavar="A:B", help=what)


def _device(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--device", metavar="auto|cpu|cuda", default="auto", help="where to compute (auto)")


def _output_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("-y", "--overwrite", action="store_true", help="replace an existing OUT")
    _json(verb)
    verb.add_argument("--quiet", action="store_true", help="no words but errors")


def _json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="print one JSON object (several inputs: one a line)")


def frame_range(text: str) -> tuple[int | None, int | None]:
    """A:B, A:, :B → (start, stop)."""
    match = re.fullmatch(r"(\d*):(\d*)", text, re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no range; A:B is wanted (half-open), for instance 0:48")
    return tuple(int(number) if number else None for number in match.groups())


def region(text: str) -> tuple[int, int, int, int]:
    """X,Y,W,H in pixels of the frame."""
    match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", text, re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no region; X,Y,W,H is wanted, for instance 0,0,64,48")
    return tuple(map(int, match.groups()))


def byte_count(text: str) -> int:
    """1500, 20k, 1.5M → bytes; k, M and G are powers of 1000."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)", text.lower(), re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; wanted is for instance 1500, 20k or 1.5M")
    return round(float(match[1]) * UNITS[match[2]])
