"""Sub-lattices whose rows and columns lie where the errors are.

Samples of a sub-lattice share rows and columns, so what a gradient scatters by is above all which of them were drawn. Drawn in
proportion to the root of their errors, and weighed by one over that, they give the same mean with a third of the variance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.encoder.batches import Batch, Samples, lattice_sizes, stratified
from inrcodec.fields import Field, Parameters

LOOK = 100
"""Iterations between two looks at where the errors are, which take about as long as two of them."""
EVEN = 0.2
"""Share of rows and columns that is drawn evenly: errors that have grown since the last look are not missed, and no weight is
larger than one over it."""
LOOKED_AT = 8
"""Errors of rows are found on every so many columns, and the other way round."""
SMOOTHED = 7
"""Rows, or columns, whose errors are averaged."""


class ImportantLattices(Iterator):
    """Batches like those of `sub_lattices`, drawn alike until `observe` says where the errors are."""

    def __init__(self, samples: Samples, pixels: int, frames: int, generator: torch.Generator, whole: int = 1) -> None:
        self.samples, self.generator, self.iteration = samples, generator, 0
        self.frames, *self.sizes = lattice_sizes(samples.shape, pixels, frames, whole)
        self.shares = [torch.full((size,), 1 / size) for size in samples.shape[1:3]]
        """Probabilities of rows and of columns."""

    def __next__(self) -> list[Batch]:
        rows, columns = (drawn(*pair, self.generator) for pair in zip(self.shares, self.sizes))
        weights = (1 / (len(share) * share[index]) for share, index in zip(self.shares, (rows, columns)))
        importance = tuple(one.to(self.samples.planar.device) for one in weights)
        return [self.samples.batch(self._frames(), rows, columns, importance)]

    def look(self, field: Field, parameters: Parameters) -> None:
        """Before each iteration: now and then, where the errors of these parameters are."""
        self.iteration += 1
        if self.iteration % LOOK == 0:
            self.observe(partial(_errors_at, field, parameters, self.samples))

    def observe(self, errors_at: Callable[[Batch], Tensor]) -> None:
        """errors_at: squared errors at the points of a batch, (h, w)."""
        _, height, width, _ = self.samples.shape
        frames = self._frames()
        for axis, strides in enumerate(((1, LOOKED_AT), (LOOKED_AT, 1))):
            if self.sizes[axis] >= len(self.shares[axis]):
                continue
            indices = (torch.arange(stride // 2, size, stride) for size, stride in zip((height, width), strides))
            self.shares[axis] = _share(errors_at(self.samples.batch(frames, *indices)).mean(1 - axis).cpu())

    def _frames(self) -> Tensor:
        return stratified(self.samples.shape[0], self.frames, self.generator)


def next_batch(batches: Iterator[list[Batch]], field: Field, parameters: Parameters) -> list[Batch]:
    """What is trained on next; lattices that lie where the errors are look where those of these parameters are."""
    if isinstance(batches, ImportantLattices):
        batches.look(field, parameters)
    return next(batches)


def drawn(share: Tensor, wanted: int, generator: torch.Generator) -> Tensor:
    """`wanted` ascending indices with these probabilities (N,), one from each of as many equal parts of their sum: (wanted,)
    int64. One that is likelier than a part may be drawn more than once; all are, once each, if as many are wanted."""
    if wanted >= len(share):
        return torch.arange(len(share))
    places = (torch.arange(wanted) + torch.rand(wanted, generator=generator, dtype=torch.float64)) / wanted
    sums = share.double().cumsum(0)
    return torch.searchsorted(sums / sums[-1], places).clamp(max=len(share) - 1)


@torch.no_grad()
def _errors_at(field: Field, parameters: Parameters, samples: Samples, batch: Batch) -> Tensor:
    """Squared errors at the points of a batch, the mean over its frames and the sum over channels: (h, w)."""
    plan = field.plan(parameters, batch.lattice)
    frames = range(len(batch.frames))
    return sum((plan.frame(index) - samples.frame(batch, index)).square().sum(2) for index in frames) / len(frames)


def _share(errors: Tensor) -> Tensor:
    """Probabilities by the errors of rows, or of columns, (N,)."""
    padded = F.pad(errors[None, None], (SMOOTHED // 2, SMOOTHED // 2), mode="replicate")
    roots = F.avg_pool1d(padded, SMOOTHED, 1)[0, 0].sqrt().clamp_min(1e-12)
    return (1 - EVEN) * roots / roots.sum() + EVEN / len(roots)
