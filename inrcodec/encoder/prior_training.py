"""Trains a prior of family pyramid: networks that many photographs share while their grids are fitted.

Every photograph keeps grids of its own, which start from its Laplacian pyramid, and coefficients of its own, by which modes
(directions in which context networks differ) are added to the shared context network. A visit is one step on every
photograph, in random order; loss = distortion + rate_lambda · bits per pixel, symbols softly rounded and vertices filtered
as in long fits (`annealing.THOROUGH`). Only what is shared is kept: head, context network and modes.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inrcodec.encoder.annealing import THOROUGH
from inrcodec.encoder.batches import Samples
from inrcodec.encoder.start import CHROMA_GAIN, YCBCR, start
from inrcodec.entropy.planes import BIAS_LIMIT, MAX_WIDTH, WEIGHT_LIMIT, WEIGHT_UNIT, network_tensors
from inrcodec.entropy.planes_rate import PlanesRate
from inrcodec.errors import InrError, UsageError
from inrcodec.fields.base import Parameters
from inrcodec.fields.pyramid import Pyramid, PyramidConfig
from inrcodec.kernels import native
from inrcodec.passes import ALPHA, MAX_LEVELS, NEIGHBORHOODS, PARENT_OFFSETS, ROLES
from inrcodec.priors import MODE_UNIT, NETWORK_UNIT, THOROUGH_FILTERS, Prior
from inrcodec.render import integers
from inrcodec.segment import grid_specs
from inrcodec.signal.info import SignalInfo

LEVELS = 6
HEAD_RATE, NETWORK_RATE, MODE_RATE, COEFFICIENT_RATE = 1e-2, 2e-2, 4e-3, 0.15
GRID_RATE = 0.16
"""Learning rates; that of grids is in units of their steps."""
SHARED_BETAS = (0.9, 0.99)
"""Adam's, for what all photographs share."""
REPORTED = 10
"""Every so many visits, and after the last one, progress is told."""
MODE_LIMIT = np.iinfo(np.int16).max

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class PriorOptions:
    """rate_lambda: what the prior is for. visits: steps on each photograph. width: of the head's hidden layers;
    network_width: of the context network's; modes: how many. seed: of everything random."""

    rate_lambda: float
    visits: int = 100
    width: int = 24
    network_width: int = 24
    modes: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if not (math.isfinite(self.rate_lambda) and self.rate_lambda > 0):
            raise UsageError(f"rate_lambda is {self.rate_lambda}, allowed are positive numbers")
        limits = {"visits": 1 << 20, "width": native.MAX_WIDTH, "network_width": MAX_WIDTH, "modes": 64}
        for name, limit in limits.items():
            if not 1 <= getattr(self, name) <= limit:
                raise UsageError(f"{name} is {getattr(self, name)}, allowed are 1 … {limit}")


@dataclass(frozen=True)
class PriorProgress:
    """After `visit` visits: means over photographs of the loss that training sees in its last visit, and of the loss with
    symbols and samples rounded (networks are not)."""

    visit: int
    soft_loss: float
    rounded_loss: float
    seconds_per_step: float


# -- what is shared ----------------------------------------------------------------------------------------------------


def initial_head(width: int, generator: torch.Generator) -> Tensors:
    """The bypass turns features of Y, Cb, Cr, summed over levels, into RGB; the rest of the head adds nothing yet."""
    transform = torch.tensor(YCBCR)
    transform[1:] /= CHROMA_GAIN
    bypass = torch.zeros(3, MAX_LEVELS, 4)
    bypass[:, :, :ALPHA] = torch.linalg.inv(transform)[:, None]
    return {
        "hidden": torch.randn(width, ROLES, generator=generator) * 1.2,
        "hidden.bias": torch.zeros(width),
        "second": torch.randn(width, width, generator=generator) * math.sqrt(2 / width),
        "second.bias": torch.zeros(width),
        "last": torch.zeros(3, width),
        "bypass": bypass.flatten(1),
        "last.bias": torch.zeros(3),
    }


