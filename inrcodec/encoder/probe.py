"""Which rate_lambda a picture needs for an asked size or quality, before training: seen from the pyramid that training starts
from, rounded. That is a codec already, and what training makes of it differs little from picture to picture."""

from __future__ import annotations

import math
from collections.abc import Callable

from inrcodec.encoder.control import LAMBDA_RANGE, RateControl

LOOKS = 2
TYPICAL_SLOPE = {True: -0.7, False: 0.65}
"""Change of log rate, and of log distortion, for every e-fold of rate_lambda (BSDS photographs)."""
SLOPE_RANGE = 0.4, 1.2
BITS_LEFT = {False: math.exp(-0.13), True: math.exp(-0.4)}
"""Share of the rounded start's bits that is left after a short fit, and after a long one: 24 fits of six BSDS photographs,
scattered by a tenth; a short fit had better start with too many bits, which trimming takes away."""
PSNR_GAIN_DB = {False: 2.1, True: 2.7}
"""And what is won: scattered by 0.7 dB."""


def probed_lambda(cost_at: Callable[[float], float], control: RateControl, thorough: bool) -> float:
    """cost_at(rate_lambda): bits per pixel if control's target is such, else the distortion, of the start of a short fit at a
    rate_lambda, rounded."""
    sizes = control.bpp is not None
    aim = math.log(control.bpp / BITS_LEFT[thorough] if sizes else _error(control.psnr_db - PSNR_GAIN_DB[thorough]))
    slope, place = TYPICAL_SLOPE[sizes], math.log(control.rate_lambda)
    low, high = map(math.log, LAMBDA_RANGE)
    seen: list[tuple[float, float]] = []
    for _ in range(LOOKS):
        value = math.log(max(cost_at(math.exp(place)), 1e-12))
        if seen and place != seen[-1][0]:
            slope = (value - seen[-1][1]) / (place - seen[-1][0])
            slope = math.copysign(min(max(abs(slope), SLOPE_RANGE[0]), SLOPE_RANGE[1]), TYPICAL_SLOPE[sizes])
        seen.append((place, value))
        place = min(max(place + (aim - value) / slope, low), high)
    return min(max(math.exp(place), LAMBDA_RANGE[0]), LAMBDA_RANGE[1])


def _error(psnr_db: float) -> float:
    return 10 ** (-psnr_db / 10)
