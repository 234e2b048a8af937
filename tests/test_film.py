"""Films: who refers to whom, where shots end, what the compiled loops give, and that motion saves bits."""

import dataclasses
import gc
import math
import weakref

import numpy as np
import pytest
import torch
from scipy.ndimage import shift as shifted
from skimage.data import astronaut, chelsea

import inrcodec
from inrcodec.bitstream import StreamReader
from inrcodec.encoder import encode
from inrcodec.encoder.film.control import LambdaSearch
from inrcodec.encoder.options import EncodeOptions
from inrcodec.encoder.shots import ShotDetector
from inrcodec.errors import StreamError, UsageError
from inrcodec.fields.film import Film, FilmConfig
from inrcodec.fields.film_tensors import displaced
from inrcodec.fields.hierarchy import links
from inrcodec.kernels import color, native
from inrcodec.kernels import warp as warping
from inrcodec.lattice import Lattice
from inrcodec.render import integers, rgb_integers
from inrcodec.segment import decode_segment, encode_segment
from inrcodec.signal.color import yuv_to_rgb_matrix

from streams import random_coded, random_stream, video_info  # isort: skip

compiled = pytest.mark.skipif(not native.available(), reason="the compiled loops are not there")


# -- hierarchy ---------------------------------------------------------------------------------------------------------


def test_nine_frames_are_an_anchor_chain_and_halves():
    found = [(link.frame, link.references, link.depth, link.parent) for link in links(9, 4)]
    assert found == [
        (0, (), 0, None),
        (4, (0,), 1, 0),
        (2, (0, 4), 2, 4),
        (1, (0, 2), 3, 2),
        (3, (2, 4), 3, 2),
        (8, (4,), 1, 4),
        (6, (4, 8), 2, 4),
        (5, (4, 6), 3, 6),
        (7, (6, 8), 3, 6),
    ]


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 9, 50])
@pytest.mark.parametrize("gop", [1, 3, 8])
def test_every_frame_once_and_after_its_references(frames, gop):
    seen = set()
    for link in links(frames, gop):
        assert set(link.references) <= seen and link.frame not in seen
        assert len(link.references) == 1 or link.frame == 0 or min(link.references) < link.frame < max(link.references)
        seen.add(link.frame)
    assert seen == set(range(frames))


# -- shots -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [True, False])
def test_long_chains_of_anchors_are_followed(compiled, monkeypatch):
    """The last of 700 frames that refer to one another: deeper than Python's stack."""
    if compiled and not native.available():
        pytest.skip("the compiled loops were not built")
    if not compiled:
        monkeypatch.setattr(native, "available", lambda: False)
    field = Film(FilmConfig(1, 3, 1, 8, "own", 1, (0,) * 700), (700, 8, 8, 3))
    symbols = {spec.name: np.zeros(spec.shape, np.float32) for spec in field.specs()}
    symbols["grid0.0"][0] = 0.25
    symbols["grid0.699"][0] = 0.125
    parameters = symbols if compiled else {name: torch.from_numpy(value) for name, value in symbols.items()}
    plan = field.plan(parameters, Lattice.full(700, 8, 8))
    first, last = (np.asarray(plan.frame(index))[..., 0] for index in (0, 699))
    np.testing.assert_allclose(last, 1.5 * first, atol=1e-6)
    assert first.min() > 0.1


def test_a_shot_begins_where_the_scene_changes_and_not_where_it_moves():
    pan = [astronaut()[100 + 3 * step : 260 + 3 * step, 2 * step : 200 + 2 * step] for step in range(6)]
    other = [chelsea()[20:180, step : 200 + step] for step in range(4)]
    detector = ShotDetector(255)
    assert [detector.begins(frame) for frame in [*pan, *other]] == [False] * 6 + [True] + [False] * 3


def test_shots_become_segments():
    frames = np.stack([astronaut()[64:112, step : 64 + step] for step in range(3)] + [chelsea()[50:98, 90:154]] * 2)
    result = encode(frames, EncodeOptions(effort=1, family="film"))
    assert StreamReader(result.data).first_frames == [0, 3]


