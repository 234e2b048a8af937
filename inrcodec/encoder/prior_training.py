"""Trains a prior of family pyramid: networks that many photographs share while their grids are fitted.

Every photograph is fitted again and again, by as many iterations as the fits that the prior is for: grids of its own start
from its Laplacian pyramid, and so do coefficients, by which modes (directions in which context networks differ) are added to
the shared context network. Where photographs are in their fits is spread over the whole fit, so that what is shared learns
to serve a fit from its first iteration to its last, whose loss is what counts; in a single long fit it would learn what
suits grids that had time to settle. A visit is one iteration on every photograph, in random order; loss = distortion +
rate_lambda · bits per pixel, quantized as fits are (`annealing`). Only what is shared is kept: head, context network and modes.
(A first-order form of learning to learn, Finn et al., arXiv 1703.03400: the gradient is that at the grids as they are.)
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

from inrcodec.encoder.adam import falling
from inrcodec.encoder.annealing import PATIENT, QUICK, THOROUGH, Annealing
from inrcodec.encoder.batches import Samples
from inrcodec.encoder.promise import promise_of
from inrcodec.encoder.start import CHROMA_GAIN, YCBCR, start
from inrcodec.entropy.mirroring import half_tensors
from inrcodec.entropy.planes_network import (
    BIAS_LIMIT,
    BY_ROLE,
    MAX_WIDTH,
    SUMMARY,
    WEIGHT_LIMIT,
    WEIGHT_UNIT,
    network_tensors,
)
from inrcodec.entropy.planes_rate import PlanesRate
from inrcodec.errors import InrError, UsageError
from inrcodec.fields.base import Parameters
from inrcodec.fields.pyramid import GRID_RATE, Pyramid, PyramidConfig
from inrcodec.kernels import native
from inrcodec.passes import ALPHA, LUMA, MAX_LEVELS, PARENT_OFFSETS, ROLES, WAVEFRONT, Order
from inrcodec.priors import MODE_UNIT, NETWORK_UNIT, PATIENT_FILTERS, PLAIN_FILTERS, THOROUGH_FILTERS, Prior
from inrcodec.render import integers
from inrcodec.segment import grid_specs
from inrcodec.signal.info import SignalInfo

LEVELS, SINGLE_LEVELS = 6, 7
HEAD_RATE, NETWORK_RATE, MODE_RATE, COEFFICIENT_RATE = 1e-2, 2e-2, 4e-3, 0.1
"""Learning rates."""
CONTINUED = 0.6
"""Factor of the learning rates of what is shared where it starts from a prior."""
SHARED_BETAS = (0.9, 0.99)
"""Adam's, for what all photographs share."""
SHARED_FLOOR = 0.02
"""Learning rates of what is shared at the end, as a share of those at the start."""
EARLY_WEIGHT = 0.25
"""Of the gradients of a fit's first iteration, those of its last having 1."""
MODE_LIMIT = np.iinfo(np.int16).max

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class PriorOptions:
    """rate_lambda: what the prior is for, and iterations, of a fit. order: of symbols; SUMMARIZED: of single planes, for fits of
    thousands of iterations. short: whether it is for fits of some dozen iterations, which do not filter the vertices. fits: of
    each photograph; 0: the prior is what networks are drawn as. width: of the head's hidden layers; layers: how many;
    network_width: of the context network's; mirrored: whether it is, in SUMMARIZED order. modes: how many. seed: of everything
    random."""

    rate_lambda: float
    iterations: int = 50
    order: Order = WAVEFRONT
    short: bool = False
    fits: int = 4
    width: int = 24
    layers: int = 2
    network_width: int = 24
    mirrored: bool = False
    modes: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if not (math.isfinite(self.rate_lambda) and self.rate_lambda > 0):
            raise UsageError(f"rate_lambda is {self.rate_lambda}, allowed are positive numbers")
        limits = {
            "iterations": 1 << 20,
            "fits": 1 << 20,
            "width": native.MAX_WIDTH,
            "layers": 2,
            "network_width": MAX_WIDTH,
            "modes": 64,
        }
        for name, limit in limits.items():
            least = 0 if name in ("fits", "modes") else 1
            if not least <= getattr(self, name) <= limit:
                raise UsageError(f"{name} is {getattr(self, name)}, allowed are {least} … {limit}")
        if self.mirrored and not self.order.summaries:
            raise UsageError("only the context networks of single planes are mirrored")
        if self.mirrored and self.network_width % 2:
            raise UsageError(f"network_width is {self.network_width}, a mirrored one is even")

    @property
    def annealing(self) -> Annealing:
        if self.order.summaries:
            return PATIENT
        return QUICK if self.short else THOROUGH

    @property
    def filters(self) -> tuple[tuple[float, ...], ...]:
        """Of vertices."""
        if self.order.summaries:
            return PATIENT_FILTERS
        return PLAIN_FILTERS if self.short else THOROUGH_FILTERS


