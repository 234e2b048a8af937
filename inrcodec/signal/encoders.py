"""What the sinks write: each encoder turns frames into the bytes of one file format, on a binary stream."""

from __future__ import annotations

import dataclasses
import io
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from inrcodec.errors import OutputError, UsageError
from inrcodec.signal.color import BT709, from_planes, from_rgb, planes
from inrcodec.signal.info import SignalInfo

if TYPE_CHECKING:
    import av

PICTURES = {
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
}
PICTURE_OPTIONS = {
    "JPEG": {"quality": 95},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_deflate"},
}
VIDEOS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".webm": "webm"}
X264 = ("libx264", {"crf": "10", "preset": "medium"})
VP9 = ("libvpx-vp9", {"crf": "10", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"})
WITHOUT_ALPHA = ("JPEG",)
WITHOUT_GRAY_ALPHA = ("JPEG", "BMP")
DEEP = {  # (format, channels) → FFmpeg's encoder and pixel format for 16 bits
    ("PNG", 1): ("png", "gray16be"),
    ("PNG", 2): ("png", "ya16be"),
    ("PNG", 3): ("png", "rgb48be"),
    ("PNG", 4): ("png", "rgba64be"),
    ("TIFF", 1): ("tiff", "gray16le"),
    ("TIFF", 3): ("tiff", "rgb48le"),
    ("TIFF", 4): ("tiff", "rgba64le"),
}


class NpyEncoder:
    """A .npy array (T, H, W, C) of uint8 or uint16, written frame by frame."""

    def __init__(self, stream: BinaryIO, info: SignalInfo) -> None:
        self.stream = stream
        self.dtype = np.dtype("u1" if info.bit_depth <= 8 else "<u2")
        shape = (info.frames, info.height, info.width, info.channels)
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)

    def frame(self, samples: np.ndarray, pts: int) -> None:
        self.stream.write(samples.astype(self.dtype).tobytes())

    def finish(self) -> None:
        """All is written."""


class Y4mEncoder:
    """YUV4MPEG2 with exactly the native planes: 4:2:0 or mono, 8 bits. It has no place for matrix and primaries.

    4:2:0 is marked C420jpeg (chroma between the pixels) at full range and C420mpeg2 (left, as in most video) otherwise.
    """

    def __init__(self, stream: BinaryIO, info: SignalInfo) -> None:
        if info.pixel_format not in ("yuv420", "gray") or info.bit_depth > 8:
            raise UsageError(
                f".y4m cannot hold {info.pixel_format} with {info.bit_depth} bits exactly, "
                "allowed are yuv420 and gray with 8; use .npy or a folder of .png"
            )
        self.stream = stream
        self.info = info
        siting = "C420jpeg" if info.full_range else "C420mpeg2"
        rate = info.frame_rate or Fraction(25)
        fields = [f"W{info.width}", f"H{info.height}", f"F{rate.numerator}:{rate.denominator}", "Ip", "A0:0"]
        fields += ["Cmono" if info.pixel_format == "gray" else siting]
        fields += ["XCOLORRANGE=" + ("FULL" if info.full_range else "LIMITED")]
        stream.write(" ".join(["YUV4MPEG2", *fields]).encode() + b"\n")

    def frame(self, samples: np.ndarray, pts: int) -> None:
        self.stream.write(b"FRAME\n")
        for plane in planes(samples) if self.info.pixel_format == "yuv420" else [samples]:
            self.stream.write(plane.tobytes())

    def finish(self) -> None:
        """All is written."""


class PictureEncoder:
    """One picture. Depths that no file format has are shifted up: value << (8 or 16 - bit_depth)."""

    def __init__(self, stream: BinaryIO, info: SignalInfo, suffix: str) -> None:
        self.stream = stream
        self.format = PICTURES[suffix]
        self.info = info
        self.depth = 8 if info.bit_depth <= 8 else 16
        refused = (info.pixel_format == "rgba" and self.format in WITHOUT_ALPHA) or (
            info.pixel_format == "graya" and self.format in WITHOUT_GRAY_ALPHA
        )
        if refused or (self.depth == 16 and (self.format, info.channels) not in DEEP):
            raise UsageError(f"{suffix} cannot hold {info.pixel_format} with {info.bit_depth} bits; use .png or .npy")

    def frame(self, samples: np.ndarray, pts: int) -> None:
        self.stream.write(self.encoded(samples))

    def encoded(self, samples: np.ndarray) -> bytes:
        """The file that holds these samples (H, W, C)."""
        samples = np.left_shift(samples, self.depth - self.info.bit_depth, dtype=f"u{self.depth // 8}")
        if self.depth == 16:
            return _deep_picture(samples, *DEEP[self.format, self.info.channels])
        from PIL import Image

        buffer = io.BytesIO()
        image = Image.fromarray(samples[:, :, 0] if self.info.channels == 1 else samples)
        try:
            image.save(buffer, self.format, **PICTURE_OPTIONS.get(self.format, {}))
        except (OSError, ValueError) as error:  # sizes that the format has not
            raise OutputError(f"{self.format} picture cannot be encoded: {error}") from None
        return buffer.getvalue()

    def finish(self) -> None:
        """All is written."""


def _deep_picture(samples: np.ndarray, codec: str, pixel_format: str) -> bytes:
    import av

    from inrcodec.signal.pixels import fill_plane

    height, width, channels = samples.shape
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = width, height, pixel_format, Fraction(1, 25)
    frame = av.VideoFrame(width, height, pixel_format)
    order = ">u2" if pixel_format.endswith("be") else "<u2"
    fill_plane(frame.planes[0], samples.astype(order).reshape(height, width * channels))
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


class VideoEncoder:
    """A video that cannot be told from its source by eye, 4:2:0 with 8 bits, without audio.

    H.264 (x264, crf 10, preset medium) in .mp4, .mkv and .mov; VP9 (crf 10) in .webm, and in .mp4 and .mkv for odd
    sizes, which H.264 has not in 4:2:0. Native 4:2:0 samples are handed over as they are with their color tags; RGB
    becomes BT.709 at limited range; gray becomes luma. Times are carried in the time base of the signal.
    """

    def __init__(self, stream: BinaryIO, info: SignalInfo, suffix: str) -> None:
        import av

        if info.pixel_format not in ("yuv420", "rgb", "gray") or info.bit_depth != 8:
            raise UsageError(
                f"{suffix} holds yuv420, rgb and gray with 8 bits, this is {info.pixel_format} with {info.bit_depth}; "
                "use .npy or a folder of .png"
            )
        odd = info.width % 2 or info.height % 2
        if odd and suffix == ".mov":
            raise UsageError(f".mov needs even sizes, this is {info.width}x{info.height}; use .mp4 or .mkv")
        self.source = info
        self.info = _coded_info(info)
        self.tick = Fraction(info.time_base_num, info.time_base_den) if info.is_video else Fraction(1, 25)
        self.container = av.open(stream, "w", format=VIDEOS[suffix])
        codec, options = VP9 if odd or suffix == ".webm" else X264
        self.stream = self.container.add_stream(codec, rate=info.frame_rate or 25, options=options)
        self.stream.width, self.stream.height, self.stream.pix_fmt = info.width, info.height, "yuv420p"
        self.stream.codec_context.time_base = self.tick
        self._tag(self.stream.codec_context)

    def _tag(self, target) -> None:
        """Writes the color of the signal on a codec context or a frame."""
        target.color_range = 2 if self.info.full_range else 1
        target.colorspace = self.info.matrix
        target.color_primaries = self.info.primaries
        target.color_trc = self.info.transfer

    def frame(self, samples: np.ndarray, pts: int) -> None:
        import av

        from inrcodec.signal.pixels import fill_plane

        frame = av.VideoFrame(self.info.width, self.info.height, "yuv420p")
        for plane, values in zip(frame.planes, planes(self._native(samples)), strict=True):
            fill_plane(plane, values)
        frame.pts, frame.time_base = pts, self.tick
        self._tag(frame)
        self._mux(frame)

    def _native(self, samples: np.ndarray) -> np.ndarray:
        if self.source.pixel_format == "rgb":
            return from_rgb(samples, self.info)
        if self.source.pixel_format == "gray":
            height, width = samples.shape[:2]
            neutral = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
            return from_planes(samples[:, :, 0], neutral, neutral)
        return samples

    def _mux(self, frame: av.VideoFrame | None) -> None:
        """Encodes one frame, or with None what is left."""
        import av

        try:
            self.container.mux(self.stream.encode(frame))
            if frame is None:
                self.container.close()
        except av.FFmpegError as error:
            raise OutputError(f"video cannot be encoded: {error.strerror}") from None

    def finish(self) -> None:
        self._mux(None)


def _coded_info(info: SignalInfo) -> SignalInfo:
    """What the video holds: 4:2:0 with the color of the signal, RGB as BT.709 at limited range."""
    if info.pixel_format == "rgb":
        return dataclasses.replace(info, pixel_format="yuv420", matrix=BT709, full_range=False)
    return dataclasses.replace(info, pixel_format="yuv420")
