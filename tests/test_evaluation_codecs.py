"""Codecs measured through real files, against the libraries used directly."""

import dataclasses
import io
import json
import math

import av
import numpy as np
import pytest
from evaluationcases import codec_of, write_media
from PIL import Image, features

from inrcodec.errors import UsageError
from inrcodec.evaluation.measure import Conditions, measure
from inrcodec.evaluation.names import parse_codec
from inrcodec.evaluation.signals import open_signal

PICTURE_CODECS = ("jpeg", "webp", "jpeg2000", "avif", "jpegxl")
VIDEO_CODECS = ("x264", "x265", "vp9", "svtav1", "aom")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def face(folder):
    return open_signal(folder / "face.png")


@pytest.fixture(scope="module")
def clip(folder):
    return open_signal(folder / "clip.mkv")


def psnr(a, b):
    return 10 * math.log10(255**2 / np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2))


def test_a_line_is_what_pillow_alone_gives(face):
    line = measure(codec_of("jpeg"), 25, face)
    buffer = io.BytesIO()
    original = Image.fromarray(face.picture)
    original.save(buffer, "JPEG", quality=25, subsampling="4:2:0", progressive=True)
    assert line["bytes"] == len(buffer.getvalue())
    assert line["bpp"] == pytest.approx(8 * line["bytes"] / (128 * 176))
    assert line["psnr_db"] == pytest.approx(psnr(Image.open(buffer), original), abs=1e-6)
    assert (line["codec"], line["setting"], line["effort"], line["over"]) == ("jpeg", "q=25", None, "RGB")
    assert [line[key] for key in ("file", "frames", "width", "height")] == ["face.png", 1, 176, 128]
    assert line["encode_s"] > 0 and line["decode_s"] > 0 and line["macs_per_pixel"] is None
    assert line["published"] is False and "cores" in line["machine"] and line["versions"]["pillow"]
    assert line["ms_ssim"] is None  # a side is below 161
    json.dumps(line, allow_nan=False)


@pytest.mark.parametrize("name", PICTURE_CODECS)
@pytest.mark.parametrize("file", ["face.png", "gray.png"])
def test_every_picture_codec_trades_bytes_for_quality(folder, name, file):
    codec, signal = codec_of(name), open_signal(folder / file)
    assert codec.refuses(signal.info) is None
    low, high = (measure(codec, codec.values[index], signal) for index in (1, -2))
    assert low["bytes"] < high["bytes"] and low["psnr_db"] + 3 < high["psnr_db"]
    assert high["psnr_db"] > 26


@pytest.mark.parametrize("name", VIDEO_CODECS)
def test_every_video_codec_trades_bytes_for_quality(clip, name):
    codec = codec_of(name)
    assert codec.refuses(clip.info) is None
    high, low = (measure(codec, codec.values[index], clip) for index in (0, -2))
    assert low["bytes"] < high["bytes"] and low["psnr_db"] + 3 < high["psnr_db"]
    assert (high["frames"], high["over"]) == (12, "4:2:0")
    assert high["psnr_611_db"] == pytest.approx((6 * high["psnr_y_db"] + high["psnr_u_db"] + high["psnr_v_db"]) / 8)
    assert high["psnr_y_db"] > 33


def test_psnrs_of_a_video_are_those_of_its_frames(clip, folder, tmp_path):
    """FFmpeg's own conversion to RGB differs by the place of chroma: the two stay within a decibel."""
    codec = codec_of("x264")
    line = measure(codec, 28, clip)
    codec.encode(clip, 28, tmp_path / "coded.h264", 1)
    pairs = []
    with av.open(str(folder / "clip.mkv")) as source, av.open(str(tmp_path / "coded.h264")) as coded:
        for a, b in zip(source.decode(video=0), coded.decode(video=0), strict=True):
            luma = [frame.to_ndarray()[:48] for frame in (a, b)]
            pairs.append((psnr(*luma), psnr(a.to_ndarray(format="rgb24"), b.to_ndarray(format="rgb24"))))
    assert line["psnr_y_db"] == pytest.approx(np.mean([pair[0] for pair in pairs]), abs=1e-6)
    assert line["psnr_rgb_db"] == pytest.approx(np.mean([pair[1] for pair in pairs]), abs=1)


