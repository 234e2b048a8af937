"""What the weights of a field without grids settle by: distortion + rate_lambda · bits per pixel, on a fixed lattice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.func import vmap

from inrcodec.encoder.batches import Batch, Samples, channel_weights, sub_lattices
from inrcodec.encoder.settle import Objective
from inrcodec.encoder.weights import FlatWeights
from inrcodec.fields import Field, Parameters
from inrcodec.segment import weight_groups

PIXELS, FRAMES = 1 << 18, 32
"""Of a lattice."""
BAND_PIXELS = 1 << 17
"""That go forward and backward at a time."""
DERIVED_NUMBERS = 1 << 25
"""Of derivatives that are held at a time."""


@dataclass(frozen=True)
class Look:
    """An evaluation: pixels that went forward, whether they went backward too, and what was found. The loss is error + rate."""

    pixels: int
    backward: bool
    error: float
    rate: float


class FieldObjective(Objective):
    """steps: of the weights, (N,). error: mean squared error of parameters on a batch. rate: what the bits of weights in steps
    cost per pixel. seen: told of each evaluation."""

    def __init__(
        self,
        field: Field,
        samples: Samples,
        steps: Tensor,
        error: Callable[[Parameters, Batch], Tensor],
        rate: Callable[[Tensor], Tensor],
        seen: Callable[[Look], None],
    ) -> None:
        self._field, self._samples, self._steps = field, samples, steps
        self._flat = FlatWeights(weight_groups(field), steps.device)
        self._error, self._rate, self._seen = error, rate, seen
        self._generator = torch.Generator().manual_seed(0)
        self._lattices = sub_lattices(samples, PIXELS, FRAMES, self._generator)
        self.renew()

    def renew(self) -> None:
        lattice = next(self._lattices)[0]
        self._bands = list(_bands(self._samples, lattice))
        self.pixels = lattice.pixels

    def parameters(self, weights: Tensor) -> Parameters:
        return self._flat.views(weights * self._steps + self._flat.offset)

    @torch.no_grad()
    def loss(self, weights: Tensor) -> float:
        parameters = self.parameters(weights)
        error = sum(self._share_of_error(parameters, band).item() for band in self._bands)
        return self._told(False, error, self._rate(weights).item())

    def gradient(self, weights: Tensor) -> tuple[float, Tensor]:
        weights = weights.detach().requires_grad_()
        found = []
        for part in (self._rate, *(partial(self._share_of_weights, band=band) for band in self._bands)):
            value = part(weights)
            value.backward()
            found.append(value.item())
        return self._told(True, sum(found[1:]), found[0]), weights.grad

    def _told(self, backward: bool, error: float, rate: float) -> float:
        self._seen(Look(self.pixels, backward, error, rate))
        return error + rate

    def _share_of_weights(self, weights: Tensor, band: Batch) -> Tensor:
        return self._share_of_error(self.parameters(weights), band)

    def _share_of_error(self, parameters: Parameters, band: Batch) -> Tensor:
        return self._error(parameters, band) * (band.pixels / self.pixels)

    def derivatives(self, weights: Tensor, points: int) -> Iterator[Tensor]:
        sizes = self._samples.shape[:3]
        index = [torch.randint(size, (points,), generator=self._generator) for size in sizes]
        positions = (torch.stack(index, 1) + 0.5) / torch.tensor(sizes, dtype=torch.float64)
        roots = channel_weights(self._samples.info).sqrt().to(weights.device)

        def values(weights: Tensor, position: Tensor) -> Tensor:
            return self._field.at(self.parameters(weights), position[None])[0] * roots

        for part in positions.split(max(1, DERIVED_NUMBERS // (weights.numel() * len(roots)))):
            each = weights.detach().expand(len(part), -1).clone().requires_grad_()  # its own weights at each point
            found = vmap(values)(each, part)
            totals = found.sum(0).unbind()
            yield torch.cat([torch.autograd.grad(total, each, retain_graph=True)[0] for total in totals])


def _bands(samples: Samples, batch: Batch) -> Iterator[Batch]:
    rows = max(1, BAND_PIXELS // (len(batch.frames) * len(batch.columns)))
    return (samples.batch(batch.frames, part, batch.columns) for part in batch.rows.split(rows))
