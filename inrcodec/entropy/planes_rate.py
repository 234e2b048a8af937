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

from inrcodec.entropy.rate import laplace_bits
from inrcodec.kernels import native
from inrcodec.kernels.context import context_gradients
from inrcodec.kernels.padding import PaddedPlanes
from inrcodec.passes import (
    BASE_DISTANCE,
    PARENT_OFFSETS,
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
            return _Sweep.apply(
                self.padded, self.order, tiles, next(self._turns), tuple(network), symbols, *network.values()
            )
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
        *weights: Tensor,
    ) -> Tensor:
        network = {name: weight.detach().numpy() for name, weight in zip(names, weights)}
        numbers = symbols.detach().numpy()
        bits, by_symbols, by_network = context_gradients(padded, order, numbers, network, tiles, sample)
        gradients = by_symbols, *(by_network[name] for name in names)
        ctx.save_for_backward(*(torch.from_numpy(one) for one in gradients))
        return symbols.new_tensor(bits)

    @staticmethod
    def backward(ctx, upstream: Tensor):
        return (None, None, None, None, None, *(upstream * saved for saved in ctx.saved_tensors))


def plane_bits(
    planes: tuple[PlaneShape, ...],
    order: Order,
    symbols: Tensor,
    network: dict[str, Tensor],
    tiles: Sequence[np.ndarray] = (),
) -> Tensor:
    """Bits of flat symbols, pass by pass, by plain tensor operations."""
    sizes = [plane.height * plane.width for plane in planes]
    samples = [part.view(plane.height, plane.width) for part, plane in zip(symbols.split(sizes), planes)]
    seen = [part.clamp(-SYMBOL_CLIP, SYMBOL_CLIP) for part in samples]
    total = symbols.new_zeros(())
    for index, (plane, row) in enumerate(zip(planes, bias_rows(planes))):
        own = F.pad(seen[index], (MARGIN,) * 4)
        parent = None if plane.parent is None else F.pad(seen[plane.parent], (1, 1, 1, 1))
        previous = None if plane.previous is None else seen[plane.previous]
        for one in order.passes:
            coded = samples[index][one.first_y :: one.step, one.first_x :: one.step]
            if coded.numel():
                inputs = _inputs(one, order.neighborhoods[one.kind], coded, own, parent, previous)
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
    near = []
    for dy, dx in neighbors.offsets:
        y, x = MARGIN + one.first_y + dy * one.distance, MARGIN + one.first_x + dx * one.distance
        near.append(own[y : y + one.step * (rows - 1) + 1 : one.step, x : x + one.step * (columns - 1) + 1 : one.step])
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


def _log(size: Tensor) -> Tensor:
    return torch.log2(1 + 3 * size)


def _bits(one: Pass, row: int, coded: Tensor, inputs: Tensor, network: dict[str, Tensor]) -> Tensor:
    width = len(network["second"])
    bias = network["kind_bias"][one.kind] + network["plane_bias"][row]
    entry = torch.addmm(bias[:, None], network[f"entry{one.kind}"], inputs)
    hidden = torch.addmm(network["second_bias"][:, None], network["second"], torch.relu(entry[:width]))
    mean, log2_scale = torch.addmm(entry[width:], network["last"], torch.relu(hidden))
    return laplace_bits((coded - mean).abs(), log2_scale)
