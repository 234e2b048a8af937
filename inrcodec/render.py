"""From a field's centered values to the integers of a frame: the last step of every decoder, and of the encoder's check."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.fields.base import Numbers, quantized
from inrcodec.kernels import color
from inrcodec.signal.color import yuv_to_rgb_matrix
from inrcodec.signal.info import SignalInfo

if TYPE_CHECKING:
    from torch import Tensor


def integers(values: Numbers, info: SignalInfo) -> Numbers:
    """Centered values (H, W, C) → samples (H, W, C), whole numbers in [0, peak], in the stream's own format; float32.

    For "yuv420" a chroma sample is the mean of the field over its 2x2 block, repeated in the block (see SignalInfo).
    """
    if info.pixel_format == "yuv420":
        if isinstance(values, np.ndarray):
            return color.subsampled(values, info.peak)
        import torch

        values = torch.cat([values[..., :1], _block_mean(values[..., 1:])], dim=-1)
    return quantized(values, info.peak)


def rgb_integers(values: Numbers, info: SignalInfo) -> Numbers:
    """Centered values (H, W, C) → samples to look at, whole numbers in [0, peak]: RGB for "yuv420", unchanged formats otherwise.

    Chroma is taken from the field at every pixel, not from the subsampled planes: no chroma upsampling is needed.
    """
    if info.pixel_format != "yuv420":
        return integers(values, info)
    seen = rgb_colors(info)
    if isinstance(values, np.ndarray):
        return color.rgb(values, seen)
    import torch

    matrix, offset = (torch.from_numpy(one).to(values) for one in (seen.matrix, seen.offset - 0.5))
    return quantized(torch.addmm(offset, values.reshape(-1, 3), matrix.T).view_as(values), info.peak)


@lru_cache(maxsize=16)
def rgb_colors(info: SignalInfo) -> color.Colors:
    """RGB of centered luma and chroma."""
    matrix, offset = yuv_to_rgb_matrix(info)
    return color.Colors(matrix, offset + 0.5 * matrix.sum(axis=1), info.peak)


def _block_mean(chroma: Tensor) -> Tensor:
    """(H, W, 2) → means of 2x2 blocks, cut at odd edges, repeated in their blocks."""
    import torch.nn.functional as F

    height, width, _ = chroma.shape
    planes = chroma.permute(2, 0, 1)[None]
    means = F.avg_pool2d(planes, 2, ceil_mode=True, count_include_pad=False)
    return means.repeat_interleave(2, 2).repeat_interleave(2, 3)[0, :, :height, :width].permute(1, 2, 0)
