"""Which table codes a symbol of a pyramid: the smaller its scale, the finer its mean is told.

A mean off by d costs about d^2 / 2b^2 nats at a scale b that is not small, and more at small ones, where most symbols
are: so means are rounded to sixteenths of a symbol at the smallest scales and to whole symbols at large ones. Scale indices
(`tables`) fall into grades of 8, the last one of 16; grade g has 16 >> g parts of a symbol, and all tables together are 256.
"""

from __future__ import annotations

import numpy as np

from inrcodec.entropy.fixed import UNIT
from inrcodec.entropy.tables import SCALE_ZERO, SCALES, SCALES_PER_OCTAVE, Table, laplace

COARSEST = 4
"""Grade of means in whole symbols."""
_GRADE = 8
"""Scales of a grade but the last."""
TABLE_COUNT = 256


def choose(mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole part of the mean, int32, and number of the table in TABLES, uint8 (which sorts fastest); mean and log2 scale are
    in units of 1 / UNIT."""
    unit = UNIT // SCALES_PER_OCTAVE
    index = np.floor((scale + unit // 2) / unit).astype(np.int32)
    index = index.clip(-SCALE_ZERO, SCALES - 1 - SCALE_ZERO) + SCALE_ZERO
    grade = np.minimum(index // _GRADE, COARSEST)
    bits = COARSEST - grade
    half = (1 << COARSEST >> 1) >> grade
    parts = (mean.astype(np.int32) + (1 << grade)) >> (grade + 1)
    whole = (parts + half) >> bits
    number = _first(grade) + ((index - _GRADE * grade) << bits) + parts - (whole << bits) + half
    return whole, number.astype(np.uint8)


def _first(grade):
    """Number of a grade's first table."""
    return TABLE_COUNT - (TABLE_COUNT >> grade)


class _Tables:
    """By number."""

    def __getitem__(self, number: int) -> Table:
        grade = next(grade for grade in range(COARSEST, -1, -1) if number >= _first(grade))
        parts = 1 << COARSEST >> grade
        index, part = divmod(int(number) - _first(grade), parts)
        return laplace(_GRADE * grade + index, part - parts // 2, parts)


TABLES = _Tables()
