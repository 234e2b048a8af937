"""ASMR (arXiv 2405.12398), its claims measured again; docs/reproduction.md has the tables.

    python scripts/reproduce_asmr.py --gray camera.png --picture kodim23.png --videos carphone.mp4 -o asmr.jsonl
    python scripts/reproduce_asmr.py --gray camera.png --studies depth --seconds 60 -o asmr.jsonl

Rows that OUT.jsonl has are not measured again. Everything runs on one thread, one row after the other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from inrcodec.evaluation.reproduction import Material, Row, fit_row, inference_row, picture, video
from inrcodec.evaluation.reproduction.command import budgets, make_parser, run
from inrcodec.fields import Field, Parameters, TensorSpec
from inrcodec.fields.asmr import Asmr, AsmrConfig
from inrcodec.fields.hashgrid import HashGrid, HashGridConfig
from inrcodec.fields.radix import bases_for, patch_bases
from inrcodec.fields.sine import (
    Layer,
    chain,
    first_bound,
    hidden_bound,
    layer_initial,
    layer_specs,
    learning_rate,
    uniform,
)
from inrcodec.fields.siren import Siren, SirenConfig

PIXELS = 1 << 15
"""Of an iteration of ASMR; SIREN's are fewer and as dear."""
PUBLISHED = ((8, 8, 8), (4, 4, 4, 8), (8, 2, 2, 2, 8), (4, 2, 2, 2, 2, 8), (2, 2, 2, 2, 2, 2, 8))
"""Bases of both axes of 512 samples, from three digits to seven, as the paper's repository has them."""
CHEAPEST = (((2, 2, 2, 2, 2, 16), 256), ((8, 1, 1, 1, 1, 1, 4, 16), 256), ((2, 1, 2, 1, 2, 2, 2, 16), 256))
"""Bases and width: at least 500 times fewer multiply–accumulates than SIREN of the same layers and width, the first's last layer
counted once."""
MODULATOR_WIDTH = 32
"""Of nonlinear modulators' hidden layers, as in the paper."""
KODAK = ((4, 4, 4, 8), (4, 4, 6, 8))
"""Of 512 rows and 768 columns, published."""


class PublishedStart(Asmr):
    """Modulations start as in the published code: U(-1, 1) / sqrt(inputs), times omega twice."""

    def initial(self, generator: torch.Generator) -> Parameters:
        parameters = super().initial(generator)
        for level in range(1, self.levels):
            if (name := f"layer{level}.digits") in parameters:
                shape = tuple(parameters[name].shape)
                parameters[name] = uniform(shape, shape[1] ** -0.5, generator)
        return parameters


class NonlinearModulators(Asmr):
    """What a digit adds is a small SIREN of it (three layers, 32 hidden), for each axis and level behind the first, as in the
    paper's nonlinear variant. Only a study's: the family's streams hold linear ones."""

    def __init__(self, config: AsmrConfig, shape: tuple[int, int, int, int]) -> None:
        super().__init__(config, shape)
        self.modulators = {
            (level, axis): self._modulator(f"layer{level}.{'tyx'[axis]}")
            for level in range(1, self.levels)
            for axis in self.modulated[level]
        }

    def _modulator(self, name: str) -> tuple[Layer, ...]:
        omega, hidden = self.config.omega, MODULATOR_WIDTH
        bound = hidden_bound(hidden, omega)
        return (
            Layer(f"{name}.first", 1, hidden, first_bound(1), omega),
            Layer(f"{name}.second", hidden, hidden, bound, omega),
            Layer(f"{name}.last", hidden, self.config.width, bound, None),
        )

    def _layers(self) -> list[Layer]:
        return [layer for modulator in self.modulators.values() for layer in modulator]

    def specs(self) -> tuple[TensorSpec, ...]:
        fewer = learning_rate(self.config.width) / self._rate
        modulators = [replace(spec, rate=spec.rate / fewer) for spec in layer_specs(self._layers(), MODULATOR_WIDTH)]
        kept = [spec for spec in super().specs() if not spec.name.endswith(".digits") or spec.name == "layer0.digits"]
        return (*kept, *modulators)

    def initial(self, generator: torch.Generator) -> Parameters:
        parameters = super().initial(generator) | layer_initial(self._layers(), generator)
        return {spec.name: parameters[spec.name] for spec in self.specs()}

    def modulation(self, parameters: Parameters, level: int, axis: int, digit: Tensor) -> Tensor:
        if (level, axis) not in self.modulators:
            return super().modulation(parameters, level, axis, digit)
        return chain(self.modulators[level, axis], parameters, digit[None])

    @property
    def macs_per_point(self) -> float:
        linear = sum(len(self.modulated[level]) for level in range(1, self.levels)) * self.config.width
        return super().macs_per_point - linear + sum(layer.macs for layer in self._layers())


def asmr(shape, bases: tuple, width: int, kind: type[Asmr] = Asmr) -> Field:
    """bases: of both axes, or of y and x, or of t, y and x."""
    axes = (bases, bases) if isinstance(bases[0], int) else bases
    axes = axes if len(axes) == 3 else ((1,) * len(axes[0]), *axes)
    return kind(AsmrConfig(*axes, width), shape)


