"""Rate control of a film: rate_lambda of the next fit, from what the fits before missed by.

Frames build on one another, so rate_lambda cannot move while a film is fitted as it does for other families, and coarser steps
afterwards would spoil every frame that refers to one: a film that misses is fitted again.
"""

from __future__ import annotations

import math

from inrcodec.encoder.control import LAMBDA_RANGE

FITS = 4
"""At the most."""
AIM, TOLERANCE = -0.01, 0.03
"""What is aimed at, and how far below the target is near enough: in natural logarithms of bytes, or of distortion."""
BITS_EXPONENT, ERROR_EXPONENT = -0.8, 0.65
"""Bits and distortion go about with these powers of rate_lambda."""
SLOPES = 0.25, 1.5
"""Magnitudes of the exponent that two fits may tell."""


class LambdaSearch:
    """`rate_lambda`: of the next fit. `done`: whether there is none. missed: natural logarithm of the excess of bytes
    (`of_bits`), or of distortion."""

    def __init__(self, rate_lambda: float, of_bits: bool) -> None:
        self.rate_lambda, self.done = rate_lambda, False
        self._exponent = BITS_EXPONENT if of_bits else ERROR_EXPONENT
        self._seen: list[tuple[float, float]] = []

    def observe(self, missed: float) -> bool:
        """A fit with `rate_lambda` missed by so much. Whether it is the best so far: it meets the target and others do not, or
        both do and it is nearer, or none does and it is nearer."""
        best = all(_rank(missed) < _rank(other) for _, other in self._seen)
        self._seen.append((math.log(self.rate_lambda), missed))
        self.done = len(self._seen) >= FITS or -TOLERANCE <= missed <= 0
        low, high = LAMBDA_RANGE
        self.rate_lambda = min(max(math.exp(self._next()), low), high)
        return best

    def _next(self) -> float:
        """Logarithm of rate_lambda that should meet the aim: between the nearest fits on both sides of the target, along a line
        through the last two, or the usual one."""
        over, under = ([one for one in self._seen if (one[1] > 0) == side] for side in (True, False))
        if over and under:
            (one, high), (other, low) = min(over, key=_miss), max(under, key=_miss)
            return one + (other - one) * (high - max(AIM, low)) / (high - low)
        (last, missed), exponent = self._seen[-1], self._exponent
        if len(self._seen) > 1 and self._seen[-2][0] != last:
            before, missed_before = self._seen[-2]
            steep = abs((missed - missed_before) / (last - before))
            exponent = math.copysign(min(max(steep, SLOPES[0]), SLOPES[1]), exponent)
        return last + (AIM - missed) / exponent


def _miss(fit: tuple[float, float]) -> float:
    return fit[1]


def _rank(missed: float) -> tuple[bool, float]:
    return missed > 0, abs(missed)
