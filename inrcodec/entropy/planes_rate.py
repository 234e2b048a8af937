"""Differentiable code length of a pyramid's symbols: the counterpart, in floating point, of `entropy.planes`.

`plane_bits` is the definition; on the CPU the compiled sweep of `kernels.context` gives the same value and gradients, many
times faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.entropy.mirroring import whole_network
from inrcodec.entropy.planes_network import SUMMARY
from inrcodec.entropy.rate import laplace_bits
from inrcodec.kernels import native
from inrcodec.kernels.context import context_gradients
from inrcodec.kernels.padding import PaddedPlanes
from inrcodec.passes import (
    BASE_DISTANCE,
    MAX_LEVELS,
    PARENT_OFFSETS,
    SUMMARIES,
    SYMBOL_CLIP,
    Neighborhood,
    Order,
    Pass,
    PlaneShape,
    bias_rows,
    spread,
)

MARGIN = 2 * BASE_DISTANCE


class PlanesRate:
    """Bits of a pyramid's flat symbols (planes in raster order, one after the other), with gradients."""

    def __init__(self, planes: tuple[PlaneShape, ...], order: Order, sampled: bool = True) -> None:
        """sampled: whether large pyramids may take the gradients of matrices from a part of the symbols."""
        self.planes, self.order = planes, order
        self.padded = PaddedPlanes(planes)
        self._turns = native.turns(sum(one.height * one.width for one in planes)) if sampled else repeat(native.ALL)

    def __call__(self, symbols: Tensor, network: dict[str, Tensor], tiles: Sequence[np.ndarray] = ()) -> Tensor:
        """`symbols`: (N,) float32, `network`: float32 tensors as `planes_network` names them, or the halves of a mirrored
        one. A scalar. tiles: of each plane, which are coded (`entropy.tiles`), those of the others being zeros; none: all are."""
        if native.available() and symbols.device.type == "cpu":
            given = self.padded, self.order, tiles, next(self._turns), tuple(network)
            return _Sweep.apply(*given, symbols, *network.values())
        return plane_bits(self.planes, self.order, symbols, whole_network(network, torch.cat), tiles)


