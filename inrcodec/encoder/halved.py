"""The longest fits of pyramids begin with the picture at a quarter and at half its size, where iterations cost little.

A level of a picture at half the size is the next coarser one of the whole picture's, and both networks see the same of them: so
what was found is carried over as it is, and only the finest level begins with zeros. Bits are worth as much as they will be:
errors and bits are both divided by a quarter of the pixels, so that rate_lambda is a quarter too. It is what multigrid methods
do, and better than as much more time for the whole picture (docs/research.md, "Half the size first").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from inrcodec.encoder.batches import Samples, whole_frames
from inrcodec.encoder.clock import Clock
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.start import start
from inrcodec.encoder.training_pyramid import PyramidTraining
from inrcodec.entropy.planes import BY_ROLE
from inrcodec.fields import Pyramid
from inrcodec.segment import grid_specs

AREA = 4
"""Pixels that one of a picture at half the size stands for."""
SMALLEST_PIXELS = 1 << 14
"""Of the picture that a fit begins with."""
RIVALS, RIVAL_ITERATIONS = 2, 200
"""Other fits that begin with the smallest picture as well, and how far they come. Ends differ by a percent, and what is ahead by
then is mostly what is ahead in the end (Cool-Chic's warm-up does the same)."""


def smaller_sizes(samples: Samples, levels: int) -> list[Samples]:
    """A picture at half its size, at a quarter, and so on, as far as is worth it and a pyramid of `levels` has levels left."""
    found: list[Samples] = []
    while levels - len(found) > 1 and math.prod(samples.shape[:3]) >= AREA * SMALLEST_PIXELS:
        samples = _halved(samples)
        found.append(samples)
    return found


def iterations_before(sizes: int, iterations: int) -> int:
    """Of so many smaller pictures, before as many iterations as each of them has for the whole one."""
    return sizes * iterations + (RIVALS * min(RIVAL_ITERATIONS, iterations) if sizes else 0)


def begin_smaller(
    training: PyramidTraining,
    smaller: list[Samples],
    iterations: int,
    clock: Clock,
    report: Callable[[float, float], None],
    generator: torch.Generator,
) -> None:
    """`training`, before its first iteration: so many for each of the smaller pictures, from the smallest on."""
    larger = [training]
    for samples in smaller[:-1]:
        larger.append(_of_half_size(larger[-1], samples, generator))
    rivals = [_of_half_size(larger[-1], smaller[-1], generator) for _ in range(1 + RIVALS)]
    parts, tried = [clock.part(iterations, iterations) for _ in rivals], min(RIVAL_ITERATIONS, iterations)
    losses = [
        one.begin(whole_frames(one.samples), part, _of_whole(report, one, training), tried)
        for one, part in zip(rivals, parts)
    ]
    best = min(range(len(rivals)), key=losses.__getitem__)
    small, part = rivals[best], parts[best]
    for large in reversed(larger):
        small.train(whole_frames(small.samples), part, _of_whole(report, small, training))
        _carry(small, large)
        small, part = large, clock.part(iterations, iterations)


def _of_whole(report, small: PyramidTraining, whole: PyramidTraining) -> Callable[[float, float], None]:
    """Bits are told per pixel of the whole picture."""
    return lambda psnr_db, bpp: report(psnr_db, bpp * small.pixels / whole.pixels)


def _halved(samples: Samples) -> Samples:
    """Rounded means of 2x2 samples; the last row and column are their own neighbors where their number is odd."""
    _, height, width, _ = samples.shape
    whole = samples.planar.cpu().numpy()[0].astype(np.uint32)
    whole = np.pad(whole, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    sums = whole[:, ::2, ::2] + whole[:, 1::2, ::2] + whole[:, ::2, 1::2] + whole[:, 1::2, 1::2]
    means = ((sums + AREA // 2) // AREA).transpose(1, 2, 0)[None]
    info = replace(samples.info, width=means.shape[2], height=means.shape[1])
    return Samples(means.astype(np.uint8 if info.peak < 256 else np.uint16), info, samples.planar.device)


def _of_half_size(training: PyramidTraining, samples: Samples, generator: torch.Generator) -> PyramidTraining:
    """Of the picture at half the size (`samples`); `_carry` brings what it finds to `training`, whose symbols are as long."""
    field, control = training.field, RateControl(training.control.rate_lambda / AREA)
    small = Pyramid(replace(field.config, levels=field.config.levels - 1), samples.shape)
    parameters, steps = start(small, samples, control.rate_lambda, generator)
    steps = {group: training.start_steps[_above(group) if group.startswith("grid") else group] for group in steps}
    return PyramidTraining(small, samples, parameters, steps, training.network_shape, control, generator)


def _above(name: str) -> str:
    """Of the next coarser level."""
    return f"grid{int(name.removeprefix('grid')) + 1}"


@torch.no_grad()
def _carry(small: PyramidTraining, large: PyramidTraining) -> None:
    """What was trained becomes what training goes on from. Tensors that have a part for each level have it from coarse to fine;
    what the context network knows of the finest level is also what it begins with for the one that comes after it."""
    large.values["grid0"].zero_()
    for spec in grid_specs(small.field):
        large.values[_above(spec.name)].copy_(small.values[spec.name])
    for name in set(large.values) - {spec.name for spec in grid_specs(large.field)}:
        _lead(large.values[name], small.values[name])
    for name, value in large.network.items():
        _lead(value, found := small.network[name])
        if name in BY_ROLE:
            value[len(found) :] = found[-(len(value) - len(found)) :]
    for group, value in large.log_steps.items():
        value.copy_(small.log_steps[group])


def _lead(whole: Tensor, part: Tensor) -> None:
    whole[tuple(map(slice, part.shape))] = part
