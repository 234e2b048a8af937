"""CoordX (arXiv 2201.12425), its claims measured again; docs/reproduction.md has the tables.

    python scripts/reproduce_coordx.py --picture large.png --videos bikes.mp4 carphone.mp4 -o coordx.jsonl
    python scripts/reproduce_coordx.py --picture large.png --studies structure sampling --fit-width 64 -o coordx.jsonl

Rows that OUT.jsonl has are not measured again. Everything runs on one thread, one row after the other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from inrcodec.encoder.fit import Budget
from inrcodec.evaluation.reproduction import Material, Row, fit_row, inference_row, picture, video
from inrcodec.evaluation.reproduction.command import budgets, make_parser, run
from inrcodec.fields import Field
from inrcodec.fields.coordx import CoordX, CoordXConfig
from inrcodec.fields.siren import Siren, SirenConfig

LAYERS = 4
"""Sine layers: the first and three hidden ones, as in the paper's configurations."""
RANKS = (1, 2, 3, 4)
SAMPLED = 150
"""Iterations at which ways of sampling are compared."""


def siren(shape, width: int, layers: int = LAYERS) -> Field:
    return Siren(SirenConfig(width, layers), shape)


def coordx(
    shape, width: int, split: int, rank: int = 1, fusion: str = "product", axes: str = "t_yx", layers: int = LAYERS
):
    """`split` of the sine layers lie in the branches, the others behind the fusion."""
    return CoordX(CoordXConfig(axes, split, layers - split, width, rank, fusion), shape)


def equal_size(shape, parameters: int, **structure) -> Field:
    """The widest CoordX of up to so many parameters."""
    width = 2
    while coordx(shape, width + 1, **structure).parameter_count <= parameters:
        width += 1
    return coordx(shape, width, **structure)


def image_inference(arguments: argparse.Namespace) -> Iterator[Row]:
    for size in arguments.sizes:
        shape = (1, size, size, 3)
        yield inference_row("coordx image inference", siren(shape, arguments.width), row="SIREN")
        for split in range(1, LAYERS + 1):
            yield inference_row("coordx image inference", coordx(shape, arguments.width, split), row=f"split {split}")
        for rank in RANKS[1:]:
            yield inference_row(
                "coordx image inference", coordx(shape, arguments.width, 3, rank), row=f"split 3, R = {rank}"
            )


def video_inference(arguments: argparse.Namespace) -> Iterator[Row]:
    for material in videos(arguments):
        for name, field in video_fields(material.shape, arguments.width):
            yield inference_row("coordx video inference", field, row=name, material=material.name)


def video_fields(shape, width: int) -> Iterator[tuple[str, Field]]:
    yield "SIREN", siren(shape, width)
    for axes, name in (("t_yx", "t·(y,x)"), ("t_y_x", "t·y·x")):
        for split in (2, 3):
            yield f"{name}, split {split}", coordx(shape, width, split, 2, axes=axes)
    yield "t·(y,x), fully split", coordx(shape, width, LAYERS, 2, axes="t_yx")


def structure(arguments: argparse.Namespace) -> Iterator[Row]:
    """Split point, fusion and rank at equal width; then SIREN's size."""
    material = crop(arguments)
    shape, width = material.shape, arguments.fit_width
    for budget in budgets(arguments):
        study = "coordx image quality"
        reference = siren(shape, width)
        yield fit_row(study, material, reference, budget, row="SIREN")
        for split in range(1, LAYERS + 1):
            for rank in RANKS if split == 3 else RANKS[:2]:
                yield fit_row(
                    study, material, coordx(shape, width, split, rank), budget, row=f"split {split}, R = {rank}"
                )
        for rank in RANKS[:2]:
            summed = coordx(shape, width, 3, rank, "sum")
            yield fit_row(study, material, summed, budget, row=f"split 3, sum, R = {rank}")
        for split in (2, 3):
            sized = equal_size(shape, reference.parameter_count, split=split, rank=2)
            yield fit_row(study, material, sized, budget, row=f"split {split}, R = 2, SIREN's size")


def video_structure(arguments: argparse.Namespace) -> Iterator[Row]:
    for material in videos(arguments):
        for budget in budgets(arguments):
            for name, field in video_fields(material.shape, arguments.fit_width):
                yield fit_row("coordx video quality", material, field, budget, row=name)


def sampling(arguments: argparse.Namespace) -> Iterator[Row]:
    """Sub-lattices against points: at equal iterations, then at equal time."""
    material = crop(arguments)
    field = coordx(material.shape, arguments.fit_width, 3, 2)
    for budget in (Budget(iterations=SAMPLED), *budgets(arguments)):
        for way in ("points", "lattice"):
            yield fit_row("coordx sampling", material, field, budget, way)


def schedules(arguments: argparse.Namespace) -> Iterator[Row]:
    """What learns fastest in the shortest time."""
    material = crop(arguments)
    field, budget = coordx(material.shape, arguments.fit_width, 3, 2), budgets(arguments)[0]
    for optimizer in ("adam", "soap"):
        for way in ("points", "lattice", "four lattices"):
            for pixels in (1 << 12, 1 << 14, 1 << 16):
                yield fit_row("coordx schedules", material, field, budget, way, pixels, optimizer)
        yield fit_row("coordx schedules", material, field, budget, "growing lattice", optimizer=optimizer)


def importance(arguments: argparse.Namespace) -> Iterator[Row]:
    """Rows and columns drawn where the errors are, against evenly drawn ones."""
    material = crop(arguments)
    field = coordx(material.shape, arguments.fit_width, 3, 2)
    for budget in budgets(arguments):
        for way in ("lattice", "important lattice"):
            yield fit_row("coordx importance", material, field, budget, way, optimizer="soap")


def learn_fast(arguments: argparse.Namespace) -> Iterator[Row]:
    """The fastest schedules against plain ones, points and SIREN, for every time."""
    material = crop(arguments)
    split, monolithic = coordx(material.shape, arguments.fit_width, 3, 2), siren(material.shape, arguments.fit_width)
    for budget in budgets(arguments):
        for field, row, sampling, optimizer in (
            (monolithic, "SIREN", "points", "adam"),
            (split, "split 3, R = 2", "points", "adam"),
            (split, "split 3, R = 2", "lattice", "adam"),
            (split, "split 3, R = 2", "lattice", "soap"),
            (split, "split 3, R = 2", "growing lattice", "soap"),
        ):
            yield fit_row("coordx learn fast", material, field, budget, sampling, optimizer=optimizer, row=row)


def crop(arguments: argparse.Namespace) -> Material:
    return picture(arguments.picture, arguments.fit_size)


def videos(arguments: argparse.Namespace) -> Iterator[Material]:
    return (video(path, arguments.frames, arguments.reduction) for path in arguments.videos)


STUDIES = {
    "image-inference": image_inference,
    "video-inference": video_inference,
    "structure": structure,
    "video-structure": video_structure,
    "sampling": sampling,
    "schedules": schedules,
    "importance": importance,
    "learn-fast": learn_fast,
}


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("reproduce_coordx.py", __doc__, STUDIES)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="the square in its middle is fitted")
    parser.add_argument("--videos", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--frames", type=int, default=32, help="of a video (32)")
    parser.add_argument(
        "--reduction", type=int, default=1, help="every so many samples of a video each way become one (1)"
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[512, 1024, 2048], help="of evaluated images (512 1024 2048)"
    )
    return run(parser, STUDIES, argv)


if __name__ == "__main__":
    sys.exit(main())