# -- compiled loops ----------------------------------------------------------------------------------------------------


def _scene(seed=0, height=37, width=150):
    random = np.random.default_rng(seed)
    reference = random.standard_normal((height, width, 3)).astype(np.float32)
    y, x = (random.uniform(-7, count + 7, (height, width)).astype(np.float32) for count in (height, width))
    y[::3], x[::2] = np.round(y[::3]), np.round(x[::2])  # on samples along one axis, along both, along none
    return reference, y, x


@compiled
def test_slopes_of_displaced_samples_are_those_of_the_definition():
    reference, y, x = _scene()
    places = [torch.from_numpy(place).requires_grad_() for place in (y, x)]
    expected = displaced(torch.from_numpy(reference).permute(2, 0, 1), *places)
    values, *slopes = warping.warp_slopes(warping.lanes(reference), y, x)
    assert np.abs(values[..., :3] - expected.detach().permute(1, 2, 0).numpy()).max() < 1e-5
    inside = (np.abs(y - 15) < 18) & (np.abs(x - 72) < 74)  # beyond the border places are clamped
    for channel in range(3):
        gradients = torch.autograd.grad(expected[channel].sum(), places, retain_graph=True)
        for slope, gradient in zip(slopes, gradients):
            assert np.abs(slope[..., channel] - gradient.numpy())[inside].max() < 1e-4


def test_displaced_samples_of_a_parabola_are_exact():
    """Keys' kernel reproduces polynomials of the second degree, inside."""
    y, x = np.mgrid[0:12, 0:15].astype(np.float32)
    frame = torch.from_numpy((y**2 - 3 * x * y + 2 * x + 1)[None])
    at_y, at_x = torch.tensor([3.25, 7.5, 5.0]), torch.tensor([4.75, 9.125, 6.0])
    expected = at_y**2 - 3 * at_x * at_y + 2 * at_x + 1
    assert torch.allclose(displaced(frame, at_y, at_x)[0], expected, atol=1e-3)


@compiled
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 130)])
def test_compiled_last_step_is_that_of_tensors(bits, size):
    info = video_info(1, *size, pixel_format="yuv420", bit_depth=bits, full_range=False, matrix=1)
    values = (np.random.default_rng(1).standard_normal((*size, 4)) * 0.4).astype(np.float32)[..., :3]
    tensors = torch.from_numpy(values.copy())
    matrix, offset = yuv_to_rgb_matrix(info)
    rgb = color.rgb(values, matrix, offset + 0.5 * matrix.sum(axis=1), info.peak)
    assert rgb.dtype == (np.uint8 if bits == 8 else np.uint16)
    difference = np.abs(rgb.astype(int) - rgb_integers(tensors, info).numpy())
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3  # where a half is rounded
    assert np.array_equal(color.subsampled(values, info.peak), integers(tensors, info).numpy())


# -- coding ------------------------------------------------------------------------------------------------------------


@compiled
def test_a_pan_costs_little_beyond_its_first_frame():
    picture = astronaut()[60:150, 130:290].astype(np.float64)
    pan = np.stack([shifted(picture, (0.5 * step, -1.25 * step, 0), order=3, mode="nearest") for step in range(5)])
    pan = pan.clip(0, 255).round().astype(np.uint8)
    options = EncodeOptions(effort=2, family="film", rate_lambda=2e-3)
    one, all_frames = encode(pan[:1], options), encode(pan, options)
    assert all_frames.bytes < 1.6 * one.bytes
    assert all_frames.psnr_db > one.psnr_db - 2.5


@compiled
@pytest.mark.parametrize("shape", [(3, 20, 30, 1), (3, 20, 30, 2), (3, 20, 30, 3), (3, 20, 30, 4)])
def test_sample_formats(shape):
    ramp = np.linspace(0, 255, int(np.prod(shape))).reshape(shape).astype(np.uint8)
    result = encode(ramp, EncodeOptions(effort=1, family="film", quality=80))
    assert result.psnr_db > 28


