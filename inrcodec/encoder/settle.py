"""How weights settle on whole numbers: what rounding some of them does is made good by the others.

Weights are rounded block after block, first those whose errors weigh most. A block goes to the point of its lattice that is
about nearest in the metric of its Gauss-Newton matrix (Babai's nearest plane, "On Lovász' lattice reduction and the nearest
lattice point problem", 1986; GPTQ, arXiv 2210.17323, rounds layers so, with a metric of their inputs alone). Then all weights
that are left are trained on, by conjugate gradients (Polak and Ribière's, preconditioned by the same matrices) on samples that
stay the same until the next block: the noise of small batches would hide what a few roundings did.

Weights are in units of their steps here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

BLOCK, MATRIX_NUMBERS = 2048, 1 << 26
"""Weights of a block, and numbers of all blocks' matrices together, at the most."""
MATRIX_SHARE, ENTRY_PIXELS = 0.25, 2
"""Of the time, that matrices may take; pixels that are looked at in the time that an entry of one block's matrix takes, per
block (both times grow with the number of weights: measured on 2,400 to 49,000 of them)."""
ORDERING_POINTS = 256
"""At which the order of weights is found."""
POINTS_PER_WEIGHT = 1
"""Of a block's matrix."""
ROUNDING_DAMPING, DESCENT_DAMPING = 0.3, 1.0
"""What is added to the diagonals of the matrices, in units of the mean curvature of all weights: where a block is rounded, and
where the others are trained on, which moves them farther than a quadratic form of few points can be trusted."""
LEAST_CURVATURE = 1e-20
"""Which keeps matrices of a field that is constant from being singular."""
LONGEST, NEAR, SHORTER, LOOKS = 1.5, 0.5, 0.01, 6
"""Of a step, in units of the one that was looked at: how far it may go, how near it may end without another look, and how near
that one may be, since an end without bounds tells nothing; looks at the most."""

Due = Callable[[float], bool]
"""Whether there is time to train on before this share, from 0 to 1, of the settling is over."""


class Objective(ABC):
    """What settling minimizes, of all weights (N,): the mean of some values' squared errors, and more if it is smooth."""

    @abstractmethod
    def renew(self) -> None:
        """Before each block: other samples, if it does not see all of them."""

    @abstractmethod
    def loss(self, weights: Tensor) -> float:
        """At the samples that it sees."""

    @abstractmethod
    def gradient(self, weights: Tensor) -> tuple[float, Tensor]:
        """The same, and its gradient (N,)."""

    def prices(self, weights: Tensor) -> Prices | None:
        """Of whole numbers instead of these weights, if they are part of the loss."""
        return None

    @abstractmethod
    def derivatives(self, weights: Tensor, points: int) -> Iterator[Tensor]:
        """Of those values by all weights, at so many random points: parts (rows, N). The sum of the rows' outer products,
        divided by the number of points, is the Gauss-Newton matrix."""


@dataclass(frozen=True)
class Prices:
    """What whole numbers cost under Laplace distributions of `scales` (n,), bit by bit: `bit` in units of the loss."""

    scales: Tensor
    bit: float

    def of(self, index: Tensor) -> Prices:
        return Prices(self.scales[index], self.bit)

    def table(self, weights: Tensor) -> list[tuple[float, float, float, float]]:
        """Of each weight: what 0, 1 and each further one cost, and how that grows with the weight as it is."""
        inverse = 1 / self.scales.double()
        beyond = torch.exp(-inverse / 2)
        further = inverse / math.log(2)
        zero = -torch.log2(1 - beyond)
        first = further - torch.log2(0.5 * (1 / beyond - beyond))
        inside = weights.double().clamp(-0.5, 0.5) * inverse
        slope = further * beyond * torch.sinh(inside) / (1 - beyond * torch.cosh(inside))
        return (self.bit * torch.stack([zero, first, further, slope], dim=1)).tolist()


@dataclass(frozen=True)
class Block:
    """index: of its weights (B,), by falling curvature. plane, descent: Cholesky factors of its damped matrices (B, B), to round
    by (upper, rows and columns in reverse order) and to train by (lower)."""

    index: Tensor
    plane: Tensor
    descent: Tensor


def affordable_block(pixels: int) -> int:
    """Weights of a block in the time in which so many pixels are looked at."""
    return math.isqrt(int(MATRIX_SHARE * pixels / ENTRY_PIXELS))


