"""Reading videos by PyAV: one pass over the packets for the count and the times, then frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

import av

from inrcodec.errors import InputError
from inrcodec.signal.info import SignalInfo
from inrcodec.signal.pixels import frame_samples, pixel_format_of
from inrcodec.signal.read import Frames, Source, check_size, selection

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Containers with pictures in them; not play lists and other scripts, which would open further files and addresses
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,nut,ogg,flv,asf,mpeg,mpegts,mpegvideo,h264,hevc,ivf,obu,av1,"
    "yuv4mpegpipe,mjpeg,mxf,gif,apng"
)
DEFAULT_RATE = Fraction(25)
FULL_RANGE = 2  # AVCOL_RANGE_JPEG
MAX_TIME = (1 << 31) - 1


@dataclass(frozen=True)
class Clock:
    """Times of a video. tick: seconds per tick. frame_ticks: nominal. regular: frame i is at i * frame_ticks."""

    tick: Fraction
    frame_ticks: int
    regular: bool


def video_source(file: BinaryIO, place: str, frames) -> Source:
    """The first video stream of `file`, turned upright; other streams are ignored. Owns `file`.

    Frames at a constant rate get the time base 1 / rate; otherwise the time base of the stream is kept.
    """
    with _opened(file, place) as container:
        stream = _video_stream(container, place)
        check_size(stream.width, stream.height, place)
        times = _packet_times(container, stream)
        if not times:
            raise InputError(f"{place}: holds no frame")
        clock = _clock(times, stream)
    start, stop = selection(frames, len(times), place)
    info = replace(_described(file, place, clock), frames=stop - start)

    def produce() -> Frames:
        return _produced(file, place, clock, range(start, stop))

    return Source(info, produce, file.close)


class _opened:
    """A container on `file` from its start, with the errors of FFmpeg turned into InputError."""

    def __init__(self, file: BinaryIO, place: str) -> None:
        self.file, self.place = file, place

    def __enter__(self) -> InputContainer:
        self.file.seek(0)
        try:
            self.container = av.open(_Shared(self.file), options={"format_whitelist": DEMUXERS})
        except (av.FFmpegError, OSError, ValueError):
            raise InputError(f"{self.place}: is not a picture, video or .npy file that can be read") from None
        return self.container

    def __exit__(self, kind, error, trace) -> None:
        self.container.close()
        if isinstance(error, av.FFmpegError):
            raise InputError(f"{self.place}: damaged video: {error.strerror}") from None


class _Shared:
    """Read access to a file that PyAV must not close: a source can be iterated again."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell
        self.seekable = lambda: True
        self.name = ""


def _video_stream(container: InputContainer, place: str) -> VideoStream:
    if not container.streams.video:
        raise InputError(f"{place}: holds no video")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise InputError(f"{place}: the codec of its video is unknown")
    if stream.metadata.get("alpha_mode") == "1":
        raise InputError(f"{place}: video with alpha is not supported; convert it to yuv420p")
    stream.thread_type = "AUTO"
    return stream


def _packet_times(container: InputContainer, stream: VideoStream) -> list[int | None]:
    """Presentation times of all frames in the ticks of the stream, ascending; None where there are none."""
    times = [packet.pts for packet in container.demux(stream) if packet.size and not packet.is_discard]
    return times if None in times else sorted(times)


def _clock(times: list[int | None], stream: VideoStream) -> Clock:
    rates = [Fraction(rate) for rate in (stream.average_rate, stream.base_rate, stream.guessed_rate) if rate]
    tick = stream.time_base
    for rate in rates or [DEFAULT_RATE]:
        fits = max(rate.numerator, rate.denominator) <= MAX_TIME
        if fits and (None in times or _is_regular(times, tick, rate)):
            return Clock(1 / rate, 1, True)
    nominal = round(1 / ((rates or [DEFAULT_RATE])[0] * tick))
    return Clock(tick, max(1, nominal), False)


def _is_regular(times: list[int], tick: Fraction, rate: Fraction) -> bool:
    """Whether every frame is within one tick of its place at a constant rate."""
    step = float(1 / (rate * tick))
    return all(abs(time - times[0] - index * step) <= 1 for index, time in enumerate(times))


def _described(file: BinaryIO, place: str, clock: Clock) -> SignalInfo:
    """The signal as its first frame shows it; `frames` is yet to be filled in."""
    with _opened(file, place) as container:
        frame = next(container.decode(_video_stream(container, place)), None)
        if frame is None:
            raise InputError(f"{place}: no frame can be decoded")
        pixel_format, bit_depth = pixel_format_of(frame.format.name, place)
        context = container.streams.video[0].codec_context
        width, height = (frame.width, frame.height)[:: -1 if _quarter_turns(frame, place) % 2 else 1]
        is_rgb = pixel_format in ("rgb", "rgba")
        ranges = (int(frame.color_range), int(context.color_range))
        return SignalInfo(
            width=width,
            height=height,
            frames=1,
            pixel_format=pixel_format,
            bit_depth=bit_depth,
            primaries=_specified(frame.color_primaries, context.color_primaries),
            transfer=_specified(frame.color_trc, context.color_trc),
            matrix=0 if is_rgb else _specified(frame.colorspace, context.colorspace),
            full_range=is_rgb or next(filter(None, ranges), 0) == FULL_RANGE,
            time_base_num=clock.tick.numerator,
            time_base_den=clock.tick.denominator,
            frame_ticks=clock.frame_ticks,
        )


def _specified(*codes: int) -> int:
    """The first code point of H.273 that says something."""
    return next((int(code) for code in codes if int(code) != 2), 2)


def _quarter_turns(frame: av.VideoFrame, place: str) -> int:
    if frame.rotation % 90:
        raise InputError(f"{place}: is rotated by {frame.rotation} degrees, allowed are multiples of 90")
    return frame.rotation // 90


def _produced(file: BinaryIO, place: str, clock: Clock, wanted: range) -> Frames:
    """Frames `wanted` with their times; all must be of the size and format of the first."""
    first, origin = None, 0
    with _opened(file, place) as container:
        for index, frame in enumerate(container.decode(_video_stream(container, place))):
            if index == wanted.stop:
                return
            kind = f"{frame.width}x{frame.height} {frame.format.name}"
            first = first or kind
            if kind != first:
                raise InputError(f"{place}: frame {index} is {kind}, frame 0 is {first}; they must be alike")
            if index == wanted.start:
                origin = frame.pts
            if index >= wanted.start:
                pts = index - wanted.start if clock.regular else frame.pts - origin
                yield frame_samples(frame, _quarter_turns(frame, place)), pts
