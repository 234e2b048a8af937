"""What a codec that is compared must do, and how one is asked for: NAME:OPTION=VALUE,RATE=VALUE/VALUE/…"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from inrcodec.errors import UsageError
from inrcodec.evaluation.signals import Signal
from inrcodec.signal.info import SignalInfo


class Codec(ABC):
    """One curve: a codec with fixed options, at several rates. A subclass is an encoder; an instance is a curve.

    NAME: on the command line. SUFFIX: of its files. RATES: what its rate is set by → values that are used if none are given, the
    first key being the usual one. OPTIONS: everything else that may be chosen → what it is by default. KINDS: of signals.
    """

    NAME: ClassVar[str]
    SUFFIX: ClassVar[str]
    RATES: ClassVar[dict[str, tuple[float, ...]]]
    OPTIONS: ClassVar[dict[str, str]] = {}
    KINDS: ClassVar[tuple[str, ...]] = ("picture", "video")

    def __init__(self, rate: str, values: tuple[float, ...], options: dict[str, str]) -> None:
        self.rate, self.values, self.options = rate, values, options

    @classmethod
    def of(cls, fields: dict[str, str]) -> Codec:
        """A curve from what was asked for: {"q": "20/40", "effort": "3"}. Raises UsageError."""
        unknown = [key for key in fields if key not in cls.RATES and key not in cls.OPTIONS]
        if unknown:
            allowed = ", ".join((*cls.RATES, *cls.OPTIONS))
            raise UsageError(f"{cls.NAME} has no {unknown[0]!r}, allowed are {allowed}")
        rates = [key for key in fields if key in cls.RATES]
        if len(rates) > 1:
            raise UsageError(f"{cls.NAME}: {' and '.join(rates)} exclude each other")
        rate = rates[0] if rates else next(iter(cls.RATES))
        values = _numbers(cls.NAME, rate, fields[rate]) if rates else cls.RATES[rate]
        if not values:
            raise UsageError(f"{cls.NAME}: {rate} has no usual values, give some: {cls.NAME}:{rate}=…/…")
        return cls(rate, values, {**cls.OPTIONS, **{key: fields[key] for key in fields if key in cls.OPTIONS}})

    @property
    def curve(self) -> str:
        """The name of this curve: that of the codec, and the options that are not the usual ones."""
        changed = (f" {key}={value}" for key, value in self.options.items() if value != self.OPTIONS[key])
        return self.NAME + "".join(changed)

    @property
    def effort(self) -> int | None:
        """Of inrcodec; None for others."""
        return None

    @property
    def settings(self) -> tuple[str, ...]:
        """The points of the curve, by name."""
        return tuple(self.setting(value) for value in self.values)

    def setting(self, value: float) -> str:
        return f"{self.rate}={value:g}"

    def passes_by(self, info: SignalInfo) -> bool:
        """Whether such signals are none of this codec's business: a video for a codec of pictures, say."""
        return ("video" if info.is_video else "picture") not in self.KINDS

    def prepare(self) -> str | None:
        """Called once before anything is encoded. What the user must know of the results, if anything."""
        return None

    def macs_per_pixel(self, path: Path) -> float | None:
        """Multiply–accumulates of decoding a pixel of a file of this codec, where known."""
        return None

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """What must be installed to use this codec, or None if all is there."""

    @abstractmethod
    def refuses(self, info: SignalInfo) -> str | None:
        """Why this codec cannot take such a signal of its kind, or None."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Of the libraries that do the work."""

    @abstractmethod
    def encode(self, signal: Signal, value: float, path: Path, threads: int) -> None:
        """Writes a file that `decode` needs nothing beside."""

    @abstractmethod
    def decode(self, path: Path, info: SignalInfo, threads: int) -> Iterator[np.ndarray]:
        """The frames of a file in the representation of `info`, (H, W, C). info: of the signal, for its pixel format only."""


def _numbers(name: str, rate: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(dict.fromkeys(float(part) for part in text.split("/")))
    except ValueError:
        raise UsageError(f"{name}: {rate} is {text!r}, numbers are wanted, for instance {rate}=20/40") from None
