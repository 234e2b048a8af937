"""What is coded: size, frames, sample format, color and time of one image or video."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from inrcodec.bytestream import Wired, choice, flag, uint
from inrcodec.errors import UsageError

CHANNELS = {"gray": 1, "graya": 2, "rgb": 3, "rgba": 4, "yuv420": 3}
MAX_SIDE = 1 << 16
MAX_FRAMES = 1 << 24


@dataclass(frozen=True)
class SignalInfo(Wired):
    """One image (frames = 1, no time base) or video; also the header of a stream.

    Samples are integers of `bit_depth` bits, (H, W, C) a frame. For "yuv420" C = 3 (Y, Cb, Cr) at the size of luma,
    each chroma sample standing in its 2x2 block (cut at odd edges): one array serves every format, and the subsampled
    planes are its every second row and column.

    primaries, transfer, matrix: code points of ITU-T H.273 (2 = unspecified). full_range: of the samples.
    time_base_num / time_base_den: seconds per tick; both 0 for a picture without time. frame_ticks: ticks per frame.
    """

    width: int = uint(1, MAX_SIDE)
    height: int = uint(1, MAX_SIDE)
    frames: int = uint(1, MAX_FRAMES)
    pixel_format: str = choice(*CHANNELS)
    bit_depth: int = uint(1, 16, default=8)
    primaries: int = uint(0, 255, default=2)
    transfer: int = uint(0, 255, default=2)
    matrix: int = uint(0, 255, default=2)
    full_range: bool = flag(default=True)
    time_base_num: int = uint(0, (1 << 31) - 1, default=0)
    time_base_den: int = uint(0, (1 << 31) - 1, default=0)
    frame_ticks: int = uint(0, (1 << 31) - 1, default=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        times = (self.time_base_num, self.time_base_den, self.frame_ticks)
        if any(times) and not all(times):
            raise UsageError(
                f"SignalInfo: time base {times[0]}/{times[1]} with {times[2]} ticks a frame; all or none are 0"
            )
        if self.frames > 1 and not any(times):
            raise UsageError(f"SignalInfo: {self.frames} frames need a time base")

    @property
    def channels(self) -> int:
        return CHANNELS[self.pixel_format]

    @property
    def is_video(self) -> bool:
        """Whether there is a time base (a video may have one frame)."""
        return self.time_base_den > 0

    @property
    def frame_rate(self) -> Fraction | None:
        """Nominal frames per second, or None for an image."""
        return Fraction(self.time_base_den, self.time_base_num * self.frame_ticks) if self.is_video else None

    @property
    def peak(self) -> int:
        """The largest sample, 2^bit_depth - 1."""
        return (1 << self.bit_depth) - 1

    @property
    def pixels(self) -> int:
        """Of all frames: W * H * T, the denominator of bpp."""
        return self.width * self.height * self.frames
