"""What a fit of single planes begins with: luma, and chroma where it is asked for."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio
from skimage.transform import resize

from inrcodec.encoder.batches import Samples
from inrcodec.encoder.start import COLORS, start
from inrcodec.fields.pyramid import Pyramid, PyramidConfig
from inrcodec.passes import BLUE, RED
from inrcodec.signal.info import SignalInfo

SINGLE = 33
"""Prior of single planes."""


def picture(height=96, width=128, channels=3):
    """Luma of waves of 100 to 12 pixels; chroma, and alpha, that change slowly and are not gray in the mean."""
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    waves = [np.sin(count * (3 * x + 2 * y)) for count in (2, 5, 9, 14, 20)]
    luma = 15 * np.sum(waves, axis=0)[..., None]
    colors = np.stack([40 * np.sin(2 * x) + 0 * y, 20 * y - 20 * x, 30 * np.cos(2 * y) + 0 * x], axis=2)
    rgb = 110 + luma + colors
    alpha = 128 + 60 * (x * y)[..., None]
    return np.concatenate([rgb, alpha], axis=2)[..., :channels].clip(0, 255).astype(np.uint8)


def psnr_db(samples, decoded):
    return peak_signal_noise_ratio(samples.astype(np.float64), decoded.clip(0, 255).astype(np.float64), data_range=255)


def started(samples, colors, pixel_format="rgb", levels=7):
    height, width, channels = samples.shape
    info = SignalInfo(width, height, 1, pixel_format)
    field = Pyramid(PyramidConfig(levels, SINGLE), (1, height, width, channels))
    source = Samples(samples[None], info, torch.device("cpu"))
    parameters, _ = start(field, source, 1e-3, torch.Generator(), colors)
    lattice = source.lattice
    frame = field.plan(parameters, lattice).frame(0)
    return parameters, (np.asarray(frame) + 0.5) * 255


@pytest.mark.parametrize("colors", [*COLORS[1:], {3: BLUE, 2: RED}, {4: BLUE, 3: RED, 1: RED}])
def test_a_picture_of_smooth_colors_is_there_before_the_first_iteration(colors):
    """Luma is copied whole, and levels of chroma, smoothed, hold what changes slowly; gray only where none is asked for."""
    samples = picture()
    _, decoded = started(samples, colors)
    assert psnr_db(samples, decoded) > 33
    _, gray = started(samples, {})
    assert np.ptp(gray, axis=2).max() < 1e-3


@pytest.mark.parametrize("kind, channel", [(BLUE, 1), (RED, 2)])
def test_a_level_begins_with_the_chroma_that_is_asked_for(kind, channel):
    """As scikit-image has it (ITU-R BT.601), but for its scale and mean."""
    samples = picture()
    parameters, _ = started(samples, {2: kind})
    found = parameters["grid2"][0, 0].numpy()
    chroma = resize(rgb2ycbcr(samples)[..., channel], found.shape, anti_aliasing=True)
    assert np.corrcoef(found.ravel(), chroma.ravel())[0, 1] > 0.99
    assert found.std() == pytest.approx(0.8 * 0.05, rel=0.02)  # eight tenths of a step at that rate_lambda


@pytest.mark.parametrize("pixel_format, channels", [("gray", 1), ("graya", 2), ("rgba", 4)])
def test_pictures_without_color_or_with_alpha_begin_too(pixel_format, channels):
    samples = picture(channels=4)[..., {1: [0], 2: [0, 3], 4: [0, 1, 2, 3]}[channels]]
    _, decoded = started(samples, COLORS[1], pixel_format)
    assert psnr_db(samples, decoded) > 33


def test_levels_that_do_not_exist_are_of_no_color():
    samples = picture(24, 24)
    parameters, decoded = started(samples, {5: BLUE, 1: RED}, levels=3)
    assert sorted(name for name in parameters if name.startswith("grid")) == ["grid0", "grid1", "grid2"]
    assert np.isfinite(decoded).all()


def test_one_color_throughout_is_the_bias():
    samples = np.full((64, 64, 3), (200, 40, 90), np.uint8)
    _, decoded = started(samples, COLORS[1])
    assert np.abs(decoded - samples).max() < 1.5


def test_a_level_of_one_vertex_begins_with_a_number():
    """Which has no deviation to be scaled by."""
    samples = picture(2, 2)
    parameters, _ = started(samples, {2: BLUE}, levels=3)
    assert parameters["grid2"].numel() == 1 and parameters["grid2"].isfinite().all()
    assert parameters["bypass"].isfinite().all()
