"""Fields of every family by name, with parameters that let every part of them matter, and lattices to try them on."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from inrcodec.fields.asmr import Asmr, AsmrConfig
from inrcodec.fields.coordx import CoordX, CoordXConfig
from inrcodec.fields.film import Film, FilmConfig
from inrcodec.fields.hashgrid import HashGrid, HashGridConfig
from inrcodec.fields.pyramid import Pyramid, PyramidConfig
from inrcodec.fields.radix import bases_for
from inrcodec.fields.siren import Siren, SirenConfig
from inrcodec.lattice import Lattice, window

IMAGE, VIDEO, POINT = (1, 13, 7, 3), (7, 13, 7, 2), (1, 1, 1, 1)
TINY_BYTES = 1000
"""So few that plans work in bands."""
TOLERANCE = 1e-5

COORDX = {
    f"coordx-{split}-{fusion}-{branch}{head}r{rank}": CoordXConfig(split, branch, head, 8, rank, fusion)
    for split, fusion, (branch, head, rank) in itertools.product(
        ("t_yx", "t_y_x"), ("product", "sum"), ((1, 1, 2), (2, 0, 3), (3, 2, 1))
    )
}
HASHGRID = {
    "hashgrid-joint-linear": HashGridConfig("joint", (2, 3), (16, 16, 16), (32, 32, 32), 28, "linear", 5, 2),
    "hashgrid-joint-cubic": HashGridConfig("joint", (1, 2, 1), (24, 9, 20), (16, 40, 27), 28, "cubic", 5, 1),
    "hashgrid-hashed": HashGridConfig("joint", (2, 1, 3), (16, 8, 16), (32, 32, 24), 4, "cubic", 5, 0),
    "hashgrid-split-linear": HashGridConfig("split", (2, 3), (32, 16, 40), (24, 32, 32), 28, "linear", 5, 1),
    "hashgrid-split-cubic": HashGridConfig("split", (3,), (16, 25, 16), (16, 16, 16), 28, "cubic", 5, 0),
}
PYRAMID = {
    f"pyramid{levels}{kind}": PyramidConfig(levels, prior)
    for levels in (1, 3)
    for kind, prior in (("", 3), ("-filtered", 8), ("-single", 27), ("-own", 28), ("-one-layer", 29))
}
FILM = {"film-gop1": (1, 4, 8), "film-gop4": (4, 3, 3), "film-gop8": (8, 8, 8)}
"""Distance of anchors, spacing of motion, prior."""
MLPS = ["siren", "asmr1", "asmr2", "asmr3", *COORDX]


def make(name, shape):
    """A field by name, and parameters larger than the initial ones, so that every part of the formula matters."""
    if name in HASHGRID:
        return with_grids(HashGrid(HASHGRID[name], shape), 0.5)
    if name in PYRAMID:
        return with_grids(Pyramid(PYRAMID[name], shape), 0.2)
    if name in FILM:
        return make_film(FILM[name], shape)
    if name == "siren":
        field = Siren(SirenConfig(width=8, layers=3, omega_first=20, omega_hidden=10), shape)
    elif name.startswith("asmr"):
        layers = int(name[-1])
        field = Asmr(AsmrConfig(*(bases_for(size, layers) for size in shape[:3]), width=8, omega=10), shape)
    else:
        field = CoordX(COORDX[name], shape)
    parameters = field.initial(torch.Generator().manual_seed(3))
    return field, parameters | {key: value * 5 for key, value in parameters.items() if key.startswith("last")}


def make_film(structure, shape):
    """Frames with all, some and no levels; motion of some samples, across the borders too; values that are clipped here and
    there."""
    gop, spacing, prior = structure
    finest = tuple(frame % 4 for frame in range(shape[0]))
    field = Film(FilmConfig(3, prior, gop, spacing, "ycbcr" if shape[3] == 3 else "own", 1, finest), shape)
    random = torch.Generator().manual_seed(3)
    scale = {"grid": 0.15, "motion": 1.5}
    parameters = {
        spec.name: scale[spec.group.partition(".")[0].rstrip("0123456789")] * torch.randn(spec.shape, generator=random)
        for spec in field.specs()
    }
    return field, parameters


def with_grids(field, scale):
    """A field of grids with random parameters: the initial ones hold zeros."""
    random = torch.Generator().manual_seed(3)
    return field, {spec.name: scale * torch.randn(spec.shape, generator=random) for spec in field.specs()}


def cases(*shapes):
    """(name, shape) of all families; a signal of one frame has nothing to split, a pyramid has one frame."""
    names = [*MLPS, *HASHGRID, *PYRAMID, *FILM]
    image_only, video_only = tuple(PYRAMID), ("hashgrid-split-linear", "hashgrid-split-cubic")
    return [
        (name, shape) for name in names for shape in shapes if name not in (video_only if shape[0] == 1 else image_only)
    ]


def random_axis(count, seed):
    """About half of the sample centers, in random order, one of them twice."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[: count // 2 + 1]
    return window(0, count, count)[torch.cat([order, order[:1]])]


def lattices(shape):
    frames, height, width = shape[:3]
    full = Lattice.full(frames, height, width)
    yield "full", full
    yield "random", Lattice(*(random_axis(count, seed) for seed, count in enumerate(shape[:3])))
    yield "enlarged", Lattice(full.t, window(0, height, height, 2 * height + 1), window(0, width, width, 3 * width))
    yield "reduced", Lattice(*(window(0, count, count, max(1, count * 2 // 3)) for count in shape[:3]))
    yield "region", Lattice(full.t, full.y[height // 3 :], full.x[width // 2 :])
    yield "border", Lattice(*(np.array([0.0, 0.31, 1.0]) for _ in range(3)))


def definition(field, parameters, lattice):
    return field.at(parameters, lattice.points()).view(*lattice.shape, field.channels)
