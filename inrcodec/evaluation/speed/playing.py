"""Videos as somebody looks at them: played from the file to the last frame, and opened anywhere."""

from __future__ import annotations

import random
import time
from collections import deque
from functools import partial
from pathlib import Path

import torch

from inrcodec.decode import Decoder
from inrcodec.evaluation.speed.memory import peak_memory
from inrcodec.evaluation.speed.timing import Conditions, Stopwatch, spread

RANDOM_FRAMES = 32
"""That are asked for in an order without sequence, at most."""


@torch.no_grad()
def play_speed(path: Path, conditions: Conditions = Conditions()) -> dict:
    """The line of a stream, whatever its family; see docs/evaluation.md for what each figure is.

    Everything is decoded again in every repetition, symbols too, but for render_s. Raises InputError, StreamError, DeviceError.
    """
    watch = Stopwatch(conditions)
    passes, seeks, renderings = [], [], []
    for repetition in range(conditions.warmup + conditions.repetitions):
        played, sought, rendered = _pass(path, watch), _seeks(path, watch), _rendering(path, watch)
        if repetition >= conditions.warmup:
            passes.append(played)
            seeks += sought
            renderings.append(rendered)
    with Decoder(path, device=watch.device) as decoder:
        info, metadata = decoder.info, decoder.metadata
    play_s, render_s = spread([whole for _, whole in passes]), spread(renderings)
    return {
        "kind": "play",
        "file": path.name,
        "family": metadata.family,
        **{"frames": info.frames, "width": info.width, "height": info.height},
        **{"bytes": metadata.bytes, "bpp": metadata.bpp, "segments": metadata.segments},
        "play_s": play_s,
        "frames_per_s": float(f"{info.frames / play_s['median_s']:.4g}"),
        "render_s": render_s,
        "rendered_per_s": float(f"{info.frames / render_s['median_s']:.4g}"),
        "first_frame_s": spread([first for first, _ in passes]),
        "random_frame_s": spread(seeks),
        **peak_memory(path, conditions, played=True),
        **conditions.facts(),
    }


def _pass(path: Path, watch: Stopwatch) -> tuple[float, float]:
    """Seconds from the file to the first frame and to the last one, of frames that nobody keeps."""
    began = time.perf_counter()
    with Decoder(path, device=watch.device) as decoder:
        frames = iter(decoder)
        next(frames)
        watch.synchronize()
        first = time.perf_counter() - began
        deque(frames, maxlen=0)
        watch.synchronize()
        return first, time.perf_counter() - began


def _rendering(path: Path, watch: Stopwatch) -> float:
    """Seconds from symbols to the last frame."""
    with Decoder(path, device=watch.device, cache_bytes=1 << 40) as decoder:
        for segment in range(decoder.metadata.segments):
            decoder.coded_segment(segment)
        return watch.seconds(lambda: deque(decoder, maxlen=0))


def _seeks(path: Path, watch: Stopwatch) -> list[float]:
    """Seconds of each of some frames (seed 0) after the first one, by a decoder that has seen no other."""
    with Decoder(path, device=watch.device) as decoder:
        decoder[0]
        others = range(1, len(decoder)) or range(1)
        order = random.Random(0).sample(others, min(len(others), RANDOM_FRAMES))
        return [watch.seconds(partial(decoder.__getitem__, index)) for index in order]
