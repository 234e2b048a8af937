"""What the exact networks of `context` and `planes` share: whole numbers held in float32, from logarithms to tables.

Activations and weights are fixed-point numbers in units of 1 / UNIT. Sums stay below 2^24, up to where float32 holds every
whole number, so that any order of summation on any machine gives the same value.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal
from functools import cache

import numpy as np

from inrcodec.entropy.tables import QUARTERS, SCALE_ZERO, SCALES, Table, laplace
from inrcodec.errors import StreamError

UNIT = 32
"""One, in the fixed-point numbers of the networks' activations and weights."""
ACTIVATION_LIMIT = 4095
WEIGHT_LIMIT = 127


def check_range(network: str, name: str, values: np.ndarray, limit: int) -> None:
    """StreamError unless all of the tensor `name` is within ±limit."""
    largest = values.flat[np.abs(values).argmax()] if values.size else 0
    if abs(largest) > limit:
        raise StreamError(f"{network}: {name} holds {largest}, allowed are ±{limit}")


@cache
def log_table(magnitude_unit: int, largest: int) -> np.ndarray:
    """round(UNIT * log2(1 + 3 m / magnitude_unit)) of m = 0 … largest, as float32; magnitude_unit is a multiple of 3."""
    context = Context(prec=30)
    top = math.ceil(UNIT * math.log2(1 + 3 * largest / magnitude_unit))
    borders = [
        magnitude_unit // 3 * (context.power(Decimal(2), (Decimal(value) + Decimal("0.5")) / UNIT) - 1)
        for value in range(top)
    ]
    return np.searchsorted(np.array(borders, dtype=np.float64), np.arange(largest + 1)).astype(np.float32)


def activate(sums: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(sums / UNIT), 0, ACTIVATION_LIMIT)


def outputs(sums: np.ndarray) -> np.ndarray:
    """Of the last layer: mean and log2 scale."""
    return np.clip(np.floor(sums / UNIT), -ACTIVATION_LIMIT, ACTIVATION_LIMIT)


def choose_tables(mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole part of the mean, int32, and number of the table in TABLES, uint8 (which sorts fastest); mean and log2 scale are
    in units of 1 / UNIT, rounded here to quarters."""
    quarters = np.floor((mean + UNIT // 8) / (UNIT // 4)).astype(np.int32)
    index = np.floor((scale + UNIT // 8) / (UNIT // 4)).astype(np.int32)
    index = index.clip(-SCALE_ZERO, SCALES - 1 - SCALE_ZERO) + SCALE_ZERO
    whole = (quarters + 2) >> 2
    return whole, (index * len(QUARTERS) + quarters - 4 * whole + 2).astype(np.uint8)


class _Tables:
    """laplace(scale, quarter), numbered as `choose_tables` does."""

    def __getitem__(self, index: int) -> Table:
        return laplace(int(index) // len(QUARTERS), QUARTERS[int(index) % len(QUARTERS)])


TABLES = _Tables()
