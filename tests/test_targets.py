"""What a caller asks for and what the encoder then says: sizes, qualities, time, progress, an early end."""

import itertools
import math

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from skimage.transform import resize

import inrcodec
from inrcodec.bitstream import pack_segment
from inrcodec.encoder.batches import Samples, sub_lattices
from inrcodec.encoder.clock import Clock
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.start import start
from inrcodec.encoder.targets import SegmentTarget
from inrcodec.encoder.trainings import training_of
from inrcodec.entropy.context import NetworkShape
from inrcodec.fields.coordx import CoordX, CoordXConfig
from inrcodec.signal.info import SignalInfo

PHOTO = (resize(astronaut(), (37, 41), anti_aliasing=True) * 255).round().astype(np.uint8)
CLIP = np.stack([PHOTO[shift : shift + 19, shift : shift + 23] for shift in range(4)])
RATES = {"quality": 40.0, "rate_lambda": 1e-3, "target_bpp": 1.0, "target_bytes": 500, "target_psnr_db": 25.0}


def encoded(source, progress=None, stop=None, **options):
    return inrcodec.encode(source, inrcodec.EncodeOptions(**{"effort": 1, **options}), progress, stop)


def mean_psnr(source, result):
    """Mean over frames, of what the stream decodes to."""
    frames = source if source.ndim == 4 else source[None]
    with inrcodec.open(result.data, device="cpu") as decoder:
        errors = [(decoder.samples(i).astype(float) - frame) ** 2 for i, frame in enumerate(frames[: len(decoder)])]
    return np.mean([10 * math.log10(255**2 / error.mean()) for error in errors])


LANDSCAPE = (resize(astronaut()[:384], (144, 192), anti_aliasing=True) * 255).round().astype(np.uint8)
FACE = (resize(astronaut()[20:180, 140:300], (96, 96), anti_aliasing=True) * 255).round().astype(np.uint8)


@pytest.mark.parametrize("bpp", [0.6, 3.0])
@pytest.mark.parametrize("photo, effort", [(LANDSCAPE, 1), (FACE, 3)], ids=["short fit", "long fit"])
def test_an_asked_size_is_used_to_the_last_percents(photo, effort, bpp):
    result = encoded(photo, target_bpp=bpp, effort=effort)
    assert 0.95 * bpp < result.bpp <= bpp and result.missed is None  # 2 % are aimed at; small pictures scatter more


@pytest.mark.parametrize("psnr_db", [27.0, 36.0])
@pytest.mark.parametrize("photo, effort", [(LANDSCAPE, 1), (FACE, 3)], ids=["short fit", "long fit"])
def test_an_asked_quality_is_not_exceeded_by_much(photo, effort, psnr_db):
    result = encoded(photo, target_psnr_db=psnr_db, effort=effort)
    assert psnr_db <= result.psnr_db < psnr_db + 0.15 and result.missed is None
    assert result.psnr_db == pytest.approx(mean_psnr(photo, result), abs=1e-6)


@pytest.mark.parametrize("family", ["coordx", "siren"])
def test_networks_land_on_an_asked_size_by_their_steps(family):
    result = encoded(FACE, family=family, target_bpp=0.6)
    assert 0.9 * 0.6 < result.bpp <= 0.6 and result.missed is None


INFO = SignalInfo(192, 144, 1, "rgb")
SAMPLES = Samples(LANDSCAPE[None], INFO, torch.device("cpu"))


def trained_network(control, clock=None, seed=0):
    """A small CoordX after 60 iterations on LANDSCAPE, or as many as the clock gives."""
    field, generator = (
        CoordX(CoordXConfig("t_yx", 2, 1, 12, 1, "product"), SAMPLES.shape),
        torch.Generator().manual_seed(seed),
    )
    parameters, steps = start(field, SAMPLES, 1e-3, generator)
    training = training_of(field, SAMPLES, parameters, steps, NetworkShape(0), control, generator)
    clock = clock or Clock(60, None, None)
    training.run(sub_lattices(SAMPLES, 1 << 12, 1, generator), clock, lambda psnr_db, bpp: None)
    return training


@pytest.mark.parametrize("limit", [370, 450])
def test_networks_settle_on_the_steps_of_an_asked_size(limit):
    """What is written is what training came to: at other steps it would be rounded anew."""
    target = SegmentTarget(INFO, SAMPLES, limit=limit)
    training = trained_network(target.control(1e-3))
    assert target.landed(training) is training.coded
    assert 0.95 * limit < len(pack_segment(target.written(training.coded, 0, None))) <= limit


@pytest.mark.parametrize(
    "least_block, excess_db, finer", [(0, 0.5, False), (0, -0.2, True), (800, 0.5, False), (800, -0.04, True)]
)
def test_networks_land_on_an_asked_quality_by_their_steps(least_block, excess_db, finer, monkeypatch):
    """Whether weights settle or not."""
    monkeypatch.setattr("inrcodec.encoder.training_coordx.LEAST_BLOCK", least_block)
    training = trained_network(RateControl(0.1))

    def psnr_db(coded):
        return SegmentTarget(INFO, SAMPLES)._psnr_db(coded, training.device)

    asked = psnr_db(training.coded) - excess_db
    landed = SegmentTarget(INFO, SAMPLES, psnr_db=asked).landed(training)
    move = landed.steps["bias"] - training.coded.steps["bias"]
    assert (move < 0) == finer and psnr_db(landed) >= asked


