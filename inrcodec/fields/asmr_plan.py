"""ASMR on a lattice: activations kept per level, and the last layer as one matrix product.

The last layer is the dear one, a sine for every pixel and feature. Where its digits are the same under every prefix, as
they are on a whole frame, the addition theorem takes it apart:

    V sin(u + v) = [V cos v, V sin v] [sin u; cos u]

with u from the prefix and v from the last digits: one matrix product yields all pixels under a prefix, and sines are
left only per prefix. It doubles the multiply–accumulates of V, and they are counted so; on one core, a field of 4
layers of 256 took 0.07 s instead of 1.3 s for 768x512 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from inrcodec.fields.base import Parameters, Plan
from inrcodec.fields.radix import Prefixes
from inrcodec.fields.sine import TILE, row_tiles, sine
from inrcodec.lattice import Lattice

if TYPE_CHECKING:
    from inrcodec.fields.asmr import Asmr

MAX_BLOCK = 1 << 10
"""Pixels under one prefix for which the last layer is one matrix product: bounds the size of that matrix."""
MAX_WASTE = 16
"""Pixels computed per pixel wanted up to which that product is faster than a sine per pixel and feature."""


class AsmrPlan(Plan):
    """Keeps the modulations of every level and, per level, the products of its matrix with the activations above.

    A product is replaced when the time digits it stands for change; a frame recomputes from the first level where they
    do.
    """

    def __init__(self, field: Asmr, parameters: Parameters, lattice: Lattice, prefixes: list[Prefixes]) -> None:
        self.field, self.parameters, self.lattice, self.prefixes = field, parameters, lattice, prefixes
        self.device = parameters["last.weight"].device
        self.shifts = [
            [
                field.modulation(parameters, level, axis, prefixes[axis].digit[level].to(self.device))
                for axis in range(3)
            ]
            for level in range(field.levels)
        ]
        self.parents = [[axis.parent[level].to(self.device) for axis in prefixes] for level in range(field.levels)]
        self.places = [axis.path[-1].to(self.device) for axis in prefixes]
        self.kept: dict[int, tuple[int, Tensor]] = {}
        self.block = _Block(self) if _Block.pays(prefixes) else None

    def frame(self, index: int) -> Tensor:
        product = self._in_time(self.field.levels - 1, index)
        cells = self.block.cells(product) if self.block else self._cells(product)
        places = (self.block.rows, self.block.columns) if self.block else self.places[1:]
        for axis, place in enumerate(places):
            cells = _select(cells, axis, place)
        return cells

    def _in_time(self, level: int, index: int) -> Tensor:
        """The products above `level` with the modulation by the time digit of a frame: (width, rows, columns)."""
        place = int(self.prefixes[0].path[level][index])
        return self._product(level, index) + self.shifts[level][0][:, place, None, None]

    def _product(self, level: int, index: int) -> Tensor:
        """W h + b of the prefixes above `level`, at a frame: (width, rows, columns); level 0 has just the bias."""
        bias = self.parameters[f"layer{level}.bias"]
        if level == 0:
            return bias[:, None, None]
        time = int(self.prefixes[0].path[level - 1][index])
        if level not in self.kept or self.kept[level][0] != time:
            self.kept.pop(level, None)  # not two at a time
            hidden = self._spread(level - 1, self._in_time(level - 1, index))
            product = torch.addmm(bias[:, None], self.parameters[f"layer{level}.weight"], hidden.flatten(1))
            self.kept[level] = time, product.view_as(hidden)
        return self.kept[level][1]

    def _spread(self, level: int, product: Tensor, rows: slice = slice(None)) -> Tensor:
        """Activations of a level from the products above it, for some of its rows: (width, rows, columns)."""
        (_, row_shift, column_shift), (_, row_parent, column_parent) = self.shifts[level], self.parents[level]
        product = product.index_select(1, row_parent[rows]) + row_shift[:, rows, None]
        product = product.index_select(2, column_parent) + column_shift[:, None, :]
        return sine(product.mul(self.field.config.omega))

    def _cells(self, product: Tensor) -> Tensor:
        """Values at the prefixes of the last level, a sine per pixel and feature: (rows, columns, C)."""
        weight, bias = self.parameters["last.weight"], self.parameters["last.bias"]
        height, width = (axis.counts[-1] for axis in self.prefixes[1:])
        tiles = []
        for start, stop in row_tiles(height, width):
            hidden = self._spread(self.field.levels - 1, product, slice(start, stop))
            tiles.append(torch.addmm(bias[:, None], weight, hidden.flatten(1)))
        return torch.cat(tiles, dim=1).view(-1, height, width).permute(1, 2, 0)

    @property
    def kept_bytes(self) -> int:
        return self.field.needed_bytes(self.prefixes)

    @property
    def macs_per_pixel(self) -> float:
        """Products with the matrices between layers, shared ones spread over all frames, and the last layer's.

        Not counted: modulations, which are made once per plan, and elementwise additions.
        """
        frames, height, width = self.lattice.shape
        per_sequence = 0
        for level in range(1, self.field.levels):
            prefixes = math.prod(axis.counts[level - 1] for axis in self.prefixes)
            per_sequence += self.field.config.width**2 * prefixes
        last = self.field.config.width * self.field.channels
        pixels = 2 * self.block.pixels if self.block else math.prod(axis.counts[-1] for axis in self.prefixes[1:])
        return per_sequence / (frames * height * width) + last * pixels / (height * width)


class _Block:
    """The last layer as one matrix product: all pixels under a prefix of the last but one level."""

    def __init__(self, plan: AsmrPlan) -> None:
        self.omega = plan.field.config.omega
        y, x = plan.prefixes[1:]
        (self.above_y, digits_y, rows), (self.above_x, digits_x, columns) = _digit_table(y), _digit_table(x)
        self.rows, self.columns = rows.to(plan.device), columns.to(plan.device)
        self.size = len(digits_y), len(digits_x)
        last = plan.field.levels - 1
        shift_y = plan.field.modulation(plan.parameters, last, 1, digits_y.to(plan.device))
        shift_x = plan.field.modulation(plan.parameters, last, 2, digits_x.to(plan.device))
        phases = self.omega * (shift_y[:, :, None] + shift_x[:, None, :]).flatten(1).T[:, None, :]
        value = plan.parameters["last.weight"][None]
        self.matrix = torch.cat([value * phases.cos(), value * phases.sin()], dim=2).flatten(0, 1)  # (Dy Dx C, 2 width)
        self.bias = plan.parameters["last.bias"].repeat(math.prod(self.size))[:, None]

    @staticmethod
    def pays(prefixes: list[Prefixes]) -> bool:
        """Whether few enough pixels are computed that the lattice does not ask for."""
        tables = [_digit_table(axis) for axis in prefixes[1:]]
        block = math.prod(len(table[1]) for table in tables)
        wanted = math.prod(axis.counts[-1] for axis in prefixes[1:])
        return block <= MAX_BLOCK and block * math.prod(table[0] for table in tables) <= MAX_WASTE * wanted

    @property
    def pixels(self) -> int:
        """That are computed."""
        return self.above_y * self.above_x * math.prod(self.size)

    def cells(self, product: Tensor) -> Tensor:
        """(width, prefixes of y, of x) → (prefixes of y * digits, prefixes of x * digits, C)."""
        tiles = []
        for tile in (product * self.omega).flatten(1).split(max(1, TILE // math.prod(self.size)), dim=1):
            tiles.append(torch.addmm(self.bias, self.matrix, torch.cat([tile.sin(), tile.cos()])))
        values = torch.cat(tiles, dim=1).view(*self.size, -1, self.above_y, self.above_x)
        height, width = self.above_y * self.size[0], self.above_x * self.size[1]
        return values.permute(3, 0, 4, 1, 2).reshape(height, width, -1)


def _digit_table(axis: Prefixes) -> tuple[int, Tensor, Tensor]:
    """Prefixes above the last level, the distinct last digits, and of each position its prefix * digits + digit."""
    distinct, which = torch.unique(axis.digit[-1], return_inverse=True)
    above = axis.counts[-2] if len(axis.counts) > 1 else 1
    return above, distinct, (axis.parent[-1] * len(distinct) + which)[axis.path[-1]]


def _select(cells: Tensor, axis: int, place: Tensor) -> Tensor:
    """Rows or columns of `cells`; a view where they are the leading ones in order."""
    if torch.equal(place, torch.arange(len(place), device=place.device)):
        return cells.narrow(axis, 0, len(place))
    return cells.index_select(axis, place)


class BandedPlan(Plan):
    """A plan that would keep too much: bands of rows, made anew for each frame."""

    def __init__(self, field: Asmr, parameters: Parameters, lattice: Lattice, rows: int) -> None:
        self.field, self.parameters, self.lattice = field, parameters, lattice
        height = len(lattice.y)
        self.bands = [lattice.rows(start, min(start + rows, height)) for start in range(0, height, rows)]

    def _plans(self, index: int) -> Iterator[AsmrPlan]:
        for band in self.bands:
            band = Lattice(band.t[index : index + 1], band.y, band.x)
            yield AsmrPlan(self.field, self.parameters, band, self.field.prefixes(band))

    def frame(self, index: int) -> Tensor:
        return torch.cat([plan.frame(0) for plan in self._plans(index)])

    @property
    def kept_bytes(self) -> int:
        return 0

    @property
    def macs_per_pixel(self) -> float:
        height = len(self.lattice.y)
        return sum(plan.macs_per_pixel * len(plan.lattice.y) for plan in self._plans(0)) / height
