"""The decoder: frames equal the field's definition, in any order, of any region and size; times; sources; faults."""

import io
import os
import pickle

import numpy as np
import pytest
import torch
from streams import image_info, random_coded, random_stream, video_info
from torch.utils.data import DataLoader

import inrcodec.opened
import inrcodec.view
from inrcodec.bitstream import StreamReader, pack_segment, pack_stream
from inrcodec.decode import Decoder
from inrcodec.errors import DeviceError, InputError, StreamError, UsageError
from inrcodec.fields.hashgrid import HashGrid, HashGridConfig
from inrcodec.fields.siren import SirenConfig
from inrcodec.kernels import native
from inrcodec.lattice import Lattice
from inrcodec.render import integers
from inrcodec.segment import encode_segment

FAMILIES = ("siren", "coordx", "asmr", "hashgrid", "film")


def cpu(source, **options) -> Decoder:
    return Decoder(source, device="cpu", **options)


def defined(family, shape, t, y, x, seed=0, config=None):
    """Samples in [0, 1], float64 (len(y), len(x), C), straight from the field's definition; t, y, x in [0, 1]."""
    coded = random_coded(family, shape, seed, config)
    grid = np.stack(np.meshgrid([t], y, x, indexing="ij"), -1).reshape(-1, 3)
    values = coded.field.at(coded.parameters(), torch.from_numpy(grid)).double().numpy() + 0.5
    return values.reshape(len(y), len(x), -1)


def centers(count):
    return (np.arange(count) + 0.5) / count


def close(got, expected, peak=255):
    """Integers within one of the expected real samples in [0, 1] (rounding of a sum in another order)."""
    expected = expected.clip(0, 1) * peak
    assert got.shape == expected.shape
    assert got.std() > 0
    assert np.abs(got.astype(float) - expected).max() < 0.51


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(13, 17), (1, 7)])
def test_an_image_is_what_its_field_defines(family, size):
    info = image_info(*size)
    decoder = cpu(random_stream(family, info))
    assert len(decoder) == 1
    frame = decoder[0]
    assert (frame.shape, frame.dtype) == ((3, *size), torch.uint8)
    close(frame.permute(1, 2, 0).numpy(), defined(family, (1, *size, 3), 0.5, *map(centers, size)))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_video_is_what_its_fields_define_in_any_order(family):
    info = video_info(7, 11, 16)
    data = random_stream(family, info, segments=3)  # segments of 2, 2 and 3 frames
    decoder = cpu(data)
    places = [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2), (2, 0, 3), (2, 1, 3), (2, 2, 3)]
    for index in (5, 0, 6, 3, 3, 1, 4, 2):
        segment, frame, frames = places[index]
        expected = defined(family, (frames, 11, 16, 3), (frame + 0.5) / frames, centers(11), centers(16), segment)
        close(decoder.numpy(index), expected)
    sequential = torch.stack(list(cpu(data)))
    assert torch.equal(sequential, torch.stack([decoder[index] for index in range(7)]))
    assert torch.equal(
        sequential, cpu(data, cache_bytes=1 << 20).get_frames_at([6, 0, 4, 1, 5, 2, 3]).data[[1, 3, 5, 6, 2, 4, 0]]
    )


def test_indices_and_slices_are_those_of_a_sequence():
    decoder = cpu(random_stream("hashgrid", video_info(7, 6, 8), segments=2))
    frames = torch.stack(list(decoder))
    assert frames.shape == (7, 3, 6, 8)
    assert len({frame.numpy().tobytes() for frame in frames}) == 7
    for key in (-1, -7, 3, np.int64(2)):
        assert torch.equal(decoder[key], frames[int(key)])
    for key in (slice(None), slice(1, 6, 2), slice(-3, None), slice(100, 200)):
        assert torch.equal(decoder[key], frames[key])
    assert torch.equal(decoder[::-2], frames[[6, 4, 2, 0]])
    assert torch.equal(decoder.get_frames_at(torch.tensor([5, -6, 5])).data, frames[[5, 1, 5]])
    assert torch.equal(decoder.get_frames_in_range(1, 7, 3).data, frames[[1, 4]])
    assert decoder.get_frames_in_range(7, 7).data.shape == (0, 3, 6, 8)
    for key in (7, -8):
        with pytest.raises(IndexError, match="7"):
            decoder[key]
        with pytest.raises(IndexError):
            decoder.get_frame_at(key)
    for arguments in ((0, 8), (-1, 3), (4, 3), (0, 4, 0)):
        with pytest.raises(IndexError, match="allowed"):
            decoder.get_frames_in_range(*arguments)
    with pytest.raises(TypeError):
        decoder[1.0]


