"""Where a frame's content comes from: vectors of a film's motion, found for rate and distortion.

Blocks of a frame are searched in its references, coarse to fine; then vertices choose among what they and their neighbors
found, at the price of coding it (iterated conditional modes: Besag 1986; prices: `merges`): first as blocks that are displaced
as a whole, then as the film has it, with motion interpolated between vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.encoder.film.displaced import Scene
from inrcodec.encoder.film.merges import COLORS, REACH, Grid, Prices

SCALES = (8, 4, 2, 1)
RADIUS = 2
"""Of the search around the best place so far, in samples of each scale."""
PENALTY = 0.01
"""Of a place away from the scale's start, in mean absolute differences a sample."""
SWEEPS = 3
SMOOTH_SWEEPS = 1
"""Over blocks, and with motion interpolated."""
WEIGHTS = (0, 4, -4)
"""Symbols for both references alike, the first one alone, the second one alone."""
NEAR = ((0, -1), (0, 1), (-1, 0), (1, 0), (-1, 1), (1, -1))
"""Neighbors whose vectors are tried."""
CROSS = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True)
class Search:
    """Of a scene. bit_cost: the error that a bit is worth."""

    scene: Scene
    prices: Prices
    bit_cost: float

    def blocks(self) -> np.ndarray:
        """Whole numbers (channels, h, w): displacement towards the first reference; of two references also what is missing to the
        mirror image (zeros), and the weight."""
        starts = self._starts()
        coarser = self.scene.coarser()
        if coarser is not None:
            height, width = starts[0].shape[1:]
            found = Search(coarser, self.prices, self.bit_cost).blocks()
            starts.insert(0, found.repeat(2, 1).repeat(2, 2)[:, :height, :width])
        found = [(one, self.scene.block_costs(one)) for one in starts]
        grid = Grid(starts[0].copy(), self.prices)
        for sweep in range(SWEEPS):
            near = [grid.vectors, *_near(grid.vectors)] if sweep else []
            tried = found + [(one, self.scene.block_costs(one)) for one in near]
            candidates, costs = (np.stack(parts) for parts in zip(*tried))
            for color in COLORS:
                grid.choose(candidates, costs, self.bit_cost, color)
        return grid.vectors

    def smooth(self, vectors: np.ndarray) -> np.ndarray:
        """From such vectors to better ones, with motion interpolated."""
        grid = Grid(vectors.astype(np.int64), self.prices)
        for _ in range(SMOOTH_SWEEPS):
            for color in COLORS:
                here = np.s_[:, color[0] :: 2, color[1] :: 2]
                now = grid.vectors
                candidates = np.stack([*self._weighted(now), np.zeros_like(now), *_near(now)])
                costs: dict[bytes, np.ndarray] = {}
                keys = []
                for one in candidates:
                    tried = now.copy()
                    tried[here] = one[here]
                    keys.append(tried.tobytes())
                    if keys[-1] not in costs:  # neighbors are often alike everywhere
                        costs[keys[-1]] = self.scene.vertex_costs(tried)
                grid.choose(candidates, np.stack([costs[key] for key in keys]), self.bit_cost, color)
        return grid.vectors

    # -- candidates ----------------------------------------------------------------------------------------------------

    def _starts(self) -> list[np.ndarray]:
        """No motion of their own, no motion at all, and what a search in each reference finds."""
        starts = [np.zeros(self.scene.predicted.shape, np.int64), self._symbols(0.0)]
        for reference, ratio in zip(self.scene.references, (1.0, self.scene.mirror)):
            current, reference = (
                torch.from_numpy(np.ascontiguousarray(one[0])) for one in (self.scene.current, reference)
            )
            found = _match(current, reference, self.scene.block) / ratio * self.scene.scale
            height, width = self.scene.predicted.shape[1:]
            found = F.pad(
                found[None], (0, max(0, width - found.shape[2]), 0, max(0, height - found.shape[1])), mode="replicate"
            )
            starts.append(self._finer(self._symbols(found[0, :, :height, :width].numpy())))
        return [one for start in starts for one in self._weighted(self._vectors(start))]

    def _symbols(self, displacement: np.ndarray | float) -> np.ndarray:
        rounded = np.round((displacement - self.scene.predicted) / self.scene.step)
        return rounded.clip(-REACH, REACH).astype(np.int64)

    def _finer(self, symbols: np.ndarray) -> np.ndarray:
        """Around a whole displacement: half samples, then quarters."""
        best, least = symbols, self.scene.block_costs(self._vectors(symbols))
        for distance in (2, 1):
            center = best
            for move in CROSS:
                one = (center + distance * np.array(move)[:, None, None]).clip(-REACH, REACH)
                costs = self.scene.block_costs(self._vectors(one))
                better = costs < least
                best, least = np.where(better, one, best), np.where(better, costs, least)
        return best

    def _vectors(self, displacement: np.ndarray) -> np.ndarray:
        """Both references alike."""
        if self.scene.mirror is None:
            return displacement
        return np.concatenate([displacement, np.zeros((3, *displacement.shape[1:]), np.int64)])

    def _weighted(self, vectors: np.ndarray) -> list[np.ndarray]:
        if self.scene.mirror is None:
            return [vectors]
        found = [vectors.copy() for _ in WEIGHTS]
        for one, weight in zip(found, WEIGHTS):
            one[4] = weight
        return found


def _near(vectors: np.ndarray) -> list[np.ndarray]:
    """Those of each neighbor."""
    padded = np.pad(vectors, ((0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = vectors.shape[1:]
    return [padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in NEAR]


def _around(grid: Tensor) -> list[Tensor]:
    """The four neighbors of each vertex (2, h, w)."""
    padded = F.pad(grid[None], (1, 1, 1, 1), mode="replicate")[0]
    return [padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]]


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
