"""Instant-NGP (arXiv 2201.05989) on large pictures: quality against seconds; docs/reproduction.md has the tables.

    python scripts/reproduce_ngp.py --pictures one.png two.png --seconds 10 30 90 -o ngp.jsonl

Rows that OUT.jsonl has are not measured again. Everything runs on one thread, one row after the other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from inrcodec.encoder.fit import Budget
from inrcodec.evaluation.reproduction import Material, Row, fit_row, picture
from inrcodec.evaluation.reproduction.command import budgets, make_parser, run
from inrcodec.fields import Field
from inrcodec.fields.hashgrid import SPACING_UNIT, HashGrid, HashGridConfig

POINTS = 1 << 12
"""Of an iteration: a core gets so few iterations done that smaller ones learn faster (2^16: 13 dB less after 10 s)."""
TABLES = (14, 16, 18, 20)
LEVELS, FEATURES, GROWTH = 16, 2, 1.5
"""L, F and the growth factor b, unless a row says otherwise: L and F are the paper's default."""
FINEST = 1.0
"""Samples between the vertices of the finest level."""
STRUCTURE_TABLE = 16
"""log2 T where T does not vary: small enough that most levels are hashed."""


def grid(
    material: Material,
    table: int,
    levels: int = LEVELS,
    features: int = FEATURES,
    growth: float = GROWTH,
    finest: float = FINEST,
) -> Field:
    spacing, ratio = round(finest * SPACING_UNIT), round(growth * SPACING_UNIT)
    config = HashGridConfig("joint", (features,) * levels, (spacing,) * 3, (ratio,) * 3, table, "linear", 64, 2)
    return HashGrid(config, material.shape)


def tables(arguments: argparse.Namespace) -> Iterator[Row]:
    """T, for a few budgets of time."""
    for material in map(picture, arguments.pictures):
        for table in arguments.tables:
            for budget in budgets(arguments):
                yield row("ngp tables", f"T = 2^{table}", material, grid(material, table), budget)


def structure(arguments: argparse.Namespace) -> Iterator[Row]:
    """F and L at equal F · T · L, as the paper compares them, the coarsest level the same where growth can be so large (up to
    4); growth and the finest level at equal T. At the second budget."""
    table = STRUCTURE_TABLE
    rows = {
        f"F = {FEATURES}, L = {LEVELS}, b = {GROWTH}": {},
        "F = 1, 2 T": {"features": 1, "table": table + 1},
        "F = 4, T / 2": {"features": 4, "table": table - 1},
        "F = 8, T / 4": {"features": 8, "table": table - 2},
        "L = 4, 4 T, b = 4": {"levels": 4, "table": table + 2, "growth": 4.0},
        "L = 8, 2 T, b = 2.375": {"levels": 8, "table": table + 1, "growth": 2.375},
        "b = 1.25": {"growth": 1.25},
        "b = 2": {"growth": 2.0},
        "finest level of 2 samples": {"finest": 2.0},
    }
    budget = budgets(arguments)[:2][-1]
    for material in map(picture, arguments.pictures):
        for name, changed in rows.items():
            yield row("ngp structure", name, material, grid(material, **{"table": table, **changed}), budget)


def row(study: str, name: str, material: Material, field: Field, budget: Budget) -> Row:
    """Points as the paper draws them: a sub-lattice would have to interpolate all vertices of its rows and columns."""
    return fit_row(study, material, field, budget, "points", POINTS, "adam, quick tables", row=name)


STUDIES = {"tables": tables, "structure": structure}


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("reproduce_ngp.py", __doc__, STUDIES)
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--tables", type=int, nargs="+", default=list(TABLES), metavar="LOG2", help="(14 16 18 20)")
    return run(parser, STUDIES, argv)


if __name__ == "__main__":
    sys.exit(main())
