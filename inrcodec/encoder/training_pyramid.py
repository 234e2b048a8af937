"""The training of pyramids: only tiles that promise anything; after it, head and context network settle on whole numbers
(`networks`), and symbols are chosen (`choice`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from inrcodec.encoder.batches import Batch
from inrcodec.encoder.choice import Choice
from inrcodec.encoder.clock import Clock, Part
from inrcodec.encoder.networks import HEAD_EXCESS, settled_context, settled_head
from inrcodec.encoder.promise import Promise, promise_of
from inrcodec.encoder.refine import ideal_bits
from inrcodec.encoder.side_by_side import side_by_side
from inrcodec.encoder.training import Report, Training
from inrcodec.encoder.weights import FlatNetwork
from inrcodec.fields.pyramid import FILTERS
from inrcodec.kernels import native
from inrcodec.segment import CodedField, grid_specs, weight_groups
from inrcodec.steps import step_of

TARGET_PROMISING = 0.5
"""Factor of what a tile must promise while rate_lambda may still move."""
MOST_TRIES, ITERATIONS_OF_TRY = 8, 60
"""On each level, of other symbols (`choice`); a try on all levels takes as long as some eight iterations."""
MOST_ROUNDS, ITERATIONS_OF_ROUND = 3, 800
"""Of tries on all levels, after the first one. Two rounds of 8 tries find more than one of 16."""
SETTLED_FROM = 300
"""Iterations. Settling takes as long as a tenth of them."""
EVALUATIONS, EVALUATIONS_SHARE = (24, 100), 0.05
"""Of each of a pyramid's networks while it settles: at the least and at the most, and as a share of the iterations."""
AFTERWARDS_SHARE = 0.15
"""Of a limited time, for settling and choice."""
SAVED_AFTERWARDS = 0.94
"""Share that settling and choice leave of the bits of single planes."""
BEGIN_AVERAGED = 20
"""Iterations, over which the loss of a beginning is averaged."""


