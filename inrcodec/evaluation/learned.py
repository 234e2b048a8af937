"""The learned codecs of CompressAI's zoo, an extra: pip install 'inrcodec[compressai]'."""

from __future__ import annotations

import importlib.util
import math
import struct
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inrcodec.errors import UsageError
from inrcodec.evaluation.codec import Codec
from inrcodec.evaluation.signals import Signal
from inrcodec.signal.info import SignalInfo

MULTIPLE = 64
"""Sides that the networks take; smaller pictures are padded by repeating their edges."""
HEADER = struct.Struct("<BHHHHB")
"""Of our files: quality, width, height, latent rows and columns, number of strings; then each length (uint32) and string."""


class CompressAi(Codec):
    """A model of the zoo, trained for MSE, with its range coder, on one file: a header of 10 + 4 bytes a string beside it.

    Weights are downloaded by CompressAI. Where that fails the models stay untrained, which `prepare` and the curve say.
    """

    NAME, SUFFIX, KINDS = "compressai", ".bin", ("picture",)
    RATES = {"quality": (1, 2, 3, 4, 5, 6)}
    OPTIONS = {"model": "bmshj2018-hyperprior", "weights": "zoo"}

    def __init__(self, rate: str, values: tuple[float, ...], options: dict[str, str]) -> None:
        super().__init__(rate, values, options)
        if options["weights"] not in ("zoo", "none"):
            raise UsageError(f"compressai: weights is {options['weights']!r}, allowed are zoo and none (untrained)")
        if options["model"] not in _zoo():
            raise UsageError(f"compressai: model is {options['model']!r}, allowed are {', '.join(_zoo())}")
        self._trained = options["weights"] == "zoo"
        self._models: dict[int, torch.nn.Module] = {}

    @property
    def curve(self) -> str:
        return f"compressai {self.options['model']}" + ("" if self._trained else " untrained")

    @classmethod
    def missing(cls) -> str | None:
        return None if importlib.util.find_spec("compressai") else "pip install 'inrcodec[compressai]'"

    def refuses(self, info: SignalInfo) -> str | None:
        if info.pixel_format != "rgb" or info.bit_depth != 8:
            return f"codes rgb with 8 bits, this is {info.pixel_format} with {info.bit_depth}"
        return None

    def versions(self) -> dict[str, str]:
        return {name: metadata.version(name) for name in ("compressai", "torch")}

    def prepare(self) -> str | None:
        reason = "none were asked for"
        if self._trained:
            try:
                self._model(round(self.values[0]))
                return None
            except OSError as error:  # URLError is one
                self._trained, reason = False, f"they could not be downloaded: {error}"
        return f"{self.curve} runs without weights ({reason}): it shows that the code works, its numbers mean nothing"

    def _model(self, quality: int) -> torch.nn.Module:
        if quality not in self._models:
            torch.manual_seed(quality)
            make = _zoo()[self.options["model"]]
            model = make(quality=quality, metric="mse", pretrained=self._trained, progress=False).eval()
            model.update(force=True)
            self._models[quality] = model
        return self._models[quality]

    @torch.no_grad()
    def encode(self, signal: Signal, value: float, path: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        quality, info = round(value), signal.info
        coded = self._model(quality).compress(_padded(signal.picture))
        strings = [of_one[0] for of_one in coded["strings"]]
        head = HEADER.pack(quality, info.width, info.height, *coded["shape"], len(strings))
        path.write_bytes(head + b"".join(struct.pack("<I", len(string)) + string for string in strings))

    @torch.no_grad()
    def decode(self, path: Path, info: SignalInfo, threads: int) -> Iterator[np.ndarray]:
        torch.set_num_threads(threads)
        data = path.read_bytes()
        quality, width, height, rows, columns, count = HEADER.unpack_from(data)
        strings, place = [], HEADER.size
        for _ in range(count):
            length = struct.unpack_from("<I", data, place)[0]
            strings.append([data[place + 4 : place + 4 + length]])
            place += 4 + length
        decoded = self._model(quality).decompress(strings, (rows, columns))["x_hat"][0]
        samples = decoded[:, :height, :width].clamp(0, 1).mul(255).round().to(torch.uint8)
        yield samples.permute(1, 2, 0).contiguous().numpy()


def _zoo() -> dict:
    _import_torchvision()
    from compressai.zoo import image_models

    return image_models


def _import_torchvision() -> None:
    """CompressAI imports torchvision, whose wheel on PyPI is built for CUDA and fails beside a CPU build of PyTorch, for the
    operators that it cannot load. Nothing here uses them: declared by name, they let the import pass."""
    try:
        import torchvision
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401


def _padded(picture: np.ndarray) -> Tensor:
    """(1, 3, H, W) in [0, 1] of (H, W, 3) integers, with right and lower edges repeated up to whole multiples."""
    height, width = picture.shape[:2]
    margins = [(0, math.ceil(side / MULTIPLE) * MULTIPLE - side) for side in (height, width)]
    padded = np.pad(picture, [*margins, (0, 0)], mode="edge")
    return torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
