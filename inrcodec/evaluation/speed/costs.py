"""What decoding costs against pixels, frames, depth and width, of fields with random parameters: cost does not look at values.

Seconds are the processor's, which a machine that others use gives and takes back without changing them much.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from inrcodec.evaluation.speed.timing import Conditions, spread
from inrcodec.fields import FAMILIES, Arrays, Field, Parameters
from inrcodec.fields.asmr import AsmrConfig
from inrcodec.fields.coordx import CoordXConfig
from inrcodec.fields.film import FilmConfig
from inrcodec.fields.hashgrid import SPACING_UNIT, HashGridConfig
from inrcodec.fields.radix import bases_for
from inrcodec.fields.siren import SirenConfig
from inrcodec.kernels.allocator import keep_large_blocks
from inrcodec.lattice import Lattice

MLPS = ("siren", "coordx", "asmr")
VIDEOS = (*MLPS, "hashgrid", "film")
LAYERS, WIDTH = 4, 16
SIZES = ((240, 426), (360, 640), (540, 960), (720, 1280), (1080, 1920))
"""Height and width."""
CLIP = (4, 144, 256, 3)
PICTURE = (1, 256, 256, 3)


@dataclass(frozen=True)
class Cost:
    """A point of a curve. against: what is varied; value: of it. layers, width: of MLPs."""

    against: str
    value: float
    family: str
    shape: tuple[int, int, int, int]
    layers: int = LAYERS
    width: int = WIDTH


def costs() -> Iterator[Cost]:
    """All points. Pixels, in millions: of the frames of a video; depth and width: of a picture."""
    for family in VIDEOS:
        for height, width in SIZES:
            frames = 1 if family == "siren" else CLIP[0]  # nothing is shared there, so one frame says it all
            yield Cost("pixels", height * width / 1e6, family, (frames, height, width, 3))
        for frames in (4, 8, 16, 32):
            yield Cost("frames", frames, family, (frames, *CLIP[1:]))
    for family in MLPS:
        for layers in range(3, 9):
            yield Cost("depth", layers, family, PICTURE, layers=layers)
        for width in (16, 32, 64, 128):
            yield Cost("width", width, family, PICTURE, width=width)


@torch.no_grad()
def cost_speed(cost: Cost, conditions: Conditions = Conditions()) -> dict:
    """The line of a point, on the CPU. all_cpu_s: from parameters in memory to the values of all frames, in sequence, the plan
    included."""
    torch.set_num_threads(conditions.threads)
    keep_large_blocks()  # as a decoder does
    field = field_of(cost)
    parameters = _random(field)
    lattice = Lattice.full(*field.shape[:3])
    frames, height, width, _ = cost.shape

    def seconds() -> float:
        began = time.process_time()
        plan = field.plan(
            dict(parameters), lattice
        )  # of others each time, for fields that remember plans by parameters
        for index in range(frames):
            plan.frame(index)
        return time.process_time() - began

    found = [seconds() for _ in range(conditions.warmup + conditions.repetitions)][conditions.warmup :]
    return {
        "kind": "cost",
        **{"against": cost.against, "value": cost.value, "family": cost.family},
        **{"frames": frames, "width": width, "height": height},
        "parameters": field.parameter_count,
        "macs_per_pixel": field.plan(parameters, lattice).macs_per_pixel,
        "all_cpu_s": spread(found),
        **conditions.facts(),
    }


def field_of(cost: Cost) -> Field:
    """The structure at a point."""
    return FAMILIES[cost.family](CONFIGS[cost.family](cost), cost.shape)


def _random(field: Field) -> Parameters | Arrays:
    """As training starts; grids with noise of a step, so that nothing is skipped because it is zero."""
    generator = torch.Generator().manual_seed(0)
    parameters = field.initial(generator)
    for spec in field.specs():
        if spec.kind == "grid":
            parameters[spec.name] += spec.step * torch.randn(spec.shape, generator=generator)
    return {name: value.numpy() for name, value in parameters.items()} if field.takes_arrays else parameters


def _siren(cost: Cost) -> SirenConfig:
    return SirenConfig(cost.width, cost.layers)


def _coordx(cost: Cost) -> CoordXConfig:
    depths = {"branch_layers": 2, "head_layers": cost.layers - 2}
    return CoordXConfig("t_yx", **depths, width=cost.width, rank=2, fusion="product")


def _asmr(cost: Cost) -> AsmrConfig:
    return AsmrConfig(*(bases_for(size, cost.layers) for size in cost.shape[:3]), width=cost.width)


def _hashgrid(cost: Cost) -> HashGridConfig:
    spacing = (2 * SPACING_UNIT, 4 * SPACING_UNIT, 4 * SPACING_UNIT)
    return HashGridConfig("split", (8, 8, 8), spacing, (2 * SPACING_UNIT,) * 3, 28, "linear", cost.width, 2)


def _film(cost: Cost) -> FilmConfig:
    frames, height, width, _ = cost.shape
    levels = int(math.log2(min(height, width))) - 3
    return FilmConfig(levels, prior=3, gop=8, spacing=16, planes="own", chained=1, finest=(1,) * frames)


CONFIGS = {"siren": _siren, "coordx": _coordx, "asmr": _asmr, "hashgrid": _hashgrid, "film": _film}
