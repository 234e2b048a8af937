"""What the weights of a field without grids settle by: distortion + rate_lambda · bits per pixel, on a fixed lattice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from inrcodec.encoder.batches import Batch, Samples, channel_weights, sub_lattices
from inrcodec.encoder.settle import Objective
from inrcodec.encoder.weights import FlatWeights
from inrcodec.fields import Field, Parameters

PIXELS, FRAMES = 1 << 19, 32
"""Of the lattice: all of a picture of half a megapixel."""
BAND_PIXELS = 1 << 17
"""That go forward and backward at a time."""
DERIVED_NUMBERS = 1 << 24
"""Of derivatives that are held at a time."""


class FieldObjective(Objective):
    """steps: of the weights, (N,). error: mean squared error of parameters on a batch. rate: what bits cost, of weights in steps.
    seen: told after each evaluation how many pixels went forward, whether they went backward too, and the
    loss."""

    def __init__(
        self,
        field: Field,
        samples: Samples,
        steps: Tensor,
        error: Callable[[Parameters, Batch], Tensor],
        rate: Callable[[Tensor], Tensor],
        seen: Callable[[int, bool, float], None],
    ) -> None:
        self._field, self._samples, self._steps = field, samples, steps
        self._flat = FlatWeights(field, steps.device)
        self._error, self._rate, self._seen = error, rate, seen
        self._generator = torch.Generator().manual_seed(0)
        self._bands = list(_bands(samples, next(sub_lattices(samples, PIXELS, FRAMES, self._generator))[0]))
        self.pixels = sum(band.pixels for band in self._bands)

    def parameters(self, weights: Tensor) -> Parameters:
        return self._flat.named(weights * self._steps + self._flat.offset)

    @torch.no_grad()
    def loss(self, weights: Tensor) -> float:
        parameters = self.parameters(weights)
        loss = sum(self._share_of_error(parameters, band).item() for band in self._bands) + self._rate(weights).item()
        self._seen(self.pixels, False, loss)
        return loss

    def gradient(self, weights: Tensor) -> tuple[float, Tensor]:
        weights = weights.detach().requires_grad_()
        parts = [self._rate, *(partial(self._share_of_weights, band=band) for band in self._bands)]
        loss = 0.0
        for part in parts:
            value = part(weights)
            value.backward()
            loss += value.item()
        self._seen(self.pixels, True, loss)
        return loss, weights.grad

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

        derive = vmap(jacrev(values), in_dims=(None, 0))
        for part in positions.split(max(1, DERIVED_NUMBERS // (weights.numel() * len(roots)))):
            yield derive(weights, part).flatten(0, 1)


def _bands(samples: Samples, batch: Batch) -> Iterator[Batch]:
    rows = max(1, BAND_PIXELS // (len(batch.frames) * len(batch.columns)))
    return (samples.batch(batch.frames, part, batch.columns) for part in batch.rows.split(rows))
