"""Trains a prior of family pyramid on photographs and writes its file (`inrcodec.priors` says what that holds).

    python scripts/train_prior.py --rate-lambda 1e-3 -o 003.npz photographs/*.jpg

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


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train_prior.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="photographs, 8-bit RGB")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--rate-lambda", type=float, required=True, metavar="λ", help="loss = MSE + λ · bits per pixel")
    parser.add_argument("--photographs", type=int, default=24, metavar="N", help="how many of the files (24)")
    parser.add_argument("--visits", type=int, default=100, metavar="N", help="steps on each photograph (100)")
    parser.add_argument("--width", type=int, default=24, metavar="N", help="of the head (24)")
    parser.add_argument("--network-width", type=int, default=24, metavar="N", help="of the context network (24)")
    parser.add_argument("--modes", type=int, default=8, metavar="N", help="of the context network (8)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(0)")
    return parser


def say(told: PriorProgress) -> None:
    losses = f"1000 × loss: soft {told.soft_loss * 1000:.4f}, rounded {told.rounded_loss * 1000:.4f}"
    print(f"visit {told.visit}, {losses}; {told.seconds_per_step:.3f} s a step", flush=True)


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
    names = ("rate_lambda", "visits", "width", "network_width", "modes", "seed")
    options = PriorOptions(**{name: getattr(arguments, name) for name in names})
    with new_file(arguments.output) as file:
        photographs = read_photographs(arguments.files, arguments.photographs, arguments.seed)
        np.savez_compressed(file, **train_prior(photographs, options, say))


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