def initial_network(width: int, generator: torch.Generator) -> Tensors:
    """Scales of the symbols follow the magnitudes around them; means are 0 but for the little that `last` gives."""
    network = {name: torch.zeros(shape) for name, shape in network_tensors(width, ROLES).items()}
    log2_scale = width + 1  # the row of `entry` that leads straight to it; the row before leads to the mean
    for kind, near in enumerate(NEIGHBORHOODS):
        entry, count = network[f"entry{kind}"], len(near.offsets)
        entry[:width] = torch.randn(width + 2, near.inputs, generator=generator)[:width] * 0.2
        after_parent = count + 1 + len(PARENT_OFFSETS)
        entry[log2_scale, count] = 1.1 if count else 0.0  # the neighbors' magnitude
        entry[log2_scale, after_parent + 1] = 0.3  # that of the parent's 9
        entry[log2_scale, after_parent + 3] = 0.2  # that of the previous channel
    network["kind_bias"][:, log2_scale] = -3
    network["kind_bias"][0, log2_scale] = -2
    noise = torch.randn(width, width, generator=generator)
    network["second"] = torch.eye(width) + noise * (0.5 / math.sqrt(width))
    network["last"] = torch.randn(2, width, generator=generator) * 0.03
    return network


def initial_modes(network: Tensors, count: int, generator: torch.Generator) -> Tensors:
    return {name: torch.randn(count, *value.shape, generator=generator) * 0.1 for name, value in network.items()}


class Shared:
    """Head, context network and modes, columns and rows of planes by role; `optimizer` of all three."""

    def __init__(self, options: PriorOptions) -> None:
        self.options = options
        generator = torch.Generator().manual_seed(options.seed)
        self.head = initial_head(options.width, generator)
        self.network = initial_network(options.network_width, generator)
        self.modes = initial_modes(self.network, options.modes, generator)
        rates = ((self.head, HEAD_RATE), (self.network, NETWORK_RATE), (self.modes, MODE_RATE))
        groups = [{"params": [value.requires_grad_() for value in part.values()], "lr": rate} for part, rate in rates]
        self.optimizer = _adam(groups, betas=SHARED_BETAS)

    def head_of(self, roles: list[int]) -> Parameters:
        """The head of an RGB picture whose planes have these roles."""
        return self.head | {name: self.head[name][:, roles] for name in ("hidden", "bypass")}

    def network_of(self, roles: list[int], coefficients: Tensor) -> Tensors:
        """The context network of a picture with these coefficients of the modes."""
        network = {
            name: value + torch.tensordot(coefficients, self.modes[name], dims=1)
            for name, value in self.network.items()
        }
        return network | {"plane_bias": network["plane_bias"][roles]}

    def arrays(self) -> dict[str, np.ndarray]:
        """What a prior's file holds (`priors`)."""
        arrays = {"rate_lambda": np.float64(self.options.rate_lambda)}
        arrays |= {f"head.{name}": value.detach().float().numpy().copy() for name, value in self.head.items()}
        for name, value in self.network.items():
            limit = (BIAS_LIMIT if name.endswith("bias") else WEIGHT_LIMIT) * NETWORK_UNIT // WEIGHT_UNIT
            arrays[f"network.{name}"] = _whole(value, NETWORK_UNIT, limit)
        return arrays | {f"modes.{name}": _whole(value, MODE_UNIT, MODE_LIMIT) for name, value in self.modes.items()}

    def prior(self) -> Prior:
        """As far as it is; it has no number yet."""
        arrays = self.arrays()
        parts = (
            {name: arrays[f"{part}.{name}"] for name in getattr(self, part)} for part in ("head", "network", "modes")
        )
        return Prior(0, self.options.rate_lambda, *parts, THOROUGH_FILTERS)


def _whole(value: Tensor, unit: int, limit: int) -> np.ndarray:
    return (value.detach() * unit).round().clamp(-limit, limit).numpy().astype(np.int16)


