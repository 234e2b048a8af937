"""Pyramids of one plane a level: each tensor of the context network has a table and a precision of its own.

What first layers weigh is many times as large as what summaries of coarse levels weigh, and most of those levels do not exist:
with one table for all weights a network took a tenth more bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.bytestream import Wired, digits
from inrcodec.entropy.codings.base import Symbols
from inrcodec.entropy.codings.planes import Planes, clamped
from inrcodec.entropy.planes_network import SUMMARY, WEIGHT_UNIT
from inrcodec.passes import MAX_LEVELS, PlaneShape
from inrcodec.priors import Prior

if TYPE_CHECKING:
    import torch
    from torch import Tensor

GROUPS = (("entry0",), (SUMMARY,), ("second",), ("last",), ("kind_bias", "second_bias"), ("plane_bias",))
"""Tensors that share a table and a precision, in coding order."""
SHIFTS = 5
"""How many there are to choose from."""


@dataclass(frozen=True)
class TensorPrecision(Wired):
    """A coded whole number d of a tensor stands for d · 2^shift in the sum; shifts of GROUPS."""

    shifts: tuple[int, ...] = digits(len(GROUPS), SHIFTS, default=(0,) * len(GROUPS))


class PlanesApart(Planes):
    """A tensor of the network is, in units of 1 / WEIGHT_UNIT,

    prior + d · 2^shift, clamped to its limit.

    Of the summaries, d of each plane that has coarser ones is a tensor of its own, `summary1` and so on by row: (summaries,
    coarser planes, the nearest first); for planes that do not exist there is none. There are no modes.
    """

    Shape = TensorPrecision
    tensors: tuple[tuple[str, ...], ...] = GROUPS

    def __init__(self, shapes: tuple[PlaneShape, ...], prior: Prior) -> None:
        super().__init__(shapes, prior)
        counts: list[int] = []
        for plane in shapes:
            counts.append(0 if plane.parent is None else counts[plane.parent] + 1)
        self._coarser = {f"{SUMMARY}{row}": count for row, count in enumerate(counts)}
        """How many planes are coarser than a plane, by the name of its summaries."""

    def groups(self, shape: TensorPrecision) -> list[dict[str, tuple[int, ...]]]:
        sizes = self._shapes
        summaries = {name: (self.order.summaries, count) for name, count in self._coarser.items() if count}
        return [summaries if SUMMARY in names else {name: sizes[name] for name in names} for names in self.tensors]

    def evenly(self, shape: TensorPrecision, shift: int) -> TensorPrecision:
        return TensorPrecision((shift,) * len(GROUPS))

    def coarser(self, shape: TensorPrecision, by: int) -> TensorPrecision:
        return TensorPrecision(tuple(min(shift + by, SHIFTS - 1) for shift in shape.shifts))

    def moved(self, shape: TensorPrecision) -> Iterator[TensorPrecision]:
        for group, shift in enumerate(shape.shifts):
            for other in (shift + 1, shift - 1):
                if 0 <= other < SHIFTS:
                    yield TensorPrecision((*shape.shifts[:group], other, *shape.shifts[group + 1 :]))

    def _shift(self, name: str, shape: TensorPrecision) -> int:
        tensor = SUMMARY if name in self._coarser else name
        (shift,) = (shift for names, shift in zip(self.tensors, shape.shifts) if tensor in names)
        return shift

    def exact(self, shape: TensorPrecision, network: Symbols) -> dict[str, np.ndarray]:
        differences = {name: value.astype(np.int64) << self._shift(name, shape) for name, value in network.items()}
        summaries = np.zeros((len(self._coarser), self.order.summaries, MAX_LEVELS - 1), np.int64)
        for rows, (name, count) in zip(summaries, self._coarser.items()):
            if count:
                rows[:, :count] = differences[name]
        differences[SUMMARY] = summaries.reshape(len(summaries), -1)
        return {name: clamped(name, self.prior[name] + differences[name]) for name in self._shapes}

    def summing(self, device: torch.device) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
        import torch

        sizes = {name: size for group in self.groups(TensorPrecision()) for name, size in group.items()}
        counts = [math.prod(size) for size in self._shapes.values()]
        prior = torch.cat([torch.from_numpy(self.prior[name].ravel()) for name in self._shapes]) / WEIGHT_UNIT
        prior, none = prior.to(device), torch.zeros(1, device=device)
        source = torch.from_numpy(self._sources(sizes)).to(device)

        def summed(network: dict[str, Tensor]) -> dict[str, Tensor]:
            flat = torch.cat([network[name].reshape(-1) for name in sizes] + [none])
            whole = (prior + flat.index_select(0, source)).split(counts)
            return {name: part.view(size) for (name, size), part in zip(self._shapes.items(), whole)}

        return summed

    def _sources(self, sizes: dict[str, tuple[int, ...]]) -> np.ndarray:
        """Where each number of the network, tensor after tensor, has its difference in the tensors of these sizes, joined too;
        behind them where there is none: (N,) int64."""
        places, end = {}, 0
        for name, size in sizes.items():
            places[name] = end + np.arange(math.prod(size)).reshape(size)
            end += math.prod(size)
        summaries = np.full((len(self._coarser), self.order.summaries, MAX_LEVELS - 1), end)
        for rows, (name, count) in zip(summaries, self._coarser.items()):
            if count:
                rows[:, :count] = places[name]
        places[SUMMARY] = summaries
        return np.concatenate([places[name].ravel() for name in self._shapes])
