"""Means over some of the images of a set, moved to where the mean over all of them would lie.

Codecs are published as means over a whole set, each image at the same rate. Images differ in difficulty, by decibels, so
that a mean over half of them is no point of the same curve. By a table that has every image (a codec's published points of
each), the mean of the measured ones lies above that of all by so many decibels at that rate; these are taken off.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

import numpy as np
from scipy.interpolate import PchipInterpolator

from inrcodec.errors import InputError
from inrcodec.evaluation.bdrate import Point, front

KNOWN_SHARE = 0.75
"""Of the curves, that must begin at a rate or below for a lead there to be believed."""
Table = dict[str, list[Point]]
"""Points of each image, by the stem of its file."""


def table_of(lines: Iterable[dict]) -> Table:
    """Of lines (`inrcodec.evaluation`) of one codec."""
    found = defaultdict(list)
    for line in lines:
        found[Path(line["file"]).stem].append((line["bpp"], line["psnr_db"]))
    return {name: front(points) for name, points in found.items()}


def psnr_at(points: list[Point], bpp: float) -> float:
    """PSNR in dB of a curve at a rate, by PCHIP over the logarithm of the rate; outside it goes straight on."""
    rates, psnrs = zip(*front(points), strict=True)
    curve = PchipInterpolator(np.log(rates), psnrs)
    end = math.log(min(max(bpp, rates[0]), rates[-1]))
    return float(curve(end) + curve(end, 1) * (math.log(bpp) - end))


def bpp_at(points: list[Point], psnr_db: float) -> float | None:
    """Rate of a curve at a PSNR, by PCHIP; None outside of the curve."""
    rates, psnrs = zip(*front(points), strict=True)
    if not psnrs[0] <= psnr_db <= psnrs[-1]:
        return None
    return math.exp(float(PchipInterpolator(psnrs, np.log(rates))(psnr_db)))


def lead_db(table: Table, names: Iterable[str], bpp: float) -> float:
    """How far the mean PSNR of the images `names` lies above that of all in the table, every image at `bpp`.

    Below the rates that KNOWN_SHARE of the curves reach, the lead at the lowest of those is taken: how far curves go straight
    on nobody measured. Raises InputError for an image that the table does not have.
    """
    names = list(names)
    unknown = [name for name in names if name not in table]
    if unknown:
        raise InputError(f"the table has no {', '.join(unknown)}")
    begins = sorted(points[0][0] for points in table.values())
    bpp = max(bpp, begins[math.ceil(KNOWN_SHARE * len(begins)) - 1])
    at_rate = {name: psnr_at(points, bpp) for name, points in table.items()}
    return fmean(at_rate[name] for name in names) - fmean(at_rate.values())
