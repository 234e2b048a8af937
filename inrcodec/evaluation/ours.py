"""inrcodec itself, measured like every other codec: a file, and what is decoded from it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

import inrcodec
from inrcodec.device import pick_device
from inrcodec.encoder import EncodeOptions
from inrcodec.errors import UsageError
from inrcodec.evaluation.codec import Codec
from inrcodec.evaluation.signals import Signal
from inrcodec.signal.info import SignalInfo

RATE_OPTIONS = {"q": "quality", "rate_lambda": "rate_lambda", "bpp": "target_bpp", "psnr": "target_psnr_db"}
NO_LIMIT = "none"


def own_versions(device_name: str) -> dict[str, str]:
    """Of inrcodec and of what does its work; with the GPU's name, if the device is one."""
    names = ("torch", "numpy", "constriction")
    device = pick_device(device_name)
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {"inrcodec": inrcodec.__version__, **{name: metadata.version(name) for name in names}, **gpu}


class Inrcodec(Codec):
    """Options are those of `EncodeOptions` (time_limit: seconds of optimization, or "none"); everything else is as
    `inrcodec encode` does it."""

    NAME, SUFFIX = "inrcodec", ".inr"
    RATES = {"q": (15, 30, 45, 60), "rate_lambda": (), "bpp": (), "psnr": ()}
    OPTIONS = {"effort": "5", "family": "auto", "device": "cpu", "time_limit": NO_LIMIT}

    def __init__(self, rate: str, values: tuple[float, ...], options: dict[str, str]) -> None:
        super().__init__(rate, values, options)
        self._effort = self._number("effort", int, "1 to 9")
        limited = options["time_limit"] != NO_LIMIT
        self._time_limit_s = self._number("time_limit", float, f"seconds and {NO_LIMIT}") if limited else None
        for value in values:
            self._encode_options(value)

    def _number(self, name: str, kind: type, allowed: str):
        try:
            return kind(self.options[name])
        except ValueError:
            raise UsageError(f"inrcodec: {name} is {self.options[name]!r}, allowed are {allowed}") from None

    @property
    def effort(self) -> int:
        return self._effort

    @property
    def curve(self) -> str:
        family = "" if self.options["family"] == "auto" else f" {self.options['family']}"
        device = "" if self.options["device"] == "cpu" else f" on {self.options['device']}"
        limit = "" if self._time_limit_s is None else f" within {self._time_limit_s:g} s"
        return f"inrcodec e{self.effort}{family}{device}{limit}"

    @classmethod
    def missing(cls) -> str | None:
        return None

    def refuses(self, info: SignalInfo) -> str | None:
        return None

    def versions(self) -> dict[str, str]:
        return own_versions(self.options["device"])

    def _encode_options(self, value: float, **more) -> EncodeOptions:
        chosen = {"effort": self.effort, "family": self.options["family"], "device": self.options["device"]}
        return EncodeOptions(**chosen, time_limit_s=self._time_limit_s, **{RATE_OPTIONS[self.rate]: value}, **more)

    def encode(self, signal: Signal, value: float, path: Path, threads: int) -> None:
        source = signal.path if signal.picture is None else signal.picture
        options = self._encode_options(value, threads=threads, frames=(0, signal.info.frames))
        path.write_bytes(inrcodec.encode(source, options).data)

    def decode(self, path: Path, info: SignalInfo, threads: int) -> Iterator[np.ndarray]:
        torch.set_num_threads(threads)
        with inrcodec.open(path, device=self.options["device"]) as decoder:
            for index in range(len(decoder)):
                yield decoder.samples(index)

    def macs_per_pixel(self, path: Path) -> float:
        with inrcodec.open(path, device=self.options["device"]) as decoder:
            return decoder.macs_per_pixel
