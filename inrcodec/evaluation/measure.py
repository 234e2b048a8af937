"""One point: encode to a file, decode that file, compare; docs/evaluation.md says it in words."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import inrcodec
from inrcodec.errors import InputError
from inrcodec.evaluation.codec import Codec
from inrcodec.evaluation.signals import Signal
from inrcodec.metrics import OVER, Quality, bpp
from inrcodec.signal.color import rgb_info, to_rgb
from inrcodec.signal.write import open_sink

OVER_SHORT = {**OVER, "yuv420": "4:2:0"}
"""What psnr_db is over; for 4:2:0 see `metrics.OVER`."""


@dataclass(frozen=True)
class Conditions:
    """What all points share. threads: of every codec. with_ms_ssim: whether MS-SSIM is measured, which takes longer than many a
    codec. decoded: a folder that keeps what pictures became, as <codec>/<setting>/<stem of the file>.png."""

    threads: int = 1
    with_ms_ssim: bool = True
    decoded: Path | None = None


def measure(codec: Codec, value: float, signal: Signal, conditions: Conditions = Conditions()) -> dict:
    """The line of one point (see `inrcodec.evaluation`); its file is deleted afterwards.

    encode_s: wall seconds from the samples of a picture, or from the file of a video (which is read on the way), to the
    written file. decode_s: from that file to the samples of all frames; the second decode, the first being compared.
    Raises what the codec raises, and InputError if it gives back another number of frames.
    """
    threads = conditions.threads
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"coded{codec.SUFFIX}"
        began = time.perf_counter()
        codec.encode(signal, value, path, threads)
        encode_s = time.perf_counter() - began
        keep = (
            conditions.decoded and conditions.decoded / codec.curve / codec.setting(value) / f"{signal.path.stem}.png"
        )
        quality = _compare(codec.decode(path, signal.info, threads), signal, conditions.with_ms_ssim, keep)
        began = time.perf_counter()
        for _ in codec.decode(path, signal.info, threads):
            pass
        decode_s = time.perf_counter() - began
        return {
            "codec": codec.curve,
            "setting": codec.setting(value),
            "effort": codec.effort,
            **facts(signal),
            "bytes": path.stat().st_size,
            "bpp": bpp(path.stat().st_size, signal.info),
            **quality,
            "encode_s": round(encode_s, 4),
            "decode_s": round(decode_s, 4),
            "macs_per_pixel": codec.macs_per_pixel(path),
            "threads": threads,
            "published": False,
            "mean": False,
            "versions": {"python": platform.python_version(), **codec.versions()},
            "machine": machine(),
            "commit": commit(),
        }


def facts(signal: Signal) -> dict:
    """What a line says of its signal."""
    info = signal.info
    return {"file": signal.name, "frames": info.frames, "width": info.width, "height": info.height}


def _compare(decoded: Iterator[np.ndarray], signal: Signal, with_ms_ssim: bool, keep: Path | None) -> dict:
    """Qualities in the samples of the signal; of 4:2:0 also psnr_rgb_db, of the RGB pictures that are shown."""
    info, count = signal.info, 0
    native, shown = Quality(info, with_ms_ssim), Quality(rgb_info(info), with_ms_ssim=False)
    with signal.open() as source:
        for (reference, _), frame in zip(source, decoded, strict=False):
            count += 1
            native.add(reference, frame)
            if info.pixel_format == "yuv420":
                shown.add(to_rgb(reference, info), to_rgb(frame, info))
            if keep and signal.picture is not None:
                keep.parent.mkdir(parents=True, exist_ok=True)
                with open_sink(keep, info, overwrite=True) as sink:
                    sink.write(frame)
    if count != info.frames or next(decoded, None) is not None:
        raise InputError(f"{count} frames can be compared, the file announces {info.frames}")
    qualities = native.summary()
    del qualities["frames"]
    if info.pixel_format == "yuv420":
        qualities["psnr_rgb_db"] = shown.summary()["psnr_db"]
    return {**qualities, "over": OVER_SHORT[info.pixel_format]}


@cache
def machine() -> str:
    """Model and cores of the processor, and the system."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"


@cache
def commit() -> str | None:
    """Of the clone that the package runs from, with "-dirty" if something there is not committed; None without a clone."""
    root = Path(inrcodec.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    describe = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
