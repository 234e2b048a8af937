"""After training: what is a little off its target gives up, or takes back, the symbols about which rounding was in doubt.

Training leaves many values near the half-way points between symbols. Those are worth about their bits, so that a threshold
a little above or below one half trades bits for quality at nearly the rate_lambda of training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

TRIES = 6
BEND = 1.6
"""Value falls about with threshold^(1 / BEND): most of the doubtful symbols lie next to the half-way points."""

Field = TypeVar("Field")


def trimmed(
    rounded: Callable[[float], Field],
    start: tuple[Field, float],
    value: Callable[[Field], float],
    window: tuple[float, float],
    thresholds: tuple[float, float],
    below: bool,
) -> tuple[Field, float]:
    """A field whose value lies in the window, or as near as a few tries come, and that value: from below, or from above.

    start: the field as it is, and its value. rounded(threshold): the field at a threshold added to one half, which lies between
    `thresholds`, one below and one above 0; value falls as it grows.
    """
    low, high = window
    first = 0.0, start[1], start[0]
    end = thresholds[first[1] > high]
    if low <= first[1] <= high or end == 0:
        return start
    field = rounded(end)
    above, under = sorted([first, (end, value(field), field)], key=lambda one: one[0])
    for _ in range(TRIES):
        if not under[1] < low <= high < above[1]:
            break
        threshold = _between(above, under, (low + high) / 2)
        field = rounded(threshold)
        tried = threshold, value(field), field
        if low <= tried[1] <= high:
            return field, tried[1]
        above, under = (tried, under) if tried[1] > high else (above, tried)
    return _nearest(above, under, low, high, below)


def _nearest(above: tuple, under: tuple, low: float, high: float, below: bool):
    """What keeps to the right side of the window and is nearest to it; else what is nearest at all."""
    for one in (above, under) if below else (under, above):
        if (one[1] <= high) if below else (one[1] >= low):
            return one[2], one[1]
    nearest = under if below else above
    return nearest[2], nearest[1]


def _between(above: tuple, under: tuple, wanted: float) -> float:
    """Where a straight line, or from threshold 0 on a bent one, has the wanted value; not too near either end."""
    share = (above[1] - wanted) / (above[1] - under[1])
    if above[0] == 0:
        share **= BEND
    elif under[0] == 0:
        share = 1 - (1 - share) ** BEND
    return above[0] + min(max(share, 0.05), 0.95) * (under[0] - above[0])
