"""Color: from the native samples of a signal to RGB and back, and the planes of 4:2:0 (ITU-T H.273)."""

from __future__ import annotations

import dataclasses

import numpy as np

from inrcodec.errors import UsageError
from inrcodec.signal.info import SignalInfo

UNSPECIFIED = 2
IDENTITY = 0
BT709 = 1
BT601 = 6

# H.273, table 4: (K_R, K_B) of the matrix coefficients that are linear and not constant-luminance
LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC 1953
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}


def planes(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The Y (H, W), Cb and Cr (ceil(H/2), ceil(W/2)) planes of a native 4:2:0 frame (H, W, 3); views."""
    return samples[:, :, 0], samples[::2, ::2, 1], samples[::2, ::2, 2]


def from_planes(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """The native 4:2:0 frame (H, W, 3) of its planes: each chroma sample fills its 2x2 block, cut at odd edges."""
    height, width = y.shape
    samples = np.empty((height, width, 3), y.dtype)
    samples[:, :, 0] = y
    for channel, plane in ((1, cb), (2, cr)):
        samples[:, :, channel] = plane.repeat(2, axis=0)[:height].repeat(2, axis=1)[:, :width]
    return samples


def yuv_to_rgb_matrix(info: SignalInfo) -> tuple[np.ndarray, np.ndarray]:
    """(matrix (3, 3), offset (3,)), float64, with RGB = matrix @ (sample / peak) + offset, all in [0, 1] nominally.

    From `info.matrix` and `info.full_range` by H.273, equations 20 to 43; an unspecified matrix (2) is taken for BT.601
    below 720 rows and for BT.709 from there on, as players do. RGB formats give the identity.
    Raises UsageError for a matrix that has no linear form here (YCgCo, constant luminance, ICtCp, ...).
    """
    if info.pixel_format != "yuv420":
        return np.eye(3), np.zeros(3)
    step = 1 << max(info.bit_depth - 8, 0)
    luma_span, luma_zero = (info.peak, 0) if info.full_range else (219 * step, 16 * step)
    chroma_span = info.peak if info.full_range else 224 * step
    if info.matrix == IDENTITY:  # Y carries G, Cb carries B, Cr carries R, all with the range of luma
        matrix = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        spans, zeros = np.full(3, luma_span), np.full(3, luma_zero)
    else:
        matrix = _luma_chroma_matrix(*_luma_weights(info))
        spans = np.array([luma_span, chroma_span, chroma_span])
        zeros = np.array([luma_zero, 1 << (info.bit_depth - 1), 1 << (info.bit_depth - 1)])
    return matrix * (info.peak / spans), -matrix @ (zeros / spans)


def _luma_weights(info: SignalInfo) -> tuple[float, float]:
    matrix = info.matrix
    if matrix == UNSPECIFIED:
        matrix = BT601 if info.height < 720 else BT709
    if matrix not in LUMA_WEIGHTS:
        known = ", ".join(str(code) for code in (IDENTITY, UNSPECIFIED, *LUMA_WEIGHTS))
        raise UsageError(
            f"color matrix {matrix} (H.273) cannot be turned into RGB, supported are {known}; "
            "write .y4m or a video to keep the samples as they are"
        )
    return LUMA_WEIGHTS[matrix]


def _luma_chroma_matrix(kr: float, kb: float) -> np.ndarray:
    """Y in [0, 1], Cb and Cr in [-1/2, 1/2] to RGB: the inverse of H.273, equations 38 to 40."""
    kg = 1 - kr - kb
    return np.array(
        [
            [1.0, 0.0, 2 * (1 - kr)],
            [1.0, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1.0, 2 * (1 - kb), 0.0],
        ]
    )


def to_rgb(samples: np.ndarray, info: SignalInfo) -> np.ndarray:
    """RGB (H, W, 3) of a native 4:2:0 frame, full range, same depth, rounded; chroma as it stands (nearest).

    Frames of every other format pass unchanged. `rgb_info` describes the result.
    """
    if info.pixel_format != "yuv420":
        return samples
    matrix, offset = yuv_to_rgb_matrix(info)
    return _rounded(samples @ matrix.T + offset * info.peak, info.peak, samples.dtype)


def from_rgb(rgb: np.ndarray, info: SignalInfo) -> np.ndarray:
    """The native 4:2:0 frame (H, W, 3), as `info` describes it, of full-range RGB (H, W, 3) of the same depth.

    Chroma is the mean over each 2x2 block (edges repeated at odd sizes), then rounded.
    """
    matrix, offset = yuv_to_rgb_matrix(info)
    yuv = (rgb - offset * info.peak) @ np.linalg.inv(matrix).T
    y = _rounded(yuv[:, :, 0], info.peak, rgb.dtype)
    height, width = y.shape
    chroma = np.pad(yuv[:, :, 1:], ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    chroma = (chroma[::2, ::2] + chroma[1::2, ::2] + chroma[::2, 1::2] + chroma[1::2, 1::2]) / 4
    chroma = _rounded(chroma, info.peak, rgb.dtype)
    return from_planes(y, chroma[:, :, 0], chroma[:, :, 1])


def rgb_info(info: SignalInfo) -> SignalInfo:
    """What `to_rgb` gives: RGB at full range of the same size, depth and time; other formats are unchanged."""
    if info.pixel_format != "yuv420":
        return info
    return dataclasses.replace(info, pixel_format="rgb", matrix=IDENTITY, full_range=True)


def _rounded(values: np.ndarray, peak: int, dtype: np.dtype) -> np.ndarray:
    return np.rint(values).clip(0, peak).astype(dtype)
