"""Fields with random symbols, and streams of them: valid streams of every family without any training."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np

from inrcodec.bitstream import pack_segment, pack_stream
from inrcodec.entropy.context import NetworkShape
from inrcodec.fields import FAMILIES
from inrcodec.fields.asmr import AsmrConfig
from inrcodec.fields.coordx import CoordXConfig
from inrcodec.fields.film import FilmConfig
from inrcodec.fields.hashgrid import HashGridConfig
from inrcodec.fields.pyramid import PyramidConfig
from inrcodec.fields.radix import bases_for
from inrcodec.fields.siren import SirenConfig
from inrcodec.segment import CodedField, encode_segment, grid_coding
from inrcodec.signal.info import SignalInfo
from inrcodec.steps import nearest_index

SCALES = {"weight": 16.0, "grid": 1.5}
"""Of the Laplace noise that the symbols are, by kind of tensor: pictures that are neither flat nor saturated."""


def image_info(height: int, width: int, pixel_format: str = "rgb", bit_depth: int = 8, **color) -> SignalInfo:
    return SignalInfo(width, height, 1, pixel_format, bit_depth, **color)


def video_info(
    frames: int, height: int, width: int, pixel_format: str = "rgb", bit_depth: int = 8, **more
) -> SignalInfo:
    """25 frames a second, in a time base of 1/50 s."""
    times = {"time_base_num": 1, "time_base_den": 50, "frame_ticks": 2}
    return SignalInfo(width, height, frames, pixel_format, bit_depth, **times, **more)


def small_config(family: str, shape: tuple[int, int, int, int]):
    """A small structure of a family for a signal of `shape` (T, H, W, C)."""
    frames, height, width, _ = shape
    if family == "siren":
        return SirenConfig(width=6, layers=2)
    if family == "coordx":
        return CoordXConfig("t_yx", branch_layers=2, head_layers=1, width=6, rank=2, fusion="product")
    if family == "asmr":
        return AsmrConfig(*(bases_for(size, 2) for size in (frames, height, width)), width=6)
    if family == "pyramid":
        return PyramidConfig(levels=2, prior=3)
    if family == "film":
        return FilmConfig(
            levels=2, prior=3, gop=4, spacing=4, planes="own", chained=1, finest=tuple(t % 3 for t in range(frames))
        )
    grids = {"features": (2, 2), "finest": (32, 32, 32), "growth": (32, 32, 32), "table_log2": 16}
    return HashGridConfig("joint" if frames == 1 else "split", **grids, kernel="cubic", width=4, layers=1)


def random_coded(family: str, shape: tuple[int, int, int, int], seed: int = 0, config=None) -> CodedField:
    """A field of `family` (structure: `config`, or a small one) for a signal of `shape`, all symbols random."""
    random = np.random.default_rng(seed)
    field = FAMILIES[family](config or small_config(family, shape), shape)
    steps = {spec.group: nearest_index(spec.step) for spec in field.specs()}
    symbols = {spec.name: _noise(random, SCALES[spec.kind], spec.shape) for spec in field.specs()}
    coded = CodedField(field, steps, symbols)
    coding = grid_coding(field)
    if coding is not None:
        coded.network_shape = coding.Shape() if family in ("pyramid", "film") else NetworkShape(hidden=4)
        for group in coding.groups(coded.network_shape):
            coded.network |= {name: _noise(random, 3.0, size) for name, size in group.items()}
    return coded


def _noise(random: np.random.Generator, scale: float, shape: tuple[int, ...]) -> np.ndarray:
    return np.rint(random.laplace(0, scale, shape)).clip(-100, 100).astype(np.int32)


def random_stream(
    family: str,
    info: SignalInfo,
    segments: int = 1,
    seed: int = 0,
    ticks: tuple[int, ...] | None = None,
    ancillary: list[tuple[int, bytes]] = (),
    config=None,
) -> bytes:
    """A stream of `segments` segments of about the same length. ticks: times of all frames, if they are irregular."""
    borders = [info.frames * index // segments for index in range(segments + 1)]
    packed = []
    for index, (start, stop) in enumerate(pairwise(borders)):
        shape = (stop - start, info.height, info.width, info.channels)
        times = None if ticks is None else tuple(ticks[start:stop])
        packed.append(pack_segment(encode_segment(random_coded(family, shape, seed + index, config), start, times)))
    return pack_stream(info, packed, list(ancillary))


def with_section(raw, **sections: bytes):
    """A raw segment with other bytes in some sections, their lengths put right in its header."""
    lengths = {f"{name}_bytes": len(data) for name, data in sections.items()}
    return dataclasses.replace(raw, header=dataclasses.replace(raw.header, **lengths), **sections)