def depth(arguments: argparse.Namespace) -> Iterator[Row]:
    """Three to seven layers on a gray square of 512: cost, then quality; SIREN of as many layers beside each."""
    material = picture(arguments.gray, 512)
    for bases in PUBLISHED:
        layers = len(bases)
        pair = (
            ("ASMR", asmr(material.shape, bases, arguments.width)),
            ("SIREN", siren(material, arguments.width, layers)),
        )
        for name, field in pair:
            yield inference_row("asmr depth, cost", field, row=name, layers=layers)
    for budget in budgets(arguments):
        for bases in PUBLISHED:
            layers, width = len(bases), arguments.fit_width
            fitted = asmr(material.shape, bases, width)
            yield fit_row("asmr depth, quality", material, fitted, budget, "patches", PIXELS, row="ASMR", layers=layers)
            yield fit_row(
                "asmr depth, quality", material, siren(material, width, layers), budget, row="SIREN", layers=layers
            )
        yield fit_row(
            "asmr depth, quality", material, published_grid(material), budget, "whole", row="hash grid", layers=2
        )


def cheapest(arguments: argparse.Namespace) -> Iterator[Row]:
    """Configurations of at least 500 times fewer multiply–accumulates, and the SIRENs they are compared with."""
    material = picture(arguments.gray, 512)
    for bases, width in CHEAPEST:
        pair = (("ASMR", asmr(material.shape, bases, width)), ("SIREN", siren(material, width, len(bases))))
        for name, field in pair:
            yield inference_row("asmr 500, cost", field, row=name, bases=list(bases))
        for budget in budgets(arguments):
            for name, field in pair:
                way = ("patches", PIXELS) if name == "ASMR" else ("lattice",)
                yield fit_row("asmr 500, quality", material, field, budget, *way, row=name, bases=list(bases))


def kodak(arguments: argparse.Namespace) -> Iterator[Row]:
    """The published configuration of Kodak's pictures."""
    material = picture(arguments.picture)
    fields = {
        "ASMR": asmr(material.shape, KODAK, arguments.fit_width),
        "SIREN": siren(material, arguments.fit_width, 4),
        "hash grid": published_grid(material),
    }
    ways = {"ASMR": ("patches", PIXELS), "SIREN": ("lattice",), "hash grid": ("whole",)}
    for name, field in fields.items():
        yield inference_row("asmr kodak, cost", field, row=name)
        for budget in budgets(arguments):
            yield fit_row("asmr kodak, quality", material, field, budget, *ways[name], row=name)


def structure(arguments: argparse.Namespace) -> Iterator[Row]:
    """Bases, the start and the kind of the modulations, and what a batch sees."""
    material, study = picture(arguments.gray, 512), "asmr structure"
    shape, width = material.shape, arguments.fit_width
    for budget in budgets(arguments):
        for start in (PublishedStart, Asmr):
            for way in ("lattice", "patches"):
                field = asmr(shape, PUBLISHED[1], width, start)
                labels = {"row": "4·4·4·8", "start": "published" if start is PublishedStart else "waves"}
                yield fit_row(study, material, field, budget, way, PIXELS, **labels)
        field = asmr(shape, PUBLISHED[1], width, NonlinearModulators)
        labels = {"row": "4·4·4·8, nonlinear modulators", "start": "SIREN"}
        yield fit_row(study, material, field, budget, "patches", PIXELS, **labels)
        for layers in (3, 5):
            field = asmr(shape, tuple(bases_for(512, layers)), width)
            yield fit_row(study, material, field, budget, "patches", PIXELS, row="balanced", start="waves")
        for patch in (4, 8, 16):
            for layers in (4, 5):
                field = asmr(shape, patch_bases(512, layers, patch), width)
                yield fit_row(
                    study, material, field, budget, "patches", PIXELS, row=f"patches of {patch}", start="waves"
                )


def videos(arguments: argparse.Namespace) -> Iterator[Row]:
    """Patches of one frame and of two, balanced bases, and SIREN of as many layers."""
    for path in arguments.videos:
        material = video(path, arguments.frames, arguments.reduction)
        shape, width = material.shape, arguments.fit_width
        choices = {
            "balanced": [bases_for(size, 5) for size in shape[:3]],
            "patches of 1x4x4": [patch_bases(size, 5, patch) for size, patch in zip(shape, (1, 4, 4))],
            "patches of 2x8x8": [patch_bases(size, 5, patch) for size, patch in zip(shape, (2, 8, 8))],
        }
        fields = {f"ASMR, {name}": asmr(shape, bases, width) for name, bases in choices.items()}
        for name, field in (fields | {"SIREN": siren(material, width, 5)}).items():
            yield inference_row("asmr video, cost", field, row=name, material=material.name)
            for budget in budgets(arguments):
                way = ("lattice",) if name == "SIREN" else ("patches", PIXELS)
                yield fit_row("asmr video, quality", material, field, budget, *way, row=name)


def siren(material: Material, width: int, layers: int) -> Field:
    return Siren(SirenConfig(width, layers), material.shape)


def published_grid(material: Material) -> Field:
    """The hash grid that the paper compares with: 8 levels of 2 features, 2^15 entries, two hidden layers of 64."""
    return HashGrid(HashGridConfig("joint", (2,) * 8, (32, 32, 32), (32, 32, 32), 15, "linear", 64, 2), material.shape)


STUDIES = {"depth": depth, "cheapest": cheapest, "structure": structure, "kodak": kodak, "videos": videos}


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("reproduce_asmr.py", __doc__, STUDIES)
    parser.add_argument(
        "--gray", type=Path, metavar="FILE", help="a gray picture of at least 512x512 (the paper's: camera)"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="a Kodak picture of 768x512")
    parser.add_argument("--videos", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--frames", type=int, default=32, help="of a video (32)")
    parser.add_argument(
        "--reduction", type=int, default=1, help="every so many samples of a video each way become one (1)"
    )
    return run(parser, STUDIES, argv)


if __name__ == "__main__":
    sys.exit(main())
