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
from inrcodec.encoder.film.fit import chained_groups
from inrcodec.encoder.options import EncodeOptions
from inrcodec.encoder.shots import ShotDetector
from inrcodec.errors import StreamError, UsageError
from inrcodec.fields.film import Film, FilmConfig
from inrcodec.fields.film_tensors import displaced
from inrcodec.fields.hierarchy import links
from inrcodec.fields.pyramid import sparse
from inrcodec.fields.taps import vertices_and_weights
from inrcodec.kernels import color, heads, native
from inrcodec.kernels import warp as warping
from inrcodec.kernels.color import Picture
from inrcodec.lattice import Lattice
from inrcodec.render import integers, rgb_colors, rgb_integers
from inrcodec.segment import SegmentReader, decode_segment, encode_segment, grid_bits

from streams import random_coded, random_stream, video_info, with_section  # isort: skip

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


MOTIONS = {
    "noise": lambda random, y, x, axis: random.uniform(-7, 7, y.shape),
    "still": lambda random, y, x, axis: 0 * y,
    "pan": lambda random, y, x, axis: 0 * y + 3,
    "fraction": lambda random, y, x, axis: 0 * y - 2.3,
    "down": lambda random, y, x, axis: 0 * y + (0.4, 2)[axis],
    "across": lambda random, y, x, axis: 0 * y + (2, 0.4)[axis],
    "zoom": lambda random, y, x, axis: 0.07 * x - 0.03 * y,
    "far": lambda random, y, x, axis: 0 * y + 1e6 * (-1) ** (x // 9),
}


@compiled
@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("references, channels", [(0, 3), (1, 1), (1, 3), (2, 3), (2, 4)])
@pytest.mark.parametrize("height, width", [(7, 150), (1, 1), (3, 12)])
def test_compiled_frames_are_those_of_the_definition(motion, references, channels, height, width):
    """Places side by side, in runs, one by one, on samples, across borders; with and without what a frame adds."""
    random = np.random.default_rng(4)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    frames = random.uniform(-0.5, 0.5, (references, channels, height, width)).astype(np.float32)
    fields = np.stack([MOTIONS[motion](random, *places) for places in [(y, x, 0), (x, y, 1)] * 2]).astype(np.float32)
    share = random.uniform(0, 1, (height, width)).astype(np.float32)
    own = random.uniform(-0.2, 0.2, (channels, height, width)).astype(np.float32)
    found = [
        displaced(*(torch.from_numpy(one) for one in (frame, y + by_y, x + by_x))).numpy()
        for frame, by_y, by_x in zip(frames, fields[::2], fields[1::2])
    ]
    expected = 0 * own if not found else found[0] if references == 1 else share * found[0] + (1 - share) * found[1]
    given = [None, fields[:2], np.concatenate([fields, share[None]])][references]
    rows = heads.Taps(np.arange(height, dtype=np.int32)[:, None], np.ones((height, 1), np.float32))
    columns = heads.Taps(np.arange(width, dtype=np.int32)[:, None], np.ones((width, 1), np.float32))
    sums = heads.Sums([heads.interpolate_sparse(own, columns)], [rows], np.eye(channels, dtype=np.float32))
    arguments = channels, list(frames), given, rows, y[:, 0].copy(), x[0].copy()
    np.testing.assert_allclose(warping.frame(*arguments, None), expected.clip(-0.5, 0.5), atol=2e-5)
    np.testing.assert_allclose(warping.frame(*arguments, sums), (expected + own).clip(-0.5, 0.5), atol=2e-5)


@compiled
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 130)])
def test_compiled_last_step_is_that_of_tensors(bits, size):
    info = video_info(1, *size, pixel_format="yuv420", bit_depth=bits, full_range=False, matrix=1)
    values = (np.random.default_rng(1).standard_normal((*size, 4)) * 0.4).astype(np.float32)[..., :3]
    tensors = torch.from_numpy(values.copy())
    rgb = color.rgb(values, rgb_colors(info))
    assert rgb.dtype == (np.uint8 if bits == 8 else np.uint16)
    difference = np.abs(rgb.astype(int) - rgb_integers(tensors, info).numpy())
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3  # where a half is rounded
    assert np.array_equal(color.subsampled(values, info.peak), integers(tensors, info).numpy())


