"""Rate control of a film: rate_lambda of the frames to come, from what those before took."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from inrcodec.encoder.control import LAMBDA_RANGE
from inrcodec.fields.hierarchy import Link

MARGIN = 0.98
"""Of the bits asked for: what is aimed at."""
PSNR_MARGIN_DB = 0.05
BITS_EXPONENT, ERROR_EXPONENT = -0.8, 0.65
"""Bits and distortion go about with these powers of rate_lambda."""
MOST = 2.0
"""By which rate_lambda may change at a time."""


@dataclass
class FilmControl:
    """Holds rate_lambda, and moves it after each anchor while a target is set: `bpp` (an upper limit), of all frames, or
    `psnr_db` (a lower limit of the mean)."""

    rate_lambda: float
    links: tuple[Link, ...]
    bpp: float | None = None
    psnr_db: float | None = None
    _seen: dict[int, tuple[float, float]] = field(default_factory=dict)

    def observe(self, link: Link, error: float, bpp: float) -> None:
        """A frame is coded, with this distortion and bits per pixel."""
        self._seen[link.frame] = error, bpp
        if link.depth > 1 or len(self._seen) == len(self.links):
            return
        if self.bpp is not None and link.depth:  # the first frame's bits say nothing of the others'
            self._scale((self._expected_bits() / (MARGIN * self.bpp * len(self.links))) ** (-1 / BITS_EXPONENT))
        if self.psnr_db is not None:
            missing_db = self.psnr_db + PSNR_MARGIN_DB - self._expected_psnr_db()
            self._scale(10 ** (-missing_db / 10 / ERROR_EXPONENT))

    def _scale(self, factor: float) -> None:
        low, high = LAMBDA_RANGE
        self.rate_lambda = min(max(self.rate_lambda * min(max(factor, 1 / MOST), MOST), low), high)

    def _expected_bits(self) -> float:
        """Per pixel, of all frames: those to come take what those of their depth took."""
        total = sum(bpp for _, bpp in self._seen.values())
        return total + sum(self._mean_by_depth(link, 1) for link in self.links if link.frame not in self._seen)

    def _expected_psnr_db(self) -> float:
        values = [-10 * math.log10(max(self._error(link), 1e-12)) for link in self.links]
        return sum(values) / len(values)

    def _error(self, link: Link) -> float:
        return self._seen[link.frame][0] if link.frame in self._seen else self._mean_by_depth(link, 0)

    def _mean_by_depth(self, link: Link, which: int) -> float:
        """Of the frames at this depth, or at the deepest one that was seen."""
        seen = [one for one in self.links if one.frame in self._seen]
        depth = min(link.depth, max(one.depth for one in seen))
        alike = [self._seen[one.frame][which] for one in seen if one.depth == depth]
        return sum(alike) / len(alike)
