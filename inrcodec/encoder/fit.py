"""A field fitted as it is, nothing quantized and no rate: what studies of fields compare. Streams come from `training`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inrcodec.encoder.adam import Adam
from inrcodec.encoder.annealing import SPLIT
from inrcodec.encoder.batches import Batch, Samples, channel_weights
from inrcodec.encoder.importance import next_batch
from inrcodec.encoder.soap import Soap
from inrcodec.errors import InrError, UsageError
from inrcodec.fields import Field, Parameters, TensorSpec

FLOOR = 0.005
"""What is left of the learning rates at the end."""


@dataclass(frozen=True)
class Points:
    """Single samples: positions (N, 3) float64 in the order t, y, x, and their centered values (N, C) float32."""

    positions: Tensor
    values: Tensor

    @property
    def pixels(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Budget:
    """A fit ends at the first of these. seconds: of the processor, which a machine that others use lends and takes back."""

    iterations: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.iterations, self.seconds) if value is not None]
        if not given or min(given) <= 0:
            raise UsageError(f"a budget of {self.iterations} iterations and {self.seconds} s; one above 0 is needed")

    def spent(self, iterations: int, seconds: float) -> float:
        """The share of the budget, from 0 to 1."""
        by_count = iterations / self.iterations if self.iterations else 0.0
        by_time = seconds / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_count, by_time))


@dataclass(frozen=True)
class Fitted:
    """parameters: float32, without gradients. seconds: of the processor."""

    parameters: Parameters
    iterations: int
    seconds: float


Optimizing = Callable[[Sequence[TensorSpec], Parameters], Adam]


def by_adam(specs: Sequence[TensorSpec], parameters: Parameters) -> Adam:
    """Every tensor at its own rate."""
    optimizer = Adam()
    for spec in specs:
        optimizer.add([parameters[spec.name]], spec.rate, FLOOR)
    return optimizer


def by_soap(specs: Sequence[TensorSpec], parameters: Parameters) -> Soap:
    """Matrices in bases of their own, as the codec trains CoordX, but for the decay that its longer fits need."""
    optimizer = Soap(SPLIT.weights_memory)
    for spec in specs:
        optimizer.add_rotated(parameters[spec.name], SPLIT.weights_haste * spec.rate, FLOOR)
    return optimizer


def fit(
    field: Field,
    samples: Samples,
    batches: Iterator[Sequence[Batch | Points]],
    budget: Budget,
    generator: torch.Generator,
    optimizing: Optimizing = by_adam,
) -> Fitted:
    """Minimizes the mean squared error from the field's initial parameters, with a cosine schedule of the learning rates.

    batches: what each iteration looks at. optimizing: makes the optimizer of all tensors. Raises InrError if the error is no
    number any more.
    """
    values = {name: value.to(samples.planar.device) for name, value in field.initial(generator).items()}
    parameters = {name: value.requires_grad_() for name, value in values.items()}
    optimizer = optimizing(field.specs(), parameters)
    began, iterations, share = time.process_time(), 0, 0.0
    while share < 1:
        optimizer.zero_grad()
        error = _iterate(field, parameters, samples, next_batch(batches, field, parameters))
        if not error < float("inf"):
            raise InrError(f"the fit diverged at iteration {iterations}: squared error {error}")
        optimizer.step(share)
        iterations += 1
        seconds = time.process_time() - began
        share = budget.spent(iterations, seconds)
    return Fitted({name: value.detach() for name, value in parameters.items()}, iterations, seconds)


def _iterate(field: Field, parameters: Parameters, samples: Samples, parts: Sequence[Batch | Points]) -> float:
    """Gradients of the mean squared error of all parts, one part's activations at a time; the error."""
    weights = channel_weights(samples.info).to(samples.planar.device)
    pixels, total = sum(part.pixels for part in parts), 0.0
    for part in parts:
        error = (_squared_errors(field, parameters, samples, part) * weights).sum() / pixels
        error.backward()
        total += error.item()
    return total


def _squared_errors(field: Field, parameters: Parameters, samples: Samples, part: Batch | Points) -> Tensor:
    if isinstance(part, Points):
        return (field.at(parameters, part.positions) - part.values).square().sum(0)
    return field.squared_errors(parameters, part.lattice, lambda index: samples.frame(part, index), part.importance)


def random_points(samples: Samples, pixels: int, generator: torch.Generator) -> Iterator[list[Points]]:
    """Every iteration sees `pixels` samples, each drawn for itself from all of them."""
    sizes = torch.tensor(samples.shape[:3], dtype=torch.float64)
    while True:
        index = [torch.randint(size, (pixels,), generator=generator) for size in samples.shape[:3]]
        t, y, x = (axis.to(samples.planar.device) for axis in index)
        values = samples.planar[t, :, y, x].float() * (1 / samples.info.peak) - 0.5
        yield [Points((torch.stack(index, 1) + 0.5) / sizes, values)]
