"""Metrics against scikit-image, against pytorch-msssim on its own, and against hand arithmetic."""

import json
import math

import numpy as np
import pytest

from inrcodec import metrics
from inrcodec.errors import UsageError
from inrcodec.signal.info import SignalInfo


def info(pixel_format="rgb", width=64, height=48, frames=1, **fields):
    time = {"time_base_num": 1, "time_base_den": 25, "frame_ticks": 1} if frames > 1 else {}
    return SignalInfo(width=width, height=height, frames=frames, pixel_format=pixel_format, **time, **fields)


def noisy(frame, amplitude, seed=0):
    noise = np.random.default_rng(seed).integers(-amplitude, amplitude + 1, frame.shape)
    return (frame.astype(int) + noise).clip(0, np.iinfo(frame.dtype).max).astype(frame.dtype)


@pytest.fixture(scope="module")
def photograph():
    from skimage.data import astronaut

    return astronaut()[:192, 160:352]


def test_psnr_is_that_of_scikit_image(photograph):
    from skimage.metrics import peak_signal_noise_ratio

    other = noisy(photograph, 9)
    expected = peak_signal_noise_ratio(photograph, other, data_range=255)
    assert metrics.frame_psnr(photograph, other, info())["psnr_db"] == pytest.approx(expected, abs=1e-9)


def test_16_bits_do_not_overflow():
    black, white = np.zeros((300, 300, 1), np.uint16), np.full((300, 300, 1), 65535, np.uint16)
    assert metrics.squared_error(black, white) == [65535.0**2]
    assert metrics.frame_psnr(black, white, info("gray", bit_depth=16))["psnr_db"] == pytest.approx(0)


def test_channels_are_apart_and_unsigned_samples_do_not_wrap():
    a = np.zeros((2, 2, 3), np.uint8)
    b = a.copy()
    b[0, 0] = (2, 0, 200)
    assert metrics.squared_error(a, b).tolist() == [1.0, 0.0, 10000.0]


def test_yuv_psnrs_by_hand():
    a = np.full((4, 4, 3), 100, np.uint8)
    b = a + np.array([1, 2, 4], np.uint8)  # MSE 1, 4, 16
    result = metrics.frame_psnr(a, b, info("yuv420"))
    y, u, v = (10 * math.log10(255**2 / mse) for mse in (1, 4, 16))
    assert [result[f"psnr_{name}_db"] for name in "yuv"] == pytest.approx([y, u, v])
    assert result["psnr_611_db"] == pytest.approx((6 * y + u + v) / 8)
    assert result["psnr_db"] == pytest.approx(10 * math.log10(255**2 / (24 / 6)))


def test_chroma_counts_by_its_planes_at_odd_sizes():
    a = np.zeros((3, 3, 3), np.uint8)
    b = a.copy()
    b[2, 2, 1] = 6  # the corner block is one pixel in the frame, one of four samples in the plane
    assert metrics.frame_errors(a, b, info("yuv420")).tolist() == [0, 9, 0]


def test_ms_ssim_is_of_luma_for_yuv_and_without_alpha(photograph):
    import torch
    from pytorch_msssim import ms_ssim

    other = noisy(photograph, 40)
    tensors = [torch.from_numpy(x.astype(np.float32)).permute(2, 0, 1)[None] for x in (photograph, other)]
    color = float(ms_ssim(*tensors, data_range=255))
    luma = float(ms_ssim(*(x[:, :1] for x in tensors), data_range=255))
    assert metrics.ms_ssim(photograph, other, info()) == pytest.approx(color, abs=1e-6)
    assert metrics.ms_ssim(photograph, other, info("yuv420")) == pytest.approx(luma, abs=1e-6)
    alphas = (np.zeros((192, 192, 1), np.uint8), np.full((192, 192, 1), 255, np.uint8))
    with_alpha = [np.concatenate(pair, axis=2) for pair in zip((photograph, other), alphas, strict=True)]
    assert metrics.ms_ssim(*with_alpha, info("rgba")) == pytest.approx(color, abs=1e-6)
    assert color < 0.99


@pytest.mark.parametrize(("side", "defined"), [(160, False), (161, True)])
def test_ms_ssim_needs_161_pixels(side, defined):
    frame = np.zeros((side, 170, 1), np.uint8)
    assert (metrics.ms_ssim(frame, frame, info("gray")) is not None) == defined


def test_bpp():
    assert metrics.bpp(4915, info(width=768, height=512)) == pytest.approx(0.1, abs=1e-4)
    assert metrics.bpp(100, info(width=10, height=10, frames=8)) == 1.0


def test_both_means_over_time():
    quality = metrics.Quality(info("gray", frames=2))
    black = np.zeros((4, 4, 1), np.uint8)
    quality.add(black, black + np.uint8(1))
    quality.add(black, black + np.uint8(3))
    summary = quality.summary()
    first, second = (10 * math.log10(255**2 / mse) for mse in (1, 9))
    assert summary["psnr_db"] == pytest.approx((first + second) / 2)
    assert summary["psnr_of_mean_mse_db"] == pytest.approx(10 * math.log10(255**2 / 5))
    assert (summary["frames"], summary["over"], summary["ms_ssim"]) == (2, "gray", None)


def test_equal_frames_are_null_in_json():
    black = np.zeros((4, 4, 3), np.uint8)
    assert metrics.frame_psnr(black, black, info())["psnr_db"] == math.inf
    quality = metrics.Quality(info(frames=2), with_ms_ssim=False)
    quality.add(black, black)
    quality.add(black, black + np.uint8(1))
    summary = json.loads(json.dumps(quality.summary(), allow_nan=False))
    assert summary["psnr_db"] is None
    assert summary["psnr_of_mean_mse_db"] == pytest.approx(10 * math.log10(255**2 / 0.5))


def test_wrong_use_is_said():
    with pytest.raises(UsageError, match="different shape"):
        metrics.squared_error(np.zeros((2, 2, 1), np.uint8), np.zeros((2, 3, 1), np.uint8))
    with pytest.raises(UsageError, match="no frames"):
        metrics.Quality(info()).summary()
