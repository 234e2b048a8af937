"""How the rounding of grids hardens while training goes on (C3, arXiv 2312.02753, section 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from inrcodec.encoder.adam import BETAS
from inrcodec.encoder.control import Outlook, Reach
from inrcodec.fields import Field
from inrcodec.fields.coordx import CoordX
from inrcodec.fields.pyramid import Pyramid
from inrcodec.quantize import noisily_rounded, noisy_round

ROUNDING_DEVIATION = 12**-0.5
"""Of the error of rounding, in steps."""
LONG = 3000
"""Iterations from which grids end at `Annealing.coldest`: after 800 a cold end costs more than it gives."""


@dataclass(frozen=True)
class Annealing:
    """temperatures, deviations: of soft rounding and of its noise, in steps, at the start and at the end. haste: of the
    grids' learning rates. floor: what is left of those at the end. memory: of their moments (`Adam`, betas): the fewer the
    iterations, the shorter. weights_haste: of the rates of weights, which are rotated (`soap`) if it is given, from
    `rotated_from` pixels on: in small pictures differences of pyramids' networks take a large share of the bits, and a fit to
    an asked size ended far below it. weights_memory: of the moments that are rotated.
    weights_noise: on weights in training, at the start and at the end, in deviations of rounding's errors. weights_rounded:
    fraction of the training from which weights are rounded. settling: share of the iterations in which, after the training,
    weights settle on whole numbers one block after the other (`settle`); they are not rounded before then. promising: tiles of a
    pyramid are trained that begin with a larger symbol (`promise`). outlook: how the fit of a pyramid or of CoordX goes on.
    reach: how far its end can be trimmed. coldest: temperature at the end of long fits."""

    temperatures: tuple[float, float]
    deviations: tuple[float, float]
    haste: float
    floor: float
    memory: tuple[float, float]
    weights_haste: float | None
    promising: float
    outlook: Outlook
    reach: Reach
    rotated_from: int = 1 << 17
    weights_memory: float = 0.95
    weights_decay: float = 0.0
    weights_noise: tuple[float, float] = (1.0, 1.0)
    weights_rounded: float = 0.8
    settling: float = 0.0
    coldest: float | None = None

    def lasting(self, iterations: int) -> Annealing:
        """The same of a fit of so many iterations: a long one has time to end colder, and loses less by rounding."""
        if self.coldest is None or iterations < LONG:
            return self
        return replace(self, temperatures=(self.temperatures[0], self.coldest))

    def unsettled(self) -> Annealing:
        """The same with weights that are rounded while they are trained on."""
        own = Annealing  # its defaults
        return replace(
            self, weights_noise=own.weights_noise, weights_rounded=own.weights_rounded, settling=own.settling
        )

    def soft_round(self, values: Tensor, fraction: float, noise: torch.Generator) -> Tensor:
        """Symbols as training sees them after `fraction` of it."""
        return noisy_round(values, *self._softness(fraction), noise)

    def softly_rounded(
        self, values: Tensor, step: float, into: tuple[Tensor, Tensor], fraction: float, noise: torch.Generator
    ) -> None:
        """The same of values / step, and derivatives by these, to two tensors."""
        noisily_rounded(values, step, *self._softness(fraction), noise, into)

    def _softness(self, fraction: float) -> tuple[float, float]:
        """Temperature, and deviation of the noise."""
        return tuple(_between(ends, fraction) for ends in (self.temperatures, self.deviations))

    def noisy_weights(self, values: Tensor, fraction: float, noise: torch.Generator) -> Tensor:
        """Symbols of weights as training sees them until they are rounded."""
        deviation = ROUNDING_DEVIATION * _between(self.weights_noise, fraction)
        return values + torch.randn(values.shape, generator=noise, device=values.device) * deviation


def _between(ends: tuple[float, float], fraction: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * fraction


QUICK = Annealing(
    temperatures=(0.3, 0.02),
    deviations=(0.2, 0.02),
    haste=1,
    floor=0.02,
    memory=(0.5, 0.95),
    weights_haste=None,
    promising=1.0,
    outlook=Outlook(rate=0.42, psnr_db=1.6, power=1.5, steps_rest=0.35),
    reach=Reach(shares=(0.97, 1.0), surplus=0.05, excess_db=(0.0, 0.8), surplus_db=0.5, thresholds=(-0.008, 0.2)),
)
"""Nothing is left between a symbol and its rounding: best for some dozen iterations."""
THOROUGH = Annealing(
    temperatures=(0.35, 0.08),
    deviations=(0.22, 0.15),
    haste=2,
    floor=0.02,
    memory=(0.6, 0.97),
    weights_haste=2,
    promising=0.5,
    outlook=Outlook(rate=1.1, psnr_db=1.6, power=2.5, steps_rest=0.35),
    reach=Reach(
        shares=(0.965, 1.0), surplus=-0.01, excess_db=(-0.08, 0.14), surplus_db=0.05, thresholds=(-0.025, 0.03)
    ),
)
"""Some noise stays to the end, and keeps symbols where rounding costs little: best for a hundred iterations and more."""
PATIENT = replace(
    THOROUGH,
    haste=4,
    floor=0.002,
    promising=-1.0,
    coldest=0.05,
    outlook=Outlook(rate=0.65, lambda_power=0.2, psnr_db=0.2, power=1.0, steps_rest=0.0, gain=30.0),
    reach=Reach(),
)
"""Of pyramids of single planes, in thousands of iterations, which find out themselves where symbols are worth their bits: all
tiles are trained. Their steps rest, since networks are made for them."""
TABLES = replace(QUICK, floor=0.1, memory=BETAS)
"""Of hash grids, which need more iterations, and see few samples of a table in each."""
SPLIT = replace(
    QUICK,
    weights_haste=1.5,
    rotated_from=0,
    weights_memory=0.9,
    weights_decay=1e-3,
    weights_noise=(0.4, 0.1),
    weights_rounded=1.0,
    settling=0.2,
    outlook=Outlook(rate=0.35, steps_rest=1.0, gain=5.0),
    reach=Reach(),
)
"""Of CoordX, which has no grids: with twice the haste some fits learn nothing. Its bits fall as steps are learned, slowly, so
that rate control must not hurry either."""
WIDE, WIDE_POWER = 40, 0.8
"""Width from which CoordX hastes less, and how fast that falls with it. Before matrices decayed the power had to be 1.75: wide
networks learned nothing while the rate was high."""


SETTLED, MOST_SETTLING = 8000, 1 / 3
"""Weights that `SPLIT.settling` is enough for, and the largest share: with three times as many weights half of the time is well
spent."""


def annealing_of(field: Field) -> Annealing:
    """By family; long fits of pyramids are those that filter their vertices."""
    if isinstance(field, CoordX):
        slower = min(1.0, WIDE / field.config.width) ** WIDE_POWER
        return replace(
            SPLIT,
            weights_haste=SPLIT.weights_haste * slower,
            weights_decay=SPLIT.weights_decay * slower,
            settling=min(MOST_SETTLING, SPLIT.settling * max(1.0, field.parameter_count / SETTLED)),
        )
    if not isinstance(field, Pyramid):
        return TABLES
    if field.single:
        return PATIENT
    return THOROUGH if field.filtered else QUICK
