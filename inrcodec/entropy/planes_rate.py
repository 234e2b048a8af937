"""Differentiable code length of a pyramid's symbols: the counterpart, in floating point, of `entropy.planes`.

`plane_bits` is the definition; on the CPU the compiled sweep of `kernels.context` gives the same value and gradients, many
times faster.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.entropy.planes import SUMMARY
from inrcodec.entropy.rate import laplace_bits
from inrcodec.kernels import native
from inrcodec.kernels.context import context_gradients
from inrcodec.kernels.padding import PaddedPlanes
from inrcodec.passes import (
    BASE_DISTANCE,
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

    def __init__(self, planes: tuple[PlaneShape, ...], order: Order) -> None:
        self.planes, self.order = planes, order
        self.padded = PaddedPlanes(planes)
        self._turns = native.turns(sum(one.height * one.width for one in planes))

    def __call__(self, symbols: Tensor, network: dict[str, Tensor], tiles: Sequence[np.ndarray] = ()) -> Tensor:
        """`symbols`: (N,) float32, `network`: float32 tensors as `entropy.planes` names them. A scalar. tiles: of each plane,
        which are coded (`entropy.tiles`), those of the others being zeros; none: all are."""
        if native.available() and symbols.device.type == "cpu":
            given = self.padded, self.order, tiles, next(self._turns), tuple(network)
            summaries = _summaries(self.planes, symbols, network[SUMMARY]) if self.order.summaries else []
            return _Sweep.apply(*given, symbols, *network.values(), *summaries)
        return plane_bits(self.planes, self.order, symbols, network, tiles)


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
        *weights_and_summaries: Tensor | None,
    ) -> Tensor:
        """First the network's tensors by their names, then summaries."""
        arrays = [None if one is None else one.detach().numpy() for one in weights_and_summaries]
        network = {name: one for name, one in zip(names, arrays) if name != SUMMARY}
        given = padded, order, symbols.detach().numpy(), network, tiles, sample, arrays[len(names) :]
        found = context_gradients(*given)
        gradients = found.symbols, *map(found.network.get, names), *found.summaries
        ctx.save_for_backward(*(None if one is None else torch.from_numpy(one) for one in gradients))
        return symbols.new_tensor(found.bits)

    @staticmethod
    def backward(ctx, upstream: Tensor):
        gradients = (None if saved is None else upstream * saved for saved in ctx.saved_tensors)
        return None, None, None, None, None, *gradients


def _summaries(planes: tuple[PlaneShape, ...], symbols: Tensor, weights: Tensor) -> list[Tensor | None]:
    """Of each plane that has a parent: (summaries, rows and columns of the parent), linear in the symbols of all coarser planes
    of its kind at the place; weights: (roles, summaries · coarser planes, the nearest first)."""
    samples = [part.view(plane.height, plane.width) for part, plane in zip(symbols.split(_sizes(planes)), planes)]
    above: list[Tensor] = []
    found: list[Tensor | None] = []
    for index, (plane, row) in enumerate(zip(planes, bias_rows(planes))):
        if plane.parent is None:
            above.append(samples[index].new_zeros(0, plane.height, plane.width))
            found.append(None)
            continue
        parent = planes[plane.parent]
        seen = samples[plane.parent].clamp(-SYMBOL_CLIP, SYMBOL_CLIP)[None]
        above.append(torch.cat([seen, _enlarged(above[plane.parent], parent.height, parent.width)]))
        linear = weights[row].view(SUMMARIES, -1)[:, : len(above[index])]
        found.append((linear @ above[index].flatten(1)).view(SUMMARIES, parent.height, parent.width))
    return found


def _enlarged(planes: Tensor, height: int, width: int) -> Tensor:
    """Each sample twice along both axes, the last ones once if so many are left."""
    return planes.repeat_interleave(2, 1)[:, :height].repeat_interleave(2, 2)[:, :, :width]


def plane_bits(
    planes: tuple[PlaneShape, ...],
    order: Order,
    symbols: Tensor,
    network: dict[str, Tensor],
    tiles: Sequence[np.ndarray] = (),
) -> Tensor:
    """Bits of flat symbols, pass by pass, by plain tensor operations."""
    samples = [part.view(plane.height, plane.width) for part, plane in zip(symbols.split(_sizes(planes)), planes)]
    seen = [part.clamp(-SYMBOL_CLIP, SYMBOL_CLIP) for part in samples]
    summaries = _summaries(planes, symbols, network[SUMMARY]) if order.summaries else [None] * len(planes)
    total = symbols.new_zeros(())
    for index, (plane, row) in enumerate(zip(planes, bias_rows(planes))):
        own = F.pad(seen[index], (MARGIN,) * 4)
        parent = None if plane.parent is None else F.pad(seen[plane.parent], (1, 1, 1, 1))
        previous = None if plane.previous is None else seen[plane.previous]
        for one in order.passes:
            coded = samples[index][one.first_y :: one.step, one.first_x :: one.step]
            if coded.numel():
                near = order.neighborhoods[one.kind]
                if order.summaries:
                    inputs = _summarized_inputs(one, near, coded, own, summaries[index])
                else:
                    inputs = _inputs(one, near, coded, own, parent, previous)
                bits = _bits(one, row, coded.reshape(-1), inputs, network)
                if tiles:
                    kept = spread(tiles[index], one.first_y, one.first_x, one.step, *coded.shape)
                    bits = bits[torch.from_numpy(kept.ravel()).to(bits.device)]
                total = total + bits.sum()
    return total


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


def _summarized_inputs(
    one: Pass, neighbors: Neighborhood, coded: Tensor, own: Tensor, summaries: Tensor | None
) -> Tensor:
    """The same where symbols see summaries, (summaries, rows and columns of the parent)."""
    rows, columns = coded.shape
    near = torch.stack(_near(one, neighbors, rows, columns, own)).flatten(1)
    if summaries is None:
        return torch.cat([near, near.new_zeros(neighbors.others, near.shape[1])])
    y, x = (
        (first + one.step * torch.arange(size)) // 2 for first, size in ((one.first_y, rows), (one.first_x, columns))
    )
    return torch.cat([near, summaries[:, y][:, :, x].clamp(-SYMBOL_CLIP, SYMBOL_CLIP).flatten(1)])


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