def settle(weights: Tensor, objective: Objective, due: Due, size: int) -> Tensor:
    """The whole numbers (N,) that these weights (N,) come to, which are trained and not rounded. size: most weights of a
    block."""
    blocks = _blocks(weights, objective, max(1, min(size, BLOCK, MATRIX_NUMBERS // len(weights))))
    for number, block in enumerate(blocks):
        objective.renew()
        weights = _descend(weights, blocks[number:], objective, partial(due, (number + 1) / len(blocks)))
        prices = objective.prices(weights)
        prices = prices and prices.of(block.index)
        weights = weights.index_copy(0, block.index, nearest_plane(weights[block.index], block.plane, prices))
    return weights


def _blocks(weights: Tensor, objective: Objective, size: int) -> list[Block]:
    """By falling curvature, about equally large."""
    squares = (rows.square().sum(0) for rows in objective.derivatives(weights, ORDERING_POINTS))
    curvature = sum(squares) / ORDERING_POINTS
    parts = curvature.argsort(descending=True).chunk(math.ceil(len(weights) / size))
    points = POINTS_PER_WEIGHT * len(parts[0])
    matrices = [weights.new_zeros(len(part), len(part)) for part in parts]
    for rows in objective.derivatives(weights, points):
        for part, matrix in zip(parts, matrices):
            own = rows[:, part]
            matrix.addmm_(own.T, own, alpha=1 / points)
    unit = curvature.mean().clamp_min(LEAST_CURVATURE)
    return [_factored(part, matrix, unit) for part, matrix in zip(parts, matrices)]


def _factored(index: Tensor, matrix: Tensor, unit: Tensor) -> Block:
    """unit: of damping."""
    order = matrix.diag().argsort(descending=True)
    matrix = matrix[order][:, order]
    damping = unit * torch.eye(len(order), dtype=matrix.dtype, device=matrix.device)
    plane = torch.linalg.cholesky((matrix + ROUNDING_DAMPING * damping).flip(0, 1), upper=True)
    return Block(index[order], plane, torch.linalg.cholesky(matrix + DESCENT_DAMPING * damping))


def nearest_plane(values: Tensor, plane: Tensor, prices: Prices | None = None) -> Tensor:
    """Whole numbers (B,) near `values` in the metric of planeᵀ plane, whose order is the reverse of theirs: each is
    rounded from where it is best, given how those before it were rounded and that those after it will follow. prices: of whole
    numbers; `values` are where the loss, with bits as they are between whole numbers, is least."""
    table = prices and prices.table(values)[::-1]
    values = values.flip(0)
    rounded, pulls, diagonal = torch.empty_like(values), torch.zeros_like(values), plane.diag()
    for index in reversed(range(len(values))):
        best = values[index] - pulls[index] / diagonal[index]
        if table is None:
            rounded[index] = best.round()
        else:
            rounded[index] = _cheapest(best.item(), diagonal[index].item() ** 2, *table[index])
        pulls += plane[:, index] * (rounded[index] - values[index])
    return rounded.flip(0)


def _cheapest(best: float, bend: float, zero: float, first: float, further: float, slope: float) -> float:
    """Of the whole numbers around `best` and 0, that of the least loss: bend · distance² and what it costs, less what bits
    between whole numbers would change on the way, whose slope the rest of the loss is balanced with."""

    def loss(whole: float) -> float:
        price = first + further * (abs(whole) - 1) if whole else zero
        return bend * (whole - best) ** 2 - slope * (whole - best) + price

    return min((float(math.floor(best)), float(math.ceil(best)), 0.0), key=loss)


def _descend(weights: Tensor, blocks: list[Block], objective: Objective, due: Callable[[], bool]) -> Tensor:
    """Weights with those of these blocks trained on while it is due, as long as the loss falls."""
    index = torch.cat([block.index for block in blocks])

    def downhill(gradient: Tensor) -> Tensor:
        parts = [-torch.cholesky_solve(gradient[block.index, None], block.descent)[:, 0] / 2 for block in blocks]
        return torch.cat(parts)

    if not due():
        return weights
    loss, gradient = objective.gradient(weights)
    direction = steepest = downhill(gradient)
    while due():
        slope = (gradient[index] @ direction).item()
        moved = _line_search(weights, index, direction, loss, slope, objective) if slope < 0 else weights
        moved_loss, moved_gradient = objective.gradient(moved)
        if moved_loss < loss:
            following = downhill(moved_gradient)
            turned = ((moved_gradient - gradient)[index] @ following / (gradient[index] @ steepest)).item()
            weights, loss, gradient, steepest = moved, moved_loss, moved_gradient, following
            direction = following + turned * direction if turned > 0 else following
        elif direction is steepest:
            break
        else:
            direction = steepest
    return weights


def _line_search(
    weights: Tensor, index: Tensor, direction: Tensor, loss: float, slope: float, objective: Objective
) -> Tensor:
    """Where a parabola through the loss and its slope here, and the loss at the direction's end, is least. An end from which that
    is far says little about it, since bits rise from one whole number to the next, so a nearer one is looked at."""
    length = 1.0
    for _ in range(LOOKS):
        bend = (objective.loss(_moved(weights, index, length * direction)) - loss) / length**2 - slope / length
        least = min(LONGEST * length, -slope / (2 * bend)) if bend > 0 else length
        if least >= NEAR * length:
            break
        length = max(least, SHORTER * length)
    return _moved(weights, index, least * direction)


def _moved(weights: Tensor, index: Tensor, by: Tensor) -> Tensor:
    return weights.index_add(0, index, by)
