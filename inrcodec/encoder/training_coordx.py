"""The training of CoordX, whose weights settle on whole numbers after it, block after block (`settle`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from inrcodec.encoder.batches import Batch
from inrcodec.encoder.clock import Clock
from inrcodec.encoder.objective import FieldObjective, Look
from inrcodec.encoder.refine import ideal_bits, of_size
from inrcodec.encoder.settle import Due, affordable_block, settle
from inrcodec.encoder.training import LANDED_SHARE, Report, Training, to_numpy
from inrcodec.fields import Parameters
from inrcodec.segment import CodedField
from inrcodec.steps import step_of

ANEW, ANEW_SHARE = 3, 0.3
"""Times, at the most, that weights settle once more at other steps because a size or a quality was missed; time for each, as a
share of what the first settling had."""
LEAST_BLOCK, DECIDED = 800, 0.1
"""With smaller blocks, in fits of a few hundred iterations, settling loses against rounding with straight-through gradients;
fraction of the training after which it is known how many they will be."""
SETTLED_EXCESS = 0.4
"""Of what rounding adds to the error, that is left when weights have settled."""
FORWARD_SHARE = 0.35
"""Of the time of an evaluation with gradients, that one without takes."""


class CoordXTraining(Training):
    """settles: whether there is time enough for it, which is known after some iterations."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.control.outlook, self.control.reach = self.annealing.outlook, self.annealing.reach
        self.settles = True

    def _learn(self, batches: Iterator[list[Batch]], clock: Clock, report: Report) -> None:
        """Trains, then settles; or goes on as others do if there turns out to be too little time for it, or if it is over."""
        left, seen = clock.iterations, sum(part.pixels for part in next(batches))
        learning = clock.part(round(left * (1 - self.annealing.settling)), left)
        self._iterate_until(DECIDED, learning, batches, report)
        self.settling_pixels = round(self.annealing.settling * (clock.iteration + clock.left) * seen)
        if affordable_block(self.settling_pixels) >= LEAST_BLOCK:
            self._iterate_until(1.0, learning, batches, report)
            self._start_rounding()
            if not clock.stopped:
                self.coded = self._settled_in_time(clock, seen, report)
                return
        self.settles, self.annealing = False, self.annealing.unsettled()
        super()._learn(batches, clock, report)

    def _measured(self, coded: CodedField) -> Parameters:
        return self.values if self.settles else super()._measured(coded)

    def _settled_in_time(self, clock: Clock, batch_pixels: int, report) -> CodedField:
        """As the time that is left allows; a look at many pixels counts as the iterations that see as many."""
        left = max(1, clock.iterations - clock.iteration)
        settling = clock.part(left, left)

        def seen(look: Look) -> None:
            settling.tick(math.ceil(_pixels_worth(look) / batch_pixels))
            report(-10 * math.log10(max(look.error, 1e-12)), look.rate / self.control.rate_lambda)

        def due(share: float) -> bool:
            return settling.running() and settling.fraction < share

        return self._settled(self._settling_steps(), due, seen, self.settling_pixels)

    def _settling_steps(self) -> dict[str, int]:
        """Those of an asked size, or those that will cost least."""
        coded = self._coded()
        return (coded if self._lands_by_steps else self._with_best_steps(coded, SETTLED_EXCESS)).steps

    def _settled(self, indices: dict[str, int], due: Due, seen: Callable[[Look], None], pixels: int) -> CodedField:
        """The field as it was trained, settled at these steps while about so many pixels are looked at."""
        steps = torch.tensor([step_of(indices[group]) for group in self.flat.groups], device=self.device)
        steps = steps[self.flat.group_of]

        def rate(weights: Tensor) -> Tensor:
            return self.control.rate_lambda / self.pixels * self._bits(weights, {}, torch.round)

        objective = FieldObjective(self.field, self.samples, steps, self._error, rate, seen)
        with torch.no_grad():
            start = (self.flat.joined(self.values) - self.flat.offset) / steps
        settled = self.flat.views(settle(start, objective, due, affordable_block(pixels)))
        return CodedField(self.field, indices, {name: to_numpy(one) for name, one in settled.items()})

    @torch.enable_grad()
    def _settled_anew(self, indices: dict[str, int]) -> CodedField:
        """The same after the training, in a part of the time."""
        pixels, looked_at = round(ANEW_SHARE * self.settling_pixels), 0.0

        def seen(look: Look) -> None:
            nonlocal looked_at
            looked_at += _pixels_worth(look)

        return self._settled(indices, lambda share: looked_at < share * pixels, seen, pixels)

    @torch.no_grad()
    def of_size(self, bits: float) -> CodedField:
        """Settled anew at steps that take up to `bits`."""
        if not self.settles:
            return super().of_size(bits)
        share, coded = LANDED_SHARE, self.coded
        for _ in range(ANEW):
            share *= bits / ideal_bits(coded)
            coded = self._settled_anew(of_size(self._coded(), self._symbols_at, share * bits).steps)
            if ideal_bits(coded) <= bits:
                break
        return coded

    @torch.no_grad()
    def coarser(self, move: int) -> CodedField:
        """Settled anew at these steps."""
        coded = super().coarser(move)
        return self._settled_anew(coded.steps) if self.settles and move else coded


def _pixels_worth(look: Look) -> float:
    """Pixels that go forward and backward in the same time."""
    return look.pixels * (1 if look.backward else FORWARD_SHARE)
