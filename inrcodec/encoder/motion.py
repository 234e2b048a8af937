"""Where a frame's content comes from: vectors of a film's motion, found for rate and distortion.

Blocks of a frame are searched in its references, coarse to fine; then blocks choose among what they and their neighbors
found, at the price of coding it (iterated conditional modes: Besag 1986; prices: `merges`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.encoder.merges import COLORS, REACH, Grid, Prices

SCALES = (8, 4, 2, 1)
RADIUS = 2
"""Of the search around the best place so far, in samples of each scale."""
PENALTY = 0.01
"""Of a place away from the scale's start, in mean absolute differences a sample."""
LARGE = 1 << 18
"""Frames of more samples are searched at half their size."""
SWEEPS = 3
WEIGHTS = (0, 4, -4)
"""Symbols for both references alike, the first one alone, the second one alone."""
NEAR = ((0, -1), (0, 1), (-1, 0), (1, 0), (-1, 1), (1, -1))
"""Neighbors whose vectors are tried."""
CROSS = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True)
class Search:
    """current, references: luma (H, W). predicted: displacement towards the first reference (2, h, w) that costs nothing.
    mirror: the second reference's displacement for one of the first (None: one reference). step: of symbols, in samples.
    spacing: of vertices. bit_cost: squared error, summed over samples, that a bit is worth."""

    current: Tensor
    references: tuple[Tensor, ...]
    predicted: Tensor
    mirror: float | None
    step: float
    spacing: int
    bit_cost: float

    def vectors(self, prices: Prices) -> np.ndarray:
        """Whole numbers (channels, h, w): displacement towards the first reference; of two references also what is missing to the
        mirror image (zeros), and the weight."""
        found = self._candidates()
        grid = Grid(np.zeros(found[0][0].shape, np.int64), prices)
        for sweep in range(SWEEPS):
            tried = found + [(one, self._errors(one)) for one in self._near(grid.vectors, sweep)]
            candidates, errors = (np.stack(parts) for parts in zip(*tried))
            for color in COLORS:
                grid.choose(candidates, errors, self.bit_cost, color)
        return grid.vectors

    def _near(self, vectors: np.ndarray, sweep: int) -> list[np.ndarray]:
        if not sweep:
            return []
        padded = np.pad(vectors, ((0, 0), (1, 1), (1, 1)), mode="edge")
        height, width = vectors.shape[1:]
        near = [padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in NEAR]
        return [vectors, *near]

    # -- candidates ----------------------------------------------------------------------------------------------------

    def _candidates(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """No motion of their own, and what a search in each reference finds, with errors."""
        height, width = self.predicted.shape[1:]
        found = self._weighted(np.zeros((2, height, width), np.int64))
        for reference, ratio in zip(self._scaled, (1.0, self.mirror)):
            displacement = _match(self._current, reference, self._block)[:, :height, :width] / ratio * self._scale
            displacement = _covering(displacement, height, width)
            start = ((displacement - self.predicted) / self.step).round().clamp(-REACH, REACH).numpy().astype(np.int64)
            found += self._weighted(self._finer(start))
        found += self._weighted(self._still())
        return found

    def _still(self) -> np.ndarray:
        """Symbols of no motion at all."""
        return (-self.predicted / self.step).round().clamp(-REACH, REACH).numpy().astype(np.int64)

    def _finer(self, symbols: np.ndarray) -> np.ndarray:
        """Around a whole displacement: half samples, then quarters."""
        best, least = symbols, self._errors(self._with_weight(symbols, 0))
        for distance in (2, 1):
            center = best
            for move in CROSS:
                one = center + distance * np.array(move)[:, None, None]
                errors = self._errors(self._with_weight(one, 0))
                better = errors < least
                best, least = np.where(better, one, best), np.where(better, errors, least)
        return best.clip(-REACH, REACH)

    def _with_weight(self, displacement: np.ndarray, weight: int) -> np.ndarray:
        if self.mirror is None:
            return displacement
        others = np.zeros((3, *displacement.shape[1:]), np.int64)
        others[2] = weight
        return np.concatenate([displacement, others])

    def _weighted(self, displacement: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        weights = WEIGHTS if self.mirror is not None else (0,)
        vectors = [self._with_weight(displacement, weight) for weight in weights]
        return [(one, self._errors(one)) for one in vectors]

    # -- errors --------------------------------------------------------------------------------------------------------

    @cached_property
    def _scale(self) -> int:
        return 2 if self.current.numel() > LARGE and self.spacing % 2 == 0 else 1

    @cached_property
    def _block(self) -> int:
        return self.spacing // self._scale

    @cached_property
    def _current(self) -> Tensor:
        return self._smaller(self.current)

    @cached_property
    def _scaled(self) -> list[Tensor]:
        return [self._smaller(one) for one in self.references]

    def _smaller(self, frame: Tensor) -> Tensor:
        return frame if self._scale == 1 else F.avg_pool2d(frame[None, None], self._scale, ceil_mode=True)[0, 0]

    def _errors(self, vectors: np.ndarray) -> np.ndarray:
        """Squared errors of each block (h, w), displaced as a whole."""
        symbols = torch.from_numpy(vectors).float()
        displacement = (self.predicted + symbols[:2] * self.step) / self._scale
        found = self._displaced(self._scaled[0], displacement)
        if self.mirror is not None:
            other = self._displaced(self._scaled[1], displacement * self.mirror)
            found = torch.lerp(other, found, self._spread(symbols[4] / 8 + 0.5))
        return _block_sums((found - self._current).square(), self._block, symbols.shape[1:]).numpy() * self._scale**2

    def _spread(self, grid: Tensor) -> Tensor:
        height, width = self._current.shape
        return grid.repeat_interleave(self._block, -2).repeat_interleave(self._block, -1)[..., :height, :width]

    def _displaced(self, reference: Tensor, displacement: Tensor) -> Tensor:
        height, width = reference.shape
        spread = self._spread(displacement)
        y = (torch.arange(height)[:, None] + 0.5 + spread[0]) * (2 / height) - 1
        x = (torch.arange(width) + 0.5 + spread[1]) * (2 / width) - 1
        grid = torch.stack([x, y], -1)[None]
        return F.grid_sample(reference[None, None], grid, "bilinear", "border", align_corners=False)[0, 0]


def _around(grid: Tensor) -> list[Tensor]:
    """The four neighbors of each vertex (2, h, w)."""
    padded = F.pad(grid[None], (1, 1, 1, 1), mode="replicate")[0]
    return [padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]]


def _covering(grid: Tensor, height: int, width: int) -> Tensor:
    """(2, h, w) with its last row and column repeated where they are missing."""
    return F.pad(grid[None], (0, width - grid.shape[2], 0, height - grid.shape[1]), mode="replicate")[0]


def _block_sums(errors: Tensor, size: int, blocks: tuple[int, int]) -> Tensor:
    missing = [count * size - samples for count, samples in zip(blocks, errors.shape)]
    return F.avg_pool2d(F.pad(errors[None, None], (0, missing[1], 0, missing[0])), size)[0, 0] * size**2


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
        padded = F.pad(
            errors, (0, start.shape[2] * block - width, 0, start.shape[1] * block - height), mode="replicate"
        )
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
    moves = [(dy, dx) for dy in range(-RADIUS, RADIUS + 1) for dx in range(-RADIUS, RADIUS + 1) if dy or dx]
    center = best
    improve([center + torch.tensor([float(dy), float(dx)]).view(2, 1, 1) for dy, dx in moves])
    return best
