"""One row of a table: a field fitted, or a field's evaluation timed and its multiply–accumulates counted twice."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from inrcodec.encoder.batches import Samples
from inrcodec.encoder.fit import Budget, Optimizing, fit
from inrcodec.fields import Field, Parameters
from inrcodec.lattice import Lattice
from inrcodec.metrics import Quality
from inrcodec.render import integers

COUNTED_POINTS = 4096
"""On which a field's evaluation by point is timed and counted; both are the same for any point."""
MAX_CALL_S = 10.0
"""Of the processor: a call that takes longer is not repeated."""


def fit_result(
    field: Field,
    samples: Samples,
    batches: Callable[[torch.Generator], Iterator],
    budget: Budget,
    optimizing: Optimizing,
) -> dict:
    """Fits a field from seed 0, and measures it on all samples, rounded as a decoder rounds them."""
    generator = torch.Generator().manual_seed(0)
    fitted = fit(field, samples, batches(generator), budget, generator, optimizing)
    plan = field.plan(fitted.parameters, samples.lattice)
    return {
        "psnr_db": round(psnr_db(field, fitted.parameters, samples), 3),
        "iterations": fitted.iterations,
        "cpu_s": round(fitted.seconds, 2),
        "parameters": field.parameter_count,
        "macs_per_pixel": round(plan.macs_per_pixel, 1),
        "macs_per_point": field.macs_per_point,
    }


@torch.no_grad()
def psnr_db(field: Field, parameters: Parameters, samples: Samples) -> float:
    """Of the mean error of all samples; for 4:2:0 as `metrics.OVER` says."""
    plan, quality = field.plan(parameters, samples.lattice), Quality(samples.info, with_ms_ssim=False)
    for index in range(samples.shape[0]):
        decoded = np.asarray(integers(plan.frame(index), samples.info))
        quality.add(np.asarray(samples.planar[index]).transpose(1, 2, 0).astype(decoded.dtype), decoded)
    return quality.summary()["psnr_db"]


@torch.no_grad()
def inference_result(field: Field, repetitions: int = 3) -> dict:
    """What all frames of a field with random parameters cost, by its plan, which is made anew each time, and point by point.

    cpu_s, by_point_cpu_s: seconds of the processor, those by point from COUNTED_POINTS of them. macs: a pixel's, by the
    field's own count and by torch's, which counts matrix products alone: no additions and products element by element.
    """
    parameters = field.initial(torch.Generator().manual_seed(0))
    lattice, pixels = Lattice.full(*field.shape[:3]), math.prod(field.shape[:3])
    points = torch.rand((COUNTED_POINTS, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def shared() -> None:
        plan = field.plan(parameters, lattice)
        for index in range(field.shape[0]):
            plan.frame(index)

    seconds, by_point = _median_s(shared, repetitions), _median_s(lambda: field.at(parameters, points), repetitions)
    return {
        "parameters": field.parameter_count,
        "cpu_s": float(f"{seconds:.4g}"),
        "by_point_cpu_s": float(f"{by_point * pixels / COUNTED_POINTS:.4g}"),
        "macs_per_pixel": round(field.plan(parameters, lattice).macs_per_pixel, 2),
        "torch_macs_per_pixel": round(_torch_macs(shared) / pixels, 2),
        "macs_per_point": field.macs_per_point,
        "torch_macs_per_point": _torch_macs(lambda: field.at(parameters, points)) / COUNTED_POINTS,
    }


def _median_s(call: Callable[[], object], repetitions: int) -> float:
    """After a warm-up, unless that took so long that it has to do."""
    seconds = [_processor_s(call)]
    if seconds[0] < MAX_CALL_S:
        seconds = [_processor_s(call) for _ in range(repetitions)]
    return statistics.median(seconds)


def _processor_s(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _torch_macs(call: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 2
