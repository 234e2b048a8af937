"""Real encodes, tiny ones: what the encoder says is true of the file, for every family, format and target."""

import importlib
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut, chelsea

import inrcodec
from inrcodec.bitstream import StreamReader
from inrcodec.encoder import EncodeOptions, annealing, encode, pipeline
from inrcodec.encoder.annealing import Annealing
from inrcodec.encoder.start import COLORS
from inrcodec.encoder.training_pyramid import PyramidTraining
from inrcodec.errors import UsageError
from inrcodec.priors import LASTING, PATIENT, QUICK, THOROUGH
from inrcodec.segment import decode_segment
from inrcodec.signal.info import SignalInfo
from inrcodec.signal.write import open_sink

FAMILIES = ("siren", "coordx", "asmr", "hashgrid", "pyramid", "film")
PICTURE = np.asarray(Image.fromarray(chelsea()).resize((48, 32), Image.Resampling.LANCZOS))
WIDE = np.asarray(Image.fromarray(astronaut()).resize((64, 64), Image.Resampling.LANCZOS))
CLIP = np.stack([WIDE[10 + shift : 27 + shift, shift : 23 + shift] for shift in range(5)])


def quick(source, **options):
    return encode(source, EncodeOptions(**{"effort": 1, **options}))


def decoded(result):
    with inrcodec.open(result.data, device="cpu") as decoder:
        return np.stack([decoder.samples(index) for index in range(len(decoder))])


def psnr(a, b, peak=255):
    return 10 * np.log10(peak**2 / np.mean((a.astype(np.float64) - b) ** 2))


EVERY = [(family, PICTURE) for family in FAMILIES] + [(family, CLIP) for family in FAMILIES if family != "pyramid"]


@pytest.mark.parametrize("family, source", EVERY)
def test_what_the_encoder_says_is_true_of_the_stream(family, source):
    result = quick(source, family=family)
    frames = source if source.ndim == 4 else source[None]
    samples = decoded(result)
    assert samples.shape == frames.shape
    assert result.psnr_db == pytest.approx(np.mean([psnr(a, b) for a, b in zip(frames, samples)]), abs=1e-6)
    assert result.samples_crc32 == zlib.crc32(samples.tobytes())
    assert (result.family, result.bytes, result.missed) == (family, len(result.data), None)


@pytest.mark.parametrize("family", ["siren", "hashgrid"])
def test_same_seed_same_bytes(family):
    first, again = (quick(PICTURE[:16, :20], family=family, seed=7).data for _ in range(2))
    assert first == again


def test_warm_start_is_a_codec_already():
    """Twelve iterations on a photograph: far better than its mean color (which gives about 16 dB)."""
    result = quick(PICTURE, quality=50)
    assert result.psnr_db > 28
    assert result.bpp < 4.5


def test_more_effort_and_quality_pay():
    low, high = quick(WIDE, quality=20), quick(WIDE, quality=80)
    assert high.bytes > low.bytes and high.psnr_db > low.psnr_db + 3

    def loss(result):
        return 10 ** (-result.psnr_db / 10) + result.rate_lambda * result.bpp

    assert loss(quick(WIDE, effort=3)) < 0.98 * loss(quick(WIDE))


def test_matrices_between_sines_decay_in_a_fit(monkeypatch):
    """At five hundred times the share they come to less than half of what they are without; those of the first layers do not."""
    sizes = []
    for decay in (0.0, 0.5):
        monkeypatch.setattr(annealing, "SPLIT", replace(annealing.SPLIT, weights_decay=decay))
        stream = StreamReader(quick(PICTURE, family="coordx").data)
        arrays = decode_segment(stream.segment(0), stream.info).arrays()
        sizes.append({name: np.abs(arrays[name]).mean() for name in ("head0.weight", "branch0.y.weight")})
    without, decayed = sizes
    assert decayed["head0.weight"] < 0.5 * without["head0.weight"]
    assert decayed["branch0.y.weight"] > 0.5 * without["branch0.y.weight"]


@pytest.mark.parametrize("least_block, last", [(0, 1.0), (10**9, 0.8)], ids=["that settles", "that is rounded"])
def test_noise_of_weights_goes_by_what_is_done_of_a_fit(least_block, last, monkeypatch):
    """Until weights settle, or are rounded; once it is known that there is no time to settle, less is done of the whole."""
    monkeypatch.setattr("inrcodec.encoder.training_coordx.LEAST_BLOCK", least_block)
    seen, noisy = [], Annealing.noisy_weights
    monkeypatch.setattr(
        Annealing,
        "noisy_weights",
        lambda self, values, fraction, noise: seen.append(fraction) or noisy(self, values, fraction, noise),
    )
    quick(PICTURE, family="coordx")
    assert seen[0] == 0 and last - 0.02 < seen[-1] < last
    falls = [before for before, after in zip(seen, seen[1:]) if after <= before]
    assert not falls if last == 1 else 0.09 < falls[0] < 0.1 and len(falls) == 1


