"""How long the encoder takes, by effort: whole files, and iterations of the optimizer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from inrcodec.encoder import EncodeOptions, EncodeResult, Progress, encode
from inrcodec.evaluation.measure import facts
from inrcodec.evaluation.signals import Signal
from inrcodec.evaluation.speed.timing import Conditions, Stopwatch, spread

WARMUP_S = 0.5
"""Of optimization: what a warm-up call runs, since all iterations are alike."""


def encode_speed(signal: Signal, options: EncodeOptions, conditions: Conditions = Conditions()) -> dict:
    """The line of a signal at one effort; see docs/evaluation.md for what each figure is.

    options: everything but device and threads, which the conditions give, and frames, which are the signal's. Raises
    InputError, UsageError, DeviceError.
    """
    watch = Stopwatch(conditions)
    own = {"device": conditions.device, "threads": conditions.threads, "frames": (0, signal.info.frames)}
    options = replace(options, **own)
    source = signal.path if signal.picture is None else signal.picture
    for _ in range(conditions.warmup):
        encode(source, replace(options, time_limit_s=WARMUP_S))
    iterations = Iterations(watch.synchronize)
    results: list[EncodeResult] = []
    whole = [
        watch.seconds(lambda: results.append(encode(source, options, iterations.step)))
        for _ in range(conditions.repetitions)
    ]
    result = results[-1]
    psnr_db = result.psnr_db if math.isfinite(result.psnr_db) else None
    return {
        "kind": "encode",
        **facts(signal),
        "family": result.family,
        "effort": result.effort,
        "rate_lambda": result.rate_lambda,
        **{"bytes": result.bytes, "bpp": result.bpp, "psnr_db": psnr_db, "over": result.psnr_over},
        "iterations": result.iterations,
        "encode_s": spread(whole),
        **iterations.facts(),
        **conditions.facts(),
    }


class Iterations:
    """Seconds between the ends of iterations that follow each other; the first one of a segment has none before it."""

    def __init__(self, synchronize: Callable[[], None], now: Callable[[], float] = time.perf_counter) -> None:
        self._synchronize, self._now = synchronize, now
        self._last: tuple[int, int, float] | None = None
        self.seconds: list[float] = []

    def step(self, progress: Progress) -> None:
        """What the encoder calls after each iteration."""
        self._synchronize()
        moment = self._now()
        if self._last and self._last[:2] == (progress.segment, progress.iteration - 1):
            self.seconds.append(moment - self._last[2])
        self._last = (progress.segment, progress.iteration, moment)

    def facts(self) -> dict:
        """Null where no two iterations followed each other."""
        if not self.seconds:
            return {"iteration_s": None, "iterations_per_s": None}
        found = spread(self.seconds)
        return {"iteration_s": found, "iterations_per_s": float(f"{1 / found['median_s']:.4g}")}
