"""The training loop: one field, one segment, loss = distortion + rate_lambda · bits per pixel, quantized all the way.

Two stages, both within one cosine schedule. Until ROUNDING_STARTS the symbols of grids are softly rounded with noise that
anneals, weights carry the noise of rounding, and the steps of weights are learned with everything else (those of grids
follow rate_lambda). Then steps are fixed to the stream's grid, symbols and networks are rounded with straight-through
gradients, and the best rounded state is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from inrcodec.encoder.batches import Batch, Samples, channel_weights, sub_lattices
from inrcodec.encoder.clock import Clock
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.refine import refine_network, refine_steps
from inrcodec.entropy.context import NetworkShape
from inrcodec.entropy.rate import (
    ContextRate,
    initial_network,
    network_limits,
    network_step,
    network_symbols,
    weight_bits,
)
from inrcodec.errors import InrError
from inrcodec.fields import Field, Parameters
from inrcodec.quantize import nearest_index, noisy_round, step_of, straight_through
from inrcodec.segment import CodedField, contexts, grid_specs, weight_groups

ROUNDING_STARTS = 0.8
TEMPERATURES = (0.3, 0.12)
DEVIATIONS = (0.2, 0.1)
WEIGHT_DEVIATION = 12**-0.5
"""Of the error of rounding."""
STEP_OCTAVES = 3.0
"""How far, at the most, a step travels while it is learned."""
NETWORK_RATE = 5e-2
REFINE_PIXELS, REFINE_FRAMES = 1 << 16, 4
"""Of the lattice on which steps are searched."""
OBSERVED = 5
"""Every so many iterations rate control looks at the rounded field."""
CHECKS = 20
"""Looks at the whole signal in the rounding stage, where batches are only parts of it."""


class Training:
    """State of one fit. `run` iterates until the clock ends; `coded` gives the quantized field."""

    def __init__(
        self,
        field: Field,
        samples: Samples,
        parameters: Parameters,
        steps: dict[str, float],
        network_shape: NetworkShape,
        control: RateControl,
        generator: torch.Generator,
    ) -> None:
        self.field, self.samples, self.control, self.generator = field, samples, control, generator
        self.device = samples.planar.device
        self.noise = torch.Generator(self.device).manual_seed(int(torch.randint(2**31, (), generator=generator)))
        self.pixels = math.prod(samples.shape[:3])
        self.weights = channel_weights(samples.info).to(self.device)
        self.network_shape = network_shape
        self.values = {name: value.to(self.device).requires_grad_() for name, value in parameters.items()}
        self.start_steps = steps
        self.grid_groups = {spec.group for spec in grid_specs(field)}
        self.log_steps = {
            group: torch.zeros((), device=self.device, requires_grad=True) for group in weight_groups(field)
        }
        context = contexts(field)
        self.context_rate = ContextRate(context, self.device) if context else None
        network = initial_network(network_shape, context, generator) if context else {}
        self.network = {name: value.to(self.device).requires_grad_() for name, value in network.items()}
        self.rounding = False
        self.best: CodedField | None = None
        self.best_loss = math.inf

    # -- quantization ------------------------------------------------------------------------------------------------

    def _step(self, group: str) -> Tensor | float:
        if self.rounding:
            return step_of(self._step_index(group))
        if group in self.grid_groups:
            return self.start_steps[group] * self.control.step_factor
        return self.start_steps[group] * torch.exp2(self.log_steps[group])

    def _step_index(self, group: str) -> int:
        factor = self.control.step_factor if group in self.grid_groups else 2 ** self.log_steps[group].item()
        return nearest_index(self.start_steps[group] * factor)

    def _symbols(self, fraction: float) -> tuple[dict[str, Tensor], dict[str, Tensor | float]]:
        """Symbols as training sees them, and the steps of the groups."""
        steps = {group: self._step(group) for group in self.start_steps}
        symbols = {}
        for spec in self.field.specs():
            values = (self.values[spec.name] - spec.offset) / steps[spec.group]
            if self.rounding:
                symbols[spec.name] = straight_through(values)
            else:
                symbols[spec.name] = self._noisy(values, spec.kind, min(1.0, fraction / ROUNDING_STARTS))
        return symbols, steps

    def _noisy(self, values: Tensor, kind: str, part: float) -> Tensor:
        """Weights only need to stand noise; symbols of grids are few-valued and learn where to settle."""
        if kind == "weight":
            return values + torch.randn(values.shape, generator=self.noise, device=self.device) * WEIGHT_DEVIATION
        temperature, deviation = (low + (high - low) * part for low, high in (TEMPERATURES, DEVIATIONS))
        return noisy_round(values, temperature, deviation, self.noise)

    def _seen_network(self) -> dict[str, Tensor]:
        if not self.rounding:
            return self.network
        seen = {}
        for name, value in self.network.items():
            step = network_step(name, self.network_shape)
            seen[name] = straight_through((value / step).clamp(*network_limits(name, self.network_shape))) * step
        return seen

    def _bits(self, symbols: dict[str, Tensor]) -> Tensor:
        """Estimated bits of the whole segment, the context network included."""
        bits = sum(
            weight_bits(torch.cat([symbols[spec.name].flatten() for spec in specs]))
            for specs in weight_groups(self.field).values()
        )
        if self.context_rate:
            flat = torch.cat([symbols[spec.name].flatten() for spec in grid_specs(self.field)])
            bits = bits + self.context_rate(flat, self._seen_network()) + self._network_bits()
        return bits

    def _network_bits(self) -> Tensor:
        return sum(
            weight_bits(value.flatten() / network_step(name, self.network_shape))
            for name, value in self.network.items()
        )

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self, batches: Iterator[list[Batch]], clock: Clock, report: Callable[[float, float], None]) -> None:
        """Iterates until `clock` ends. report(psnr_db, bpp) is called after each iteration."""
        optimizer = self._optimizer(clock)
        checks = 0
        while clock.running():
            fraction = clock.fraction
            if not self.rounding and fraction >= ROUNDING_STARTS:
                self._start_rounding()
            self._schedule(optimizer, fraction)
            batch = next(batches)
            error, bits = self._iterate(optimizer, batch, fraction)
            clock.tick()
            if not math.isfinite(error + bits):
                raise InrError(f"training diverged at iteration {clock.iteration}: distortion {error}, {bits} bits")
            if self.control.moves(clock.fraction) and clock.iteration % OBSERVED == 0:
                self.control.observe(clock.fraction, *self._rounded_cost(batch))
            report(-10 * math.log10(max(error, 1e-12)), bits / self.pixels)
            if self.rounding:
                due = ROUNDING_STARTS + (1 - ROUNDING_STARTS) * (checks + 1) / CHECKS
                if clock.fraction >= due:
                    checks = int((clock.fraction - ROUNDING_STARTS) / (1 - ROUNDING_STARTS) * CHECKS)
                    self._keep_best()
        if not self.rounding:
            self._start_rounding()
        self._keep_best()
        self.best = self._refined(self.best)

    @torch.no_grad()
    def _rounded_cost(self, batches: list[Batch]) -> tuple[float, float]:
        """Distortion of a batch and bits per pixel, if symbols were rounded now."""
        symbols, parameters = {}, {}
        for spec in self.field.specs():
            step = self._step(spec.group)
            symbols[spec.name] = ((self.values[spec.name] - spec.offset) / step).round()
            parameters[spec.name] = spec.offset + symbols[spec.name] * step
        total = sum(batch.pixels for batch in batches)
        error = sum(self._error(parameters, batch).item() * batch.pixels for batch in batches) / total
        return error, self._bits(symbols).item() / self.pixels

    def _refined(self, coded: CodedField) -> CodedField:
        """Steps and network precision by real cost, on a thinned lattice."""
        batch = next(sub_lattices(self.samples, REFINE_PIXELS, REFINE_FRAMES, self.generator))
        with torch.no_grad():
            network = {name: value.detach() for name, value in self.network.items()}
            coded = refine_network(coded, network)
            lambda_per_bit = self.control.rate_lambda / self.pixels
            return refine_steps(
                coded, lambda tried: self._error(tried.parameters(self.device), batch[0]).item(), lambda_per_bit
            )

    def _optimizer(self, clock: Clock) -> torch.optim.Optimizer:
        rates = {}
        for spec in self.field.specs():
            rates[spec.name] = (
                spec.rate / spec.step * self.start_steps[spec.group] if spec.kind == "grid" else spec.rate
            )
        groups = [{"params": [self.values[name]], "lr": rate} for name, rate in rates.items()]
        groups.append({"params": list(self.log_steps.values()), "lr": min(0.02, 2 * STEP_OCTAVES / clock.iterations)})
        if self.network:
            groups.append({"params": list(self.network.values()), "lr": NETWORK_RATE})
        for group in groups:
            group["base"] = group["lr"]
        return torch.optim.Adam(groups, eps=1e-8, fused=True)

    @staticmethod
    def _schedule(optimizer: torch.optim.Optimizer, fraction: float) -> None:
        factor = 0.5 * (1 + math.cos(math.pi * fraction)) + 0.005
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor

    def _iterate(self, optimizer, batches: list[Batch], fraction: float) -> tuple[float, float]:
        """One step of the optimizer; distortion of the batch and bits of the segment."""
        optimizer.zero_grad(set_to_none=True)
        symbols, steps = self._symbols(fraction)
        bits = self._bits(symbols)
        parameters = {spec.name: spec.offset + symbols[spec.name] * steps[spec.group] for spec in self.field.specs()}
        if len(batches) == 1:
            error = self._error(parameters, batches[0])
            (error + self.control.rate_lambda / self.pixels * bits).backward()
            optimizer.step()
            return error.item(), bits.item()
        return self._iterate_in_parts(optimizer, parameters, batches, bits)

    def _iterate_in_parts(self, optimizer, parameters: Parameters, batches: list[Batch], bits: Tensor):
        """Backward part by part, so that only one part's activations are held; then once through the quantizer."""
        leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        total = sum(batch.pixels for batch in batches)
        error = 0.0
        for batch in batches:
            part = self._error(leaves, batch) * (batch.pixels / total)
            part.backward()
            error += part.item()
        names = [name for name in leaves if leaves[name].grad is not None]
        outputs = [parameters[name] for name in names] + [self.control.rate_lambda / self.pixels * bits]
        torch.autograd.backward(outputs, [leaves[name].grad for name in names] + [None])
        optimizer.step()
        return error, bits.item()

    def _error(self, parameters: Parameters, batch: Batch) -> Tensor:
        """Distortion: mean squared error over samples in [0, 1], chroma of 4:2:0 weighted by its samples."""
        plan = self.field.plan(parameters, batch.lattice, keep_bytes=1 << 40)
        total = 0.0
        for index in range(len(batch.frames)):
            total = total + (plan.frame(index) - self.samples.frame(batch, index)).square().sum(dim=(0, 1))
        return (total * self.weights).sum() / batch.pixels

    # -- rounding ----------------------------------------------------------------------------------------------------

    def _start_rounding(self) -> None:
        self.rounding = True
        for value in self.log_steps.values():
            value.requires_grad_(False)

    @torch.no_grad()
    def _keep_best(self) -> None:
        symbols, _ = self._symbols(1.0)
        bits = float(self._bits(symbols))
        coded = self._coded(symbols)
        error = self.distortion(coded)
        loss = self.control.loss(error, bits / self.pixels)
        if loss < self.best_loss:
            self.best, self.best_loss = coded, loss

    def _coded(self, symbols: dict[str, Tensor]) -> CodedField:
        integers = {name: _to_numpy(value.round()) for name, value in symbols.items()}
        network = {name: _to_numpy(value) for name, value in network_symbols(self.network, self.network_shape).items()}
        steps = {group: self._step_index(group) for group in self.start_steps}
        return CodedField(self.field, steps, integers, self.network_shape, network)

    @torch.no_grad()
    def distortion(self, coded: CodedField) -> float:
        """Of the rounded field on the whole segment, or on evenly spaced frames of a long one."""
        parameters = coded.parameters(self.device)
        frames = self.samples.shape[0]
        count = min(frames, max(1, (1 << 21) * frames // self.pixels))
        chosen = (torch.arange(count) * 2 + 1) * frames // (2 * count)
        batches = self.samples.bands(chosen)
        total = sum(batch.pixels for batch in batches)
        return sum(float(self._error(parameters, batch)) * batch.pixels for batch in batches) / total


def _to_numpy(symbols: Tensor) -> np.ndarray:
    return symbols.detach().to("cpu", torch.int32).numpy()
