"""Long fits begin with the picture at a quarter and at half its size: what is carried over means the same there."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from inrcodec.encoder import EncodeOptions, encode, halved
from inrcodec.encoder.batches import Samples
from inrcodec.encoder.clock import Clock
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.sizing import network_shape
from inrcodec.encoder.start import start
from inrcodec.encoder.training_pyramid import PyramidTraining
from inrcodec.entropy.planes_rate import plane_bits
from inrcodec.fields import Pyramid
from inrcodec.fields.pyramid import PyramidConfig
from inrcodec.metrics import psnr_db
from inrcodec.priors import PATIENT
from inrcodec.segment import grid_specs
from inrcodec.signal.info import SignalInfo

WIDE = np.asarray(Image.fromarray(astronaut()).resize((64, 64), Image.Resampling.LANCZOS))
CPU = torch.device("cpu")


def samples_of(picture):
    height, width, _ = picture.shape
    depth, kind = 8 * picture.dtype.itemsize, {1: "gray", 2: "graya", 3: "rgb", 4: "rgba"}[picture.shape[2]]
    return Samples(picture[None], SignalInfo(width, height, 1, kind, bit_depth=depth), CPU)


def training_of(picture, levels):
    samples, generator = samples_of(picture), torch.Generator().manual_seed(0)
    field = Pyramid(PyramidConfig(levels, PATIENT[0]), (1, *picture.shape))
    parameters, steps = start(field, samples, 1e-3, generator)
    shape = network_shape("pyramid", 1.0, 64 * 64)
    return PyramidTraining(field, samples, parameters, steps, shape, RateControl(1e-3), generator)


@pytest.fixture
def carried(monkeypatch):
    """A fit of 10 iterations of each size and what it went on from: the training, and that of half the size."""

    def of(picture, levels=4):
        monkeypatch.setattr(halved, "SMALLEST_PIXELS", 900)
        trainings = []
        carry = halved._carry
        monkeypatch.setattr(halved, "_carry", lambda *both: trainings.append(both) or carry(*both))
        training = training_of(picture, levels)
        sizes = halved.smaller_sizes(training.samples, levels)
        clock = Clock(halved.iterations_before(len(sizes), 10) + 10, None, None)
        halved.begin_smaller(training, sizes, 10, clock, lambda *told: None, training.generator)
        [(small, large)] = trainings
        assert large is training and clock.iteration == 10 + halved.RIVALS * 10
        return small, large

    return of


def test_means_of_four_samples():
    rows = [[0, 1, 10], [2, 3, 20], [100, 101, 255]]
    small = halved._halved(samples_of(np.array(rows, np.uint8)[..., None]))
    assert small.shape == (1, 2, 2, 1) and (small.info.width, small.info.height) == (2, 2)
    # (0 + 1 + 2 + 3) / 4 = 1.5, (10 + 10 + 20 + 20) / 4, (100 + 101) / 2 = 100.5, 255
    assert small.planar[0, 0].tolist() == [[2, 15], [101, 255]]
    deep = halved._halved(samples_of(np.full((4, 2, 3), 65535, np.uint16)))
    assert deep.shape == (1, 2, 1, 3) and deep.planar.unique().tolist() == [65535]


def test_sizes_that_a_fit_begins_with():
    """Down to some ten thousand pixels, as long as there are levels left."""
    large = samples_of(np.zeros((512, 768, 1), np.uint8))
    assert [one.shape[1:3] for one in halved.smaller_sizes(large, 7)] == [(256, 384), (128, 192)]
    assert [one.shape[1:3] for one in halved.smaller_sizes(large, 2)] == [(256, 384)]
    assert not halved.smaller_sizes(large, 1) and not halved.smaller_sizes(samples_of(WIDE), 4)
    assert halved.iterations_before(0, 100) == 0


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_picture_is_at_first_what_the_small_one_was(channels, carried):
    """The same colors at the same places, and the same bits for all coarser levels; a bit was worth as much."""
    picture = np.concatenate([WIDE, WIDE[..., :1]], axis=2)[..., :channels]
    small, large = carried(picture)
    price, price_of_small = (one.control.rate_lambda / one.pixels for one in (large, small))
    assert price_of_small == pytest.approx(price)
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        before, after = (one.field.at(one.values, points) for one in (small, large))
        assert before.std() > 0.05 and torch.allclose(before, after, atol=1e-5)
        planes = [
            [
                one.values[spec.name].reshape(-1, *spec.shape[-2:]) / one._step(spec.group)
                for spec in grid_specs(one.field)
            ]
            for one in (small, large)
        ]
        assert not planes[1][-1].any()
        of_small, of_large = (torch.cat([plane.flatten() for plane in one]) for one in planes)
        bits = plane_bits(small.field.planes, small.coding.order, of_small, small.network, [])
        tiles = [np.ones((-(-plane.height // 32), -(-plane.width // 32)), np.uint8) for plane in large.field.planes]
        finest = len(large.field.kinds(0))
        tiles[-finest:] = [np.zeros_like(one) for one in tiles[-finest:]]
        assert plane_bits(large.field.planes, large.coding.order, of_large, large.network, tiles) == pytest.approx(
            bits.item(), rel=1e-4
        )


def test_odd_sizes_are_carried_too(carried):
    """Where a row or column is half a sample wider, colors differ there only."""
    small, large = carried(WIDE[:63, :61])
    with torch.no_grad():
        reconstructed = large.field.plan(large.values, large.samples.lattice).frame(0).numpy()
    picture = WIDE[:63, :61] / 255 - 0.5
    shown = small.field.plan(small.values, small.samples.lattice).frame(0).detach().numpy()
    means = picture[:62, :60].reshape(31, 2, 30, 2, 3).mean((1, 3))
    assert psnr_db(np.mean((shown[:31, :30] - means) ** 2), 1) > 18
    enlarged = reconstructed[:62, :60].reshape(31, 2, 30, 2, 3).mean((1, 3))
    assert np.mean((enlarged - shown[:31, :30]) ** 2) < 0.2 * np.mean((shown[:31, :30] - means) ** 2)


@pytest.fixture
def short_long_fits(monkeypatch):
    """Single planes, 40 iterations of each of two sizes, of which three fits begin with 10."""
    monkeypatch.setattr("inrcodec.encoder.sizing.SINGLE_BITS", 0)
    monkeypatch.setattr("inrcodec.encoder.clock.PYRAMID_ITERATIONS", (40,) * 9)
    monkeypatch.setattr(halved, "RIVAL_ITERATIONS", 10)
    monkeypatch.setattr(halved, "SMALLEST_PIXELS", 1000)


def test_the_best_of_three_beginnings_goes_on(short_long_fits, monkeypatch):
    """What it came to is looked at; those that lose cost their beginnings, and nothing of the rest."""
    begun, trained = [], []

    def begin(self, *given, found=PyramidTraining.begin):
        begun.append((found(self, *given), self))
        return begun[-1][0]

    def train(self, *given, found=PyramidTraining.train):
        trained.append(self)
        found(self, *given)

    monkeypatch.setattr(PyramidTraining, "begin", begin)
    monkeypatch.setattr(PyramidTraining, "train", train)
    moments = []
    result = encode(WIDE, EncodeOptions(effort=7, quality=60, threads=1), moments.append)
    assert len({loss for loss, _ in begun}) == 3
    best = min(begun, key=lambda one: one[0])[1]
    assert trained[0] is best and [one.pixels for one in trained] == [32 * 32, 64 * 64]
    assert result.iterations == len(moments) == 2 * 40 + 2 * 10
    fractions = [moment.fraction for moment in moments]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    losses = [10 ** (-moment.psnr_db / 10) + result.rate_lambda * moment.bpp for moment in moments]
    averages = [np.mean(losses[start : start + 10]) for start in (0, 10, 20)]
    assert [loss for loss, _ in begun] == pytest.approx(averages)
    assert np.mean(losses[65:70]) < min(averages) and np.mean(losses[-5:]) < np.mean(losses[70:75])


@pytest.mark.parametrize("calls", [14, 70])
def test_a_fit_that_is_stopped_as_it_begins_is_a_stream(calls, short_long_fits):
    """With what was found for the small picture, if there was something."""
    left = iter(range(1000))
    result = encode(WIDE, EncodeOptions(effort=7, quality=60, threads=1), stop=lambda: next(left) >= calls)
    assert result.stopped and result.iterations <= calls
    assert math.isfinite(result.psnr_db) and result.psnr_db > (19 if calls > 14 else 10)
