"""The two kinds of rows: a field's evaluation, and a field's fit to some material."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial

import torch

from inrcodec.encoder.adam import Adam
from inrcodec.encoder.batches import Samples, aligned_patches, sub_lattices, whole_frames
from inrcodec.encoder.fit import Budget, Optimizing, by_adam, by_soap, random_points
from inrcodec.encoder.importance import ImportantLattices
from inrcodec.evaluation.reproduction.material import Material
from inrcodec.evaluation.reproduction.measure import fit_result, inference_result
from inrcodec.evaluation.reproduction.study import Row
from inrcodec.fields import Field, Parameters, TensorSpec

BATCH_PIXELS, BATCH_FRAMES = 1 << 14, 4
PARTS = 4
"""Lattices of an iteration that looks at several: samples of one lattice share rows and columns, those of four fewer."""
GROWTH = (1 << 11, 1 << 16, 200)
"""A growing lattice: its first and last pixels, and iterations until they double."""
TABLE_RATE = 1e-2
"""Learning rate of tables, Instant-NGP's. The field's own, a third of it, is for tables that are rounded: with this one the codec
loses 3 to 9 % of its loss."""


def inference_row(study: str, field: Field, **labels) -> Row:
    """labels: what the table calls the row."""
    settings = {**labels, "shape": list(field.shape), **described(field)}
    return Row(study, settings, lambda: inference_result(field))


def fit_row(
    study: str,
    material: Material,
    field: Field,
    budget: Budget,
    sampling: str = "lattice",
    pixels: int = BATCH_PIXELS,
    optimizer: str = "adam",
    **labels,
) -> Row:
    """sampling: a key of SAMPLINGS. pixels: of an iteration, where the sampling does not say. optimizer: a key of OPTIMIZERS."""
    settings = {**labels, "material": material.name, **described(field), **asdict(budget)}
    settings |= {"sampling": sampling, "pixels": pixels, "optimizer": optimizer}
    batches = partial(SAMPLINGS[sampling], field, material.samples, pixels)
    return Row(study, settings, lambda: fit_result(field, material.samples, batches, budget, OPTIMIZERS[optimizer]))


def described(field: Field) -> dict:
    """Family and configuration, as JSON has them."""
    config = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(field.config).items()}
    return {"family": field.family, "config": config}


def _lattice(field: Field, samples: Samples, pixels: int, generator: torch.Generator) -> Iterator:
    return sub_lattices(samples, pixels, BATCH_FRAMES, generator)


def _important(field: Field, samples: Samples, pixels: int, generator: torch.Generator) -> Iterator:
    return ImportantLattices(samples, pixels, BATCH_FRAMES, generator)


def _lattices(field: Field, samples: Samples, pixels: int, generator: torch.Generator) -> Iterator:
    """Several small lattices of together as many samples."""
    single = sub_lattices(samples, pixels // PARTS, BATCH_FRAMES, generator)
    while True:
        yield [next(single)[0] for _ in range(PARTS)]


def _growing(field: Field, samples: Samples, pixels: int, generator: torch.Generator) -> Iterator:
    first, last, iterations = GROWTH
    size = first
    while True:
        batches = sub_lattices(samples, min(size, last), BATCH_FRAMES, generator)
        for _ in range(iterations):
            yield next(batches)
        size *= 2


def _points(field: Field, samples: Samples, pixels: int, generator: torch.Generator) -> Iterator:
    return random_points(samples, pixels, generator)


def _patches(field: Field, samples: Samples, pixels: int, generator: torch.Generator) -> Iterator:
    return aligned_patches(samples, field.patch, pixels, BATCH_FRAMES, generator)


def _whole(field: Field, samples: Samples, pixels: int, generator: torch.Generator) -> Iterator:
    return whole_frames(samples)


SAMPLINGS: dict[str, Callable[[Field, Samples, int, torch.Generator], Iterator]] = {
    "lattice": _lattice,
    "important lattice": _important,
    "four lattices": _lattices,
    "growing lattice": _growing,
    "points": _points,
    "patches": _patches,
    "whole": _whole,
}


def _quick_tables(specs: Sequence[TensorSpec], parameters: Parameters) -> Adam:
    return by_adam(
        [replace(spec, rate=TABLE_RATE) if spec.name.startswith("grid") else spec for spec in specs], parameters
    )


OPTIMIZERS: dict[str, Optimizing] = {"adam": by_adam, "adam, quick tables": _quick_tables, "soap": by_soap}
