"""What a decoder gives back of one frame, and of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """data: (C, H, W), or (H, W, C) with dimension order "NHWC". Times in seconds, 0 for an image."""

    data: Tensor
    index: int
    pts_seconds: float
    duration_seconds: float


@dataclass(frozen=True)
class FrameBatch:
    """data: (N, C, H, W) or (N, H, W, C). pts_seconds, duration_seconds: (N,) float64."""

    data: Tensor
    pts_seconds: Tensor
    duration_seconds: Tensor