def test_structures_that_do_not_fit_are_refused():
    shape = (3, 8, 8, 3)
    fine = FilmConfig(2, 3, 4, 4, "own", 1, (0, 2, 1))
    Film(fine, shape)
    for wrong in (
        FilmConfig(2, 3, 4, 4, "own", 1, (0, 2)),
        FilmConfig(2, 3, 4, 4, "own", 1, (0, 3, 1)),
        FilmConfig(2, 3, 4, 4, "own", 1, (2, 2, 1)),
    ):
        with pytest.raises(UsageError, match="finest"):
            Film(wrong, shape)
    with pytest.raises(UsageError, match="ycbcr"):
        Film(FilmConfig(2, 3, 4, 4, "ycbcr", 1, (0, 2, 1)), (3, 8, 8, 1))


def test_a_stream_with_too_few_finest_levels_is_refused():
    info = video_info(5, 8, 7)
    raw = encode_segment(random_coded("film", (5, 8, 7, 3)))
    shorter = dataclasses.replace(info, frames=4)
    header = dataclasses.replace(raw.header, frames=4)
    with pytest.raises(StreamError, match="film of 4 frames"):
        decode_segment(dataclasses.replace(raw, header=header), shorter)


# -- rate control ------------------------------------------------------------------------------------------------------


def _search(law, of_bits, first=1e-3):
    """Rates that a search tries where a fit at λ misses by law(log λ), and whether each was the best so far."""
    search, tried = LambdaSearch(first, of_bits), []
    while not search.done:
        tried.append((search.rate_lambda, search.observe(law(math.log(search.rate_lambda)))))
    return tried


def test_a_film_that_behaves_as_usual_meets_its_size_with_the_second_fit():
    target = math.log(2.7e-3)
    tried = _search(lambda log: -0.8 * (log - target), of_bits=True)
    assert len(tried) == 2 and [best for _, best in tried] == [True, True]
    assert math.log(tried[1][0]) == pytest.approx(target + 0.01 / 0.8)


def test_a_film_that_is_steeper_meets_its_quality_with_the_third_fit():
    target = math.log(4e-4)
    tried = _search(lambda log: 1.1 * (log - target), of_bits=False)
    assert len(tried) == 3
    assert math.log(tried[2][0]) == pytest.approx(target - 0.01 / 1.1)


def test_between_two_fits_the_next_one_lies_where_they_say():
    search = LambdaSearch(1e-3, of_bits=True)
    search.observe(0.3)
    search.rate_lambda = 2e-3
    search.observe(-0.1)
    assert math.log(search.rate_lambda / 1e-3) == pytest.approx(math.log(2) * 0.31 / 0.4)


def test_a_fit_that_meets_the_target_is_better_than_one_that_is_nearer():
    search = LambdaSearch(1e-3, of_bits=True)
    assert search.observe(-0.2)
    assert not search.observe(0.01)
    assert search.observe(-0.1)
    assert not search.done
    assert search.observe(-0.02)
    assert search.done


@compiled
def test_a_video_meets_its_size():
    clip = np.stack([astronaut()[64:112, step : 64 + step] for step in range(5)])
    result = encode(clip, EncodeOptions(effort=1, family="film", target_bytes=1500))
    assert 1200 <= result.bytes <= 1500 and result.missed is None


@compiled
def test_a_decoder_that_is_dropped_gives_its_frames_up():
    """At once, without waiting for the garbage collector: they are most of its memory."""
    decoder = inrcodec.open(random_stream("film", video_info(9, 12, 16)), device="cpu")
    decoder.numpy(8)
    (plan,) = decoder._segments[0].plans.values()
    frames = weakref.ref(plan.plan(0)._frames)
    assert frames() is not None
    gc.disable()
    try:
        del decoder, plan
        assert frames() is None
    finally:
        gc.enable()