@pytest.mark.parametrize("effort, priors", [(2, QUICK), (3, THOROUGH), (7, THOROUGH)])
def test_long_fits_filter_their_vertices(effort, priors):
    result = encode(PICTURE[:16, :16], EncodeOptions(effort=effort), stop=lambda: True)
    coded = decode_segment(StreamReader(result.data).segment(0), SignalInfo(16, 16, 1, "rgb"))
    assert coded.field.config.prior in priors


@pytest.mark.parametrize(
    "options, single",
    [
        ({}, True),
        ({"effort": 5}, True),
        ({"effort": 4}, False),
        ({"quality": 5}, False),
        ({"target_bpp": 1.0}, True),
        ({"target_psnr_db": 45.0}, True),
        ({"time_limit_s": 60}, False),
        ({"target_bpp": 1.0, "time_limit_s": 60}, False),
        ({"quality": 90}, True),
    ],
)
def test_long_fits_of_large_pictures_have_single_planes(options, single):
    """One a level for all colors, unless a time is asked for, or there are hardly any bits."""
    large = np.tile(PICTURE, (13, 10, 1))[:400, :400]
    result = encode(large, EncodeOptions(**{"effort": 7} | options), stop=lambda: True)
    coded = decode_segment(StreamReader(result.data).segment(0), SignalInfo(400, 400, 1, "rgb"))
    assert (coded.field.config.prior in PATIENT + LASTING) == single
    assert len(coded.field.planes) == (coded.field.config.levels if single else 3 * coded.field.config.levels - 2)


@pytest.mark.parametrize("effort, rate_lambda, priors", [(5, 1e-3, PATIENT), (7, 12e-3, PATIENT), (7, 1e-3, LASTING)])
def test_the_longest_fits_have_wider_context_networks_where_there_are_bits(effort, rate_lambda, priors):
    large = np.tile(PICTURE, (13, 10, 1))[:400, :400]
    result = encode(large, EncodeOptions(effort=effort, rate_lambda=rate_lambda), stop=lambda: True)
    field = decode_segment(StreamReader(result.data).segment(0), SignalInfo(400, 400, 1, "rgb")).field
    assert field.config.prior in priors
    assert field.prior.mirrored and field.prior.network_width == (28 if priors == LASTING else 24)


@pytest.mark.parametrize("effort, single", [(5, [True, False, False]), (7, [True, True, False])])
def test_texture_has_single_planes_where_smooth_pictures_have_not(effort, single):
    """At the same rate_lambda: what this picture takes counts, not what a typical one does; long fits ask for less."""
    texture = np.random.default_rng(0).normal(128, 50, (400, 400, 3)).clip(0, 255).astype(np.uint8)
    blocks = [texture[::size, ::size].repeat(size, 0).repeat(size, 1) for size in (1, 25, 50)]
    options = EncodeOptions(effort=effort, rate_lambda=12e-3)
    results = [encode(picture, options, stop=lambda: True) for picture in blocks]
    info = SignalInfo(400, 400, 1, "rgb")
    assert [decode_segment(StreamReader(one.data).segment(0), info).field.single for one in results] == single


@pytest.fixture
def short_long_fits(monkeypatch):
    """Single planes, in 40 iterations, of which fits of each of COLORS begin with 10."""
    monkeypatch.setattr("inrcodec.encoder.sizing.SINGLE_BITS", {5: 0})
    monkeypatch.setattr("inrcodec.encoder.clock.SINGLE_ITERATIONS", (40,) * 9)
    monkeypatch.setattr("inrcodec.encoder.pipeline.ITERATIONS_OF_BEGINNING", 10)
    monkeypatch.setattr("inrcodec.encoder.pipeline.BEGUN_AGAIN_FROM", 40)


