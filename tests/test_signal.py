"""Reading and writing media: what comes out is compared with Pillow, PyAV and hand-made bytes."""

import io
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from inrcodec.errors import InputError, OutputError, UsageError
from inrcodec.signal.color import from_planes, from_rgb, planes, rgb_info, to_rgb, yuv_to_rgb_matrix
from inrcodec.signal.info import SignalInfo
from inrcodec.signal.read import open_source
from inrcodec.signal.write import open_sink, sink_wants

WIDTH, HEIGHT = 33, 17


def random_samples(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def random_420(count=6, width=WIDTH, height=HEIGHT):
    """Frames as lists of planes (Y, Cb, Cr)."""
    half = ((height + 1) // 2, (width + 1) // 2)
    return [
        [random_samples(s, seed=3 * i + p) for p, s in enumerate([(height, width), half, half])] for i in range(count)
    ]


def picture_bytes(array, suffix="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, suffix, **options)
    return buffer.getvalue()


def fill(plane, values):
    lines = np.zeros((plane.height, plane.line_size), np.uint8)
    lines[:, : values.shape[1]] = values
    plane.update(lines.tobytes())


def video_bytes(frames, pix_fmt="yuv420p", codec="ffv1", container="matroska", rate=25, pts=None, **attributes):
    """A lossless video of frames, each a list of 2-D arrays of bytes, one a plane."""
    buffer = io.BytesIO()
    rotation = attributes.pop("rotation", 0)
    height, width = frames[0][0].shape
    width //= {"bgr0": 4, "yuv420p10le": 2}.get(pix_fmt, 1)
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if rotation:
            stream.set_display_rotation(rotation)
        for name, value in attributes.items():
            setattr(stream.codec_context, name, value)
        for index, values in enumerate(frames):
            frame = av.VideoFrame(width, height, pix_fmt)
            for plane, plane_values in zip(frame.planes, values, strict=True):
                fill(plane, plane_values)
            for name, value in attributes.items():
                setattr(frame, name, value)
            frame.pts = pts[index] if pts else index
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def read_all(source, frames=None):
    with open_source(source, frames) as opened:
        pairs = list(opened)
    return opened.info, [samples for samples, _ in pairs], [pts for _, pts in pairs]


def blocks(plane):
    return np.kron(plane, np.ones((2, 2), plane.dtype))[:HEIGHT, :WIDTH]


# Pictures


@pytest.mark.parametrize(("channels", "pixel_format"), [(1, "gray"), (2, "graya"), (3, "rgb"), (4, "rgba")])
def test_picture_modes(channels, pixel_format):
    array = random_samples((5, 7, channels))
    info, frames, pts = read_all(picture_bytes(array[:, :, 0] if channels == 1 else array))
    assert (info.pixel_format, info.width, info.height, info.bit_depth, info.frames) == (pixel_format, 7, 5, 8, 1)
    assert not info.is_video and pts == [0]
    assert np.array_equal(frames[0], array) and frames[0].flags.c_contiguous


@pytest.mark.parametrize(
    ("mode", "suffix", "target"), [("1", "PNG", "L"), ("P", "PNG", "RGB"), ("CMYK", "TIFF", "RGB")]
)
def test_other_modes_become_gray_or_rgb(mode, suffix, target):
    image = Image.fromarray(random_samples((5, 7, 3))).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, suffix)
    assert np.array_equal(read_all(buffer.getvalue())[1][0].squeeze(), np.asarray(image.convert(target)))


def test_palette_with_transparency_is_rgba():
    image = Image.fromarray(random_samples((5, 7), seed=1) % 4, "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 0, 0, 0])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=2)
    info, frames, _ = read_all(buffer.getvalue())
    assert info.pixel_format == "rgba"
    assert np.array_equal(frames[0][:, :, 3] == 0, np.asarray(image) == 2)


@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_survive(tmp_path, suffix, channels):
    import tifffile

    array = random_samples((5, 7, channels), np.uint16)
    path = tmp_path / f"deep.{suffix.lower()}"
    if suffix == "TIFF":
        tifffile.imwrite(
            path, array[:, :, 0] if channels == 1 else array, photometric="minisblack" if channels == 1 else "rgb"
        )
    else:
        path.write_bytes(_png_16_bits(array))
    info, frames, _ = read_all(path)
    assert info.bit_depth == 16 and frames[0].dtype == np.uint16
    assert np.array_equal(frames[0], array)


def _png_16_bits(array):
    """PNG by its specification: signature, IHDR, one IDAT with filter 0 on each line, IEND."""
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, channels = array.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in array)
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_exif_orientation(orientation, suffix):
    from PIL import ImageOps

    image = Image.fromarray(random_samples((5, 7, 3)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = picture_bytes(np.asarray(image), suffix, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.array_equal(read_all(data)[1][0], upright)


def test_pictures_that_are_refused():
    array = random_samples((5, 7, 3))
    animated = picture_bytes(array, "GIF", save_all=True, append_images=[Image.fromarray(255 - array)])
    floats = picture_bytes(array[:, :, 0].astype(np.float32), "TIFF")
    whole = picture_bytes(random_samples((50, 70, 3)))
    wrong = [
        (animated, "2 pictures"),
        (floats, "32 bits"),
        (whole[:1000], "damaged PNG"),
        (b"", "empty"),
        (b"hello", "is not a"),
    ]
    for data, message in wrong:
        with pytest.raises(InputError, match=message):
            open_source(data)


def test_avif_of_10_bits_and_heif_are_refused():
    planes_10_bits = [np.zeros((64, 128), np.uint8), np.zeros((32, 64), np.uint8), np.zeros((32, 64), np.uint8)]
    deep = video_bytes([planes_10_bits], "yuv420p10le", "libsvtav1", "avif")
    with pytest.raises(InputError, match="AVIF with more than 8 bits"):
        open_source(deep)
    plain = picture_bytes(random_samples((16, 16, 3)), "AVIF")
    assert read_all(plain)[0].bit_depth == 8
    with pytest.raises(InputError, match="this heic picture cannot be read"):
        open_source(plain[:8] + b"heic" + plain[12:])


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.png: cannot be opened: No such file"):
        open_source(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="is a folder"):
        open_source(tmp_path)


def test_too_large_a_side_is_refused_before_decoding():
    import struct
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", 65537, 1, 8, 0, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT"
    )
    with pytest.raises(InputError, match=r"size is 65537x1, allowed are sides of 1 to 65536"):
        open_source(data)


# Arrays


@pytest.mark.parametrize(
    ("shape", "expected"), [((5, 7), (1, 5, 7, 1)), ((5, 7, 2), (1, 5, 7, 2)), ((3, 5, 7, 4), (3, 5, 7, 4))]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("through", ["array", "file", "bytes"])
def test_arrays(tmp_path, shape, expected, dtype, through):
    array = random_samples(shape, dtype)
    path = tmp_path / "a.npy"
    np.save(path, np.asfortranarray(array))
    info, frames, pts = read_all({"array": array, "file": path, "bytes": path.read_bytes()}[through])
    assert np.array_equal(np.stack(frames), array.reshape(expected)) and frames[0].dtype == dtype
    assert (info.frames, info.bit_depth, info.channels) == (expected[0], 8 * dtype().itemsize, expected[3])
    assert (info.frame_rate, pts) == ((25, [0, 1, 2]) if expected[0] > 1 else (None, [0]))


def test_arrays_that_are_refused(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "whole.npy", np.zeros((4, 4), np.uint8))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-1])
    wrong = [(np.zeros((4, 4), np.float32), "float32"), (np.zeros((4, 4, 5), np.uint8), r"shape is \(4, 4, 5\)")]
    wrong += [(np.zeros((0, 4, 1), np.uint8), "size is 4x0"), (np.zeros((0, 4, 4, 1), np.uint8), "shape is")]
    wrong += [(tmp_path / "objects.npy", "Python objects"), (tmp_path / "cut.npy", "not a readable .npy")]
    wrong += [((tmp_path / "cut.npy").read_bytes(), "not a readable .npy")]
    for source, message in wrong:
        with pytest.raises(InputError, match=message):
            open_source(source)


@pytest.mark.parametrize("frames", [(2, 2), (3, 1), (0, 7), (-1, 2), (6, None)])
def test_wrong_selections_name_what_is_there(frames):
    for source in (np.zeros((6, 4, 4, 1), np.uint8), video_bytes(random_420())):
        with pytest.raises(UsageError, match=r"available are 0:6"):
            open_source(source, frames)


# Videos


def test_420_planes_stand_in_blocks_at_odd_sizes():
    clip = random_420()
    info, frames, pts = read_all(video_bytes(clip))
    assert (info.pixel_format, info.width, info.height, info.frames) == ("yuv420", WIDTH, HEIGHT, 6)
    assert (info.frame_rate, info.full_range, info.matrix, pts) == (25, False, 2, list(range(6)))
    for samples, (y, cb, cr) in zip(frames, clip, strict=True):
        assert np.array_equal(samples, np.stack([y, blocks(cb), blocks(cr)], axis=2))
        assert all(np.array_equal(a, b) for a, b in zip(planes(samples), (y, cb, cr), strict=True))


def test_color_tags_are_carried():
    tags = {"color_range": 2, "colorspace": 1, "color_primaries": 9, "color_trc": 13}
    info, _, _ = read_all(video_bytes(random_420(1), **tags))
    assert (info.full_range, info.matrix, info.primaries, info.transfer) == (True, 1, 9, 13)


def test_rgb_and_gray_video():
    bgr0 = [[random_samples((HEIGHT, 4 * WIDTH))]]
    info, frames, _ = read_all(video_bytes(bgr0, "bgr0"))
    assert (info.pixel_format, info.matrix, info.full_range) == ("rgb", 0, True)
    assert np.array_equal(frames[0], bgr0[0][0].reshape(HEIGHT, WIDTH, 4)[:, :, 2::-1])
    gray = [[random_samples((HEIGHT, WIDTH))]]
    info, frames, _ = read_all(video_bytes(gray, "gray"))
    assert info.pixel_format == "gray" and np.array_equal(frames[0][:, :, 0], gray[0][0])


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied_to_the_planes(degrees, turns):
    clip = random_420(2)
    info, frames, _ = read_all(video_bytes(clip, rotation=degrees))
    assert (info.width, info.height) == ((HEIGHT, WIDTH) if turns % 2 else (WIDTH, HEIGHT))
    for samples, original in zip(frames, clip, strict=True):
        turned = [np.rot90(plane, turns) for plane in original]
        assert all(np.array_equal(a, b) for a, b in zip(planes(samples), turned, strict=True))


def test_rotation_of_packed_samples():
    gray = random_samples((HEIGHT, WIDTH))
    _, frames, _ = read_all(video_bytes([[gray]], "gray", rotation=90))
    assert np.array_equal(frames[0][:, :, 0], np.rot90(gray))


def test_motion_jpeg_is_full_range():
    info, _, _ = read_all(video_bytes(random_420(1), "yuvj420p", "mjpeg", "avi"))
    assert (info.pixel_format, info.full_range) == ("yuv420", True)


def test_selection_of_an_array_starts_at_0():
    _, frames, pts = read_all(np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1), (2, 4))
    assert ([int(samples.item()) for samples in frames], pts) == ([2, 3], [0, 1])


def test_scripts_open_no_other_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part.nut").write_bytes(video_bytes(random_420(2), codec="rawvideo", container="nut"))
    script = b"ffconcat version 1.0\nfile part.nut\n"
    with av.open(io.BytesIO(script)) as container:
        assert len(list(container.decode(video=0))) == 2
    with pytest.raises(InputError, match="is not a picture, video"):
        open_source(script)


@pytest.mark.parametrize("container", ["matroska", "mp4", "nut"])
def test_fractional_rates_are_exact(container):
    rate = Fraction(30000, 1001)
    codec = "rawvideo" if container == "nut" else "libvpx-vp9"
    info, _, pts = read_all(video_bytes(random_420(8), codec=codec, container=container, rate=rate))
    assert (info.frame_rate, pts) == (rate, list(range(8)))


def test_variable_rate_keeps_its_times_from_the_first_frame():
    times = [7, 8, 9, 15, 16, 30]
    info, _, pts = read_all(video_bytes(random_420(), pts=times))
    tick = Fraction(info.time_base_num, info.time_base_den)
    assert [tick * time for time in pts] == [Fraction(time - 7, 25) for time in times]
    _, _, pts = read_all(video_bytes(random_420(), pts=times), (3, 5))
    assert [tick * time for time in pts] == [0, Fraction(1, 25)]


def test_selection_and_second_pass():
    clip = random_420()
    with open_source(video_bytes(clip), (2, 5)) as source:
        for _ in range(2):
            pairs = list(source)
            assert [pts for _, pts in pairs] == [0, 1, 2]
            assert [np.array_equal(x[:, :, 0], y[0]) for (x, _), y in zip(pairs, clip[2:5], strict=True)] == [True] * 3
        assert source.expected_frames == 3
    assert read_all(video_bytes(clip), (4, None))[0].frames == 2


def test_videos_that_are_refused():
    with pytest.raises(InputError, match="pixel format yuv444p is not supported"):
        open_source(video_bytes([[random_samples((HEIGHT, WIDTH))] * 3], "yuv444p"))
    with pytest.raises(InputError, match="pixel format yuv420p10le is not supported"):
        open_source(b"YUV4MPEG2 W4 H4 F25:1 C420p10\nFRAME\n" + bytes(48))
    with pytest.raises(InputError, match="alpha"):
        half = np.zeros(((HEIGHT + 1) // 2, (WIDTH + 1) // 2), np.uint8)
        full = np.zeros((HEIGHT, WIDTH), np.uint8)
        open_source(video_bytes([[full, half, half, full]], "yuva420p", "libvpx-vp9", "webm"))
    data = video_bytes(random_420())
    with pytest.raises(InputError):
        open_source(data[:200])
    with pytest.raises(InputError, match="is not a picture, video"):
        open_source(b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/etc/passwd\n#EXT-X-ENDLIST\n")


def test_a_change_of_size_is_refused_when_it_comes():
    parts = [video_bytes(random_420(2, *size), codec="mpeg2video", container="mpegts") for size in [(64, 48), (48, 64)]]
    with open_source(b"".join(parts)) as source, pytest.raises(InputError, match="48x64 yuv420p, frame 0 is 64x48"):
        list(source)


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(video_bytes(random_420()))))
    assert len(read_all("-")[1]) == 6


# Color


def yuv_info(**fields):
    return SignalInfo(**{"width": 4, "height": 4, "frames": 1, "pixel_format": "yuv420", "full_range": False} | fields)


@pytest.mark.parametrize(
    ("matrix", "yuv", "rgb"),
    [  # colors of the EBU and SMPTE bars: pure red, green, blue, white, black at limited range
        (1, (63, 102, 240), (255, 0, 0)),
        (1, (173, 42, 26), (0, 255, 0)),
        (1, (32, 240, 118), (0, 0, 255)),
        (6, (81, 90, 240), (255, 0, 0)),
        (5, (145, 54, 34), (0, 255, 0)),
        (2, (41, 240, 110), (0, 0, 255)),
        (9, (74, 97, 240), (255, 0, 0)),
        (1, (235, 128, 128), (255, 255, 255)),
        (1, (16, 128, 128), (0, 0, 0)),
        (0, (16, 126, 235), (255, 0, 128)),
    ],
)
def test_colors_of_the_standards(matrix, yuv, rgb):
    samples = np.full((4, 4, 3), yuv, np.uint8)
    assert np.abs(to_rgb(samples, yuv_info(matrix=matrix))[0, 0].astype(int) - rgb).max() <= 2


def test_coefficients_of_limited_range():
    """R, G and B per step of Y, Cb and Cr, as ITU-R BT.601 and BT.709 are usually printed."""
    printed = {
        6: [[1.164383, 0, 1.596027], [1.164383, -0.391762, -0.812968], [1.164383, 2.017232, 0]],
        1: [[1.164383, 0, 1.792741], [1.164383, -0.213249, -0.532909], [1.164383, 2.112402, 0]],
    }
    for code, coefficients in printed.items():
        matrix, offset = yuv_to_rgb_matrix(yuv_info(matrix=code))
        assert np.allclose(matrix, coefficients, atol=1e-6)
        assert np.allclose(matrix @ (np.array([16, 128, 128]) / 255) + offset, 0, atol=1e-12)


def test_unspecified_matrix_goes_by_height():
    low, high = yuv_info(height=719), yuv_info(height=720)
    assert np.array_equal(yuv_to_rgb_matrix(low)[0], yuv_to_rgb_matrix(yuv_info(matrix=6))[0])
    assert np.array_equal(yuv_to_rgb_matrix(high)[0], yuv_to_rgb_matrix(yuv_info(matrix=1))[0])


def test_full_range_rgb_is_that_of_jpeg():
    samples = np.full((4, 4, 3), (120, 90, 200), np.uint8)
    pillow = Image.fromarray(samples, "YCbCr").convert("RGB")
    rgb = to_rgb(samples, yuv_info(matrix=6, full_range=True))
    assert np.abs(rgb.astype(int) - np.asarray(pillow)).max() <= 1


def test_rgb_and_back_for_smooth_color_and_depth_10():
    ramp = np.kron(np.arange(200, 800, 40).reshape(3, 5), np.ones((2, 2), int))[:5, :9].astype(np.uint16)
    rgb = np.stack([ramp, ramp // 2 + 100, 900 - ramp], axis=2)
    info = yuv_info(width=9, height=5, bit_depth=10, matrix=9)
    native = from_rgb(rgb, info)
    assert np.array_equal(native, from_planes(*planes(native)))
    assert np.abs(to_rgb(native, info).astype(int) - rgb).max() <= 2
    assert (rgb_info(info).pixel_format, rgb_info(info).bit_depth, rgb_info(info).matrix) == ("rgb", 10, 0)


def test_unknown_matrix_is_named():
    with pytest.raises(UsageError, match="color matrix 14"):
        to_rgb(np.zeros((4, 4, 3), np.uint8), yuv_info(matrix=14))


# Writing


def image_info(pixel_format="rgb", **fields):
    return SignalInfo(**{"width": 7, "height": 5, "frames": 1, "pixel_format": pixel_format} | fields)


def clip_info(pixel_format="yuv420", **fields):
    size = {"width": WIDTH, "height": HEIGHT, "frames": 6, "time_base_num": 1, "time_base_den": 25, "frame_ticks": 1}
    return SignalInfo(**size | {"pixel_format": pixel_format, "full_range": False} | fields)


def write_all(target, info, frames, **options):
    with open_sink(target, info, **options) as sink:
        for samples in frames:
            sink.write(samples)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "bmp", "npy"])
def test_lossless_pictures(tmp_path, suffix):
    array = random_samples((5, 7, 3))
    write_all(tmp_path / f"a.{suffix}", image_info(), [array])
    read = np.load(tmp_path / "a.npy")[0] if suffix == "npy" else np.asarray(Image.open(tmp_path / f"a.{suffix}"))
    assert np.array_equal(read, array)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_10_bits_are_shifted_up_to_16(tmp_path, channels, suffix):
    array = random_samples((5, 7, channels), np.uint16) >> 6
    info = image_info({1: "gray", 2: "graya", 3: "rgb", 4: "rgba"}[channels], bit_depth=10)
    if (suffix, channels) == ("tiff", 2):
        with pytest.raises(UsageError, match="cannot hold graya with 10 bits"):
            open_sink(tmp_path / "a.tiff", info)
        return
    write_all(tmp_path / f"a.{suffix}", info, [array])
    assert np.array_equal(read_all(tmp_path / f"a.{suffix}")[1][0], array * 64)


def test_jpeg_is_close(tmp_path):
    from skimage.data import astronaut

    array = astronaut()[:64, 160:224]
    write_all(tmp_path / "a.jpg", image_info(width=64, height=64), [array])
    error = np.asarray(Image.open(tmp_path / "a.jpg")).astype(int) - array
    assert 0 < np.square(error).mean() < 20


@pytest.mark.parametrize("target", ["out/", "out", "out/f_%03d.tif"])
def test_one_picture_a_frame(tmp_path, target):
    if target == "out":
        (tmp_path / "out").mkdir()
    frames = random_samples((3, 5, 7, 3))
    info = image_info(frames=3, time_base_num=1, time_base_den=25, frame_ticks=1)
    write_all(f"{tmp_path}/{target}", info, frames)
    names = [f"f_{i:03d}.tif" if "%" in target else f"{i:05d}.png" for i in range(3)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert all(np.array_equal(Image.open(tmp_path / "out" / n), f) for n, f in zip(names, frames, strict=True))
    with pytest.raises(OutputError, match="exists already"):
        open_sink(f"{tmp_path}/{target}", info)
    write_all(f"{tmp_path}/{target}", info, frames[::-1], overwrite=True)
    assert np.array_equal(Image.open(tmp_path / "out" / names[0]), frames[2])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_npy_of_a_video(tmp_path):
    frames = random_samples((6, HEIGHT, WIDTH, 3), np.uint16)
    write_all(tmp_path / "a.npy", clip_info("rgb", bit_depth=16), frames)
    assert np.array_equal(np.load(tmp_path / "a.npy"), frames)


@pytest.mark.parametrize("full_range", [True, False])
def test_y4m_holds_the_exact_planes(tmp_path, full_range):
    clip = random_420()
    frames = [np.stack([y, blocks(cb), blocks(cr)], axis=2) for y, cb, cr in clip]
    info = clip_info(full_range=full_range, time_base_num=1001, time_base_den=30000)
    write_all(tmp_path / "a.y4m", info, frames)
    with av.open(str(tmp_path / "a.y4m")) as container:
        decoded = list(container.decode(video=0))
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    for frame, original in zip(decoded, clip, strict=True):
        assert [bytes(plane) for plane in frame.planes] == [plane.tobytes() for plane in original]
    read_info, again, _ = read_all(tmp_path / "a.y4m")
    assert read_info == info and np.array_equal(again, frames)


def test_y4m_of_gray_and_not_of_rgb(tmp_path):
    frames = random_samples((6, HEIGHT, WIDTH, 1))
    write_all(tmp_path / "a.y4m", clip_info("gray"), frames)
    assert np.array_equal(read_all(tmp_path / "a.y4m")[1], frames)
    for info in (clip_info("rgb"), clip_info("gray", bit_depth=16)):
        with pytest.raises(UsageError, match=r"use \.npy or a folder"):
            open_sink(tmp_path / "b.y4m", info)
    assert not (tmp_path / "b.y4m").exists()


def smooth_rgb(width, height, count=6):
    y, x = np.mgrid[:height, :width]
    frames = [np.stack([4 * x + 8 * i, 4 * y + 40, 200 - 3 * x], axis=2).clip(0, 255) for i in range(count)]
    return np.stack(frames).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "webm"])
@pytest.mark.parametrize("size", [(32, 18), (33, 17)])
def test_videos_are_visually_lossless(tmp_path, suffix, size):
    path = tmp_path / f"a.{suffix}"
    rgb = clip_info("rgb", width=size[0], height=size[1])
    if suffix == "mov" and size[0] % 2:
        with pytest.raises(UsageError, match="even sizes"):
            open_sink(path, rgb)
        return
    frames = smooth_rgb(*size)
    write_all(path, rgb, frames)
    info, read, pts = read_all(path)
    assert (info.matrix, info.full_range, info.frame_rate, pts) == (1, False, 25, list(range(6)))
    error = np.stack([to_rgb(samples, info) for samples in read]).astype(int) - frames
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 38
    write_all(path, info, read, overwrite=True)  # native samples and their tags
    again_info, again, _ = read_all(path)
    assert again_info == info and np.abs(np.stack(again).astype(int) - np.stack(read)).mean() < 2


def test_video_carries_tags_times_and_gray(tmp_path):
    info = clip_info(
        "gray", width=32, height=16, full_range=True, primaries=9, transfer=13, time_base_den=1000, frame_ticks=40
    )
    times = [0, 40, 80, 200, 240, 400]
    gray = smooth_rgb(32, 16)[:, :, :, :1]
    with open_sink(tmp_path / "a.mkv", info) as sink:
        for samples, pts in zip(gray, times, strict=True):
            sink.write(samples, pts)
    read_info, read, pts = read_all(tmp_path / "a.mkv")
    assert (read_info.full_range, read_info.primaries, read_info.transfer) == (True, 9, 13)
    assert [time * Fraction(read_info.time_base_num, read_info.time_base_den) for time in pts] == [
        Fraction(t, 1000) for t in times
    ]
    assert np.abs(np.stack(read)[:, :, :, :1].astype(int) - gray).max() < 12
    assert np.abs(np.stack(read)[:, :, :, 1:].astype(int) - 128).max() <= 1


@pytest.mark.parametrize("name", ["a.mp4", "a.npy", "a.y4m", "out/", "%02d.png"])
def test_nothing_is_left_by_a_failure(tmp_path, name):
    info = clip_info("gray", width=32, height=16)
    with pytest.raises(KeyError), open_sink(f"{tmp_path}/{name}", info) as sink:
        sink.write(np.zeros((16, 32, 1), np.uint8))
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="1 of 6 frames"), open_sink(f"{tmp_path}/{name}", info) as sink:
        sink.write(np.zeros((16, 32, 1), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_refused(tmp_path):
    existing = tmp_path / "a.png"
    existing.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        open_sink(existing, image_info())
    with pytest.raises(OutputError, match="No such file"):
        open_sink(tmp_path / "missing" / "a.png", image_info())
    with pytest.raises(OutputError, match="no regular file"):
        open_sink("/dev/null", image_info(), overwrite=True, format="png")
    wrong = [("a.xyz", image_info(), "suffix '.xyz'"), ("b.jpg", image_info("rgba"), "cannot hold rgba")]
    wrong += [("b.png", clip_info(), "cannot hold 6 frames"), ("b.webp", image_info(bit_depth=16), "16 bits")]
    wrong += [("b.mp4", clip_info("rgba"), "use .npy or a folder"), ("%d_%d.png", clip_info("rgb"), "one counter")]
    for name, info, message in wrong:
        with pytest.raises(UsageError, match=message):
            open_sink(tmp_path / name, info)
    with pytest.raises(UsageError, match="no format"):
        open_sink("-", image_info())
    assert existing.read_bytes() == b"precious" and list(tmp_path.iterdir()) == [existing]
    write_all(existing, image_info(), [random_samples((5, 7, 3))], overwrite=True)
    assert existing.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("format", ["npy", "y4m", "png"])
def test_standard_output(tmp_path, capfdbinary, format):
    info = image_info("gray")
    array = random_samples((5, 7, 1))
    write_all("-", info, [array], format=format)
    assert np.array_equal(read_all(capfdbinary.readouterr().out)[1][0], array)


@pytest.mark.parametrize(
    ("target", "pixel_format", "expected"),
    [("a.y4m", "yuv420", "native"), ("a.mp4", "yuv420", "native"), ("a.mp4", "rgb", "rgb"), ("a.png", "yuv420", "rgb")]
    + [("a.npy", "yuv420", "rgb"), ("out/", "yuv420", "rgb"), ("%05d.png", "yuv420", "rgb")],
)
def test_what_sinks_want(target, pixel_format, expected):
    assert sink_wants(target, clip_info(pixel_format)) == expected


def test_reading_and_writing_load_neither_torch_nor_media_libraries():
    code = "import sys, inrcodec.signal.read, inrcodec.signal.write; print({'torch', 'av', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
