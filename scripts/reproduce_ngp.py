"""Instant-NGP (arXiv 2201.05989) on large pictures: quality against seconds; docs/reproduction.md has the tables.

    python scripts/reproduce_ngp.py --pictures one.png two.png --seconds 15 60 -o ngp.jsonl

Rows that OUT.jsonl has are not measured again. Everything runs on one thread, one row after the other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from inrcodec.evaluation.reproduction import Material, Row, fit_row, picture
from inrcodec.evaluation.reproduction.command import budgets, make_parser, run
from inrcodec.fields import Field
from inrcodec.fields.hashgrid import SPACING_UNIT, HashGrid, HashGridConfig

PIXELS = 1 << 16
TABLES = (14, 16, 18, 20)
LEVELS, FEATURES, GROWTH = 16, 2, 1.5
"""L, F and the growth factor b of the paper's default, unless a row says otherwise."""
FINEST = 1.0
"""Samples between the vertices of the finest level."""


def grid(
    material: Material, table: int, levels: int = LEVELS, features: int = FEATURES, growth: float = GROWTH
) -> Field:
    spacing, ratio = round(FINEST * SPACING_UNIT), round(growth * SPACING_UNIT)
    config = HashGridConfig("joint", (features,) * levels, (spacing,) * 3, (ratio,) * 3, table, "linear", 64, 2)
    return HashGrid(config, material.shape)


def tables(arguments: argparse.Namespace) -> Iterator[Row]:
    """T, for a few budgets of time."""
    for path in arguments.pictures:
        material = picture(path)
        for table in arguments.tables:
            for budget in budgets(arguments):
                yield fit_row(
                    "ngp tables", material, grid(material, table), budget, pixels=PIXELS, row=f"T = 2^{table}"
                )


def structure(arguments: argparse.Namespace) -> Iterator[Row]:
    """L, F and the growth factor at the shortest budget, T = 2^18."""
    material = picture(arguments.pictures[0])
    rows = [("L", {"levels": levels}) for levels in (8, 12)] + [("F", {"features": features}) for features in (1, 4)]
    rows += [("b", {"growth": growth}) for growth in (1.26, 2.0)]
    for name, changed in rows:
        label = f"{name} = {next(iter(changed.values()))}"
        yield fit_row(
            "ngp structure", material, grid(material, 18, **changed), budgets(arguments)[0], pixels=PIXELS, row=label
        )


STUDIES = {"tables": tables, "structure": structure}


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("reproduce_ngp.py", __doc__, STUDIES)
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--tables", type=int, nargs="+", default=list(TABLES), metavar="LOG2", help="(14 16 18 20)")
    return run(parser, STUDIES, argv)


if __name__ == "__main__":
    sys.exit(main())
