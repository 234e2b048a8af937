"""After training: symbols of a pyramid's grids that another whole number serves better than the one they were rounded to.

Rounding each value for itself costs some percent of the loss that training came to, since symbols overlap in the picture and see
one another in the entropy model. Here symbols are moved by one, many at a time that lie apart, those first of which gradients
promise most; each is judged by what it really changes, the squared errors and the exact code lengths in its cell, and taken back
if that is no gain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.encoder.batches import Samples, channel_weights, whole_frames
from inrcodec.encoder.side_by_side import side_by_side
from inrcodec.fields.pyramid import Pyramid
from inrcodec.segment import CodedField, grid_coding, grid_specs
from inrcodec.steps import step_of

APART, CELL = 7, 5
"""Windows of vertices in which only the most promising symbol is tried, and whose changes are put down to it."""
PROBES, SMOOTHED = 4, 5
"""Of the curvature: random directions, and the window of vertices over which it is averaged."""
CONTEXT_SHARE = 0.8
"""Of what gradients say that a symbol changes in the code lengths of others: most of them are wrong about so large a step."""
SLACK = 0.5
"""Bits that a symbol may seem to lose, and is tried."""


@dataclass(frozen=True, eq=False)
class _State:
    """symbols: (N,) float32, the concatenated planes. errors: what each pixel adds to the distortion, (H, W). lengths: of
    `PlanesCoder.lengths`, times what a bit costs."""

    symbols: Tensor
    errors: Tensor
    lengths: Tensor

    @property
    def loss(self) -> float:
        return self.errors.double().sum().item() + self.lengths[1].double().sum().item()


class Choice:
    """Of one rounded pyramid, whose weights and networks stay."""

    def __init__(self, coded: CodedField, samples: Samples, lambda_per_bit: float) -> None:
        assert isinstance(coded.field, Pyramid)
        self._coded, self._field, self._lambda = coded, coded.field, lambda_per_bit
        self._weights = channel_weights(samples.info)
        self._bands, self._lattice = next(whole_frames(samples)), samples.lattice
        self._reference = torch.cat([samples.frame(band, 0) for band in self._bands]).cpu()
        self._pixels = self._reference[..., 0].numel()
        self._parameters = coded.parameters(torch.device("cpu"))
        self._coding = grid_coding(coded.field)
        self._coder = self._coding.coder(coded.network_shape, coded.network)
        self._rate = self._coding.rate(torch.device("cpu"))
        self._network = {
            name: self._coding.quantizer(name, coded.network_shape).values(torch.from_numpy(value).float())
            for name, value in coded.network.items()
        }
        self._specs = grid_specs(coded.field)
        self._sizes = [plane.height * plane.width for plane in coded.field.planes]

    def made(
        self,
        tries: int,
        stopped: Callable[[], bool],
        rounds: int = 1,
        enough: Callable[[CodedField], bool] = lambda coded: False,
    ) -> CodedField:
        """The field with better symbols, after so many rounds of so many tries on each level, or fewer if it is stopped, or is
        good enough."""
        symbols = torch.cat([torch.from_numpy(self._coded.symbols[spec.name]).flatten() for spec in self._specs])

        @lru_cache(maxsize=1)
        def is_enough(state: _State) -> bool:
            return enough(self._field_of(state))

        def ended(state: _State) -> bool:
            return stopped() or is_enough(state)

        state = self._seen(symbols.float())
        for _ in range(rounds):
            if ended(state):
                break
            state = self._round(state, tries, ended)
        return self._field_of(state)

    def _field_of(self, state: _State) -> CodedField:
        parts = state.symbols.to(torch.int32).split([spec.count for spec in self._specs])
        chosen = {spec.name: part.view(spec.shape).numpy() for spec, part in zip(self._specs, parts)}
        return replace(self._coded, symbols=self._coded.symbols | chosen)

    def _round(self, state: _State, tries: int, ended: Callable[[_State], bool]) -> _State:
        """Level after level: what is moved on one may make moves on others worth it."""
        bends = self._bends(state.symbols)
        start = 0
        for age, spec in zip(self._field.ages, self._specs):
            state = self._level(state, age, slice(start, start + spec.count), bends, tries, ended)
            start += spec.count
        return state

    # -- what symbols cost -------------------------------------------------------------------------------------------

    def _with(self, symbols: Tensor) -> dict[str, Tensor]:
        """Parameters of the field."""
        parts = zip(self._specs, symbols.split([spec.count for spec in self._specs]))
        steps = self._coded.steps
        return self._parameters | {
            spec.name: spec.values(part.view(spec.shape), step_of(steps[spec.group])) for spec, part in parts
        }

    @torch.no_grad()
    def _seen(self, symbols: Tensor) -> _State:
        errors, lengths = side_by_side(lambda: self._errors(symbols), lambda: self._lengths(symbols))
        return _State(symbols, errors, lengths)

    @torch.no_grad()
    def _errors(self, symbols: Tensor) -> Tensor:
        return ((self._values(symbols) - self._reference).square() * self._weights).sum(2) / self._pixels

    def _lengths(self, symbols: Tensor) -> Tensor:
        return torch.from_numpy(self._coder.lengths(symbols.to(torch.int32).numpy())) * self._lambda

    def _values(self, symbols: Tensor) -> Tensor:
        return self._field.plan(self._with(symbols), self._lattice).frame(0)

    @torch.enable_grad()
    def _slopes(self, symbols: Tensor, reference: Tensor) -> Tensor:
        """Of the distortion to `reference`, (N,)."""
        symbols = symbols.clone().requires_grad_()
        for band in self._bands:
            rows = reference[band.rows]
            errors = self._field.squared_errors(self._with(symbols), band.lattice, lambda index: rows)  # noqa: B023
            ((errors * self._weights).sum() / self._pixels).backward()
        return symbols.grad

    @torch.enable_grad()
    def _context_slopes(self, state: _State) -> Tensor:
        """Of what all code lengths but its own cost, by each symbol, (N,)."""
        symbols = state.symbols.clone().requires_grad_()
        (self._lambda * self._rate(symbols, self._network)).backward()
        return symbols.grad - (state.lengths[2] - state.lengths[0]) / 2

    @torch.no_grad()
    def _bends(self, symbols: Tensor) -> Tensor:
        """Distortion that a move by one adds to what its slope says, (N,): diagonal of the Gauss-Newton matrix, by random signs
        (Hutchinson's estimator), averaged over the neighborhood."""
        values, generator = self._values(symbols), torch.Generator().manual_seed(0)
        total = torch.zeros_like(symbols)
        for _ in range(PROBES):
            signs = torch.randint(2, values.shape, generator=generator) * 2.0 - 1
            total += self._slopes(symbols, values + signs * self._weights.rsqrt()).square()
        total *= self._pixels / (4 * PROBES)
        smooth = [_pooled(plane, SMOOTHED, F.avg_pool2d).flatten() for plane in self._planes(total)]
        return torch.cat(smooth)

    def _planes(self, flat: Tensor) -> list[Tensor]:
        parts = zip(flat.split(self._sizes), self._field.planes)
        return [part.view(plane.height, plane.width) for part, plane in parts]

    # -- a level -----------------------------------------------------------------------------------------------------

    def _level(
        self, state: _State, age: int, own: slice, bends: Tensor, tries: int, ended: Callable[[_State], bool]
    ) -> _State:
        """Moves of all planes of a level, whose symbols are `own`; at each place the most promising is tried."""
        shape = (-1, *self._field.vertices(age))
        slopes = self._slopes(state.symbols, self._reference)[own]
        slopes += CONTEXT_SHARE * self._context_slopes(state)[own]
        coded = state.lengths[1, own] > 0
        failed = torch.zeros(2, own.stop - own.start, dtype=torch.bool)
        for _ in range(tries):
            if ended(state):
                break
            lengths = state.lengths[:, own]
            gains = torch.stack([slopes - lengths[0], -slopes - lengths[2]]) + lengths[1] - bends[own]
            gains[failed | ~coded] = -torch.inf
            index = _apart(gains.view(shape), -SLACK * self._lambda)
            if not len(index):
                break
            places, moves = index % len(slopes), index // len(slopes) * 2 - 1
            tried = self._seen(state.symbols.index_add(0, own.start + places, moves.float()))
            good = self._changes(state, tried, places, age) < 0
            failed.view(-1)[index[~good]] = True
            if good.any():
                kept = self._seen(state.symbols.index_add(0, own.start + places[good], moves[good].float()))
                if kept.loss < state.loss:
                    state = kept
        return state

    def _changes(self, before: _State, after: _State, places: Tensor, age: int) -> Tensor:
        """Of the loss in the cell of each place, flat ones of a level: (n,)."""
        cells = self._cells(places, age)
        total = _sums(after.errors - before.errors, cells, age, len(places))
        moved = self._planes((after.lengths - before.lengths)[1])
        for plane, change in zip(self._plane_ages, moved):
            if plane <= age:
                total += _sums(change, cells, age - plane, len(places))
        return total

    @property
    def _plane_ages(self) -> list[int]:
        return [age for age in self._field.ages for _ in self._field.kinds(age)]

    def _cells(self, places: Tensor, age: int) -> Tensor:
        """Number of the place, from 1 on, in whose cell each vertex of a level lies, or 0: (h, w) int64."""
        height, width = self._field.vertices(age)
        numbers = torch.zeros(height * width)
        numbers[places % len(numbers)] = torch.arange(1.0, len(places) + 1)
        return _pooled(numbers.view(height, width), CELL, F.max_pool2d).long()


def _pooled(plane: Tensor, window: int, pool) -> Tensor:
    """Along x, then along y."""
    padded = F.pad(plane[None, None], (window // 2,) * 4, mode="replicate")
    return pool(pool(padded, (1, window), 1), (window, 1), 1)[0, 0]


def _apart(gains: Tensor, least: float) -> Tensor:
    """Flat places in `gains` (n, h, w) of those above `least` that are the greatest in the window around them."""
    best, which = gains.max(0)
    places = ((best >= _pooled(best, APART, F.max_pool2d)) & (best > least)).flatten().nonzero()[:, 0]
    return which.flatten()[places] * best.numel() + places


def _sums(change: Tensor, cells: Tensor, finer: int, count: int) -> Tensor:
    """Of a change on a plane, or in the picture, that is so many levels finer than the cells' (h, w): (count,) float64."""
    rows, columns = ((torch.arange(size) >> finer).clamp(max=most - 1) for size, most in zip(change.shape, cells.shape))
    found = torch.bincount(cells[rows][:, columns].flatten(), change.flatten().double(), count + 1)
    return found[1:]