@dataclass(frozen=True)
class PriorProgress:
    """When every photograph has ended another fit, the `fit`th: the mean of their losses then, with symbols and samples
    rounded (networks are not)."""

    fit: int
    loss: float
    seconds_per_step: float


# -- what is shared ----------------------------------------------------------------------------------------------------


def initial_head(order: Order, width: int, layers: int, generator: torch.Generator) -> Tensors:
    """The bypass turns features of Y, Cb, Cr, summed over levels, into RGB, or single features into gray; the rest of the head
    adds nothing yet. layers: hidden ones, 1 or 2."""
    bypass = torch.zeros(3, MAX_LEVELS, 4)
    if order.summaries:
        bypass[:, :, LUMA] = 1
    else:
        transform = torch.tensor(YCBCR)
        transform[1:] /= CHROMA_GAIN
        bypass[:, :, :ALPHA] = torch.linalg.inv(transform)[:, None]
    head = {
        "hidden": torch.randn(width, ROLES, generator=generator) * 1.2,
        "hidden.bias": torch.zeros(width),
        "last": torch.zeros(3, width),
        "bypass": bypass.flatten(1),
        "last.bias": torch.zeros(3),
    }
    if layers == 2:
        head["second"] = torch.randn(width, width, generator=generator) * math.sqrt(2 / width)
        head["second.bias"] = torch.zeros(width)
    return head


def initial_network(order: Order, width: int, generator: torch.Generator, mirrored: bool = False) -> Tensors:
    """Scales of the symbols follow the magnitudes around them; means are 0 but for the little that `last` gives. mirrored: halves
    of a mirrored network, if the order has summaries."""
    if order.summaries:
        return (_initial_halves if mirrored else _initial_summarized)(order, width, generator)
    network = {name: torch.zeros(shape) for name, shape in network_tensors(order, width, ROLES).items()}
    log2_scale = width + 1  # the row of `entry` that leads straight to it; the row before leads to the mean
    for kind, near in enumerate(order.neighborhoods):
        entry, count = network[f"entry{kind}"], len(near.offsets)
        entry[:width] = torch.randn(width + 2, near.inputs, generator=generator)[:width] * 0.2
        after_parent = count + 1 + len(PARENT_OFFSETS)
        entry[log2_scale, count] = 1.1 if count else 0.0  # the neighbors' magnitude
        entry[log2_scale, after_parent + 1] = 0.3  # that of the parent's 9
        entry[log2_scale, after_parent + 3] = 0.2  # that of the previous channel
    network["kind_bias"][:, log2_scale] = torch.tensor([-3.0 if near.offsets else -2.0 for near in order.neighborhoods])
    noise = torch.randn(width, width, generator=generator)
    network["second"] = torch.eye(width) + noise * (0.5 / math.sqrt(width))
    network["last"] = torch.randn(2, width, generator=generator) * 0.03
    return network


def _initial_summarized(order: Order, width: int, generator: torch.Generator) -> Tensors:
    """A summary is a coarser level's symbol, each of another one; hidden layers hand on what is above zero (residual layers that
    begin as the identity, as Cool-Chic 5.0 has them)."""
    network = {name: torch.zeros(shape) for name, shape in network_tensors(order, width, ROLES).items()}
    (near,) = order.neighborhoods
    network[SUMMARY][:] = 0.5 * torch.eye(order.summaries, MAX_LEVELS - 1).flatten()
    network[SUMMARY] += 0.03 * torch.randn(network[SUMMARY].shape, generator=generator)
    network["entry0"][:width] = torch.eye(width, near.inputs)
    for neighbor in ((-1, 0), (0, -1)):
        network["entry0"][width, near.offsets.index(neighbor)] = 0.4
    network["kind_bias"][:, width + 1] = -3.0
    network["second"] = torch.eye(width)
    network["last"] = 0.05 * torch.randn(2, width, generator=generator)
    return network


def _initial_halves(order: Order, width: int, generator: torch.Generator) -> Tensors:
    """The same where hidden units are pairs: each pair hands on one input, what is above zero and what is below."""
    network = {name: torch.zeros(shape) for name, shape in half_tensors(order, width, ROLES).items()}
    whole = _initial_summarized(order, width, generator)
    pairs = width // 2
    network[SUMMARY] = whole[SUMMARY]
    network["entry0"][:] = torch.cat([whole["entry0"][:pairs], whole["entry0"][width : width + 1]])
    network["kind_bias"][:, -1] = whole["kind_bias"][:, -1]
    network["even"], network["odd"] = (0.5 * torch.eye(pairs) for _ in range(2))
    network["last"] = whole["last"][:, :pairs]
    return network


