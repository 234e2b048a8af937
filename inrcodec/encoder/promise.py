"""Which tiles of a pyramid's planes are trained: those where anything may be left after rounding.

Smooth parts of a picture have nothing to say on the finest levels. Tiles of zeros are not coded (`entropy.tiles`): training
them costs time, and counts bits that nobody pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inrcodec.entropy.tiles import tiles_of
from inrcodec.passes import spread

ALL_FROM = 2
"""All tiles of this level and of coarser ones are trained; they are few."""


@dataclass(frozen=True)
class Promise:
    """tiles: of each plane, coarse to fine, uint8 as `tiles.tiles_of` gives them. masks: zeros and ones, like the values of each
    level. whole: of each level, whether all of its tiles are trained."""

    tiles: list[np.ndarray]
    masks: list[Tensor]
    whole: list[bool]


def promise_of(values: Sequence[Tensor], ages: Sequence[int], threshold: float) -> Promise:
    """values: symbols of each level before rounding, (planes, …, H, W). A tile is worth training that has one above the
    threshold."""
    tiles, masks, whole = [], [], []
    for age, value in zip(ages, values):
        planes = value.detach().cpu().reshape(len(value), *value.shape[-2:])
        level = [
            np.ones_like(own) if age >= ALL_FROM else own
            for own in (tiles_of(one) for one in (planes.abs() > threshold).numpy())
        ]
        mask = np.stack([spread(own, 0, 0, 1, *value.shape[-2:]) for own in level])
        masks.append(torch.from_numpy(mask).to(value).reshape(value.shape))
        whole.append(all(own.all() for own in level))
        tiles += level
    return Promise(tiles, masks, whole)
