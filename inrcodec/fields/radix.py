"""Positions of an axis in a mixed radix, coarse digit first, and what positions with the same leading digits share.

Sample i of an axis with bases b_1 ... b_L is i = d_1 b_2 ... b_L + ... + d_L. A position between sample centers has the
digits of the sample in whose cell it lies; the finest digit whose base is above 1 keeps the fraction, in [-1/2, 1/2].
Digits are normalized so that the cells 0 ... b - 1 tile [-1, 1]: (2 d + 1) / b - 1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from inrcodec.lattice import sample_index


def bases_for(size: int, layers: int) -> tuple[int, ...]:
    """Balanced bases, one per layer, none larger than the last: cells for `size` samples and at most 1/16 (or 1) more.

    Coarse bases differ by at most 1; of those that waste so little, the ones with the smallest last base.
    """
    allowed = size + max(1, size // 16)
    best = (1,) * (layers - 1) + (size,)
    for low in range(1, math.isqrt(size) + 2) if layers > 1 else ():
        for larger in range(layers - 1):
            coarse = (low,) * (layers - 1 - larger) + (low + 1,) * larger
            last = -(-size // math.prod(coarse))
            if max(coarse) <= last < best[-1] and math.prod(coarse) * last <= allowed:
                best = (*coarse, last)
    return best


def patch_bases(size: int, layers: int, patch: int) -> tuple[int, ...]:
    """Two digits, for at least two layers: the patch of up to `patch` samples, and the place in it. The layers between see none.

    Those are plain layers that are computed once a patch: the place of a patch is a smooth coordinate, as SIREN's are.
    """
    patch = min(patch, size)
    return (-(-size // patch), *(1,) * (layers - 2), patch)


def sample_of(positions: np.ndarray | Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The sample in whose cell a position lies, int64 in [0, size - 1], and the position's distance from its center."""
    index = sample_index(torch.as_tensor(positions), size)
    whole = (index + 0.5).floor().clamp(0, size - 1)
    return whole.long(), index - whole


def finest_level(bases: tuple[int, ...]) -> int | None:
    """The last level whose base is above 1; None if there is none, so that the axis has a single cell."""
    return max((level for level, base in enumerate(bases) if base > 1), default=None)


def digits(positions: np.ndarray | Tensor, size: int, bases: tuple[int, ...]) -> Tensor:
    """Normalized digits of positions (N,) on an axis of `size` samples: (N, levels) float64; 0 where the base is 1."""
    whole, fraction = sample_of(positions, size)
    columns = []
    for level, base in enumerate(bases):
        digit = (whole // math.prod(bases[level + 1 :]) % base).double()
        digit = digit + fraction if level == finest_level(bases) else digit
        columns.append((2 * digit + 1) / base - 1 if base > 1 else torch.zeros_like(digit))
    return torch.stack(columns, dim=1)


class Prefixes:
    """The distinct leading digits of the positions of one axis, level by level.

    With n[i] distinct prefixes of i + 1 digits, in ascending order:
    digit[i]: (n[i],) float32, the normalized last digit of each. parent[i]: (n[i],) int64, the prefix of level i - 1
    that each one extends (0 at level 0: they all extend the empty one). path[i]: (N,) int64, the prefix of each
    position. counts[i]: n[i].
    """

    def __init__(self, positions: np.ndarray | Tensor, size: int, bases: tuple[int, ...]) -> None:
        columns = digits(positions, size, bases)
        self.digit, self.parent, self.path, self.counts = [], [], [], []
        above = torch.zeros(len(positions), dtype=torch.long)
        for level, keys in enumerate(_keys(positions, size, bases)):
            distinct, path = torch.unique(keys, return_inverse=True)
            count = len(distinct)
            self.digit.append(torch.zeros(count).scatter_(0, path, columns[:, level].float()))
            self.parent.append(torch.zeros(count, dtype=torch.long).scatter_(0, path, above))
            self.path.append(path)
            self.counts.append(count)
            above = path


def _keys(positions: np.ndarray | Tensor, size: int, bases: tuple[int, ...]) -> list[Tensor]:
    """Per level, a number that positions share exactly if they share the digits up to that level."""
    whole, fraction = sample_of(positions, size)
    finest = finest_level(bases)
    if finest is None:
        return [torch.zeros_like(whole) for _ in bases]
    keys = [whole // math.prod(bases[level + 1 :]) for level in range(finest)]
    return keys + [whole + fraction] * (len(bases) - finest)
