"""What a caller asks of the encoder, what it tells on the way, and what it gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inrcodec.errors import UsageError
from inrcodec.fields import FAMILIES
from inrcodec.signal.info import SignalInfo

DEFAULT_QUALITY = 50.0
RATE_LAMBDA_AT_QUALITY = (4e-2, 1e-5)
"""rate_lambda of quality 0 and of quality 100; in between its logarithm is linear."""
RATES = ("quality", "rate_lambda", "target_bpp", "target_bytes", "target_psnr_db")


@dataclass(frozen=True)
class EncodeOptions:
    """family: a name of FAMILIES, or "auto". effort: 1 … 9, the encoder's time. At most one of the rate options:

    quality: 0 … 100, higher is better (50 if nothing is said). rate_lambda: λ of loss = MSE over samples in [0, 1], mean
    over channels, + λ · bits per pixel. target_bpp, target_bytes: an upper limit of the file. target_psnr_db: a lower
    limit of its PSNR. time_limit_s: of the optimization, wall seconds. frames: half-open (start, stop), None is open.
    device: where to fit, "cpu", "cuda" … or "auto": a GPU if there is one, but the CPU for pyramids; films are always fitted
    there. threads: of PyTorch, None leaves them alone. seed: of all randomness.
    """

    family: str = "auto"
    effort: int = 5
    quality: float | None = None
    rate_lambda: float | None = None
    target_bpp: float | None = None
    target_bytes: int | None = None
    target_psnr_db: float | None = None
    time_limit_s: float | None = None
    frames: tuple[int | None, int | None] | None = None
    device: str = "auto"
    threads: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        given = [name for name in RATES if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other")
        if self.family != "auto" and self.family not in FAMILIES:
            raise UsageError(f"family is {self.family!r}, allowed are auto, {', '.join(FAMILIES)}")
        self._check("effort", 1, 9)
        self._check("quality", 0, 100)
        self._check("rate_lambda", 1e-7, 10)
        self._check("target_bpp", 1e-4, 64)
        self._check("target_bytes", 64, 1 << 40)
        self._check("target_psnr_db", 5, 80)
        self._check("time_limit_s", 0.01, 1e7)
        self._check("threads", 1, 1024)
        self._check("seed", 0, 2**63 - 1)

    def _check(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            raise UsageError(f"{name} is {value}, allowed are {low} to {high}")

    @property
    def has_target(self) -> bool:
        return any(getattr(self, name) is not None for name in RATES[2:])


def rate_lambda_of_quality(quality: float) -> float:
    """λ of a quality in [0, 100]."""
    low, high = (math.log(value) for value in RATE_LAMBDA_AT_QUALITY)
    return math.exp(low + (high - low) * quality / 100)


@dataclass(frozen=True)
class Progress:
    """A moment of encoding. psnr_db and bpp are those of the training batch, not of a file."""

    segment: int
    segments: int
    iteration: int
    fraction: float
    psnr_db: float
    bpp: float
    elapsed_s: float
    left_s: float


@dataclass(frozen=True)
class EncodeResult:
    """The stream, and what is true of it: bytes and psnr_db are those of `data`, parsed and decoded again.

    psnr_db: mean over frames, over what psnr_over says. samples_crc32: of all decoded frames' samples in the stream's own
    format, uint8 or little-endian uint16, one frame after the other. stopped: ended early by the caller. missed: a sentence if an
    asked target was missed.
    """

    data: bytes
    info: SignalInfo
    family: str
    effort: int
    rate_lambda: float
    iterations: int
    encode_s: float
    psnr_db: float
    psnr_over: str
    samples_crc32: int
    stopped: bool = False
    missed: str | None = None

    @property
    def bytes(self) -> int:
        return len(self.data)

    @property
    def bpp(self) -> float:
        return 8 * len(self.data) / self.info.pixels
