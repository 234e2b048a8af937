"""Seconds that can be believed: after a warm-up, repeated, with what the device still had to do waited for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from inrcodec.device import pick_device
from inrcodec.errors import UsageError
from inrcodec.evaluation.measure import commit, machine
from inrcodec.evaluation.ours import own_versions

LIMITS = {"threads": (1, 1024), "warmup": (0, 1000), "repetitions": (1, 1000), "frames": (1, 1 << 20)}


@dataclass(frozen=True)
class Conditions:
    """device: where, see `pick_device`. threads: of PyTorch and of the compiled loops. warmup: calls that are not timed, before
    `repetitions` that are. frames: so many are looked at, the first ones. Raises UsageError.
    """

    device: str = "auto"
    threads: int = 1
    warmup: int = 1
    repetitions: int = 5
    frames: int = 32

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name} is {getattr(self, name)}, allowed are {low} to {high}")

    def facts(self) -> dict:
        """What a line says of how it was measured."""
        return {
            "device": str(pick_device(self.device)),
            "threads": self.threads,
            "warmup": self.warmup,
            "repetitions": self.repetitions,
            "versions": own_versions(self.device),
            "machine": machine(),
            "commit": commit(),
        }


class Stopwatch:
    """Times calls on a device under some conditions."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self.device = pick_device(conditions.device)
        torch.set_num_threads(conditions.threads)

    def synchronize(self) -> None:
        """Waits for what the device has been given to do."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, call: Callable[[], object]) -> float:
        """Wall seconds of one call."""
        self.synchronize()
        began = time.perf_counter()
        call()
        self.synchronize()
        return time.perf_counter() - began

    def repeated(self, *calls: Callable[[], object]) -> dict:
        """Spread of the seconds of every call, all calls in turn, as often as the conditions say."""
        for _ in range(self._conditions.warmup):
            for call in calls:
                call()
        return spread([self.seconds(call) for _ in range(self._conditions.repetitions) for call in calls])


def spread(seconds: list[float]) -> dict:
    """Median, quartiles (inclusive) and extremes of at least one number."""
    low, median, high = (seconds * 3)[:3] if len(seconds) == 1 else statistics.quantiles(seconds, method="inclusive")
    figures = {"median_s": median, "low_s": low, "high_s": high, "min_s": min(seconds), "max_s": max(seconds)}
    return {**{name: float(f"{value:.4g}") for name, value in figures.items()}, "count": len(seconds)}