@pytest.mark.parametrize("pixel_format, channels", [("gray", 1), ("graya", 2), ("rgb", 3), ("rgba", 4)])
@pytest.mark.parametrize("bit_depth", [8, 12, 16])
def test_channels_and_depths(pixel_format, channels, bit_depth):
    info = image_info(5, 6, pixel_format, bit_depth)
    decoder = cpu(random_stream("siren", info), dimension_order="NHWC")
    frame = decoder[0]
    assert frame.dtype == (torch.uint8 if bit_depth == 8 else torch.uint16)
    expected = defined("siren", (1, 5, 6, channels), 0.5, centers(5), centers(6)).clip(0, 1) * ((1 << bit_depth) - 1)
    assert frame.shape == expected.shape
    assert np.abs(frame.numpy() - expected).max() < (0.51 if bit_depth <= 12 else 1.5)
    assert np.array_equal(decoder.samples(0), decoder.numpy(0))
    assert decoder[:].shape == (1, 5, 6, channels)


def test_samples_are_bit_for_bit_what_the_encoder_measures():
    info = video_info(5, 9, 10, "yuv420")
    data = random_stream("hashgrid", info, segments=1)
    coded = random_coded("hashgrid", (5, 9, 10, 3))
    plan = coded.field.plan(coded.parameters(), Lattice.full(5, 9, 10))
    decoder = cpu(data)
    for index in (4, 0, 2):
        assert np.array_equal(decoder.samples(index), integers(plan.frame(index), info).numpy())


def test_420_is_shown_as_rgb_and_given_as_planes():
    """BT.601, limited range: the matrix as printed in every textbook; chroma planes are means of 2x2 blocks."""
    info = video_info(2, 5, 6, "yuv420", matrix=6, full_range=False)
    decoder = cpu(random_stream("coordx", info))
    y, cb, cr = np.moveaxis(255 * defined("coordx", (2, 5, 6, 3), 0.75, centers(5), centers(6)), -1, 0)
    luma = 255 / 219 * (y - 16)
    red, blue = luma + 255 / 224 * 1.402 * (cr - 128), luma + 255 / 224 * 1.772 * (cb - 128)
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    close(decoder.numpy(1), np.stack([red, green, blue], -1) / 255)
    samples = decoder.samples(1)
    assert np.abs(samples[..., 0] - y.clip(0, 255)).max() < 0.51
    for channel, plane in ((1, cb), (2, cr)):
        for row in (0, 2, 4):
            for column in (0, 2, 4):
                block = samples[row : row + 2, column : column + 2, channel]
                assert (block == block[0, 0]).all()
                assert abs(block[0, 0] - plane[row : row + 2, column : column + 2].mean().clip(0, 255)) < 0.51


# -- regions and scales ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_region_is_the_crop_of_the_frame(family):
    decoder = cpu(random_stream(family, video_info(4, 19, 23), segments=2))
    frame = decoder.numpy(2).astype(int)
    for x, y, width, height in ((0, 0, 23, 19), (5, 3, 7, 11), (22, 18, 1, 1), (0, 10, 23, 2)):
        region = decoder.numpy(2, region=(x, y, width, height))
        assert region.shape == (height, width, 3)
        assert np.abs(region - frame[y : y + height, x : x + width]).max() <= 1
    assert torch.equal(
        decoder.get_frame_at(2, region=(5, 3, 7, 11)).data.permute(1, 2, 0),
        torch.from_numpy(decoder.numpy(2, (5, 3, 7, 11))),
    )


@pytest.mark.parametrize(
    "region",
    [
        (0, 0, 24, 19),
        (1, 0, 23, 19),
        (-1, 0, 5, 5),
        (0, -1, 5, 5),
        (3, 3, 0, 4),
        (3, 3, 4, 0),
        (1, 2, 3),
        (0, 0, 1.5, 2),
        "abcd",
        7,
    ],
)
def test_a_region_outside_of_the_frame_is_refused(region):
    decoder = cpu(random_stream("siren", image_info(19, 23)))
    with pytest.raises(UsageError, match="region .* allowed are .* 23x19"):
        decoder.get_frame_at(0, region=region)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scale", [2, 1.5, 0.5, 1 / 3, 0.4, 1e-6])