def initial_modes(network: Tensors, count: int, generator: torch.Generator) -> Tensors:
    return {name: torch.randn(count, *value.shape, generator=generator) * 0.1 for name, value in network.items()}


class Shared:
    """Head, context network and modes, columns and rows of planes by role."""

    def __init__(self, options: PriorOptions, begin: Prior | None = None) -> None:
        """`begin`: the prior to go on from; its widths, layers, modes and order count, not those of the options."""
        self.options, self.order = options, begin.order if begin else options.order
        generator = torch.Generator().manual_seed(options.seed)
        if begin:
            self.head = {name: torch.from_numpy(value.copy()) for name, value in begin.head.items()}
            self.network = _floating(begin.network, NETWORK_UNIT)
            self.modes = _floating(begin.modes, MODE_UNIT)
        else:
            self.head = initial_head(self.order, options.width, options.layers, generator)
            self.network = initial_network(self.order, options.network_width, generator, options.mirrored)
            self.modes = initial_modes(self.network, options.modes, generator)
        factor = CONTINUED if begin else 1.0
        rates = ((self.head, HEAD_RATE), (self.network, NETWORK_RATE), (self.modes, MODE_RATE))
        groups = [
            {"params": [value.requires_grad_() for value in part.values()], "lr": factor * rate} for part, rate in rates
        ]
        self.optimizer = _adam(groups, betas=SHARED_BETAS)

    @property
    def coefficients(self) -> int:
        """How many modes there are."""
        return len(self.modes["last"])

    def step(self, fraction: float, weight: float) -> None:
        """Of the optimizer, after this fraction of the training, by the gradients times `weight`."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * falling(fraction, SHARED_FLOOR)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.mul_(weight)
        self.optimizer.step()

    def head_of(self, roles: list[int]) -> Parameters:
        """The head of an RGB picture whose planes have these roles."""
        return self.head | {name: self.head[name][:, roles] for name in ("hidden", "bypass")}

    def network_of(self, roles: list[int], coefficients: Tensor) -> Tensors:
        """The context network of a picture with these coefficients of the modes."""
        network = {
            name: value + torch.tensordot(coefficients, self.modes[name], dims=1)
            for name, value in self.network.items()
        }
        return network | {name: network[name][roles] for name in BY_ROLE if name in network}

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
        return Prior(0, self.options.rate_lambda, *parts, self.options.filters, self.order)


def _floating(whole: dict[str, np.ndarray], unit: int) -> Tensors:
    return {name: torch.from_numpy(value.astype(np.float32)) / unit for name, value in whole.items()}


def _whole(value: Tensor, unit: int, limit: int) -> np.ndarray:
    return (value.detach() * unit).round().clamp(-limit, limit).numpy().astype(np.int16)


def _adam(groups: list[dict], betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.Optimizer:
    return torch.optim.Adam([group | {"base": group["lr"]} for group in groups], betas=betas, fused=True)


# -- training ----------------------------------------------------------------------------------------------------------


class Photograph:
    """One photograph and the fit that it is in: its grids as flat symbols, its coefficients, and an optimizer of both."""

    def __init__(self, samples: np.ndarray, shared: Shared) -> None:
        """`samples`: (H, W, 3) uint8."""
        height, width, _ = samples.shape
        self.shared, self.annealing = shared, shared.options.annealing
        self.samples = Samples(samples[None], SignalInfo(width, height, 1, "rgb"), torch.device("cpu"))
        levels = SINGLE_LEVELS if shared.order.summaries else LEVELS
        config = PyramidConfig(levels, prior=1)  # its number is not looked at: the prior is given
        self.field = Pyramid(config, self.samples.shape, shared.prior())
        self.rate = PlanesRate(self.field.planes, shared.order)
        self.roles = [plane.role for plane in self.field.planes]
        self.whole = self.samples.batch(*(torch.arange(size) for size in self.samples.shape[:3]))
        self.target = self.samples.frame(self.whole, 0)
        parameters, steps = start(self.field, self.samples, shared.options.rate_lambda, torch.Generator())
        self.specs = grid_specs(self.field)
        self.steps = {spec.name: steps[spec.group] for spec in self.specs}
        values = [spec.symbols(parameters[spec.name], self.steps[spec.name]) for spec in self.specs]
        promise = promise_of(values, self.field.ages, self.annealing.promising)
        self.tiles, self.mask = promise.tiles, torch.cat([mask.flatten() for mask in promise.masks])
        self.beginning = torch.cat([value.flatten() for value in values])
        self.restart()

    def restart(self) -> None:
        """Begins the next fit."""
        self.iteration = 0
        self.symbols = self.beginning.clone().requires_grad_()
        self.coefficients = torch.zeros(self.shared.coefficients, requires_grad=True)
        rate, haste = self.annealing.haste * GRID_RATE, self.annealing.weights_haste or 1.0
        self.optimizer = _adam(
            [
                {"params": [self.symbols], "lr": rate, "betas": self.annealing.memory},
                {"params": [self.coefficients], "lr": haste * COEFFICIENT_RATE},
            ]
        )

    @property
    def fraction(self) -> float:
        """Of the fit that is done."""
        return self.iteration / self.shared.options.iterations

    def advance(self, noise: torch.Generator) -> None:
        """One iteration of the fit; gradients of what is shared are left to it. Raises InrError if it diverges."""
        self.optimizer.zero_grad(set_to_none=True)
        self.shared.optimizer.zero_grad(set_to_none=True)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * falling(self.fraction, self.annealing.floor)
        loss = self.soft_loss(self.fraction, noise)
        if not math.isfinite(loss.item()):
            raise InrError(f"training of the prior diverged: the loss is {loss.item()}")
        loss.backward()
        self.optimizer.step()
        self.iteration += 1

    def _parameters(self, symbols: Tensor) -> Parameters:
        parts = symbols.split([spec.count for spec in self.specs])
        grids = {spec.name: part.view(spec.shape) * self.steps[spec.name] for spec, part in zip(self.specs, parts)}
        return grids | self.shared.head_of(self.roles)

    def _loss(self, error: Tensor, symbols: Tensor) -> Tensor:
        """error: mean squared error over samples in [0, 1]."""
        bits = self.rate(symbols, self.shared.network_of(self.roles, self.coefficients), self.tiles)
        return error + self.shared.options.rate_lambda / self.whole.pixels * bits

    def soft_loss(self, fraction: float, noise: torch.Generator) -> Tensor:
        """With symbols rounded as softly as after this fraction of a fit; differentiable."""
        symbols = self.annealing.soft_round(self.symbols, fraction, noise) * self.mask
        errors = self.field.squared_errors(self._parameters(symbols), self.whole.lattice, lambda index: self.target)
        return self._loss(errors.sum() / self.target.numel(), symbols)

    @torch.no_grad()
    def rounded_loss(self) -> float:
        """With symbols and samples rounded."""
        symbols = self.symbols.round() * self.mask
        values = self.field.plan(self._parameters(symbols), self.whole.lattice).frame(0)
        info = self.samples.info
        difference = integers(values, info).float() - integers(self.target, info)
        return self._loss((difference / info.peak).square().mean(), symbols).item()


def train_prior(
    photographs: list[np.ndarray],
    options: PriorOptions,
    progress: Callable[[PriorProgress], None] = lambda told: None,
    begin: Prior | None = None,
) -> dict[str, np.ndarray]:
    """Arrays of a prior's file (`priors`), trained on `photographs`, (H, W, 3) uint8 each.

    progress: called when every photograph has ended another fit. begin: the prior to go on from. Raises InrError if training
    diverges.
    """
    shared = Shared(options, begin)
    states = [Photograph(samples, shared) for samples in photographs]
    noise, order = torch.Generator().manual_seed(options.seed), random.Random(options.seed)
    _spread(states, noise)
    visits, began, ended = options.iterations * options.fits, time.monotonic(), []
    for visit in range(visits):
        for state in order.sample(states, len(states)):
            weight = EARLY_WEIGHT + (1 - EARLY_WEIGHT) * state.fraction
            state.advance(noise)
            shared.step(visit / visits, weight)
            if state.fraction >= 1:
                ended.append(state.rounded_loss())
                state.restart()
        if (visit + 1) % options.iterations == 0:
            step_s = (time.monotonic() - began) / ((visit + 1) * len(states))
            progress(PriorProgress((visit + 1) // options.iterations, sum(ended) / len(ended), step_s))
            ended.clear()
    return shared.arrays()


def _spread(states: list[Photograph], noise: torch.Generator) -> None:
    """Photographs evenly over a fit: each goes ahead, and nothing shared learns."""
    for index, state in enumerate(states):
        for _ in range(index * state.shared.options.iterations // len(states)):
            state.advance(noise)
