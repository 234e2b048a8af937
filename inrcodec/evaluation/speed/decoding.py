"""The parts of decoding, each timed for itself; and the same frames computed point by point, which is what a plan saves."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from inrcodec.bitstream import StreamReader
from inrcodec.decode import Decoder
from inrcodec.errors import InputError
from inrcodec.evaluation.speed.memory import peak_memory
from inrcodec.evaluation.speed.timing import Conditions, Stopwatch
from inrcodec.fields import Film, Parameters
from inrcodec.fields.base import Field, Plan
from inrcodec.lattice import Lattice
from inrcodec.segment import CodedField, decode_segment

REGION_SIDE = 256
"""Of the region, at the center of the frame; half of a side that is shorter than twice that."""
TILE = 1 << 16
"""Points that direct evaluation takes at a time."""


def find_streams(place: Path) -> list[Path]:
    """The `.inr` files of a folder by name, or of a pattern ("streams/*.inr"), or the file itself. Raises InputError."""
    if place.is_dir():
        found = sorted(place.glob("*.inr"))
        reason = "holds no .inr file"
    elif not place.exists() and any(character in place.name for character in "*?["):
        found = sorted(place.parent.glob(place.name))
        reason = "matches no file"
    else:
        found = [place] if place.is_file() else []
        reason = "is not there"
    if not found:
        raise InputError(f"{place}: {reason}")
    return found


@torch.no_grad()
def decode_speed(path: Path, conditions: Conditions = Conditions()) -> dict:
    """The line of a stream; see docs/evaluation.md for what each figure is.

    Frames are those of the first segment, `conditions.frames` at most. Raises InputError, StreamError, DeviceError.
    """
    watch = Stopwatch(conditions)
    with Decoder(path, device=watch.device) as decoder:
        coded, metadata = decoder.coded_segment(0), decoder.metadata
        if isinstance(coded.field, Film):
            raise InputError(f"{path}: a film's frames build on kept ones and are not taken apart; it can be played")
        info, frames = decoder.info, min(coded.field.shape[0], conditions.frames)
        return {
            "kind": "decode",
            "file": path.name,
            "family": metadata.family,
            **{"frames": info.frames, "width": info.width, "height": info.height},
            **{"bytes": metadata.bytes, "bpp": metadata.bpp, "segments": metadata.segments},
            "parameters": decoder.parameters,
            "measured_frames": frames,
            **_opening(path, watch),
            **_frames(decoder, frames, watch),
            **_region(decoder, frames, watch),
            **_cached_and_direct(coded, frames, watch),
            **peak_memory(path, conditions),
            **conditions.facts(),
        }


def _opening(path: Path, watch: Stopwatch) -> dict:
    """open_s: headers, index and times. symbols_s: reading and entropy decoding the first segment. first_frame_s: from the file
    to a frame's samples."""

    def first_frame() -> None:
        with Decoder(path, device=watch.device) as decoder:
            decoder.samples(0)

    opened = watch.repeated(lambda: Decoder(path, device=watch.device).close())
    with path.open("rb") as file:
        reader = StreamReader(file)
        symbols = watch.repeated(lambda: decode_segment(reader.segment(0), reader.info, "segment 0"))
    return {"open_s": opened, "symbols_s": symbols, "first_frame_s": watch.repeated(first_frame)}


def _frames(decoder: Decoder, frames: int, watch: Stopwatch) -> dict:
    """frame_s: in sequence, random_frame_s: in an order without sequence; symbols and plan are there already."""

    def decoded(order: list[int]) -> dict:
        return watch.repeated(*(partial(decoder.samples, index) for index in order))

    order = list(range(frames))
    return {"frame_s": decoded(order), "random_frame_s": decoded(random.Random(0).sample(order, frames))}


def _region(decoder: Decoder, frames: int, watch: Stopwatch) -> dict:
    """region_s: of frames in sequence. region_first_s: of frame 0 with the region's plan; two regions in turn, since a decoder
    keeps the plan of the last one only. Symbols are there already."""
    info = decoder.info
    width, height = (max(1, min(side // 2, REGION_SIDE)) for side in (info.width, info.height))
    x, y = (info.width - width) // 2, (info.height - height) // 2
    region, beside = (x, y, width, height), (0, 0, width, height)
    return {
        "region": list(region),
        "region_first_s": watch.repeated(*(partial(decoder.numpy, 0, one) for one in (region, beside))),
        "region_s": watch.repeated(*(partial(decoder.numpy, index, region) for index in range(frames))),
    }


def _cached_and_direct(coded: CodedField, frames: int, watch: Stopwatch) -> dict:
    """plan_s, and a frame by a plan (cached_frame_s) and point by point (direct_frame_s): values in memory, no integers.

    largest_difference: of the two, in samples in [0, 1].
    """
    field, parameters = coded.field, coded.parameters(watch.device)

    def planned() -> Plan:
        return field.plan(parameters, Lattice.full(*field.shape[:3]))

    plan_spread, plan = watch.repeated(planned), planned()
    cached = watch.repeated(*(partial(plan.frame, index) for index in range(frames)))
    middle = frames // 2
    points = _points(field, middle)
    direct = watch.repeated(partial(_direct, field, parameters, points))
    difference = _direct(field, parameters, points) - plan.frame(middle).reshape(-1, field.channels)
    frame_s, plan_s = cached["median_s"], plan_spread["median_s"]
    return {
        "plan_s": plan_spread,
        "plan_bytes": plan.kept_bytes,
        "cached_frame_s": cached,
        "direct_frame_s": direct,
        "ratio": direct["median_s"] / frame_s,
        "ratio_with_plan": direct["median_s"] / (frame_s + plan_s / field.shape[0]),
        "largest_difference": difference.abs().max().item(),
        "macs_direct": field.macs_per_point,
        "macs_cached": plan.macs_per_pixel,
    }


def _points(field: Field, frame: int) -> Tensor:
    """Positions of a frame's samples: (H * W, 3) float64."""
    full = Lattice.full(*field.shape[:3])
    return Lattice(full.t[frame : frame + 1], full.y, full.x).points()


def _direct(field: Field, parameters: Parameters, points: Tensor) -> Tensor:
    """Values at points, each computed for itself: (N, C)."""
    return torch.cat([field.at(parameters, tile) for tile in points.split(TILE)])
