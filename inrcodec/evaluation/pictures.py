"""The picture codecs of Pillow, and JPEG XL by its plugin."""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
from PIL import AvifImagePlugin, Image, features

from inrcodec.evaluation.codec import Codec
from inrcodec.evaluation.signals import Signal
from inrcodec.signal.info import SignalInfo

MODES = {"rgb": "RGB", "gray": "L"}


class PictureCodec(Codec):
    """FORMAT, FEATURE: Pillow's names of the format and of the library behind it."""

    KINDS = ("picture",)
    FORMAT: str
    FEATURE: str

    @classmethod
    def missing(cls) -> str | None:
        return None if features.check(cls.FEATURE) else f"a Pillow with {cls.FORMAT}"

    def refuses(self, info: SignalInfo) -> str | None:
        if info.pixel_format not in MODES or info.bit_depth != 8:
            return f"is compared on rgb and gray with 8 bits, this is {info.pixel_format} with {info.bit_depth}"
        return None

    def versions(self) -> dict[str, str]:
        return {"pillow": metadata.version("pillow"), self.NAME: str(features.version(self.FEATURE))}

    def encode(self, signal: Signal, value: float, path: Path, threads: int) -> None:
        picture = signal.picture[:, :, 0] if signal.info.channels == 1 else signal.picture
        Image.fromarray(picture).save(path, self.FORMAT, **self.parameters(value, signal.info, threads))

    def decode(self, path: Path, info: SignalInfo, threads: int) -> Iterator[np.ndarray]:
        with Image.open(path, formats=[self.FORMAT]) as image:
            samples = np.asarray(image.convert(MODES[info.pixel_format]))
        yield samples.reshape(image.height, image.width, info.channels)

    @abstractmethod
    def parameters(self, value: float, info: SignalInfo, threads: int) -> dict:
        """Of Pillow's `Image.save`."""


class Jpeg(PictureCodec):
    """libjpeg-turbo: progressive (so with optimal Huffman tables), chroma at half size unless chosen otherwise."""

    NAME, FORMAT, FEATURE, SUFFIX = "jpeg", "JPEG", "jpg", ".jpg"
    RATES = {"q": (4, 8, 15, 25, 40, 55, 70, 80)}
    OPTIONS = {"subsampling": "4:2:0"}

    def parameters(self, value: float, info: SignalInfo, threads: int) -> dict:
        return {"quality": round(value), "progressive": True, **self.options}


class Webp(PictureCodec):
    """libwebp at its slowest (method 6), which always halves chroma; Pillow has no option for its threads."""

    NAME, FORMAT, FEATURE, SUFFIX = "webp", "WEBP", "webp", ".webp"
    RATES = {"q": (0, 5, 15, 30, 50, 70, 85)}
    OPTIONS = {"method": "6"}

    def parameters(self, value: float, info: SignalInfo, threads: int) -> dict:
        return {"quality": value, "method": int(self.options["method"])}


class Jpeg2000(PictureCodec):
    """OpenJPEG: the irreversible 9/7 wavelet and color transform, at a rate in bits per pixel."""

    NAME, FORMAT, FEATURE, SUFFIX = "jpeg2000", "JPEG2000", "jpg_2000", ".jp2"
    RATES = {"bpp": (0.1, 0.17, 0.28, 0.45, 0.75, 1.2)}

    def parameters(self, value: float, info: SignalInfo, threads: int) -> dict:
        ratio = 8 * info.channels / value
        color = int(info.channels == 3)
        return {"quality_mode": "rates", "quality_layers": [ratio], "irreversible": True, "mct": color}


class Avif(PictureCodec):
    """libavif with libaom, tuned for PSNR, which is what is measured, and with whole chroma, which PSNR rewards."""

    NAME, FORMAT, FEATURE, SUFFIX = "avif", "AVIF", "avif", ".avif"
    RATES = {"q": (5, 14, 26, 40, 54, 66)}
    OPTIONS = {"speed": "4", "subsampling": "4:4:4"}

    def parameters(self, value: float, info: SignalInfo, threads: int) -> dict:
        chosen = {"speed": int(self.options["speed"]), "subsampling": self.options["subsampling"]}
        return {"quality": round(value), "codec": "aom", "advanced": {"tune": "psnr"}, "max_threads": threads, **chosen}

    def decode(self, path: Path, info: SignalInfo, threads: int) -> Iterator[np.ndarray]:
        AvifImagePlugin.DEFAULT_MAX_THREADS = threads  # the only way that Pillow has
        return super().decode(path, info, threads)


class JpegXl(PictureCodec):
    """libjxl by pillow-jxl-plugin, in its lossy mode (XYB); its quality 90 is a distance of 1."""

    NAME, FORMAT, SUFFIX = "jpegxl", "JXL", ".jxl"
    RATES = {"q": (0, 10, 30, 45, 60, 75, 85)}
    OPTIONS = {"effort": "7"}

    @classmethod
    def missing(cls) -> str | None:
        return None if importlib.util.find_spec("pillow_jxl") else "pillow-jxl-plugin"

    def prepare(self) -> None:
        import pillow_jxl  # noqa: F401 (registers the format)

    def versions(self) -> dict[str, str]:
        return {name: metadata.version(name) for name in ("pillow", "pillow-jxl-plugin")}

    def parameters(self, value: float, info: SignalInfo, threads: int) -> dict:
        return {"quality": value, "effort": int(self.options["effort"]), "num_threads": threads}

    def decode(self, path: Path, info: SignalInfo, threads: int) -> Iterator[np.ndarray]:
        from pillow_jxl import JpegXLImagePlugin

        JpegXLImagePlugin.DECODE_THREADS = threads
        return super().decode(path, info, threads)
