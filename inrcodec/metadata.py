"""What can be told of a stream without decoding a symbol: what it holds, and when its frames are shown."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from inrcodec.bitstream import StreamReader
from inrcodec.errors import StreamError
from inrcodec.signal.info import SignalInfo


@dataclass(frozen=True)
class Metadata:
    """info: size, frames, sample format, color, time base. bytes: of the stream. version: of its format.
    family: of the first segment's field. duration_s: from the first frame to the end of the last, 0 for an image."""

    info: SignalInfo
    version: int
    bytes: int
    segments: int
    family: str
    duration_s: float

    @property
    def width(self) -> int:
        return self.info.width

    @property
    def height(self) -> int:
        return self.info.height

    @property
    def num_frames(self) -> int:
        return self.info.frames

    @property
    def bpp(self) -> float:
        """Bits of the whole stream per pixel of all frames."""
        return 8 * self.bytes / self.info.pixels

    @property
    def average_fps(self) -> float | None:
        """Frames by duration; None for an image."""
        return self.info.frames / self.duration_s if self.duration_s else None


def metadata_of(reader: StreamReader) -> Metadata:
    """Reads headers and times, no symbols."""
    times = Timeline(reader)
    last = reader.info.frames - 1
    duration_s = times.seconds(last) + times.duration(last) - times.seconds(0)
    family = reader.segment(0).header.family
    return Metadata(reader.info, reader.version, reader.size, reader.segment_count, family, duration_s)


class Timeline:
    """Presentation times of a stream's frames; a segment is read (not decoded) when one of its frames is asked for."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self._info = reader.info
        self._first = reader.first_frames
        self._ticks: dict[int, tuple[int, ...] | None] = {}

    def segment_of(self, frame: int) -> int:
        """Index of the segment that holds a frame."""
        return bisect_right(self._first, frame) - 1

    def seconds(self, frame: int) -> float:
        """When a frame is shown; 0 for an image."""
        return self._in_seconds(self._tick(frame))

    def duration(self, frame: int) -> float:
        """Seconds until the next frame; of the last one, and where the next segment is damaged, the nominal time."""
        segment = self.segment_of(frame)
        if self._segment_ticks(segment) is None or frame + 1 == self._info.frames:
            return self._in_seconds(self._info.frame_ticks)
        try:
            after = self._tick(frame + 1)
        except StreamError:  # a damaged segment costs only itself
            return self._in_seconds(self._info.frame_ticks)
        if after < self._tick(frame):
            raise StreamError(f"frame {frame + 1} is shown at tick {after}, before frame {frame} ({self._tick(frame)})")
        return self._in_seconds(after - self._tick(frame))

    def _in_seconds(self, ticks: int) -> float:
        return ticks * self._info.time_base_num / self._info.time_base_den if self._info.is_video else 0.0

    def _tick(self, frame: int) -> int:
        segment = self.segment_of(frame)
        ticks = self._segment_ticks(segment)
        return frame * self._info.frame_ticks if ticks is None else ticks[frame - self._first[segment]]

    def _segment_ticks(self, segment: int) -> tuple[int, ...] | None:
        if segment not in self._ticks:
            self._ticks[segment] = self._reader.segment(segment).ticks
        return self._ticks[segment]
