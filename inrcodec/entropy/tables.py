"""Integer probability tables: what a symbol costs is decided by whole numbers only, the same on every machine.

A table is chosen by integers (family, scale index, quarter of the mean) and built from decimal arithmetic of fixed
precision, rounded once to whole numbers; from there on only integer recurrences are used. Its counts sum to 2^24, and
the range coder codes an entry with probability count / 2^24 exactly (1 ulp of difference in one parameter made 88 of
200 streams undecodable when models were computed in floating point).
"""

from __future__ import annotations

from decimal import Context, Decimal
from functools import cache, cached_property

import constriction
import numpy as np

from inrcodec.kernels.ranges import TOTAL_BITS, Lookup

SCALES = 48
"""Scale indices 0 … 47 stand for 2^((index - 19) / 4), from 0.037 to 128 symbols."""
SCALE_ZERO = 19
SCALES_PER_OCTAVE = 4
QUARTERS = (-2, -1, 0, 1)
"""Fractional parts of a mean, in quarters of a symbol."""
MAX_SYMBOL = 1 << 20
"""No symbol of a valid stream is larger in magnitude."""

_FIXED_BITS = 60
_CONTEXT = Context(prec=40)


class Table:
    """Counts for the symbols -reach … reach and, last, for the escape to anything larger."""

    def __init__(self, masses: list[int], reach: int) -> None:
        size = len(masses) + 1
        counts = np.ones(size, dtype=np.int64)
        total = sum(masses)
        spare = (1 << TOTAL_BITS) - size
        counts[:-1] += np.array([mass * spare // total for mass in masses], dtype=np.int64)
        counts[reach] += (1 << TOTAL_BITS) - int(counts.sum())  # what rounding left, to the most likely symbol
        self.reach = reach
        self.counts = counts

    @cached_property
    def model(self):
        """The range coder's model. constriction gives every entry 1 and shares out the rest of 2^24 in proportion to
        what it is told, in float64: told counts - 1, whose sum is just that rest, it computes whole numbers only."""
        return constriction.stream.model.Categorical((self.counts - 1).astype(float), perfect=False, lazy=False)

    @cached_property
    def lookup(self) -> Lookup:
        """What the compiled decoder finds entries with."""
        return Lookup(self.counts, self.reach)

    @cached_property
    def bits(self) -> np.ndarray:
        """Ideal code length of each entry, float64, for estimates only."""
        return TOTAL_BITS - np.log2(self.counts)

    def symbol_bits(self, symbols: np.ndarray) -> np.ndarray:
        """Ideal code length of each of the integer `symbols`, escapes included; float64."""
        excess = np.maximum(np.abs(symbols) - self.reach, 0)
        bits = self.bits[np.where(excess == 0, symbols + self.reach, 2 * self.reach + 1)]
        return bits + np.where(excess == 0, 0, 2 * np.floor(np.log2(np.maximum(excess, 1))) + 2)

    def cost_bits(self, symbols: np.ndarray) -> float:
        """Ideal code length of integer `symbols`."""
        return float(self.symbol_bits(symbols).sum())


def _fixed(exponent: Decimal) -> int:
    """round(e^exponent * 2^60)."""
    return int(_CONTEXT.multiply(_CONTEXT.exp(exponent), Decimal(1 << _FIXED_BITS)).to_integral_value())


def _scale(index: int) -> Decimal:
    octaves = _CONTEXT.divide(Decimal(index - SCALE_ZERO), Decimal(SCALES_PER_OCTAVE))
    return _CONTEXT.power(Decimal(2), octaves)


@cache
def laplace(scale_index: int, part: int = 0, parts: int = 4) -> Table:
    """The Laplace distribution of mean `part` / `parts` and scale b(scale_index), integrated over [k - 1/2, k + 1/2].

    parts: a power of 2 up to 16."""
    scale = _scale(scale_index)
    reach = int(16 * scale) + 2
    ratio = _fixed(_CONTEXT.divide(Decimal(-1), scale))
    mean = Decimal(part) / parts
    tails = []
    for distance in (Decimal("0.5") - mean, Decimal("0.5") + mean):  # beyond +1/2, beyond -1/2
        beyond = _fixed(_CONTEXT.divide(-distance, scale)) >> 1
        masses = [beyond]
        for _ in range(reach):
            masses.append(masses[-1] * ratio >> _FIXED_BITS)
        tails.append([near - far for near, far in zip(masses, masses[1:])])
        tails[-1].insert(0, beyond)
    up, down = tails
    center = (1 << _FIXED_BITS) - up.pop(0) - down.pop(0)
    return Table(down[::-1] + [center] + up, reach)


@cache
def gauss(scale_index: int) -> Table:
    """The normal density of mean 0 and standard deviation sigma(scale_index), sampled at the whole numbers."""
    sigma = _scale(scale_index)
    reach = int(8 * sigma) + 2
    exponent = _CONTEXT.divide(Decimal(-1), _CONTEXT.multiply(Decimal(2), _CONTEXT.multiply(sigma, sigma)))
    ratio = _fixed(exponent)  # g(k + 1) / g(k) = q^(2k + 1)
    square = ratio * ratio >> _FIXED_BITS
    side = [1 << _FIXED_BITS]
    for _ in range(reach):
        side.append(side[-1] * ratio >> _FIXED_BITS)
        ratio = ratio * square >> _FIXED_BITS
    return Table(side[:0:-1] + side, reach)