def test_what_codecs_refuse(face, clip):
    odd, rgb = (dataclasses.replace(clip.info, **change) for change in ({"width": 51}, {"pixel_format": "rgb"}))
    assert codec_of("x264").refuses(odd) == "codes even sides in 4:2:0, this is 51x48"
    assert codec_of("vp9").refuses(odd) is None
    assert "yuv420 with 8 bits, this is rgb with 8" in codec_of("vp9").refuses(rgb)
    assert "this is rgba with 8" in codec_of("webp").refuses(dataclasses.replace(face.info, pixel_format="rgba"))


@pytest.mark.parametrize("name", ["x264", "x265"])
def test_b_frames_are_on_and_options_are_not_written_down(clip, tmp_path, name):
    codec = codec_of(name)
    path = tmp_path / f"coded{codec.SUFFIX}"
    codec.encode(clip, 28, path, 1)
    with av.open(str(path)) as container:
        kinds = {frame.pict_type for frame in container.decode(video=0)}
    assert av.video.frame.PictureType.B in kinds
    assert b"x26" not in path.read_bytes()


def test_our_own_codec_is_measured_like_the_others(face):
    codec = codec_of("inrcodec:effort=1,rate_lambda=0.01")
    line = measure(codec, 0.01, face)
    assert (line["codec"], line["setting"], line["effort"]) == ("inrcodec e1", "rate_lambda=0.01", 1)
    assert line["bytes"] > 100 and 15 < line["psnr_db"] < 40 and line["macs_per_pixel"] > 0


def test_our_own_codec_takes_the_frames_that_were_asked_for(folder):
    short = open_signal(folder / "clip.mkv", 2)
    line = measure(codec_of("inrcodec:effort=1"), 20, short)
    assert (line["frames"], line["over"]) == (2, "4:2:0")
    assert line["bpp"] == pytest.approx(8 * line["bytes"] / (64 * 48 * 2))


def test_ms_ssim_can_be_left_out(tmp_path):
    Image.new("RGB", (170, 170), (99, 99, 99)).save(tmp_path / "flat.png")
    signal = open_signal(tmp_path / "flat.png")
    assert measure(codec_of("jpeg"), 50, signal)["ms_ssim"] == pytest.approx(1, abs=0.01)
    assert measure(codec_of("jpeg"), 50, signal, Conditions(with_ms_ssim=False))["ms_ssim"] is None


@pytest.mark.parametrize(
    ("text", "curve", "settings"),
    [
        ("webp:q=5/40", "webp", ("q=5", "q=40")),
        ("avif:speed=8,q=10/10/20", "avif speed=8", ("q=10", "q=20")),
        ("inrcodec:effort=3,family=coordx,rate_lambda=1e-3", "inrcodec e3 coordx", ("rate_lambda=0.001",)),
        ("inrcodec:time_limit=75,psnr=30", "inrcodec e5 within 75 s", ("psnr=30",)),
        ("inrcodec", "inrcodec e5", ("q=15", "q=30", "q=45", "q=60")),
        ("x264:preset=veryslow,crf=30", "x264 veryslow", ("crf=30",)),
    ],
)
def test_curves_and_settings_have_names(text, curve, settings):
    codec = codec_of(text)
    assert (codec.curve, codec.settings) == (curve, settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gif", "codec 'gif' is unknown, allowed are inrcodec, jpeg"),
        ("jpeg:speed=3", "jpeg has no 'speed', allowed are q, subsampling"),
        ("jpeg:q=a/b", "q is 'a/b', numbers are wanted"),
        ("jpeg:q", "'q' has no value"),
        ("inrcodec:effort=10", "effort is 10, allowed are 1 to 9"),
        ("inrcodec:effort=much", "effort is 'much', allowed are 1 to 9"),
        ("inrcodec:time_limit=soon", "time_limit is 'soon', allowed are seconds and none"),
        ("inrcodec:q=3,bpp=1", "q and bpp exclude each other"),
        ("inrcodec:rate_lambda=100", "rate_lambda is 100"),
        ("inrcodec:family=none", "family is 'none', allowed are"),
    ],
)
def test_wrong_codecs_are_said(text, message):
    with pytest.raises(UsageError, match=message):
        parse_codec(text)


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(UsageError, match="avif is not installed: it needs a Pillow with AVIF"):
        parse_codec("avif")
