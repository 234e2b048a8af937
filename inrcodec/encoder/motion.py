"""Where a frame's content comes from: displacements at the vertices of a film's motion, found for rate and distortion.

Blocks of a frame are searched in its references, coarse to fine; then blocks choose among what they and their neighbors
found, at the cost of differing from them (iterated conditional modes: Besag 1986); then gradients of the film itself, whose
motion is interpolated between vertices, refine all vertices together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.encoder.adam import Adam
from inrcodec.quantize import noisy_round

SCALES = (8, 4, 2, 1)
REACH = 2
"""Of the search around the best place so far, in samples of each scale."""
PENALTY = 0.01
"""Of a place away from the scale's start, in mean absolute differences a sample."""
SWEEPS = 3
SPARSE_BITS = 6.0
"""What a block's motion of its own is worth at first sight."""
NEIGHBOR_BITS, OWN_BITS = 2.0, 0.5
"""For an octave of difference to the neighbors, and to none."""
REFINE_RATE, REFINE_FLOOR = 0.3, 0.1
"""Learning rate of symbols, and what is left of it at the end."""
TEMPERATURES, DEVIATIONS = (0.35, 0.15), (0.2, 0.1)
"""Of rounding and its noise, from the first to the last iteration of refinement."""


@dataclass(frozen=True)
class Search:
    """current, references: luma (H, W). predicted: displacement towards the first reference (2, h, w) that costs nothing.
    mirror: the second reference's displacement for one of the first (or None). step: of symbols, in samples. spacing: of
    vertices. bit_cost: squared error, summed over samples, that a bit is worth."""

    current: Tensor
    references: tuple[Tensor, ...]
    predicted: Tensor
    mirror: float | None
    step: float
    spacing: int
    bit_cost: float

    def symbols(self) -> Tensor:
        """Of the displacement towards the first reference, whole numbers (2, h, w)."""
        found = self._candidates()
        chosen = torch.zeros_like(self.predicted)
        errors = self._errors(chosen)
        for one, its_errors in found:
            better = its_errors + SPARSE_BITS * self.bit_cost < errors
            chosen, errors = torch.where(better, one, chosen), torch.where(better, its_errors, errors)
        for sweep in range(SWEEPS):
            tried = [*found, *((one, self._errors(one)) for one in self._neighbors(chosen, near=sweep > 0))]
            chosen, errors = self._choose(chosen, errors, tried)
        return chosen

    def _candidates(self) -> list[tuple[Tensor, Tensor]]:
        """What a search in each reference finds, as symbols, with its errors."""
        height, width = self.predicted.shape[1:]
        ratios = (1.0,) if self.mirror is None else (1.0, self.mirror)
        found = []
        for reference, ratio in zip(self.references, ratios):
            displacement = _match(self.current, reference, self.spacing)[:, :height, :width] / ratio
            symbols = ((displacement - self.predicted) / self.step).round()
            found.append((symbols, self._errors(symbols)))
        return found

    def _neighbors(self, chosen: Tensor, near: bool) -> list[Tensor]:
        around = _around(chosen)
        tried = [torch.zeros_like(chosen), *around, torch.stack([*around, chosen]).median(0).values]
        if near:
            tried += [chosen + torch.tensor(move).view(2, 1, 1) for move in ((0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0))]
        return tried

    def _choose(self, chosen: Tensor, errors: Tensor, tried: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Best of all, first for the blocks of one color of a checkerboard, then for those of the other."""
        rows, columns = torch.meshgrid(*(torch.arange(count) for count in errors.shape), indexing="ij")
        for color in (0, 1):
            here = (rows + columns) % 2 == color
            cost = errors + self.bit_cost * _bits(chosen, chosen)
            before = chosen
            for one, its_errors in tried:
                its_cost = its_errors + self.bit_cost * _bits(one, before)
                better = here & (its_cost < cost)
                chosen = torch.where(better, one, chosen)
                errors, cost = torch.where(better, its_errors, errors), torch.where(better, its_cost, cost)
        return chosen, errors

    def _errors(self, symbols: Tensor) -> Tensor:
        """Squared errors of each block, displaced as a whole: (h, w)."""
        displacement = self.predicted + symbols * self.step
        found = self._displaced(self.references[0], displacement)
        if self.mirror is not None:
            found = (found + self._displaced(self.references[1], displacement * self.mirror)) / 2
        return _block_sums((found - self.current).square(), self.spacing)

    def _displaced(self, reference: Tensor, displacement: Tensor) -> Tensor:
        height, width = reference.shape
        spread = displacement.repeat_interleave(self.spacing, 1).repeat_interleave(self.spacing, 2)[:, :height, :width]
        y = (torch.arange(height)[:, None] + 0.5 + spread[0]) * (2 / height) - 1
        x = (torch.arange(width) + 0.5 + spread[1]) * (2 / width) - 1
        grid = torch.stack([x, y], -1)[None]
        return F.grid_sample(reference[None, None], grid, "bilinear", "border", align_corners=False)[0, 0]


def _bits(symbols: Tensor, field: Tensor) -> Tensor:
    """About what symbols (2, h, w) cost amid those of `field`: (h, w)."""
    differences = sum(torch.log2(1 + (symbols - one).abs()).sum(0) for one in _around(field)) / 4
    return NEIGHBOR_BITS * differences + OWN_BITS * torch.log2(1 + symbols.abs()).sum(0)


def _around(grid: Tensor) -> list[Tensor]:
    """The four neighbors of each vertex (2, h, w)."""
    padded = F.pad(grid[None], (1, 1, 1, 1), mode="replicate")[0]
    return [padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]]


def _block_sums(errors: Tensor, size: int) -> Tensor:
    height, width = errors.shape
    padded = F.pad(errors[None, None], (0, -width % size, 0, -height % size))
    return F.avg_pool2d(padded, size)[0, 0] * size**2


def _match(current: Tensor, reference: Tensor, spacing: int) -> Tensor:
    """Whole displacements (2, h, w) of blocks of `spacing` samples, searched coarse to fine with windows twice as large."""
    found = None
    for scale in SCALES:
        if min(current.shape) < 2 * scale:
            continue
        scaled = [F.avg_pool2d(one[None, None], scale)[0, 0] for one in (current, reference)]
        block = max(4, spacing // scale)
        size = tuple(-(-count // block) for count in scaled[0].shape)
        start = torch.zeros(2, *size) if found is None else F.interpolate(found[None], size, mode="nearest")[0] * 2
        found = _match_blocks(*scaled, start.round(), block, PENALTY)
    return found


def _match_blocks(current: Tensor, reference: Tensor, start: Tensor, block: int, penalty: float) -> Tensor:
    height, width = current.shape
    rows, columns = torch.arange(height)[:, None], torch.arange(width)

    def cost(tried: Tensor) -> Tensor:
        spread = tried.repeat_interleave(block, 1).repeat_interleave(block, 2)[:, :height, :width].long()
        y, x = (rows + spread[0]).clamp(0, height - 1), (columns + spread[1]).clamp(0, width - 1)
        errors = (reference[y, x] - current).abs()[None, None]
        padded = F.pad(errors, (0, start.shape[2] * block - width, 0, start.shape[1] * block - height), mode="replicate")
        window = F.avg_pool2d(F.pad(padded, (block // 2,) * 4, mode="replicate"), 2 * block, block)[0, 0]
        return window + penalty * (tried - start).abs().sum(0).clamp(max=4) / block

    best, least = start, cost(start)

    def improve(tried: list[Tensor]) -> None:
        nonlocal best, least
        for one in tried:
            its_cost = cost(one)
            better = its_cost < least
            best, least = torch.where(better, one, best), torch.where(better, its_cost, least)

    improve([*_around(start), torch.zeros_like(start)])
    moves = [(dy, dx) for dy in range(-REACH, REACH + 1) for dx in range(-REACH, REACH + 1) if dy or dx]
    center = best
    improve([center + torch.tensor([float(dy), float(dx)]).view(2, 1, 1) for dy, dx in moves])
    return best


def refine(
    symbols: Tensor, cost: Callable[[Tensor], Tensor], iterations: int, noise: torch.Generator
) -> Tensor:
    """Whole symbols near `symbols` of lower cost(symbols), by its gradients; `symbols` themselves if none are found."""
    with torch.no_grad():
        least = cost(symbols)
    values = symbols.clone().requires_grad_()
    optimizer = Adam()
    optimizer.add([values], REFINE_RATE, REFINE_FLOOR)
    for iteration in range(iterations):
        fraction = iteration / iterations
        temperature, deviation = (low + (high - low) * fraction for low, high in (TEMPERATURES, DEVIATIONS))
        optimizer.zero_grad()
        cost(noisy_round(values, temperature, deviation, noise)).backward()
        optimizer.step(fraction)
    with torch.no_grad():
        rounded = values.round()
        return rounded if cost(rounded) < least else symbols