def test_the_best_of_all_beginnings_goes_on(short_long_fits, monkeypatch):
    """Of other colors each. What it came to is looked at; those that lose cost their beginnings, and nothing of the rest."""
    begun, ended, colors = [], [], []

    def begin(self, *given, found=PyramidTraining.begin):
        begun.append((found(self, *given), self))
        return begun[-1][0]

    def run(self, *given, found=PyramidTraining.run):
        ended.append(self)
        found(self, *given)

    def started(*given, found=pipeline.start):
        colors.append(given[-1])
        return found(*given)

    monkeypatch.setattr(pipeline, "start", started)
    monkeypatch.setattr(PyramidTraining, "begin", begin)
    monkeypatch.setattr(PyramidTraining, "run", run)
    moments = []
    result = encode(WIDE, EncodeOptions(effort=7, quality=60, threads=1), moments.append)
    assert len({loss for loss, _ in begun}) == 4 and colors[-4:] == list(COLORS)
    assert [fit for loss, fit in begun if loss == min(begun, key=lambda one: one[0])[0]] == ended
    assert result.iterations == len(moments) == 40 + 3 * 10
    fractions = [moment.fraction for moment in moments]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    losses = [10 ** (-moment.psnr_db / 10) + result.rate_lambda * moment.bpp for moment in moments]
    averages = [np.mean(losses[start : start + 10]) for start in (0, 10, 20, 30)]
    assert [loss for loss, _ in begun] == pytest.approx(averages)
    assert np.mean(losses[-5:]) < min(averages)


def test_a_shorter_fit_begins_once(short_long_fits, monkeypatch):
    monkeypatch.setattr("inrcodec.encoder.pipeline.BEGUN_AGAIN_FROM", 41)
    assert encode(WIDE, EncodeOptions(effort=7, quality=60, threads=1)).iterations == 40


def test_a_fit_that_is_stopped_as_it_begins_is_a_stream(short_long_fits):
    calls = iter(range(1000))
    result = encode(WIDE, EncodeOptions(effort=7, quality=60, threads=1), stop=lambda: next(calls) >= 14)
    assert result.stopped and result.iterations < 40
    assert decoded(result).shape == (1, *WIDE.shape)


def test_one_color_is_fitted_for_long():
    """Nothing but zeros on all levels, which no network has to settle for."""
    flat = np.full((40, 40, 3), (10, 120, 200), np.uint8)
    assert psnr(decoded(quick(flat, effort=5, threads=1))[0], flat) > 45


@pytest.mark.parametrize("channels, dtype", [(1, np.uint8), (2, np.uint8), (3, np.uint16), (4, np.uint8)])
def test_single_planes_hold_any_picture(channels, dtype, monkeypatch):
    """Gray, alpha, color of 16 bits: fitted for longer, they come nearer, and streams hold what was fitted."""
    monkeypatch.setattr("inrcodec.encoder.sizing.SINGLE_BITS", {5: 0})
    picture = np.concatenate([WIDE, WIDE[..., :1]], axis=2)[..., :channels].astype(dtype)
    picture = (picture * (257 if dtype is np.uint16 else 1))[..., 0 if channels == 1 else slice(None)]
    qualities = []
    for iterations in (3, 60):
        monkeypatch.setattr("inrcodec.encoder.clock.SINGLE_ITERATIONS", (iterations,) * 9)
        result = encode(picture, EncodeOptions(effort=7, quality=60, threads=1))
        info = StreamReader(result.data).info
        coded = decode_segment(StreamReader(result.data).segment(0), info)
        assert coded.field.single and info.channels == channels
        qualities.append(result.psnr_db)
    assert qualities[1] > qualities[0] + 2


@pytest.mark.parametrize("family", ["pyramid", "hashgrid", "coordx"])
def test_estimate_of_training_is_the_size_of_the_stream(family, monkeypatch):
    """Within 4 % or 16 bytes (prediction in whole numbers costs a pyramid 2 to 4 %): what training ends with, and what is
    written."""
    training = importlib.import_module("inrcodec.encoder.training").Training
    settling = importlib.import_module("inrcodec.encoder.training_coordx").CoordXTraining
    settled, estimates = settling._settled, []

    def estimate(self, symbols):
        estimates.append(self._bits(self.flat.joined(symbols), self.grids.joined(symbols), torch.round).item() / 8)

    def last_of_rounding(self, coded):
        estimate(self, self._rounded())
        return coded

    def last_of_settling(self, *given):
        coded = settled(self, *given)
        estimate(self, {name: torch.as_tensor(value, dtype=torch.float32) for name, value in coded.symbols.items()})
        return coded

    monkeypatch.setattr(training, "_refined", last_of_rounding)
    monkeypatch.setattr(settling, "_settled", last_of_settling)
    raw = StreamReader(quick(PICTURE, family=family, effort=2).data).segment(0)
    real = len(raw.weights) + len(raw.grids)
    assert abs(real - estimates[-1]) <= max(0.04 * real, 16)


