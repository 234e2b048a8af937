"""Video codecs through PyAV, with B-frames (or what stands for them), tuned for PSNR, in the leanest container."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import av
import numpy as np

from inrcodec.evaluation.codec import Codec
from inrcodec.evaluation.signals import Signal
from inrcodec.signal.color import planes
from inrcodec.signal.info import SignalInfo
from inrcodec.signal.pixels import fill_plane, frame_samples


class VideoCodec(Codec):
    """ENCODER, MUXER: FFmpeg's names. Files are elementary streams or IVF: next to nothing beside the coded frames.
    FILTER: of FFmpeg's bitstream filters, the one that a stream passes through. EVEN: whether both sides must be even."""

    KINDS = ("video",)
    EVEN = False
    ENCODER: str
    MUXER: str
    FILTER: str = "null"

    @property
    def curve(self) -> str:
        return " ".join((self.NAME, *self.options.values()))

    @classmethod
    def missing(cls) -> str | None:
        try:
            av.Codec(cls.ENCODER, "w")
        except ValueError:  # av.codec.UnknownCodecError
            return f"a PyAV whose FFmpeg has the encoder {cls.ENCODER}"
        return None

    def refuses(self, info: SignalInfo) -> str | None:
        if info.pixel_format != "yuv420" or info.bit_depth != 8:
            return f"is compared on yuv420 with 8 bits, this is {info.pixel_format} with {info.bit_depth}"
        if self.EVEN and (info.width % 2 or info.height % 2):
            return f"codes even sides in 4:2:0, this is {info.width}x{info.height}"
        return None

    def versions(self) -> dict[str, str]:
        libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
        return {"av": metadata.version("av"), "libavcodec": libavcodec, "ffmpeg": str(av.ffmpeg_version_info)}

    def encode(self, signal: Signal, value: float, path: Path, threads: int) -> None:
        info = signal.info
        with av.open(str(path), "w", format=self.MUXER) as container, signal.open() as source:
            stream = container.add_stream(self.ENCODER, rate=info.frame_rate, options=self.parameters(value, threads))
            stream.width, stream.height, stream.pix_fmt = info.width, info.height, "yuv420p"
            stream.codec_context.thread_count = threads
            lean = av.BitStreamFilterContext(self.FILTER, stream)
            for index, (samples, _) in enumerate(source):
                _mux(container, lean, stream.encode(_frame(samples, index, info)))
            _mux(container, lean, [*stream.encode(None), None])

    def decode(self, path: Path, info: SignalInfo, threads: int) -> Iterator[np.ndarray]:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_type, stream.codec_context.thread_count = "AUTO", threads
            for frame in container.decode(stream):
                yield frame_samples(frame)

    @abstractmethod
    def parameters(self, value: float, threads: int) -> dict[str, str]:
        """Options of the encoder."""


def _mux(container, lean: av.BitStreamFilterContext, packets: list[av.Packet | None]) -> None:
    """Filters packets and writes them; None ends the filter's input."""
    for packet in packets:
        container.mux(lean.filter(packet))


def _frame(samples: np.ndarray, index: int, info: SignalInfo) -> av.VideoFrame:
    """Frame `index` at the nominal rate, with the color of the signal."""
    frame = av.VideoFrame(info.width, info.height, "yuv420p")
    for plane, values in zip(frame.planes, planes(samples), strict=True):
        fill_plane(plane, values)
    frame.pts, frame.time_base = index, 1 / info.frame_rate
    frame.color_range, frame.colorspace = 2 if info.full_range else 1, info.matrix
    return frame


class X264(VideoCodec):
    """Without the message of some 700 bytes (a unit of type 6) in which x264 writes down its options."""

    FILTER, EVEN = "filter_units=remove_types=6", True
    NAME, ENCODER, MUXER, SUFFIX = "x264", "libx264", "h264", ".h264"
    RATES = {"crf": (18, 23, 28, 33, 38, 43)}
    OPTIONS = {"preset": "medium"}

    def parameters(self, value: float, threads: int) -> dict[str, str]:
        return {"crf": f"{value:g}", "preset": self.options["preset"], "tune": "psnr", "bf": "3"}


class X265(VideoCodec):
    """Without the message in which x265 writes down its options."""

    EVEN = True
    NAME, ENCODER, MUXER, SUFFIX = "x265", "libx265", "hevc", ".hevc"
    RATES = {"crf": (18, 23, 28, 33, 38, 43)}
    OPTIONS = {"preset": "medium"}

    def parameters(self, value: float, threads: int) -> dict[str, str]:
        private = f"bframes=4:info=0:pools={threads}:log-level=none"
        return {"crf": f"{value:g}", "preset": self.options["preset"], "tune": "psnr", "x265-params": private}


class Vp9(VideoCodec):
    """libvpx, one pass, constant quality, with a look-ahead of 25 frames and alternate reference frames."""

    NAME, ENCODER, MUXER, SUFFIX = "vp9", "libvpx-vp9", "ivf", ".ivf"
    RATES = {"crf": (15, 24, 33, 42, 51, 60)}
    OPTIONS = {"cpu-used": "2"}

    @property
    def curve(self) -> str:
        return f"vp9 cpu-used {self.options['cpu-used']}"

    def parameters(self, value: float, threads: int) -> dict[str, str]:
        reference = {"auto-alt-ref": "6", "lag-in-frames": "25"}
        return {"crf": f"{value:g}", "b": "0", "deadline": "good", "tune": "psnr", **reference, **self.options}


class SvtAv1(VideoCodec):
    """SVT-AV1, whose hierarchical B-frames are always on; tune 1 is PSNR."""

    NAME, ENCODER, MUXER, SUFFIX = "svtav1", "libsvtav1", "ivf", ".ivf"
    RATES = {"crf": (20, 28, 36, 44, 52, 60)}
    OPTIONS = {"preset": "6"}

    @property
    def curve(self) -> str:
        return f"svtav1 preset {self.options['preset']}"

    def prepare(self) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # errors only: it writes to the terminal itself

    def parameters(self, value: float, threads: int) -> dict[str, str]:
        return {"crf": f"{value:g}", "preset": self.options["preset"], "svtav1-params": f"tune=1:lp={threads}"}


class Aom(VideoCodec):
    """libaom, one pass, constant quality, with its default look-ahead and alternate reference frames."""

    NAME, ENCODER, MUXER, SUFFIX = "aom", "libaom-av1", "ivf", ".ivf"
    RATES = {"crf": (20, 28, 36, 44, 52, 60)}
    OPTIONS = {"cpu-used": "4"}

    @property
    def curve(self) -> str:
        return f"aom cpu-used {self.options['cpu-used']}"

    def parameters(self, value: float, threads: int) -> dict[str, str]:
        return {"crf": f"{value:g}", "b": "0", "tune": "psnr", "lag-in-frames": "35", **self.options}
