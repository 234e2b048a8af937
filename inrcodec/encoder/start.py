"""Where training starts: parameters taken from the signal where a family can, steps that suit the rate."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.encoder.batches import Samples
from inrcodec.fields import Field, Parameters
from inrcodec.fields.hashgrid import HashGrid
from inrcodec.fields.pyramid import Pyramid
from inrcodec.fields.pyramid_tensors import vertices_of
from inrcodec.passes import ALPHA, BLUE, LUMA, RED
from inrcodec.signal.info import SignalInfo

GRID_STEP = 0.06
"""Best initial step of a hash grid's finest luma at REFERENCE_LAMBDA, found on BSDS images; it goes with the root of λ."""
REFERENCE_LAMBDA = 1e-3
LEVEL_RATIO = 0.8
"""Coarser levels reach more pixels and are quantized finer, by this ratio a level."""
PYRAMID_STEPS = {False: (0.06, 0.7, 0.7), True: (0.07, 0.6, 0.85)}
"""Whether vertices are filtered → step of a pyramid's finest level at REFERENCE_LAMBDA, the second level's ratio to it, and
that of a level to the one below from there on."""
SINGLE_STEPS = (0.05, 1.0, 1.0)
"""The same where one plane a level is for all colors."""
SHRINKAGE = {0: 0.3, 1: 0.2}
"""By how many steps the finest levels of a pyramid move towards 0 before a short fit: it has no time to find out which
symbols are not worth their bits."""
CHROMA_GAIN = 1.3
"""Chroma features are stored divided by it: their steps are coarser by as much."""
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""ITU-T T.871 (JFIF)."""


def start(
    field: Field, samples: Samples, rate_lambda: float, generator: torch.Generator
) -> tuple[Parameters, dict[str, float]]:
    """Parameters and the steps of their groups before the first iteration."""
    parameters = field.initial(generator)
    steps = {spec.group: spec.step for spec in field.specs()}
    if isinstance(field, HashGrid):
        _grid_steps(field, rate_lambda, steps)
        _from_signal(field, samples, parameters)
    if isinstance(field, Pyramid):
        for age in field.ages:
            steps[f"grid{age}"] = pyramid_step(field, age, rate_lambda)
        _pyramid_from_signal(field, samples, parameters)
        if not field.filtered:
            _shrink(parameters, steps)
    return parameters, steps


def pyramid_step(field: Pyramid, age: int, rate_lambda: float) -> float:
    """Of a pyramid's level, counted from the finest."""
    finest, second, ratio = SINGLE_STEPS if field.single else PYRAMID_STEPS[field.filtered]
    step = finest * math.sqrt(rate_lambda / REFERENCE_LAMBDA)
    return step * second * ratio ** (age - 1) if age else step


def feature_transform(info: SignalInfo) -> Tensor:
    """Rows map samples to features, those kept at full resolution first: (C, C)."""
    identity = torch.eye(info.channels)
    if info.pixel_format == "rgb":
        return torch.tensor(YCBCR)
    if info.pixel_format == "rgba":
        transform = torch.zeros(4, 4)
        transform[0, :3], transform[2, :3], transform[3, :3] = torch.tensor(YCBCR)
        transform[1, 3] = 1
        return transform
    return identity


def full_resolution_channels(info: SignalInfo) -> int:
    """How many features the finest level of an image holds: luma and alpha, not chroma."""
    return {"rgb": 1, "yuv420": 1, "gray": 1, "graya": 2, "rgba": 2}[info.pixel_format]


def _grid_steps(field: HashGrid, rate_lambda: float, steps: dict[str, float]) -> None:
    root = math.sqrt(rate_lambda / REFERENCE_LAMBDA)
    for age, tables in enumerate(reversed(field.levels)):
        for table in tables:
            if field.config.form == "joint":
                steps[table.name] = GRID_STEP * root * LEVEL_RATIO**age
            else:
                steps[table.name] *= root


def _from_signal(field: HashGrid, samples: Samples, parameters: Parameters) -> None:
    """A pyramid of what is still missing, coarse to fine; the bypass turns its features back into samples."""
    transform = feature_transform(samples.info)
    gain = torch.ones(len(transform))
    gain[full_resolution_channels(samples.info) :] = 1 / CHROMA_GAIN
    transform = transform * gain[:, None]
    parameters["bypass"].zero_()
    rest = torch.einsum("ij,jhw->ihw", transform, _mean_frame(samples))
    inverse = torch.linalg.inv(transform)
    column = 0
    plan = field.plan(parameters, samples.lattice, keep_bytes=1 << 40)
    for tables in field.levels:
        table = tables[0]
        kept = min(table.features, len(transform))
        parameters["bypass"][:, column : column + kept] = inverse[:, :kept]
        column += table.features
        if table.hashed or len(table.axes) == 3:
            continue
        grid = F.interpolate(rest[None], size=table.vertices, mode="bicubic", antialias=True)[0, :kept]
        parameters[table.name][:kept, 0] = grid
        rest[:kept] -= plan.interpolated(table, grid)


def _pyramid_from_signal(field: Pyramid, samples: Samples, parameters: Parameters) -> None:
    """A Laplacian pyramid of luma, chroma and alpha, as the prior's bypass expects it; of single planes copies of luma, of which
    each level takes an equal share of what is missing, of all that are left: after thousands of iterations no better than zeros
    (docs/research.md), but a codec from the first one on."""
    planes = _planes(_mean_frame(samples))
    for age in field.ages:
        kinds = field.kinds(age)
        size = parameters[f"grid{age}"].shape[-2:]
        rest = torch.stack([planes[kind] for kind in kinds])
        grid = rest if age == 0 else F.interpolate(rest[None], size=size, mode="bicubic", antialias=True)[0]
        if field.single:
            grid = grid / (age + 1)
        parameters[f"grid{age}"][:, 0] = grid
        rows, columns = field.interpolation(age, samples.lattice, torch.device("cpu"))
        seen = columns.columns(rows.rows(vertices_of(field, parameters, age)))
        planes |= dict(zip(kinds, rest - seen))


def _shrink(parameters: Parameters, steps: dict[str, float]) -> None:
    for age, share in SHRINKAGE.items():
        if (grid := parameters.get(f"grid{age}")) is not None:
            parameters[f"grid{age}"] = F.softshrink(grid, share * steps[f"grid{age}"])


def _planes(frame: Tensor) -> dict[int, Tensor]:
    """Planes by kind (H, W) of a frame (C, H, W): gray, gray + alpha, RGB or RGBA."""
    if len(frame) < 3:
        return dict(zip((LUMA, ALPHA), frame))
    luma, blue, red = torch.einsum("ij,jhw->ihw", torch.tensor(YCBCR), frame[:3])
    planes = {LUMA: luma, BLUE: blue / CHROMA_GAIN, RED: red / CHROMA_GAIN}
    return planes | ({ALPHA: frame[3]} if len(frame) == 4 else {})


def _mean_frame(samples: Samples) -> Tensor:
    """(C, H, W) float32, centered: the frame itself, or the mean of up to 32 frames of a video."""
    stride = -(-samples.shape[0] // 32)
    total = sum(frame.float() for frame in samples.planar[::stride])
    return total.cpu() / (len(samples.planar[::stride]) * samples.info.peak) - 0.5
