"""Pyramids of one plane a level: each tensor of the context network has a table and a precision of its own.

What first layers weigh is many times as large as what summaries of coarse levels weigh, and most of those levels do not exist:
with one table for all weights a network took a tenth more bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.bytestream import Wired, digits
from inrcodec.entropy import planes
from inrcodec.entropy.codings.base import Symbols
from inrcodec.entropy.codings.planes import Planes, clamped
from inrcodec.passes import MAX_LEVELS, PlaneShape
from inrcodec.priors import Prior

if TYPE_CHECKING:
    import torch
    from torch import Tensor

GROUPS = (("entry0",), (planes.SUMMARY,), ("second",), ("last",), ("kind_bias", "second_bias"), ("plane_bias",))
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
        self._coarser = {f"{planes.SUMMARY}{row}": count for row, count in enumerate(counts)}
        """How many planes are coarser than a plane, by the name of its summaries."""

    def groups(self, shape: TensorPrecision) -> list[dict[str, tuple[int, ...]]]:
        sizes = self._shapes
        summaries = {name: (self.order.summaries, count) for name, count in self._coarser.items() if count}
        return [
            summaries if planes.SUMMARY in names else {name: sizes[name] for name in names} for names in self.tensors
        ]

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
        tensor = planes.SUMMARY if name in self._coarser else name
        (shift,) = (shift for names, shift in zip(self.tensors, shape.shifts) if tensor in names)
        return shift

    def exact(self, shape: TensorPrecision, network: Symbols) -> dict[str, np.ndarray]:
        differences = {name: value.astype(np.int64) << self._shift(name, shape) for name, value in network.items()}
        summaries = np.zeros((len(self._coarser), self.order.summaries, MAX_LEVELS - 1), np.int64)
        for rows, (name, count) in zip(summaries, self._coarser.items()):
            if count:
                rows[:, :count] = differences[name]
        differences[planes.SUMMARY] = summaries.reshape(len(summaries), -1)
        return {name: clamped(name, self.prior[name] + differences[name]) for name in self._shapes}

    def summing(self, device: torch.device) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
        import torch
        from torch.nn.functional import pad

        prior = {name: torch.from_numpy(self.prior[name]).to(device) / planes.WEIGHT_UNIT for name in self._shapes}
        none = torch.zeros(self.order.summaries, 0, device=device)

        def summed(network: dict[str, Tensor]) -> dict[str, Tensor]:
            rows = (network.get(name, none) for name in self._coarser)
            summaries = torch.stack([pad(row, (0, MAX_LEVELS - 1 - row.shape[1])).flatten() for row in rows])
            differences = network | {planes.SUMMARY: summaries}
            return {name: value + differences[name] for name, value in prior.items()}

        return summed
