"""Where training starts: parameters taken from the signal where a family can, steps that suit the rate."""

from __future__ import annotations

import math
from collections.abc import Mapping

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

Colors = Mapping[int, int]
"""Levels, counted from the finest, whose single plane begins with chroma → which one, BLUE or RED; the others begin with luma."""

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
COLORS: tuple[Colors, ...] = ({}, {5: BLUE, 4: RED}, {5: BLUE, 1: RED}, {5: RED, 1: BLUE})
"""What single planes may begin with. Which plane is of which color is settled within a hundred iterations (by chance, if all
begin with luma), and stays; what suits a picture differs, by up to five percent of the loss (docs/research.md, "Colors of single
planes")."""
COLOR_DEVIATION, MAX_COLOR_GAIN = 0.8, 8.0
"""Such planes are scaled to this standard deviation, in steps, which is what fits come to; by a factor that is no larger."""
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""ITU-T T.871 (JFIF)."""


def start(
    field: Field, samples: Samples, rate_lambda: float, generator: torch.Generator, colors: Colors = COLORS[0]
) -> tuple[Parameters, dict[str, float]]:
    """Parameters and the steps of their groups before the first iteration. colors: of a pyramid's single planes."""
    parameters = field.initial(generator)
    steps = {spec.group: spec.step for spec in field.specs()}
    if isinstance(field, HashGrid):
        _grid_steps(field, rate_lambda, steps)
        _from_signal(field, samples, parameters)
    if isinstance(field, Pyramid):
        for age in field.ages:
            steps[f"grid{age}"] = pyramid_step(field, age, rate_lambda)
        if field.single:
            _single_from_signal(field, samples, parameters, steps, colors)
        else:
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
    """A Laplacian pyramid of luma, chroma and alpha, as the prior's bypass expects it."""
    planes = _planes(_mean_frame(samples))
    for age in field.ages:
        kinds, grid = field.kinds(age), parameters[f"grid{age}"]
        rest = torch.stack([planes[kind] for kind in kinds])
        grid[:, 0] = _of_size(rest, grid)
        planes |= dict(zip(kinds, rest - _seen(field, samples, parameters, age)))


def _single_from_signal(
    field: Pyramid, samples: Samples, parameters: Parameters, steps: dict[str, float], colors: Colors
) -> None:
    """Chroma on the levels that `colors` says, if there is any; copies of luma, and of alpha, on the others, of which each level
    takes an equal share of what is missing, of all that are left: after thousands of iterations no better than zeros
    (docs/research.md), but a codec from the first one on."""
    planes = _planes(_mean_frame(samples))
    colored = {age: kind for age, kind in colors.items() if kind in planes}
    for age in field.ages:
        grid, step = parameters[f"grid{age}"], steps[f"grid{age}"]
        finer = sum(other not in colored for other in range(age))
        for row, kind in enumerate(field.kinds(age)):
            if kind == LUMA and age in colored:
                grid[row], back, mean = _chroma(planes[colored[age]], colored[age], grid, step)
                levels = sum(kind == colored[age] for kind in colored.values())
                parameters["bypass"][:3, _column(field, age)] = back / levels
                parameters["last.bias"][:3] += mean / levels
            else:
                grid[row] = _of_size(planes[kind][None], grid) / (1 + finer)
                planes[kind] = planes[kind] - _seen(field, samples, parameters, age)[row]


def _chroma(plane: Tensor, kind: int, grid: Tensor, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """A plane of chroma about its mean, as large as those of a grid; what turns it into samples, (3,); its mean, as samples."""
    transform = torch.linalg.inv(torch.tensor(YCBCR))[:, kind] * CHROMA_GAIN
    varying = _of_size(plane[None], grid) - plane.mean()
    gain = min(COLOR_DEVIATION * step / varying.std(correction=0).clamp_min(1e-6).item(), MAX_COLOR_GAIN)
    return gain * varying, transform / gain, transform * plane.mean()


def _column(field: Pyramid, age: int) -> int:
    """Of the bypass, of a level's plane of luma."""
    return next(at for at, plane in enumerate(field.planes) if plane.role == 4 * age + LUMA)


def _of_size(planes: Tensor, grid: Tensor) -> Tensor:
    """Planes (N, H, W), as large as those of a grid."""
    size = tuple(grid.shape[-2:])
    if planes.shape[-2:] == size:
        return planes
    return F.interpolate(planes[None], size=size, mode="bicubic", antialias=True)[0]


def _seen(field: Pyramid, samples: Samples, parameters: Parameters, age: int) -> Tensor:
    """What a level's planes are at the samples: (F, H, W)."""
    rows, columns = field.interpolation(age, samples.lattice, torch.device("cpu"))
    return columns.columns(rows.rows(vertices_of(field, parameters, age)))


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