def test_a_scale_samples_the_field_between_or_averages_it(family, scale):
    """Output sample i of n covers [i, i + 1) / n of the extent; ceil(extent / n) points in it are averaged."""
    shape, (x, y, width, height) = (3, 19, 23, 3), (2, 1, 20, 17)
    decoder = cpu(random_stream(family, video_info(*shape[:3])))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    down, across = -(-height // rows), -(-width // columns)
    ys = (y + centers(rows * down) * height) / 19
    xs = (x + centers(columns * across) * width) / 23
    points = defined(family, shape, 0.5 / 3, ys, xs).reshape(rows, down, columns, across, 3)
    got = decoder.numpy(0, region=(x, y, width, height), scale=scale)
    expected = points.mean((1, 3)).clip(0, 1) * 255
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < 0.51


def test_shrinking_to_one_sample_averages_the_frame():
    decoder = cpu(random_stream("hashgrid", image_info(12, 18)))
    assert np.abs(decoder.numpy(0, scale=0.01)[0, 0] - decoder.numpy(0).mean((0, 1))).max() < 1


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), "2", None, 1e4])
def test_a_scale_that_makes_no_sense_is_refused(scale):
    with pytest.raises(UsageError, match="scale"):
        cpu(random_stream("siren", image_info(19, 23))).get_frame_at(0, scale=scale)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_bands_give_the_same_picture(family, cache_bytes, monkeypatch):
    data = random_stream(family, video_info(3, 12, 14))
    views = ({"scale": 1.7}, {"scale": 0.5}, {"region": (1, 2, 11, 9)})
    whole = [cpu(data).numpy(1, **view).astype(int) for view in views]
    monkeypatch.setattr(inrcodec.view, "BAND_POINTS", 64)
    decoder = cpu(data, cache_bytes=cache_bytes)
    for view, expected in zip(views, whole, strict=True):
        assert np.abs(decoder.numpy(1, **view) - expected).max() <= 1
        assert np.array_equal(decoder.numpy(1, **view), decoder.numpy(1, **view))


def test_work_on_a_small_region_does_not_grow_with_the_frame(monkeypatch):
    """Counts the points of every plan that is made."""
    points = []
    plan = HashGrid.plan
    monkeypatch.setattr(
        HashGrid, "plan", lambda self, p, lattice, keep: points.append(lattice.shape) or plan(self, p, lattice, keep)
    )
    cpu(random_stream("hashgrid", image_info(60, 90))).numpy(0, region=(10, 20, 4, 5))
    assert points == [(1, 5, 4)]


# -- times and facts ---------------------------------------------------------------------------------------------------


def test_regular_times():
    decoder = cpu(random_stream("siren", video_info(5, 4, 4), segments=2))  # 2 ticks of 1/50 s a frame
    batch = decoder.get_frames_at([3, 0])
    assert batch.pts_seconds.tolist() == [0.12, 0.0]
    assert batch.duration_seconds.tolist() == [0.04, 0.04]
    frame = decoder.get_frame_at(-1)
    assert (frame.index, frame.pts_seconds, frame.duration_seconds) == (4, 0.16, 0.04)
    assert (decoder.metadata.duration_s, decoder.metadata.average_fps) == (0.2, 25.0)


def test_irregular_times():
    ticks = (10, 12, 17, 18, 30)
    decoder = cpu(random_stream("siren", video_info(5, 4, 4), segments=2, ticks=ticks))
    batch = decoder.get_frames_in_range(0, 5)
    assert batch.pts_seconds.tolist() == [0.2, 0.24, 0.34, 0.36, 0.6]
    assert batch.duration_seconds.tolist() == [0.04, 0.1, 0.02, 0.24, 0.04]  # the last one: nominal
    assert decoder.metadata.duration_s == pytest.approx(0.44)
    assert decoder.metadata.average_fps == pytest.approx(5 / 0.44)


def test_an_image_has_no_time():
    decoder = cpu(random_stream("siren", image_info(4, 4)))
    frame = decoder.get_frame_at(0)
    assert (frame.pts_seconds, frame.duration_seconds) == (0, 0)
    assert (decoder.metadata.duration_s, decoder.metadata.average_fps) == (0, None)


