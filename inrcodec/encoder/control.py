"""Rate control: which rate_lambda meets an asked size or quality, found while training goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inrcodec.steps import STEPS_PER_OCTAVE

LAMBDA_RANGE = (1e-7, 10.0)
STARTS = 0.12
"""rate_lambda moves from this fraction of the training to its end."""
INTERVAL = 1 / 24
"""Of the training, between two looks at the rounded field."""
MOST_GAIN = 1.0
"""Change of log rate_lambda at one look for every e-fold of excess, at the most: it would meet the target at once if rate and
distortion followed at once. The less is left to do, the more it takes: that most is divided by the root of what is left."""
MOST = 1.0
"""Excess that one look answers."""
OVERTIME_GAIN, OVERTIME_SHARE = 5.0, 0.1
"""Gain of a look after the end, when a fit goes on because it missed; for this share of its iterations, at the most."""
OVERTIME_SHARE_AIMED, OVERTIME_DB_AIMED = 0.993, 0.04
"""What it then aims at, of an asked size and above an asked quality."""
LATE_RANGE = 3.0
"""By what factor rate_lambda moves while steps rest, at the most: what it can still do is little."""


@dataclass(frozen=True)
class Outlook:
    """How much is still to come at a fixed rate_lambda: bits fall to exp(-r) of what they are, PSNR rises by p dB, where after
    a fraction f of the training r = rate · (rate_lambda / 0.02)^lambda_power · (1 - f)^power, and p = psnr_db · (1 - f)^power.

    steps_rest: fraction after which the steps of grids stay: one that changes late only rounds anew, for more bits and no
    quality. gain: change of log rate_lambda over the whole training for every e-fold of excess, in equal parts at the looks."""

    rate: float = 0.0
    psnr_db: float = 0.0
    power: float = 1.0
    steps_rest: float = 0.75
    gain: float = 15.0
    lambda_power: float = 0.35

    def ahead(self, fraction: float, rate_lambda: float) -> tuple[float, float]:
        """Natural logarithms that bits and the mean squared error will have fallen by at the end."""
        left = (1 - fraction) ** self.power
        return self.rate * (rate_lambda / 0.02) ** self.lambda_power * left, math.log(10) / 10 * self.psnr_db * left


@dataclass(frozen=True)
class Reach:
    """How near to a target training must come. shares, excess_db: of an asked size, and above an asked quality, between which
    trimming brings the field to the target at a good price. surplus, surplus_db: what training aims at beyond a size or quality,
    the former at a rate_lambda of 0.005 and more, and with its power 0.35 below. thresholds: of `trim`."""

    shares: tuple[float, float] = (0.98, 1.0)
    surplus: float = -0.01
    excess_db: tuple[float, float] = (0.0, 0.1)
    surplus_db: float = 0.05
    thresholds: tuple[float, float] = (0.0, 0.0)

    def aim(self, rate_lambda: float) -> float:
        """Share of an asked size."""
        return 1 + self.surplus * min(1.0, (rate_lambda / 0.005) ** 0.35)


@dataclass
class RateControl:
    """Holds rate_lambda, and moves it while a target is set: `bpp` (an upper limit) or `psnr_db` (a lower limit)."""

    rate_lambda: float
    bpp: float | None = None
    psnr_db: float | None = None
    outlook: Outlook = Outlook()
    reach: Reach = Reach()

    def __post_init__(self) -> None:
        self._first_lambda = self.rate_lambda
        self._seen = STARTS - INTERVAL
        self._rested: float | None = None
        self.step_move = 0

    @property
    def step_factor(self) -> float:
        """What the steps of grids are multiplied with as rate_lambda moves, in whole moves of the stream's index: at high
        rates the best step goes with its root."""
        return 2 ** (self.step_move / STEPS_PER_OCTAVE)

    @property
    def has_target(self) -> bool:
        return self.bpp is not None or self.psnr_db is not None

    def moves(self, fraction: float) -> bool:
        """Whether `observe` is due at this fraction of the training."""
        return self.has_target and self._seen + INTERVAL <= fraction < 1

    def observe(self, fraction: float, value: float) -> None:
        """value: bits per pixel if that is the target, else the distortion, of the rounded field (training sees softer
        symbols, which flatter it by a decibel). fraction: 1 from the end on."""
        low, high = LAMBDA_RANGE
        if fraction >= self.outlook.steps_rest:
            self._rested = self._rested or self.rate_lambda
            low, high = max(low, self._rested / LATE_RANGE), min(high, self._rested * LATE_RANGE)
        gain = OVERTIME_GAIN
        if fraction < 1:
            gain = min(self.outlook.gain * (fraction - self._seen), MOST_GAIN / math.sqrt(1 - fraction))
        change = gain * min(max(self._excess(fraction, value), -MOST), MOST)
        self.rate_lambda = min(max(self.rate_lambda * math.exp(change), low), high)
        if fraction < self.outlook.steps_rest:
            self.step_move = round(0.5 * math.log2(self.rate_lambda / self._first_lambda) * STEPS_PER_OCTAVE)
        self._seen = fraction

    def misses(self, value: float) -> bool:
        """Whether the end of the training misses the target by more than trimming mends; value as in `observe`."""
        if self.bpp is not None:
            low, high = self.reach.shares
            return not low <= value / self.bpp <= high
        low, high = self.reach.excess_db
        return self.psnr_db is not None and not low <= -10 * math.log10(max(value, 1e-12)) - self.psnr_db <= high

    def _excess(self, fraction: float, value: float) -> float:
        """Positive if the rate should fall: in natural logarithms of rate, or of distortion. No surplus after the end."""
        rate_ahead, error_ahead = self.outlook.ahead(fraction, self.rate_lambda)
        if self.bpp is not None:
            aim = self.reach.aim(self.rate_lambda) if fraction < 1 else OVERTIME_SHARE_AIMED
            return math.log(max(value, 1e-9) / (aim * self.bpp)) - rate_ahead
        aim_db = self.psnr_db + (self.reach.surplus_db if fraction < 1 else OVERTIME_DB_AIMED)
        return math.log(10 ** (-aim_db / 10) / max(value, 1e-12)) + error_ahead
