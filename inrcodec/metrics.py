"""Distortion and rate as they are reported: PSNR, MS-SSIM and bits per pixel, each with the samples that it is over."""

from __future__ import annotations

import math

import numpy as np

from inrcodec.errors import UsageError
from inrcodec.signal.color import planes
from inrcodec.signal.info import SignalInfo

MS_SSIM_MIN_SIDE = 161  # five scales with a window of 11: (11 - 1) * 2^4 < side
OVER = {
    "gray": "gray",
    "graya": "gray and alpha",
    "rgb": "RGB",
    "rgba": "RGBA",
    "yuv420": "YCbCr 4:2:0, (4 MSE_Y + MSE_U + MSE_V) / 6",
}
MS_SSIM_CHANNELS = {"gray": 1, "graya": 1, "rgb": 3, "rgba": 3, "yuv420": 1}  # without alpha; 4:2:0: luma


def psnr_db(mse: float, peak: float) -> float:
    """10 log10(peak² / mse) in decibels, infinite for mse = 0. mse: mean squared error in the unit of peak, squared."""
    return 10 * math.log10(peak * peak / mse) if mse > 0 else math.inf


def squared_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean squared error of each channel, (C,) float64, of two integer frames (H, W, C); the sums are exact (int64)."""
    if a.shape != b.shape:
        raise UsageError(f"frames of different shape cannot be compared: {a.shape} and {b.shape}")
    difference = a.astype(np.int64) - b.astype(np.int64)
    return np.square(difference).sum(axis=(0, 1)) / (a.shape[0] * a.shape[1])


def frame_errors(a: np.ndarray, b: np.ndarray, info: SignalInfo) -> np.ndarray:
    """Mean squared error of each channel, (C,) float64, over the samples that the format stores: 4:2:0 chroma by its
    subsampled planes."""
    if info.pixel_format != "yuv420":
        return squared_error(a, b)
    pairs = zip(planes(a), planes(b), strict=True)
    return np.array([squared_error(x[:, :, None], y[:, :, None])[0] for x, y in pairs])


def mean_error(errors: np.ndarray, info: SignalInfo) -> float:
    """Mean squared error of a frame from those of its channels; 4:2:0 has four samples of luma for each of chroma."""
    weights = (4, 1, 1) if info.pixel_format == "yuv420" else None
    return float(np.average(errors, weights=weights))


def frame_psnr(a: np.ndarray, b: np.ndarray, info: SignalInfo) -> dict[str, float]:
    """PSNRs of one frame (H, W, C) of integers, in decibels against `info.peak`; infinite for equal frames.

    psnr_db: of the mean error over all samples (see `mean_error`). For 4:2:0 also psnr_y_db, psnr_u_db, psnr_v_db and
    psnr_611_db = (6 Y + U + V) / 8, the mean of PSNRs that the neural video codecs report (DCVC).
    """
    return _psnrs(frame_errors(a, b, info), info)


def _psnrs(errors: np.ndarray, info: SignalInfo) -> dict[str, float]:
    result = {"psnr_db": psnr_db(mean_error(errors, info), info.peak)}
    if info.pixel_format == "yuv420":
        y, u, v = (psnr_db(error, info.peak) for error in errors)
        result |= {"psnr_y_db": y, "psnr_u_db": u, "psnr_v_db": v, "psnr_611_db": (6 * y + u + v) / 8}
    return result


def ms_ssim(a: np.ndarray, b: np.ndarray, info: SignalInfo) -> float | None:
    """MS-SSIM (Wang 2003; five scales) of one frame (H, W, C), mean over the color channels, for 4:2:0 of luma; alpha is
    left out. None where a side is below 161 pixels, for which it is not defined."""
    if min(a.shape[:2]) < MS_SSIM_MIN_SIDE:
        return None
    import torch
    from pytorch_msssim import ms_ssim as torch_ms_ssim

    def batch(frame: np.ndarray) -> torch.Tensor:
        channels = frame[:, :, : MS_SSIM_CHANNELS[info.pixel_format]]
        return torch.from_numpy(channels.astype(np.float32)).permute(2, 0, 1)[None]

    return float(torch_ms_ssim(batch(a), batch(b), data_range=info.peak))


def bpp(byte_count: int, info: SignalInfo) -> float:
    """Bits per pixel of a file: 8 · bytes / (W · H · T)."""
    return 8 * byte_count / info.pixels


class Quality:
    """Quality of a decoded signal, frame by frame.

    info: of both signals (frames aside). with_ms_ssim: MS-SSIM takes by far the most time.
    """

    def __init__(self, info: SignalInfo, with_ms_ssim: bool = True) -> None:
        self.info = info
        self.with_ms_ssim = with_ms_ssim
        self._errors: list[np.ndarray] = []
        self._ms_ssims: list[float | None] = []

    def add(self, reference: np.ndarray, decoded: np.ndarray) -> None:
        """One frame (H, W, C) of integers of each signal."""
        self._errors.append(frame_errors(reference, decoded, self.info))
        if self.with_ms_ssim:
            self._ms_ssims.append(ms_ssim(reference, decoded, self.info))

    def summary(self) -> dict[str, float | int | str | None]:
        """What JSON can hold; the infinite PSNR of equal signals (of one equal frame, for a mean of PSNRs) is None.

        frames; over: the samples that psnr_db is over; psnr_db (and psnr_y_db ... of `frame_psnr`): means over the frames'
        PSNRs; psnr_of_mean_mse_db: PSNR of the mean error of all frames; ms_ssim: mean over frames, or None.
        """
        if not self._errors:
            raise UsageError("the quality of no frames is asked for")
        frames = [_psnrs(errors, self.info) for errors in self._errors]
        means = {name: float(np.mean([frame[name] for frame in frames])) for name in frames[0]}
        means["psnr_of_mean_mse_db"] = _psnrs(np.mean(self._errors, axis=0), self.info)["psnr_db"]
        has_ms_ssim = bool(self._ms_ssims) and None not in self._ms_ssims
        return {
            "frames": len(frames),
            "over": OVER[self.info.pixel_format],
            **{name: value if math.isfinite(value) else None for name, value in means.items()},
            "ms_ssim": float(np.mean(self._ms_ssims)) if has_ms_ssim else None,
        }
