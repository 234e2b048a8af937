"""Rate control: which rate_lambda meets an asked size or quality, found while training goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass

LAMBDA_RANGE = (1e-7, 10.0)
STARTS, FROZEN = 0.15, 0.78
"""Between these fractions of the training rate_lambda moves. It rests before rounding starts: a step that changes then
only rounds anew, for more bits and no quality."""
GAIN = 15.0
"""Change of log rate_lambda over the whole training, for every e-fold of excess."""
BPP_MARGIN, PSNR_MARGIN_DB = 0.99, 0.05
"""What is aimed at lies a little on the safe side of the target."""


@dataclass
class RateControl:
    """Holds rate_lambda, and moves it while a target is set: `bpp` (an upper limit) or `psnr_db` (a lower limit)."""

    rate_lambda: float
    bpp: float | None = None
    psnr_db: float | None = None
    _seen: float = STARTS

    def __post_init__(self) -> None:
        self._first_lambda = self.rate_lambda

    @property
    def step_factor(self) -> float:
        """What the steps of grids are multiplied with as rate_lambda moves: at high rates the best step goes with its root."""
        return math.sqrt(self.rate_lambda / self._first_lambda)

    def moves(self, fraction: float) -> bool:
        """Whether `observe` is of use at this fraction of the training."""
        return (self.bpp is not None or self.psnr_db is not None) and STARTS <= fraction < FROZEN

    def observe(self, fraction: float, error: float, bpp: float) -> None:
        """Distortion and bits per pixel of the rounded field: training sees softer symbols, which flatter it by a decibel."""
        low, high = LAMBDA_RANGE
        change = GAIN * (fraction - self._seen) * self._excess(error, bpp)
        self.rate_lambda = min(max(self.rate_lambda * math.exp(change), low), high)
        self._seen = fraction

    def _excess(self, error: float, bpp: float) -> float:
        """Positive if the rate should fall: in natural logarithms of rate, or of distortion."""
        if self.bpp is not None:
            return _clamped(math.log(max(bpp, 1e-9) / (BPP_MARGIN * self.bpp)))
        return _clamped(math.log(10 ** (-(self.psnr_db + PSNR_MARGIN_DB) / 10) / max(error, 1e-12)))

    def loss(self, error: float, bpp: float) -> float:
        return error + self.rate_lambda * bpp


def _clamped(value: float) -> float:
    return min(max(value, -1.0), 1.0)