class Coarsened:
    """A training whose quality is known at all steps: 34 dB as it was trained, and less the coarser they are."""

    device = torch.device("cpu")

    def __init__(self, fall_db):
        self.fall_db = fall_db

    def exact(self):
        return -1000

    def coarser(self, move):
        return move

    def psnr_db(self, move):
        return min(40.0, 34.0 - self.fall_db * move)


@pytest.mark.parametrize("fall_db", [0.25, 0.4, 0.7])
@pytest.mark.parametrize("asked", [32.7, 33.05, 33.99, 34.0, 34.35, 35.15])
def test_steps_are_the_coarsest_that_keep_a_quality(asked, fall_db, monkeypatch):
    """Found in six tries, without knowing by how much it falls."""
    training = Coarsened(fall_db)
    monkeypatch.setattr(SegmentTarget, "_psnr_db", lambda self, move, device: training.psnr_db(move))
    move = SegmentTarget(INFO, SAMPLES, psnr_db=asked)._coarsest(training)
    assert move == math.floor((34 - asked) / fall_db + 1e-9)


def test_a_fit_that_misses_goes_on_for_a_tenth_of_its_iterations_at_most():
    plain = encoded(PHOTO, effort=2, rate_lambda=1e-3).iterations
    assert plain == encoded(PHOTO, effort=2, target_psnr_db=60.0).iterations - math.ceil(plain / 10)


@pytest.mark.parametrize("family, source", [("hashgrid", CLIP), ("siren", PHOTO)], ids=["clip", "image"])
def test_a_limit_of_bytes_is_kept(family, source):
    result = encoded(source, family=family, target_bytes=1200)
    assert 400 < result.bytes <= 1200 and result.missed is None
    assert result.psnr_db == pytest.approx(mean_psnr(source, result), abs=1e-6)


def test_a_limit_of_bits_per_pixel_is_one_of_the_file():
    result = encoded(PHOTO, target_bpp=4.0)
    assert result.missed is None and 8 * len(result.data) <= 4.0 * 37 * 41
    assert result.bpp == pytest.approx(8 * len(result.data) / (37 * 41))


def test_an_impossible_size_is_said_to_be_missed():
    """0.5 bits of each of 8 x 8 pixels are 4 bytes: less than any header."""
    result = encoded(PHOTO[:8, :8], family="siren", target_bpp=0.5)
    assert f"{result.bytes} bytes, the limit is 4" in result.missed
    assert result.psnr_db == pytest.approx(mean_psnr(PHOTO[:8, :8], result), abs=1e-6)


def test_an_asked_quality_is_reached_or_said_to_be_missed():
    for wanted in (20.0, 60.0):
        result = encoded(PHOTO, target_psnr_db=wanted, effort=2)
        assert (result.missed is None) == (result.psnr_db >= wanted)
        assert wanted == 20.0 or "asked are 60.00 dB" in result.missed


@pytest.mark.parametrize("one, other", list(itertools.combinations(RATES, 2)))
def test_rates_exclude_each_other(one, other):
    with pytest.raises(inrcodec.UsageError, match=f"{one} and {other} exclude each other"):
        inrcodec.EncodeOptions(**{one: RATES[one], other: RATES[other]})


@pytest.mark.parametrize(
    "name, low, high",
    [
        ("effort", 1, 9),
        ("quality", 0, 100),
        ("target_bytes", 64, None),
        ("target_psnr_db", 5, 80),
        ("threads", 1, None),
        ("seed", 0, None),
    ],
)
def test_options_have_ranges(name, low, high):
    for value in (low, high):
        if value is not None:
            assert getattr(inrcodec.EncodeOptions(**{name: value}), name) == value
    for value in (low - 1, *([high + 1] if high is not None else []), math.nan, math.inf):
        with pytest.raises(inrcodec.UsageError, match=f"{name} is .*allowed are {low} to"):
            inrcodec.EncodeOptions(**{name: value})


def test_a_smaller_lambda_buys_quality():
    coarse, fine = (encoded(PHOTO, rate_lambda=value) for value in (2e-2, 2e-4))
    assert fine.bytes > coarse.bytes and fine.psnr_db > coarse.psnr_db + 2
    assert fine.rate_lambda == 2e-4


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_time_limit_ends_a_long_fit():
    """Effort 9 takes many minutes."""
    result = encoded(CLIP, effort=9, time_limit_s=0.4)
    assert result.encode_s < 20 and not result.stopped and result.iterations >= 1
    assert result.psnr_db == pytest.approx(mean_psnr(CLIP, result), abs=1e-6)


def test_progress_goes_forward_and_ends_at_one():
    seen = []
    result = encoded(PHOTO, effort=2, progress=seen.append)
    assert len(seen) == result.iterations > 10
    assert [moment.iteration for moment in seen] == list(range(1, len(seen) + 1))
    fractions = [moment.fraction for moment in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1 and seen[-1].left_s == 0
    assert all((moment.segment, moment.segments) == (0, 1) for moment in seen)
    assert seen[-1].elapsed_s <= result.encode_s and seen[0].left_s > 0


def test_an_end_before_the_first_iteration_is_an_end():
    result = encoded(PHOTO, stop=lambda: True, effort=9)
    assert result.stopped and result.iterations == 0
    assert result.psnr_db == pytest.approx(mean_psnr(PHOTO, result), abs=1e-6)


def test_seeds_are_different_streams_of_about_the_same_quality():
    one, other = (encoded(PHOTO, seed=seed) for seed in (0, 1))
    assert one.data != other.data and abs(one.psnr_db - other.psnr_db) < 2