def test_metadata_decodes_nothing(monkeypatch):
    data = random_stream("coordx", video_info(5, 6, 8), segments=2)

    def refuse(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(inrcodec.opened, "SegmentReader", refuse)
    decoder = cpu(data)
    facts = decoder.metadata
    assert (facts.width, facts.height, facts.num_frames, facts.segments) == (8, 6, 5, 2)
    assert (facts.bytes, facts.family, facts.version) == (len(data), "coordx", 1)
    assert facts.bpp == len(data) * 8 / (5 * 6 * 8)
    assert decoder.parameters == random_coded("coordx", (2, 6, 8, 3)).field.parameter_count
    with pytest.raises(AssertionError, match="decoded"):
        decoder[0]


def test_complexity_counts_by_hand():
    """SIREN 2-6-6-3 (weights; biases are no products): every point costs 12 + 36 + 18, shared or not."""
    siren = cpu(random_stream("siren", image_info(8, 9)))
    assert siren.macs_per_point == siren.macs_per_pixel == 66
    coordx = cpu(random_stream("coordx", image_info(8, 9)))
    assert coordx.macs_per_pixel < coordx.macs_per_point


# -- sources -----------------------------------------------------------------------------------------------------------


def test_sources(tmp_path):
    data = random_stream("hashgrid", image_info(6, 8))
    path = tmp_path / "picture.inr"
    path.write_bytes(data)
    expected = cpu(data)[0]
    for source in (path, str(path), bytearray(data), memoryview(data), io.BytesIO(data)):
        assert torch.equal(cpu(source)[0], expected)
    with open(path, "rb") as file:
        assert torch.equal(cpu(file)[0], expected)
    with pytest.raises(InputError, match="nowhere.inr"):
        cpu(tmp_path / "nowhere.inr")
    with open(path, encoding="latin-1") as file, pytest.raises(UsageError, match="binary"):
        cpu(file)
    with pytest.raises(UsageError, match="int"):
        cpu(7)


def test_a_closed_decoder_says_so(tmp_path):
    path = tmp_path / "picture.inr"
    path.write_bytes(random_stream("siren", image_info(6, 8)))
    with cpu(path) as decoder:
        decoder[0]
        file = decoder._source._file
        assert not file.closed
    assert file.closed
    with pytest.raises(UsageError, match="closed"):
        decoder[0]
    assert pickle.loads(pickle.dumps(decoder))[0].shape == (3, 6, 8)


@pytest.mark.parametrize("as_path", [True, False])
def test_a_pickled_decoder_decodes_the_same(tmp_path, as_path):
    data = random_stream("hashgrid", video_info(4, 6, 8), segments=2)
    path = tmp_path / "video.inr"
    path.write_bytes(data)
    decoder = cpu(path if as_path else io.BytesIO(data), dimension_order="NHWC")
    frames = decoder[:]
    state = pickle.dumps(decoder)
    assert len(state) < 300 if as_path else len(state) < len(data) + 300
    assert torch.equal(pickle.loads(state)[:], frames)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_opens_its_own_file(tmp_path):
    """A child shares the position of an inherited file: reading from it would pull the parent's away."""
    path = tmp_path / "video.inr"
    big = SirenConfig(width=64, layers=3)  # segments larger than the buffer of a file
    path.write_bytes(random_stream("siren", video_info(12, 6, 8), segments=6, config=big))
    decoder = cpu(path, cache_bytes=0)
    expected = decoder[:]
    before = os.lseek(decoder._source._file.fileno(), 0, os.SEEK_CUR)
    loader = DataLoader(decoder, batch_size=4, num_workers=2, multiprocessing_context="fork")
    assert torch.equal(torch.cat(list(loader)), expected)
    assert os.lseek(decoder._source._file.fileno(), 0, os.SEEK_CUR) == before


def test_segments_are_kept_within_the_cache(monkeypatch):
    decoded = []
    decode = inrcodec.opened.SegmentReader
    monkeypatch.setattr(
        inrcodec.opened,
        "SegmentReader",
        lambda raw, *rest: decoded.append(raw.header.first_frame) or decode(raw, *rest),
    )
    data = random_stream("siren", video_info(6, 6, 8), segments=3)
    order = [0, 2, 4, 1, 3, 5]
    roomy, tight = cpu(data), cpu(data, cache_bytes=0)
    for index in order:
        roomy[index]
    assert decoded == [0, 2, 4]
    decoded.clear()
    for index in order:
        tight[index]
    assert decoded == [0, 2, 4, 0, 2, 4]
    decoded.clear()
    tight.get_frames_at(order)
    assert decoded == [0, 2, 4]


# -- faults ------------------------------------------------------------------------------------------------------------


def test_a_damaged_segment_costs_only_itself():
    info = video_info(6, 6, 8)
    ticks = (0, 1, 5, 6, 7, 9)
    data = bytearray(random_stream("hashgrid", info, segments=3, ticks=ticks))
    whole = cpu(bytes(data))
    expected = whole[:]
    offset, end, _ = StreamReader(bytes(data))._chunks[1]
    data[(offset + end) // 2] ^= 1
    damaged = cpu(bytes(data))
    for index in (0, 1, 4, 5):
        assert torch.equal(damaged.get_frame_at(index).data, expected[index])
    for index in (2, 3):
        with pytest.raises(StreamError, match=f"offset {offset}"):
            damaged[index]
    whole.verify()
    with pytest.raises(StreamError, match=f"offset {offset}"):
        damaged.verify()


def test_verify_reads_what_decoding_needs_not():
    data = bytearray(random_stream("siren", video_info(4, 4, 4), segments=2, ancillary=[(200, b"metadata")]))
    cpu(bytes(data)).verify()
    data[data.index(b"metadata")] ^= 1
    decoder = cpu(bytes(data))
    assert decoder[3].shape == (3, 4, 4)
    with pytest.raises(StreamError, match="checksum"):
        decoder.verify()


def test_times_that_run_backwards_are_refused():
    info = video_info(4, 4, 4)
    shape = (2, 4, 4, 3)
    packed = [
        pack_segment(encode_segment(random_coded("siren", shape), first, ticks))
        for first, ticks in ((0, (5, 9)), (2, (8, 10)))
    ]
    with pytest.raises(StreamError, match="tick 8"):
        cpu(pack_stream(info, packed)).verify()


@pytest.mark.parametrize("device", ["nonsense", "cuda:77", "meta"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(DeviceError, match=device):
        Decoder(random_stream("siren", image_info(4, 4)), device=device)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_too_little_memory_is_told(monkeypatch, error):
    def fail(*_):
        raise error

    decoder = cpu(random_stream("hashgrid", image_info(4, 4)))
    monkeypatch.setattr(HashGrid, "plan", fail)
    with pytest.raises(DeviceError, match="not enough memory on cpu"):
        decoder[0]


def test_options_are_checked():
    data = random_stream("siren", image_info(4, 4))
    with pytest.raises(UsageError, match="CHWN.*NCHW, NHWC"):
        cpu(data, dimension_order="CHWN")
    with pytest.raises(UsageError, match="-1"):
        cpu(data, cache_bytes=-1)
    for index in (-1, 1):
        with pytest.raises(IndexError, match="of a stream of 1"):
            cpu(data).coded_segment(index)


@pytest.mark.skipif(not native.available(), reason="the compiled loops were not built")
def test_frames_of_other_segments_are_forgotten_before_their_symbols():
    data = random_stream("film", video_info(18, 24, 32), segments=2)
    with cpu(data) as decoder:
        decoder.get_frames_at(range(18))
        first, second = decoder._segments.kept.values()
        needed = sum(one.kept_bytes for one in (first, second)) - sum(one.kept_bytes for one in first.plans.values())
    with cpu(data, cache_bytes=needed) as decoder:
        decoder.get_frames_at(range(18))
        first, second = decoder._segments.kept.values()
        assert not first.plans and second.plans and first.reader.kept_bytes
    with cpu(data, cache_bytes=needed // 2) as decoder:
        decoder.get_frames_at(range(18))
        assert list(decoder._segments.kept) == [1]


def test_a_hashed_field_decodes_as_defined():
    config = HashGridConfig("joint", (2, 2), (16, 16, 16), (32, 32, 32), 6, "linear", 4, 1)
    shape = (3, 14, 15, 3)
    decoder = cpu(random_stream("hashgrid", video_info(*shape[:3]), config=config))
    close(decoder.numpy(2), defined("hashgrid", shape, 2.5 / 3, centers(14), centers(15), config=config))
