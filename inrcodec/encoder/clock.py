"""Effort and time: how many iterations a fit takes, and how far it is. The schedule fits itself to a time limit."""

from __future__ import annotations

import time

ITERATIONS = (8, 25, 70, 150, 300, 700, 1600, 4000, 9000)
"""Of a hash grid on a whole image, by effort 1 … 9."""
PYRAMID_ITERATIONS = (24, 70, 220, 400, 850, 1900, 5000, 13000, 34000)
"""Of a pyramid: meant for 5 s, 30 s, 2 min, 10 min, 1 h for a Kodak image at efforts 1, 3, 5, 7, 9 on 2 cores."""
SINGLE_ITERATIONS = (*PYRAMID_ITERATIONS[:4], 2000, 4500, 12000, 30000, 70000)
"""The same of one with a single plane a level, whose iterations are cheaper."""
FAMILY_FACTOR = {"hashgrid": 1, "coordx": 25, "asmr": 30, "siren": 20}
"""The other families train on small batches: more and cheaper iterations."""
VIDEO_FACTOR = {"hashgrid": 3, "coordx": 25, "asmr": 30, "siren": 20}

FILM_ITERATIONS = (5, 9, 16, 28, 50, 90, 160, 300, 600)
"""Of each frame of a film that refers to others."""


def iterations_of(family: str, effort: int, frames: int, single: bool = False) -> int:
    """Iterations of one segment; of a film: of each frame that refers to others. single: whether a pyramid has one plane a
    level."""
    if family == "film":
        return FILM_ITERATIONS[effort - 1]
    if family == "pyramid":
        return (SINGLE_ITERATIONS if single else PYRAMID_ITERATIONS)[effort - 1]
    factor = (VIDEO_FACTOR if frames > 1 else FAMILY_FACTOR)[family]
    return ITERATIONS[effort - 1] * factor


class Clock:
    """Progress of one fit in [0, 1]: by iterations, by time, or at once when the caller says stop."""

    def __init__(self, iterations: int, limit_s: float | None, stop) -> None:
        self.iterations, self.limit_s, self._stop = iterations, limit_s, stop
        self.iteration = 0
        self.stopped = False
        self._start = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._start

    @property
    def fraction(self) -> float:
        by_count = self.iteration / self.iterations
        by_time = self.elapsed_s / self.limit_s if self.limit_s else 0.0
        return min(1.0, max(by_count, by_time))

    @property
    def left(self) -> int:
        """Iterations to come, as fast as those before."""
        fraction = self.fraction
        return round(self.iteration * (1 - fraction) / fraction) if fraction > 0 else self.iterations

    @property
    def left_s(self) -> float:
        fraction = self.fraction
        return self.elapsed_s * (1 - fraction) / fraction if fraction > 0 else 0.0

    def running(self) -> bool:
        """Whether another iteration is due."""
        return self.in_time() and self.fraction < 1

    def in_time(self) -> bool:
        """Whether work that is no iteration may go on; asks the caller's `stop`."""
        self.stopped = self.stopped or bool(self._stop and self._stop())
        return not self.stopped and (self.limit_s is None or self.elapsed_s < self.limit_s)

    @property
    def may_exceed(self) -> bool:
        """Whether a few iterations more than planned harm nobody."""
        return self.limit_s is None and not self.stopped

    def tick(self, iterations: int = 1) -> None:
        self.iteration += iterations

    def part(self, iterations: int, left: int) -> Part:
        """The share of what is left that belongs to `iterations` of the `left` ones to come."""
        limit_s = None if self.limit_s is None else max(0.0, self.limit_s - self.elapsed_s) * iterations / left
        return Part(self, iterations, limit_s)


class Part:
    """A clock within a clock: of one of the fits that follow one another in a whole."""

    def __init__(self, whole: Clock, iterations: int, limit_s: float | None) -> None:
        self._whole, self.iterations, self._limit_s = whole, iterations, limit_s
        self._done, self._start = 0, whole.elapsed_s

    @property
    def fraction(self) -> float:
        by_time = (self._whole.elapsed_s - self._start) / self._limit_s if self._limit_s else 0.0
        return min(1.0, max(self._done / self.iterations, by_time))

    @property
    def iteration(self) -> int:
        return self._whole.iteration

    def in_time(self) -> bool:
        return self._whole.in_time()

    def running(self) -> bool:
        """Whether another iteration of this part is due."""
        return self.fraction < 1 and self._limit_s != 0 and self._whole.running()

    def tick(self, iterations: int = 1) -> None:
        self._done += iterations
        self._whole.tick(iterations)