class _Sweep(torch.autograd.Function):
    """All gradients come with the value."""

    @staticmethod
    def forward(
        ctx,
        padded: PaddedPlanes,
        order: Order,
        tiles: Sequence[np.ndarray],
        sample: native.Sample,
        names: tuple[str, ...],
        symbols: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        """The network's tensors come by their names."""
        network = {name: one.detach().numpy() for name, one in zip(names, weights)}
        found = context_gradients(padded, order, symbols.detach().numpy(), network, tiles, sample)
        ctx.save_for_backward(*map(torch.from_numpy, (found.symbols, *map(found.network.get, names))))
        return symbols.new_tensor(found.bits)

    @staticmethod
    def backward(ctx, upstream: Tensor):
        return None, None, None, None, None, *(upstream * saved for saved in ctx.saved_tensors)


def _summaries(planes: tuple[PlaneShape, ...], symbols: Tensor, weights: Tensor) -> list[Tensor | None]:
    """Of each plane that has a parent: (summaries, rows and columns of the parent), linear in the symbols of all coarser planes
    of its kind at the place; weights: (roles, summaries · coarser planes, the nearest first)."""
    found: list[Tensor | None] = []
    for row, above in zip(bias_rows(planes), _above(planes, symbols)):
        if above is None:
            found.append(None)
            continue
        linear = weights[row].view(SUMMARIES, -1)[:, : len(above)]
        found.append((linear @ above.flatten(1)).view(SUMMARIES, *above.shape[1:]))
    return found


def _above(planes: tuple[PlaneShape, ...], symbols: Tensor) -> list[Tensor | None]:
    """Of each plane that has a parent: what is at its places in all coarser planes of its kind, the nearest first, (planes, rows
    and columns of the parent)."""
    samples = [part.view(plane.height, plane.width) for part, plane in zip(symbols.split(_sizes(planes)), planes)]
    found: list[Tensor | None] = []
    for plane in planes:
        if plane.parent is None:
            found.append(None)
            continue
        parent = planes[plane.parent]
        seen = samples[plane.parent].clamp(-SYMBOL_CLIP, SYMBOL_CLIP)[None]
        higher = found[plane.parent]
        found.append(seen if higher is None else torch.cat([seen, _enlarged(higher, parent.height, parent.width)]))
    return found


def _enlarged(planes: Tensor, height: int, width: int) -> Tensor:
    """Each sample twice along both axes, the last ones once if so many are left."""
    return planes.repeat_interleave(2, 1)[:, :height].repeat_interleave(2, 2)[:, :, :width]


@dataclass(frozen=True)
class _Part:
    """The symbols of one pass of a plane: the pass, the plane's row of biases, the symbols (rows, columns), which are coded,
    (rows · columns,) bool, or None if all are, and what the network sees of them, (inputs, rows · columns), without summaries."""

    step: Pass
    row: int
    index: int
    symbols: Tensor
    kept: Tensor | None
    inputs: Tensor


def _parts(
    planes: tuple[PlaneShape, ...], order: Order, symbols: Tensor, tiles: Sequence[np.ndarray]
) -> Iterator[_Part]:
    samples = [part.view(plane.height, plane.width) for part, plane in zip(symbols.split(_sizes(planes)), planes)]
    seen = [part.clamp(-SYMBOL_CLIP, SYMBOL_CLIP) for part in samples]
    for index, (plane, row) in enumerate(zip(planes, bias_rows(planes))):
        own = F.pad(seen[index], (MARGIN,) * 4)
        parent = None if plane.parent is None else F.pad(seen[plane.parent], (1, 1, 1, 1))
        previous = None if plane.previous is None else seen[plane.previous]
        for one in order.passes:
            coded = samples[index][one.first_y :: one.step, one.first_x :: one.step]
            if not coded.numel():
                continue
            near = order.neighborhoods[one.kind]
            if order.summaries:
                inputs = torch.stack(_near(one, near, *coded.shape, own)).flatten(1)
            else:
                inputs = _inputs(one, near, coded, own, parent, previous)
            kept = None
            if tiles:
                coded_here = spread(tiles[index], one.first_y, one.first_x, one.step, *coded.shape)
                kept = torch.from_numpy(coded_here.ravel()).to(coded.device)
            yield _Part(one, row, index, coded, kept, inputs)


def plane_bits(
    planes: tuple[PlaneShape, ...],
    order: Order,
    symbols: Tensor,
    network: dict[str, Tensor],
    tiles: Sequence[np.ndarray] = (),
) -> Tensor:
    """Bits of flat symbols, pass by pass, by plain tensor operations."""
    summaries = _summaries(planes, symbols, network[SUMMARY]) if order.summaries else []
    total = symbols.new_zeros(())
    for part in _parts(planes, order, symbols, tiles):
        inputs = part.inputs
        if order.summaries:
            inputs = torch.cat([inputs, _summaries_of(part, summaries[part.index])])
        bits = _bits(part.step, part.row, part.symbols.reshape(-1), inputs, network)
        total = total + (bits if part.kept is None else bits[part.kept]).sum()
    return total


def _summaries_of(part: _Part, summaries: Tensor | None) -> Tensor:
    """(SUMMARIES, rows · columns)"""
    if summaries is None:
        return part.inputs.new_zeros(SUMMARIES, part.symbols.numel())
    return _at_parents(part, summaries).clamp(-SYMBOL_CLIP, SYMBOL_CLIP)


def _at_parents(part: _Part, planes: Tensor) -> Tensor:
    """Of planes as large as the parent, at the place of each symbol: (planes, rows · columns)."""
    step = part.step
    y, x = (
        (first + step.step * torch.arange(n)) // 2 for first, n in zip((step.first_y, step.first_x), part.symbols.shape)
    )
    return planes[:, y][:, :, x].flatten(1)


def _inputs(
    one: Pass, neighbors: Neighborhood, coded: Tensor, own: Tensor, parent: Tensor | None, previous: Tensor | None
) -> Tensor:
    """(inputs, n) of the symbols of a pass; `own` and `parent` are padded."""
    rows, columns = coded.shape
    near = _near(one, neighbors, rows, columns, own)
    nothing = torch.zeros_like(coded)
    near_size = sum((share * part.abs() for share, part in zip(neighbors.shares, near)), nothing)
    nine = [nothing] * len(PARENT_OFFSETS)
    if parent is not None:
        y = (one.first_y + one.step * torch.arange(rows, device=coded.device)) // 2 + 1
        x = (one.first_x + one.step * torch.arange(columns, device=coded.device)) // 2 + 1
        nine = [parent[y + dy][:, x + dx] for dy, dx in PARENT_OFFSETS]
    before = nothing if previous is None else previous[one.first_y :: one.step, one.first_x :: one.step]
    inputs = [*near, _log(near_size), *nine, _log(nine[4].abs()), _log(sum(part.abs() for part in nine) / 9)]
    return torch.stack([*inputs, before, _log(before.abs())]).flatten(1)


def _near(one: Pass, neighbors: Neighborhood, rows: int, columns: int, own: Tensor) -> list[Tensor]:
    """(rows, columns) of each neighbor of the symbols of a pass."""
    near = []
    for dy, dx in neighbors.offsets:
        y, x = MARGIN + one.first_y + dy * one.distance, MARGIN + one.first_x + dx * one.distance
        near.append(own[y : y + one.step * (rows - 1) + 1 : one.step, x : x + one.step * (columns - 1) + 1 : one.step])
    return near


def _sizes(planes: tuple[PlaneShape, ...]) -> list[int]:
    return [plane.height * plane.width for plane in planes]


def _log(size: Tensor) -> Tensor:
    return torch.log2(1 + 3 * size)


def _bits(one: Pass, row: int, coded: Tensor, inputs: Tensor, network: dict[str, Tensor]) -> Tensor:
    width = len(network["second"])
    bias = network["kind_bias"][one.kind] + network["plane_bias"][row]
    entry = torch.addmm(bias[:, None], network[f"entry{one.kind}"], inputs)
    hidden = torch.addmm(network["second_bias"][:, None], network["second"], torch.relu(entry[:width]))
    mean, log2_scale = torch.addmm(entry[width:], network["last"], torch.relu(hidden))
    return laplace_bits((coded - mean).abs(), log2_scale)


# -- symbol by symbol --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Examples:
    """Single symbols, and what a network sees of them: symbols (n,), kinds of pass and rows of biases (n,) int64, inputs
    (n, inputs), without summaries, and what summaries are linear in, (n, coarser planes), zeros where there are no more."""

    symbols: Tensor
    kinds: Tensor
    rows: Tensor
    inputs: Tensor
    above: Tensor

    def __len__(self) -> int:
        return len(self.symbols)

    def each(self) -> tuple[Tensor, ...]:
        """The first arguments of `example_bits`."""
        return self.symbols, self.kinds, self.rows, self.inputs, self.above

    def part(self, index: slice) -> Examples:
        return Examples(*(one[index] for one in self.each()))


def drawn(
    planes: tuple[PlaneShape, ...],
    order: Order,
    symbols: Tensor,
    tiles: Sequence[np.ndarray],
    count: int,
    generator: torch.Generator,
) -> Examples:
    """About `count` of the coded symbols, drawn at random."""
    above = _above(planes, symbols) if order.summaries else [None] * len(planes)
    coded = sum(
        part.symbols.numel() if part.kept is None else int(part.kept.sum())
        for part in _parts(planes, order, symbols, tiles)
    )
    return Examples(
        *map(
            torch.cat,
            zip(
                *(
                    _drawn_of(part, above[part.index], count / max(1, coded), generator).each()
                    for part in _parts(planes, order, symbols, tiles)
                )
            ),
        )
    )


def _drawn_of(part: _Part, above: Tensor | None, share: float, generator: torch.Generator) -> Examples:
    drawn = torch.rand(part.symbols.numel(), generator=generator) < share
    index = (drawn if part.kept is None else drawn & part.kept).nonzero()[:, 0]
    higher = part.inputs.new_zeros(len(index), MAX_LEVELS - 1)
    if above is not None:
        higher[:, : len(above)] = _at_parents(part, above)[:, index].T
    numbers = (torch.full((len(index),), number) for number in (part.step.kind, part.row))
    return Examples(part.symbols.reshape(-1)[index], *numbers, part.inputs[:, index].T, higher)


def example_bits(
    symbol: Tensor,
    kind: Tensor,
    row: Tensor,
    inputs: Tensor,
    above: Tensor,
    entries: Tensor,
    network: dict[str, Tensor],
) -> Tensor:
    """Bits of one of the `Examples`. entries: first layers of all kinds, (kinds, width + 2, inputs); network: as `planes` names
    its tensors."""
    width = len(network["second"])
    if SUMMARY in network:
        linear = network[SUMMARY].view(-1, SUMMARIES, len(above)).index_select(0, row[None])[0]
        inputs = torch.cat([inputs, (linear @ above).clamp(-SYMBOL_CLIP, SYMBOL_CLIP)])
    kind, row = kind[None], row[None]
    entry = entries.index_select(0, kind)[0] @ inputs
    entry = entry + network["kind_bias"].index_select(0, kind)[0] + network["plane_bias"].index_select(0, row)[0]
    hidden = torch.relu(network["second"] @ torch.relu(entry[:width]) + network["second_bias"])
    mean, log2_scale = network["last"] @ hidden + entry[width:]
    return laplace_bits((symbol - mean).abs(), log2_scale)