@compiled
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("planar", [False, True])
def test_samples_of_a_frame_are_those_of_its_values(bits, planar):
    """In one go with the values, without keeping these, and afterwards."""
    height, width = 35, 150
    info = video_info(1, height, width, pixel_format="yuv420", bit_depth=bits, full_range=False, matrix=1)
    colors = rgb_colors(info)
    random = np.random.default_rng(2)
    y, x = (np.arange(count, dtype=np.float32) for count in (height, width))
    rows = heads.Taps(np.arange(height, dtype=np.int32)[:, None], np.ones((height, 1), np.float32))
    reference = random.uniform(-0.5, 0.5, (3, height, width)).astype(np.float32)
    motion = random.uniform(-2, 2, (2, height, width)).astype(np.float32)
    arguments = 3, [reference], motion, rows, y, x, None

    def room():
        shape = (3, height, width) if planar else (height, width, 3)
        return np.zeros(shape, native.sample_type(colors.peak)).transpose((1, 2, 0) if planar else (0, 1, 2))

    with_values, alone, afterwards = room(), room(), room()
    values = warping.frame(*arguments, Picture.of(colors, with_values))
    assert warping.frame(*arguments, Picture.of(colors, alone), kept=False) is None
    color.rgb(values.transpose(1, 2, 0), colors, afterwards)
    assert with_values.any()
    assert np.array_equal(with_values, afterwards) and np.array_equal(alone, afterwards)


@compiled
@pytest.mark.parametrize("step", [0, 0.3])
@pytest.mark.parametrize("width, outputs", [(1, 1), (130, 130), (300, 300), (130, 260), (900, 300), (301, 9)])
def test_sparse_maps_are_interpolated_ones_but_for_zeros(width, outputs, step):
    """Rows are looked at 16 at a time at the most; numbers are floats, or bytes in units of a step. Also where few outputs depend
    on many vertices."""
    random = np.random.default_rng(3)
    grid = random.integers(-128, 128, (2, 37, width)).astype(np.int8)
    grid[0, :17] = grid[1, 20:] = grid[..., 150:] = 0
    taps = sparse(*vertices_and_weights(Lattice.full(1, 8, outputs).x, width, 1.0, "cubic", (1.0,)))
    values = np.multiply(grid, np.float32(step or 1), dtype=np.float32)
    found = heads.interpolate_sparse(grid if step else values, taps, step)
    expected, width = heads.interpolate(values, taps), outputs
    busy = np.repeat(found.busy, native.TILE, axis=2)[..., :width] > 0
    np.testing.assert_allclose(found.values[busy], expected[busy], rtol=1e-6, atol=1e-5)
    assert not expected[~busy].any() and not busy[0, :16].any() and busy[0, 17:, 0].all()


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


# -- chains of symbols -------------------------------------------------------------------------------------------------


def _chained_film(chained, frames=14):
    """Anchors at 0, 4, 8, 12, 13."""
    config = FilmConfig(2, 3, 4, 4, "own", chained, tuple(t % 3 for t in range(frames)))
    coded = random_coded("film", (frames, 12, 16, 3), config=config)
    return coded, video_info(frames, 12, 16)


def _lengths(raw, chains):
    """Bytes of each chain: the last numbers of the section say them, in words."""
    words = list(raw.coding[len(raw.coding) - 2 * (chains - 1) :])
    pairs = [low & 127 | high << 7 for low, high in zip(words[::2], words[1::2])]
    assert all(low & 128 and not high & 128 for low, high in zip(words[::2], words[1::2]))
    return [4 * pair for pair in pairs] + [len(raw.grids) - 4 * sum(pairs)]


@pytest.mark.parametrize(
    "chained, frames",
    [
        (1, [[0, 4, 2, 1, 3], [8, 6, 5, 7], [12, 10, 9, 11], [13]]),
        (3, [[0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11], [13]]),
        (4, [[0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11, 13]]),
        (1024, [[0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11, 13]]),
    ],
)
def test_chains_hold_groups_of_frames_and_come_back(chained, frames):
    coded, info = _chained_film(chained)
    assert [[link.frame for link in chain] for chain in coded.field.linked_chains] == frames
    names = [spec.name for chain in coded.field.chains() for spec in chain]
    assert names == [spec.name for spec in coded.field.specs()]
    back = decode_segment(encode_segment(coded), info)
    assert all(np.array_equal(back.symbols[name], coded.symbols[name]) for name in names)