class PyramidTraining(Training):
    """One that may begin beside others (`begin`)."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.control.outlook, self.control.reach = self.annealing.outlook, self.annealing.reach
        if self.field.single and self.control.has_target:
            self.refinement = 1.0 if self.control.bpp is None else SAVED_AFTERWARDS
        self.promise = self._promise()
        self.grid_rate = partial(self.grid_rate, tiles=self.promise.tiles)
        self._begun: Part | None = None

    def _promise(self) -> Promise:
        """Tiles of a pyramid that are trained, by what its grids begin with."""
        specs = grid_specs(self.field)
        values = [spec.symbols(self.values[spec.name], self.start_steps[spec.group]) for spec in specs]
        unsure = TARGET_PROMISING if self.control.has_target else 1.0
        return promise_of(values, self.field.ages, unsure * self.annealing.promising)

    def _both(self, first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
        """A GPU is asked by one thread."""
        return side_by_side(first, second) if self.device.type == "cpu" else super()._both(first, second)

    def begin(self, batches: Iterator[list[Batch]], clock: Part, report: Report, iterations: int) -> float:
        """The first so many iterations, of those of `clock`, which `run` goes on with; the loss that they came to."""
        self._begun = clock
        losses: list[float] = []

        def told(psnr_db: float, bpp: float) -> None:
            losses.append(10 ** (-psnr_db / 10) + self.control.rate_lambda * bpp)
            report(psnr_db, bpp)

        for _ in range(iterations):
            if clock.running():
                self._advance(next(batches), clock, clock.fraction, told)
        recent = losses[-BEGIN_AVERAGED:]
        return sum(recent) / len(recent) if recent else math.inf

    def _learn(self, batches: Iterator[list[Batch]], clock: Clock, report: Report) -> None:
        self.annealing = self.annealing.lasting(clock.iterations)
        self._iterate_until(1.0, self._begun or self._learning(clock), batches, report)
        if self._settles(clock) and clock.in_time():
            self._hold_to(self._settled(clock))
            self._start_rounding()
            self.coded = self._coded()
        else:
            self._start_rounding()
            self.coded = self._finished(clock)
        self._choose_symbols(clock)

    def _overtime(self, batches: Iterator[list[Batch]], clock: Clock, report: Report) -> None:
        """Single planes land without it (`landing`): bits of more iterations wander."""
        if not self.field.single:
            super()._overtime(batches, clock, report)

    @staticmethod
    def _learning(clock: Clock) -> Part:
        """All iterations, or most of a limited time."""
        return clock.part(clock.iterations, round(clock.iterations / (1 - AFTERWARDS_SHARE)))

    def _rounds_from_now(self, clock: Clock | Part) -> bool:
        return super()._rounds_from_now(clock) and not self._settles(clock)

    def _finished(self, clock: Clock | Part) -> CodedField:
        return self._settled(clock) if self._settles(clock) else super()._finished(clock)

    # -- settling ----------------------------------------------------------------------------------------------------

    def _settles(self, clock: Clock | Part) -> bool:
        """Whether the networks settle after the training, instead of being rounded in it."""
        return clock.iteration >= SETTLED_FROM and not self.rounding and native.available()

    def _settled(self, clock: Clock | Part) -> CodedField:
        """With steps and precision that will be best when they have settled; only refined if that is better, as where there was
        too little time to settle, or in some small pictures."""
        lambda_per_bit, trained = self.control.rate_lambda / self.pixels, self._coded()
        values, network = _detached(self.values), _detached(self.network)
        groups = [group for group in weight_groups(self.field) if group != FILTERS]
        coded = self._with_best_steps(trained, HEAD_EXCESS, groups)
        evaluations = min(max(EVALUATIONS[0], round(EVALUATIONS_SHARE * clock.iteration)), EVALUATIONS[1])
        given = lambda_per_bit, evaluations, clock.in_time
        coded = settled_context(settled_head(coded, values, self.samples, *given), network, *given)
        return min(coded, self._refined(trained), key=self._loss)

    @torch.no_grad()
    def _hold_to(self, coded: CodedField) -> None:
        """Weights become what they are coded as, steps and precision too."""
        for group, value in self.log_steps.items():
            value.fill_(math.log2(step_of(coded.steps[group]) / self.start_steps[group]))
        for spec in self.flat.specs:
            symbols = torch.from_numpy(coded.symbols[spec.name]).float()
            self.values[spec.name].copy_(spec.values(symbols, step_of(coded.steps[spec.group])))
        self.network_shape = coded.network_shape
        self.flat_network = FlatNetwork(self.coding, coded.network_shape, self.device)
        for name, value in self.network.items():
            symbols = torch.from_numpy(coded.network[name]).float()
            value.copy_(self.coding.quantizer(name, coded.network_shape).values(symbols))

    @torch.no_grad()
    def _loss(self, coded: CodedField) -> float:
        """What training minimizes, on a thinned lattice."""
        batch = self._thinned(torch.Generator().manual_seed(0))
        error = self._error(coded.parameters(self.device), batch).item()
        return error + self.control.rate_lambda / self.pixels * ideal_bits(coded)

    # -- choosing ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _choose_symbols(self, clock: Clock) -> None:
        """Where another symbol serves better than the rounded value, the value becomes that one, beyond doubt (`trim`)."""
        tries = min(MOST_TRIES, clock.iteration // ITERATIONS_OF_TRY)
        if not tries or not clock.in_time() or not native.available():
            return
        rounds = min(MOST_ROUNDS, 1 + clock.iteration // ITERATIONS_OF_ROUND)
        chosen = Choice(self.coded, self.samples, self.control.rate_lambda / self.pixels)
        coded = chosen.made(tries, lambda: not clock.in_time(), rounds)
        for spec in grid_specs(self.field):
            symbols, before = (torch.from_numpy(one.symbols[spec.name]) for one in (coded, self.coded))
            values = spec.values(symbols.float(), self._step(spec.group)).to(self.device)
            self.values[spec.name].copy_(
                torch.where((symbols != before).to(self.device), values, self.values[spec.name])
            )
        self.coded = coded


def _detached(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU."""
    return {name: value.detach().cpu() for name, value in tensors.items()}
