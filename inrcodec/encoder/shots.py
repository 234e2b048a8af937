"""Where a video's shots end: a segment that is fitted as one should hold one scene."""

from __future__ import annotations

import numpy as np

BLOCK = 16
"""Samples that are averaged along each axis before frames are compared: motion then counts little."""
CHANGE = 0.06
"""Mean difference of such averages, as a share of the range, from which on a frame may begin a shot."""
CONTRAST = 3.0
"""It must exceed the usual difference by so much."""
REMEMBERED = 16


class ShotDetector:
    """Tells of frames in their order whether they begin a shot."""

    def __init__(self, peak: int) -> None:
        self._peak = peak
        self._last: np.ndarray | None = None
        self._usual: list[float] = []

    def begins(self, frame: np.ndarray) -> bool:
        """`frame`: (H, W, C) samples, the first channel luma or alike. False for the first one."""
        averages = _averages(frame[..., 0]) / self._peak
        last, self._last = self._last, averages
        if last is None:
            return False
        change = float(np.abs(averages - last).mean())
        usual = float(np.median(self._usual)) if self._usual else 0.0
        if change > max(CHANGE, CONTRAST * usual):
            self._usual.clear()
            return True
        self._usual = [*self._usual, change][-REMEMBERED:]
        return False


def _averages(luma: np.ndarray) -> np.ndarray:
    """Of blocks; those at the far borders may be smaller."""
    rows, columns = (np.arange(0, count, BLOCK) for count in luma.shape)
    sums = np.add.reduceat(np.add.reduceat(luma.astype(np.float64), rows, axis=0), columns, axis=1)
    heights, widths = (np.diff([*starts, count]) for starts, count in zip((rows, columns), luma.shape))
    return sums / np.outer(heights, widths)
