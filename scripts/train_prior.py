"""Trains a prior of family pyramid on photographs and writes its file (`inrcodec.priors` says what that holds).

    python scripts/train_prior.py --rate-lambda 1e-3 --iterations 16 --short --begin 3 -o 013.npz photographs/*.jpg

A published prior never changes: an existing file is refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from inrcodec.encoder.photographs import read_photographs
from inrcodec.encoder.prior_training import PriorOptions, PriorProgress, train_prior
from inrcodec.errors import InrError, OutputError, UsageError
from inrcodec.kernels.allocator import keep_large_blocks
from inrcodec.passes import SUMMARIZED, WAVEFRONT
from inrcodec.priors import load_prior


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train_prior.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="photographs, 8-bit RGB")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--rate-lambda", type=float, required=True, metavar="λ", help="loss = MSE + λ · bits per pixel")
    parser.add_argument("--photographs", type=int, default=24, metavar="N", help="how many of the files (24)")
    parser.add_argument(
        "--iterations", type=int, default=50, metavar="N", help="of the fits that the prior is for (50)"
    )
    parser.add_argument(
        "--short", action="store_true", help="for fits of some dozen iterations: vertices without filters"
    )
    parser.add_argument(
        "--single", action="store_true", help="for fits of thousands of iterations: one plane a level for all colors"
    )
    parser.add_argument("--mirrored", action="store_true", help="with --single: a context network that is mirrored")
    parser.add_argument("--fits", type=int, default=4, metavar="N", help="of each photograph, one after the other (4)")
    parser.add_argument(
        "--begin", type=int, metavar="NUMBER", help="prior to go on from; its widths, layers and modes count"
    )
    parser.add_argument("--width", type=int, default=24, metavar="N", help="of the head (24)")
    parser.add_argument("--layers", type=int, default=2, metavar="N", help="hidden ones of the head, 1 or 2 (2)")
    parser.add_argument("--network-width", type=int, default=24, metavar="N", help="of the context network (24)")
    parser.add_argument("--modes", type=int, default=8, metavar="N", help="of the context network (8)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(0)")
    return parser


def say(told: PriorProgress) -> None:
    print(f"fit {told.fit}, 1000 × loss {told.loss * 1000:.4f}; {told.seconds_per_step:.3f} s a step", flush=True)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that did not exist before, told before the work is done; nothing stays of it if that fails."""
    try:
        file = path.open("xb")
    except FileExistsError:
        raise OutputError(f"{path}: exists already; a published prior never changes, name another file") from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def train(arguments: argparse.Namespace) -> None:
    if arguments.threads < 1:
        raise UsageError(f"--threads is {arguments.threads}, allowed are 1 and more")
    torch.set_num_threads(arguments.threads)
    keep_large_blocks()
    names = (
        "rate_lambda",
        "iterations",
        "short",
        "fits",
        "width",
        "layers",
        "network_width",
        "mirrored",
        "modes",
        "seed",
    )
    order = SUMMARIZED if arguments.single else WAVEFRONT
    options = PriorOptions(**{name: getattr(arguments, name) for name in names}, order=order)
    begin = None if arguments.begin is None else load_prior(arguments.begin)
    with new_file(arguments.output) as file:
        photographs = read_photographs(arguments.files, arguments.photographs, arguments.seed)
        np.savez_compressed(file, **train_prior(photographs, options, say, begin))


def main(argv: list[str] | None = None) -> int:
    arguments = make_parser().parse_args(argv)
    try:
        train(arguments)
    except InrError as error:
        print(f"train_prior: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("train_prior: interrupted, nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
