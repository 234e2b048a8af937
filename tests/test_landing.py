"""How pyramids of single planes land at an asked size or quality."""

import math

import numpy as np
import pytest
import torch
from test_choice import PER_BIT, SAMPLES, flat, trained
from test_targets import FACE, LANDSCAPE, encoded

from inrcodec.encoder import landing
from inrcodec.encoder.choice import Choice
from inrcodec.encoder.landing import landed
from inrcodec.encoder.refine import ideal_bits
from inrcodec.kernels import native
from inrcodec.priors import PATIENT

pytestmark = pytest.mark.skipif(not native.available(), reason="the compiled loops are not there")


@pytest.fixture(scope="module")
def coded():
    """With symbols that nothing is left to choose of."""
    return Choice(trained(PATIENT, 150).coded, SAMPLES, PER_BIT).made(16, lambda: False, rounds=2)


def psnr_db(coded):
    values = coded.field.plan(coded.parameters(torch.device("cpu")), SAMPLES.lattice).frame(0).numpy() + 0.5
    return -10 * math.log10(np.square(values - FACE / 255).mean())


@pytest.mark.parametrize("share", [0.96, 1.04])
@pytest.mark.parametrize("below", [True, False])
def test_a_field_lands_in_a_window_of_bits(coded, share, below):
    """From either side, by symbols of its grids alone; fewer bits cost quality, and more give some."""
    bits = ideal_bits(coded)
    window = (share - 0.004) * bits, (share + 0.004) * bits
    found = landed(coded, SAMPLES, PER_BIT, ideal_bits, window, below)
    assert window[0] <= ideal_bits(found) <= window[1]
    assert (psnr_db(found) > psnr_db(coded)) == (share > 1)
    assert found.steps == coded.steps and found.network is coded.network


@pytest.mark.parametrize("by_db", [-0.3, 0.3])
def test_a_field_lands_in_a_window_of_quality(coded, by_db):
    window = psnr_db(coded) + by_db, psnr_db(coded) + by_db + 0.05
    found = landed(coded, SAMPLES, PER_BIT, psnr_db, window, below=False)
    assert window[0] <= psnr_db(found) <= window[1]
    assert (ideal_bits(found) > ideal_bits(coded)) == (by_db > 0)


def test_a_field_that_is_in_its_window_stays(coded):
    assert landed(coded, SAMPLES, PER_BIT, ideal_bits, (ideal_bits(coded) - 1, ideal_bits(coded)), True) is coded


def test_what_is_out_of_reach_is_come_near_to(coded, monkeypatch):
    monkeypatch.setattr(landing, "POWERS", (1, 2))
    found = landed(coded, SAMPLES, PER_BIT, ideal_bits, (0, 0.01 * ideal_bits(coded)), True)
    assert 0.5 * ideal_bits(coded) < ideal_bits(found) < 0.99 * ideal_bits(coded)


def test_a_window_that_is_jumped_over_is_left_to_the_right_side(coded):
    """No number of bits lies in an empty one."""
    bits = ideal_bits(coded)
    window = 0.98 * bits, 0.98 * bits
    under, above = (landed(coded, SAMPLES, PER_BIT, ideal_bits, window, below) for below in (True, False))
    assert 0.97 * bits < ideal_bits(under) < 0.98 * bits < ideal_bits(above) <= bits
    assert not np.array_equal(flat(under), flat(above))


@pytest.fixture
def long_fits(monkeypatch):
    """Single planes, in 160 iterations."""
    monkeypatch.setattr("inrcodec.encoder.sizing.SINGLE_BITS", {5: 0})
    monkeypatch.setattr("inrcodec.encoder.clock.SINGLE_ITERATIONS", (160,) * 9)


@pytest.mark.parametrize("bpp", [0.5, 1.5])
def test_long_fits_use_an_asked_size_to_the_last_percents(long_fits, bpp):
    result = encoded(LANDSCAPE, target_bpp=bpp, effort=5)
    assert 0.97 * bpp < result.bpp <= bpp and result.missed is None


@pytest.mark.parametrize("psnr_db", [28.0, 33.0])
def test_long_fits_do_not_exceed_an_asked_quality_by_much(long_fits, psnr_db):
    result = encoded(LANDSCAPE, target_psnr_db=psnr_db, effort=5)
    assert psnr_db <= result.psnr_db < psnr_db + 0.1 and result.missed is None