@pytest.mark.parametrize(
    "pixel_format, depth", [("gray", 8), ("graya", 8), ("rgba", 8), ("gray", 16), ("rgb", 16), ("rgba", 16)]
)
def test_sample_formats(pixel_format, depth):
    channels = {"gray": 1, "graya": 2, "rgb": 3, "rgba": 4}[pixel_format]
    rng = np.linspace(0, 1, 12 * 18 * channels).reshape(12, 18, channels)
    source = (rng * (2**depth - 1)).astype(np.uint8 if depth == 8 else np.uint16)
    result = quick(source, quality=80)
    assert (result.info.pixel_format, result.info.bit_depth) == (pixel_format, depth)
    assert psnr(source, decoded(result)[0], 2**depth - 1) > 25


SHAPES = [(1, 1, 3), (13, 7, 3), (2, 31, 1), (1, 9, 8, 3), (3, 5, 7, 3)]


@pytest.mark.parametrize(
    "family, shape", [(family, shape) for family in FAMILIES for shape in SHAPES[: 4 if family == "pyramid" else 5]]
)
def test_odd_sizes(shape, family):
    source = np.full(shape, 90, dtype=np.uint8)
    result = quick(source, family=family, time_limit_s=0.3)
    frames = source if source.ndim == 4 else source[None]
    assert decoded(result).shape == frames.shape


def test_subsampled_video_keeps_its_format(tmp_path):
    info = SignalInfo(22, 14, 3, "yuv420", 8, full_range=False, time_base_num=1, time_base_den=25, frame_ticks=1)
    luma = np.tile(np.linspace(30, 200, 22), (14, 1))
    frame = np.stack([luma, np.full_like(luma, 100), np.full_like(luma, 150)], axis=-1).astype(np.uint8)
    with open_sink(tmp_path / "clip.y4m", info) as sink:
        for _ in range(3):
            sink.write(frame)
    result = quick(tmp_path / "clip.y4m", effort=2)
    assert result.info.pixel_format == "yuv420" and not result.info.full_range
    assert psnr(frame, decoded(result)[1]) > 25


def test_segments_are_independent_and_cover_the_clip(monkeypatch):
    pipeline = importlib.import_module("inrcodec.encoder.pipeline")
    monkeypatch.setattr(pipeline, "SEGMENT_FRAMES", 2)
    result = quick(CLIP, family="coordx", time_limit_s=0.6)
    with inrcodec.open(result.data) as decoder:
        assert decoder.metadata.segments == 3 and len(decoder) == 5
        backwards = [decoder.samples(index) for index in (4, 0, 2)]
    np.testing.assert_array_equal(backwards, decoded(result)[[4, 0, 2]])


def test_stop_ends_early_with_a_valid_stream():
    calls = []
    result = encode(PICTURE, EncodeOptions(effort=9), stop=lambda: calls.append(0) or len(calls) > 3)
    assert result.stopped and result.iterations == 3
    assert psnr(PICTURE, decoded(result)[0]) == pytest.approx(result.psnr_db, abs=1e-6)


@pytest.mark.parametrize("family", ["hashgrid", "coordx"])
def test_target_size_is_an_upper_limit(family):
    result = quick(PICTURE, family=family, effort=2, target_bytes=700, time_limit_s=1)
    assert result.bytes <= 700 and result.missed is None
    assert result.bytes > 350


def test_a_target_that_cannot_be_met_is_said():
    result = quick(PICTURE, target_psnr_db=70)
    assert "asked are 70.00 dB" in result.missed
    assert decoded(result).shape == (1, 32, 48, 3)


def test_options_are_checked():
    with pytest.raises(UsageError, match="quality and target_bpp exclude each other"):
        EncodeOptions(quality=3, target_bpp=0.1)
    for name, value in (("effort", 0), ("quality", 101), ("family", "jpeg"), ("time_limit_s", float("nan"))):
        with pytest.raises(UsageError, match=name):
            EncodeOptions(**{name: value})


def test_threads_and_time_limit():
    before = torch.get_num_threads()
    result = quick(PICTURE, family="siren", effort=9, time_limit_s=0.5, threads=1)
    torch.set_num_threads(before)
    assert result.encode_s < 30 and not result.stopped


def test_a_pyramid_is_a_picture():
    with pytest.raises(UsageError, match="pyramid codes pictures"):
        quick(CLIP, family="pyramid")
    assert quick(PICTURE).family == "pyramid" and quick(CLIP).family == "film"
