"""Grids as one vector, level after level as they are coded, and their way through soft rounding and back: gradients are joined by
hand, in the memory that they came in, since half a million numbers are passed once for each operation of autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inrcodec.encoder.flat import FlatTensors
from inrcodec.fields import Parameters, TensorSpec

Rounding = Callable[[Tensor, float, tuple[Tensor, Tensor]], None]
"""Of values in units of a step, to symbols and their derivatives by these (`quantize.noisily_rounded`)."""


class FlatGrids(FlatTensors):
    """Of the grids of these specs. values: (N,) float32; named: their views by name, in the shapes of the specs."""

    def __init__(self, specs: Sequence[TensorSpec], parameters: Parameters, device: torch.device) -> None:
        super().__init__({spec.name: spec.shape for spec in specs})
        self.specs = specs
        self.values = self.joined(parameters).to(device)
        self.named = self.views(self.values)

    def seen(self, steps: dict[str, float], rounded: Rounding) -> SeenGrids:
        """As an iteration sees them. steps: by group."""
        symbols, slopes = torch.empty_like(self.values), torch.empty_like(self.values)
        found = SeenGrids(self, {spec.name: steps[spec.group] for spec in self.specs}, symbols, slopes)
        for name, *into in zip(self.named, self.views(symbols).values(), self.views(slopes).values()):
            rounded(self.named[name], found.steps[name], tuple(into))
        return found


@dataclass(frozen=True)
class SeenGrids:
    """Of an iteration. steps: by name. symbols: softly rounded; slopes: how they change with values in units of steps; (N,)."""

    grids: FlatGrids
    steps: dict[str, float]
    symbols: Tensor
    slopes: Tensor

    def restrict(self, masks: dict[str, Tensor]) -> None:
        """To where masks, by name, are ones: symbols are zeros elsewhere."""
        for flat in (self.symbols, self.slopes):
            views = self.grids.views(flat)
            for name, mask in masks.items():
                views[name].mul_(mask)

    def parameters(self) -> Parameters:
        """What the symbols stand for."""
        return {name: symbols * self.steps[name] for name, symbols in self.grids.views(self.symbols).items()}

    def go_back(self, by_parameters: dict[str, Tensor], by_symbols: Tensor) -> None:
        """Sets gradients of the grids' values, from those of the loss by parameters, which are used up, and by symbols (N,)."""
        ways = zip(self.grids.views(by_symbols).items(), self.grids.views(self.slopes).values())
        for (name, by_symbol), slopes in ways:
            gradient = by_parameters[name].add_(by_symbol, alpha=1 / self.steps[name])
            self.grids.named[name].grad = gradient.mul_(slopes)