def test_a_chain_is_read_without_those_before():
    """All of the first one but its first frame is damaged."""
    coded, info = _chained_film(1)
    raw = encode_segment(coded)
    first, second, *_ = _lengths(raw, 4)
    grids = raw.grids[: first // 2] + bytes(first - first // 2) + raw.grids[first:]
    reader = SegmentReader(dataclasses.replace(raw, grids=grids), info)
    for frame in (8, 5, 13, 0):
        for spec in coded.field.frame_grids(frame):
            np.testing.assert_array_equal(reader.symbols(spec.name), coded.symbols[spec.name])
    with pytest.raises(StreamError):
        reader.coded()
    assert second > 0 and np.array_equal(reader.symbols("motion9"), coded.symbols["motion9"])


def test_chains_in_any_order_and_in_turn_are_the_same():
    coded, info = _chained_film(1)
    reader = SegmentReader(encode_segment(coded), info)
    for frame in (13, 8, 4, 12, 6, 2, 10, 7, 3, 0, 11, 1, 5, 9):
        for spec in coded.field.frame_grids(frame):
            np.testing.assert_array_equal(reader.symbols(spec.name), coded.symbols[spec.name])


@pytest.mark.parametrize("wrong", [4, 8, 13])
def test_the_checksum_is_of_all_chains(wrong):
    """Symbols are others than those that the stream's checksum was taken of."""
    coded, info = _chained_film(1)
    checksum = encode_segment(coded).symbols_crc
    coded.symbols[f"motion{wrong}"].flat[0] += 1
    raw = encode_segment(coded)
    assert raw.symbols_crc != checksum
    with pytest.raises(StreamError, match="do not match"):
        decode_segment(dataclasses.replace(raw, symbols_crc=checksum), info)


def test_chains_longer_than_their_section_are_refused():
    coded, info = _chained_film(3)
    raw = encode_segment(coded)
    for words in (bytes([255, 255, 3]), bytes([128 + (len(raw.grids) // 4 + 1) % 128, (len(raw.grids) // 4 + 1) >> 7])):
        wrong = with_section(raw, coding=raw.coding[:-2] + words)
        with pytest.raises(StreamError, match="words of a chain"):
            decode_segment(wrong, info)


def test_what_chains_cost_is_what_they_take():
    coded, _ = _chained_film(1)
    assert -32 <= 8 * len(encode_segment(coded).grids) - grid_bits(coded) <= 4 * 72


@pytest.mark.parametrize("kind, frame", [("first", 0), ("anchors", 4), ("middles", 2), ("others", 1)])
def test_each_kind_of_frame_has_its_own_network(kind, frame):
    """What another network says of one kind makes that one's symbols longer or shorter, and no others."""
    config = FilmConfig(2, 3, 4, 4, "own", 1, (0,) * 5)
    coded = random_coded("film", (5, 12, 16, 3), config=config)
    for spec in coded.field.specs():
        if spec.name not in {one.name for one in coded.field.frame_grids(frame)}:
            coded.symbols[spec.name][:] = 0
    cost = grid_bits(coded)
    for other in ("first", "anchors", "middles", "others"):
        changed = dataclasses.replace(coded, network=dict(coded.network))
        changed.network[f"{other}.last"] = coded.network[f"{other}.last"] + 9
        assert (grid_bits(changed) != cost) == (other == kind)


def test_a_film_of_few_bytes_is_one_chain():
    frames = np.stack([astronaut()[64:112, step : 64 + step] for step in range(18)])
    small = encode(frames, EncodeOptions(effort=1, family="film", quality=30))
    assert StreamReader(small.data).segment_count == 1
    field = inrcodec.open(small.data, device="cpu").coded_segment(0).field
    assert small.bytes < 8192 and len(field.chains()) == 1
    for bits, groups in ((0, 3), (8 * 12_000, 3), (8 * 13_000, 2), (8 * 24_576, 1), (1e9, 1)):
        assert chained_groups(field, bits) == groups


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
    (plan,) = decoder._segments.kept[0].plans.values()
    frames = weakref.ref(plan.plan(0)._frames)
    assert frames() is not None
    gc.disable()
    try:
        del decoder, plan
        assert frames() is None
    finally:
        gc.enable()