def _adam(groups: list[dict], betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.Optimizer:
    return torch.optim.Adam([group | {"base": group["lr"]} for group in groups], betas=betas, fused=True)


# -- training ----------------------------------------------------------------------------------------------------------


class Photograph:
    """One photograph: its grids as flat symbols, its coefficients, and an optimizer of both that is kept between visits."""

    def __init__(self, samples: np.ndarray, shared: Shared) -> None:
        """`samples`: (H, W, 3) uint8."""
        height, width, _ = samples.shape
        self.shared = shared
        self.samples = Samples(samples[None], SignalInfo(width, height, 1, "rgb"), torch.device("cpu"))
        config = PyramidConfig(LEVELS, prior=1)  # its number is not looked at: the prior is given
        self.field = Pyramid(config, self.samples.shape, shared.prior())
        self.rate = PlanesRate(self.field.planes)
        self.roles = [plane.role for plane in self.field.planes]
        self.whole = self.samples.batch(*(torch.arange(size) for size in self.samples.shape[:3]))
        self.target = self.samples.frame(self.whole, 0)
        parameters, steps = start(self.field, self.samples, shared.options.rate_lambda, torch.Generator())
        self.specs = grid_specs(self.field)
        self.steps = {spec.name: steps[spec.group] for spec in self.specs}
        symbols = [parameters[spec.name].flatten() / self.steps[spec.name] for spec in self.specs]
        self.symbols = torch.cat(symbols).requires_grad_()
        self.coefficients = torch.zeros(shared.options.modes, requires_grad=True)
        self.optimizer = _adam(
            [{"params": [self.symbols], "lr": GRID_RATE}, {"params": [self.coefficients], "lr": COEFFICIENT_RATE}]
        )

    def _parameters(self, symbols: Tensor) -> Parameters:
        parts = symbols.split([spec.count for spec in self.specs])
        grids = {spec.name: part.view(spec.shape) * self.steps[spec.name] for spec, part in zip(self.specs, parts)}
        return grids | self.shared.head_of(self.roles)

    def _loss(self, error: Tensor, symbols: Tensor) -> Tensor:
        """error: mean squared error over samples in [0, 1]."""
        bits = self.rate(symbols, self.shared.network_of(self.roles, self.coefficients))
        return error + self.shared.options.rate_lambda / self.whole.pixels * bits

    def soft_loss(self, fraction: float, noise: torch.Generator) -> Tensor:
        """With symbols rounded as softly as after this fraction of training; differentiable."""
        symbols = THOROUGH.soft_round(self.symbols, fraction, noise)
        errors = self.field.squared_errors(self._parameters(symbols), self.whole.lattice, lambda index: self.target)
        return self._loss(errors.sum() / self.target.numel(), symbols)

    @torch.no_grad()
    def rounded_loss(self) -> float:
        """With symbols and samples rounded."""
        symbols = self.symbols.round()
        values = self.field.plan(self._parameters(symbols), self.whole.lattice).frame(0)
        info = self.samples.info
        difference = integers(values, info).float() - integers(self.target, info)
        return self._loss((difference / info.peak).square().mean(), symbols).item()


def train_prior(
    photographs: list[np.ndarray],
    options: PriorOptions,
    progress: Callable[[PriorProgress], None] = lambda told: None,
    every: int = REPORTED,
) -> dict[str, np.ndarray]:
    """Arrays of a prior's file (`priors`), trained on `photographs`, (H, W, 3) uint8 each.

    progress: called after every `every` visits and after the last one. Raises InrError if training diverges.
    """
    shared = Shared(options)
    states = [Photograph(samples, shared) for samples in photographs]
    noise, order = torch.Generator().manual_seed(options.seed), random.Random(options.seed)
    began, idle_s = time.monotonic(), 0.0
    for visit in range(options.visits):
        fraction = visit / options.visits
        soft_loss = 0.0
        for state in order.sample(states, len(states)):
            soft_loss += _step(state, shared, fraction, noise) / len(states)
        if not math.isfinite(soft_loss):
            raise InrError(f"training of the prior diverged in visit {visit + 1}: the loss is {soft_loss}")
        if (visit + 1) % every == 0 or visit + 1 == options.visits:
            step_s = (time.monotonic() - began - idle_s) / ((visit + 1) * len(states))
            paused = time.monotonic()
            rounded_loss = sum(state.rounded_loss() for state in states) / len(states)
            progress(PriorProgress(visit + 1, soft_loss, rounded_loss, step_s))
            idle_s += time.monotonic() - paused
    return shared.arrays()


def _step(state: Photograph, shared: Shared, fraction: float, noise: torch.Generator) -> float:
    """One step of both optimizers; the loss before it."""
    factor = THOROUGH.floor + (1 - THOROUGH.floor) * 0.5 * (1 + math.cos(math.pi * fraction))
    optimizers = state.optimizer, shared.optimizer
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor
    loss = state.soft_loss(fraction, noise)
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss.item()
