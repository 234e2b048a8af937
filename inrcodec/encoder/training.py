"""The training loop: one field, one segment, loss = distortion + rate_lambda · bits per pixel, quantized all the way.

Symbols of grids are softly rounded with noise, and both anneal (`annealing`). Weights, and those of the context network,
carry the noise of rounding until they are rounded (`Annealing.weights_rounded`; grids that are rounded with
straight-through gradients lose a tenth of what they had won); steps of weights are learned until then (those of grids follow
rate_lambda), after it steps are fixed to the stream's and weights are rounded with straight-through gradients. How fits of
pyramids and of CoordX end is their own: `training_pyramid`, `training_coordx`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from inrcodec.bytestream import Wired
from inrcodec.encoder.annealing import annealing_of
from inrcodec.encoder.batches import Batch, Samples, channel_weights, sub_lattices
from inrcodec.encoder.clock import Clock, Part
from inrcodec.encoder.control import OVERTIME_SHARE, RateControl
from inrcodec.encoder.grids import FlatGrids, SeenGrids
from inrcodec.encoder.importance import next_batch
from inrcodec.encoder.promise import Promise
from inrcodec.encoder.refine import ideal_bits, moved, of_size, refine_network, refine_steps
from inrcodec.encoder.soap import Soap
from inrcodec.encoder.weights import FlatNetwork, FlatWeights
from inrcodec.entropy.rate import mean_bits, weight_bits
from inrcodec.errors import InrError
from inrcodec.fields import Field, Parameters, TensorSpec
from inrcodec.quantize import straight_through
from inrcodec.segment import CodedField, grid_coding, grid_specs, weight_groups
from inrcodec.steps import MAX_STEP_INDEX, STEPS_PER_OCTAVE, nearest_index, step_of

STEP_OCTAVES, STEP_RATE = 3.0, 0.02
"""How far, at the most, a step travels while it is learned, and in one iteration."""
WEIGHT_FLOOR, NETWORK_FLOOR = 0.005, 0.1
"""Learning rates at the end, as shares of those at the start: of weights, and of the context network."""
REFINE_PIXELS, REFINE_FRAMES = 1 << 16, 4
"""Of the lattice on which steps are searched."""
REFINED_FROM = 16
"""Iterations; a fit of a second or two gains nothing by another second of search."""
OVERTIME_FRACTION = 0.8
"""Of the training, whose learning rates and noise overtime has: those of the end would move too little."""
REFINEMENT_SEEN = 0.85
"""Fraction of the training from which rate control knows what the search after it will change."""
LANDED_SHARE = 0.997
"""Of an asked size, that weights take when their rounding begins and steps rest."""
FINEST = 5 * STEPS_PER_OCTAVE
"""So many indices finer than those of training, steps of weights no longer matter."""
OBSERVED = 3
"""So many iterations are at least between two looks of rate control at the rounded field."""

Report = Callable[[float, float], None]


class Training:
    """State of one fit. `run` iterates until the clock ends; `coded` gives the quantized field, `coded_cost` its `cost` if there
    is a target."""

    def __init__(
        self,
        field: Field,
        samples: Samples,
        parameters: Parameters,
        steps: dict[str, float],
        network_shape: Wired,
        control: RateControl,
        generator: torch.Generator,
    ) -> None:
        self.field, self.samples, self.control, self.generator = field, samples, control, generator
        self.device = samples.planar.device
        self.noise = torch.Generator(self.device).manual_seed(int(torch.randint(2**31, (), generator=generator)))
        self.pixels = math.prod(samples.shape[:3])
        self.weights = channel_weights(samples.info).to(self.device)
        self.network_shape = network_shape
        self.grids = FlatGrids(grid_specs(field), parameters, self.device)
        weights = {name: value for name, value in parameters.items() if name not in self.grids.named}
        self.values = {
            name: value.to(self.device).requires_grad_() for name, value in weights.items()
        } | self.grids.named
        self.grid_groups = {spec.group for spec in self.grids.specs}
        self.start_steps = {
            group: step_of(nearest_index(step)) if group in self.grid_groups else step for group, step in steps.items()
        }
        self.log_steps = {
            group: torch.zeros((), device=self.device, requires_grad=True) for group in weight_groups(field)
        }
        self.flat = FlatWeights(weight_groups(field), self.device)
        self.annealing = annealing_of(field)
        self.promise: Promise | None = None
        self.coding = grid_coding(field)
        self.grid_rate = self.coding.rate(self.device) if self.coding else None
        network = self.coding.initial(network_shape, generator) if self.coding else {}
        self.network = {name: value.to(self.device).requires_grad_() for name, value in network.items()}
        self.flat_network = FlatNetwork(self.coding, network_shape, self.device) if self.coding else None
        counts = [flat.counts for flat in (self.flat, self.flat_network) if flat]
        self.coded_counts = torch.cat(counts)
        """Weights of each group, the context network's last."""
        self.optimizer = self._optimizer()
        self.rounding = False
        self.refinement: float | None = None

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

    def _weight_symbols(self, fraction: float) -> tuple[Tensor, Tensor]:
        """Symbols of all weights as training sees them, and the steps of each, as `self.flat` joins them: (N,), (N,)."""
        steps = [torch.as_tensor(self._step(group), device=self.device) for group in self.flat.groups]
        steps = torch.stack(steps)[self.flat.group_of]
        return self._seen((self.flat.joined(self.values) - self.flat.offset) / steps, fraction), steps

    def _seen_grids(self, fraction: float) -> SeenGrids:
        """Symbols of grids are few-valued and learn where to settle."""
        steps = {group: self._step(group) for group in self.grid_groups}
        rounding = partial(self.annealing.softly_rounded, fraction=fraction, noise=self.noise)
        seen = self.grids.seen(steps, rounding)
        seen.restrict(self._masks)
        return seen

    @property
    def _masks(self) -> dict[str, Tensor]:
        """Of grids with tiles that are not trained, zeros there."""
        if not self.promise:
            return {}
        levels = zip(self.grids.named, self.promise.masks, self.promise.whole)
        return {name: mask for name, mask, whole in levels if not whole}

    def _kept(self, symbols: dict[str, Tensor]) -> dict[str, Tensor]:
        """The symbols, zeros in tiles that are not trained."""
        return symbols | {name: symbols[name] * mask for name, mask in self._masks.items()}

    def _seen(self, values: Tensor, fraction: float) -> Tensor:
        """Weights only need to stand noise."""
        return straight_through(values) if self.rounding else self.annealing.noisy_weights(values, fraction, self.noise)

    def _bits(self, weights: Tensor, grids: Tensor, see: Callable[[Tensor], Tensor]) -> Tensor:
        """Estimated bits of the whole segment. `see`: what becomes of the context network's symbols."""
        if not self.coding:
            return (mean_bits(self.flat.mean_magnitudes(weights)) * self.flat.counts).sum()
        network = see(self.flat_network.symbols(self.network))
        bits = weight_bits(torch.cat([weights, network]), self.coded_counts)
        return bits + self.grid_rate(grids, self.flat_network.values(network))

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self, batches: Iterator[list[Batch]], clock: Clock, report: Report) -> None:
        """Iterates until `clock` ends. report(psnr_db, bpp) is called after each iteration."""
        self._learn(batches, clock, report)
        if self.control.has_target and self.coding:
            self._overtime(batches, clock, report)

    def _learn(self, batches: Iterator[list[Batch]], clock: Clock, report: Report) -> None:
        """To `self.coded`."""
        self._iterate_until(1.0, clock, batches, report)
        self._start_rounding()
        self.coded = self._finished(clock)

    def _rounds_from_now(self, clock: Clock | Part) -> bool:
        """Whether weights are rounded in what is left of the training."""
        return clock.fraction >= self.annealing.weights_rounded

    def _iterate_until(self, end: float, clock: Clock | Part, batches: Iterator[list[Batch]], report: Report) -> None:
        """`end` of the clock's fraction; rate control looks on."""
        while clock.running() and (fraction := clock.fraction) < end:
            if not self.rounding and self._rounds_from_now(clock):
                self._start_rounding()
            batch = next_batch(batches, self.field, self.values)
            self._advance(batch, clock, fraction, report)
            if self.control.moves(clock.fraction) and clock.iteration % OBSERVED == 0:
                self.control.observe(clock.fraction, self._expected_cost(batch, clock))

    def _advance(self, batch: list[Batch], clock: Clock | Part, fraction: float, report: Report) -> None:
        error, bits = self._iterate(batch, fraction)
        clock.tick()
        if not math.isfinite(error + bits):
            raise InrError(f"training diverged at iteration {clock.iteration}: distortion {error}, {bits} bits")
        report(-10 * math.log10(max(error, 1e-12)), bits / self.pixels)

    def _overtime(self, batches: Iterator[list[Batch]], clock: Clock, report: Report) -> None:
        """Some more iterations while the field misses its target."""
        batch = next(batches)
        value = self.coded_cost = self.cost(batch, self.coded)
        short = self.control.bpp is not None and clock.iteration < REFINED_FROM  # trimming is cheaper than iterations
        if short or not clock.may_exceed or self._within_reach(batch, value):
            return
        if clock.iteration >= REFINED_FROM:
            self.refinement = value / self.cost(batch)
        for _ in range(math.ceil(OVERTIME_SHARE * clock.iterations)):
            self.control.observe(1.0, value)
            batch = next(batches)
            self._advance(batch, clock, OVERTIME_FRACTION, report)
            self.coded = self._coded()
            value = (self.refinement or 1.0) * self.cost(batch, self.coded)
            if self._within_reach(batch, value):
                break
        self.coded = self._finished(clock)
        self.coded_cost = self.cost(batch, self.coded) if self.refinement else value

    def _within_reach(self, batch: list[Batch], value: float) -> bool:
        """Whether the target is met, or trimming can meet it."""
        if self.control.bpp is None or value <= self.control.bpp:
            return not self.control.misses(value)
        least = self.trimmed(self.control.reach.thresholds[1])
        return (self.refinement or 1.0) * self.cost(batch, least) <= self.control.bpp

    def _expected_cost(self, batch: list[Batch], clock: Clock | Part) -> float:
        """Of the field as it will be written: towards the end, with what the search after the training will change."""
        if clock.fraction >= REFINEMENT_SEEN and self.refinement is None:
            self.refinement = self.cost(batch, self._finished(clock)) / self.cost(batch)
        return self.cost(batch) * (self.refinement or 1.0)

    @torch.no_grad()
    def cost(self, batches: list[Batch], coded: CodedField | None = None) -> float:
        """What rate control asks for, of `coded` or if everything were rounded now: bits per pixel, or distortion of a batch."""
        coded = coded or self._coded()
        if self.control.bpp is not None:
            return ideal_bits(coded) / self.pixels
        parameters = self._measured(coded)
        total = sum(batch.pixels for batch in batches)
        error = sum(self._error(parameters, batch).item() * batch.pixels for batch in batches) / total
        return error + 1 / (12 * self.samples.info.peak**2)

    @torch.no_grad()
    def bits(self) -> float:
        """If everything were rounded now."""
        return ideal_bits(self._coded())

    def _measured(self, coded: CodedField) -> Parameters:
        """What an asked quality is measured with while `coded` is what rounding would give."""
        return coded.parameters(self.device)

    def _finished(self, clock: Clock | Part) -> CodedField:
        coded = self._coded()
        return coded if clock.iteration < REFINED_FROM or self._lands_by_steps else self._refined(coded)

    @torch.no_grad()
    def _rounded(self) -> dict[str, Tensor]:
        rounded = {
            spec.name: spec.symbols(self.values[spec.name], step_of(self._step_index(spec.group))).round()
            for spec in self.field.specs()
        }
        return self._kept(rounded)

    def _refined(self, coded: CodedField) -> CodedField:
        """Steps and network precision by real cost."""
        network = {name: value.detach() for name, value in self.network.items()}
        return self._with_best_steps(refine_network(coded, network))

    @torch.no_grad()
    def _with_best_steps(
        self, coded: CodedField, excess: float = 1.0, groups: Sequence[str] | None = None
    ) -> CodedField:
        """By real cost, on a thinned lattice. excess: that will be left of what rounding adds to the error. groups: of weights,
        that are moved; none: all."""
        batch = self._thinned(self.generator)
        trained = {spec.name: self.values[spec.name] for spec in self.flat.specs}
        exact = self._error(coded.parameters(self.device) | trained, batch).item() if excess < 1 else 0.0

        def distortion(tried: CodedField) -> float:
            return exact + excess * (self._error(tried.parameters(self.device), batch).item() - exact)

        return refine_steps(coded, self._symbols_at, distortion, self.control.rate_lambda / self.pixels, groups)

    def _thinned(self, generator: torch.Generator) -> Batch:
        return next(sub_lattices(self.samples, REFINE_PIXELS, REFINE_FRAMES, generator))[0]

    def _symbols_at(self, spec: TensorSpec, step_index: int) -> np.ndarray:
        """Of a tensor as trained, at another step."""
        return to_numpy(spec.symbols(self.values[spec.name], step_of(step_index)).round())

    def _optimizer(self) -> Soap:
        optimizer = Soap(self.annealing.weights_memory)

        def add_weights(tensor: Tensor, rate: float, floor: float, decays: bool = False) -> None:
            if self.annealing.weights_haste and self.pixels >= self.annealing.rotated_from:
                decay = self.annealing.weights_decay if decays else 0.0
                optimizer.add_rotated(tensor, self.annealing.weights_haste * rate, floor, decay)
            else:
                optimizer.add([tensor], rate, floor)

        for spec in self.field.specs():
            if spec.kind == "grid":
                rate = self.annealing.haste * spec.rate / spec.step * self.start_steps[spec.group]
                optimizer.add([self.values[spec.name]], rate, self.annealing.floor, betas=self.annealing.memory)
            else:
                add_weights(self.values[spec.name], spec.rate, WEIGHT_FLOOR, spec.decays)
        optimizer.add(list(self.log_steps.values()), STEP_RATE, WEIGHT_FLOOR, travel=2 * STEP_OCTAVES)
        for name, value in self.network.items():
            add_weights(value, self.coding.learning_rate(name), NETWORK_FLOOR)
        return optimizer

    def _iterate(self, batches: list[Batch], fraction: float) -> tuple[float, float]:
        """One step of the optimizer; distortion of the batch and bits of the segment. Each goes back by itself to what it is made
        of, then both together through the quantizer."""
        self.optimizer.zero_grad()
        seen = self._seen_grids(fraction)
        weights, steps = self._weight_symbols(fraction)
        values = weights * steps + self.flat.offset
        decoded = _leaves(self.flat.views(values) | seen.parameters())
        coded, symbols = weights.detach().requires_grad_(), seen.symbols.requires_grad_()
        error, bits = self._both(
            partial(self._error_back, decoded, batches), partial(self._bits_back, coded, symbols, fraction)
        )
        if self.grids.specs:
            seen.go_back({name: decoded[name].grad for name in self.grids.named}, symbols.grad)
        by_values = self.flat.joined({spec.name: _gradient(decoded[spec.name]) for spec in self.flat.specs})
        (values * by_values + weights * _gradient(coded)).sum().backward()
        self.optimizer.step(fraction)
        return error, bits

    @staticmethod
    def _both(first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
        return first(), second()

    def _error_back(self, parameters: Parameters, batches: list[Batch]) -> float:
        """Distortion, its gradients added to those of `parameters`, part by part: only one part's activations are held."""
        total = sum(batch.pixels for batch in batches)
        error = 0.0
        for batch in batches:
            part = self._error(parameters, batch) * (batch.pixels / total)
            part.backward()
            error += part.item()
        return error

    def _bits_back(self, weights: Tensor, grids: Tensor, fraction: float) -> float:
        """Estimated bits, the gradients of what they cost added to those of symbols and of the context network."""
        bits = self._bits(weights, grids, partial(self._seen, fraction=fraction))
        (self.control.rate_lambda / self.pixels * bits).backward()
        return bits.item()

    def _error(self, parameters: Parameters, batch: Batch) -> Tensor:
        """Distortion: mean squared error over samples in [0, 1], chroma of 4:2:0 weighted by its samples."""
        frame = partial(self.samples.frame, batch)
        errors = self.field.squared_errors(parameters, batch.lattice, frame, batch.importance)
        return (errors * self.weights).sum() / batch.pixels

    # -- rounding ----------------------------------------------------------------------------------------------------

    def _start_rounding(self) -> None:
        if not self.rounding and self._lands_by_steps:
            self._land()
        self.rounding = True
        for value in self.log_steps.values():
            value.requires_grad_(False)

    @property
    def _lands_by_steps(self) -> bool:
        """Whether an asked size is met by the steps of weights: there are no grids."""
        return self.control.bpp is not None and not self.grid_groups

    @torch.no_grad()
    def _land(self) -> None:
        """Steps of the asked size, before weights settle on what they are rounded to: other steps would round them anew then, and
        lose what they settle for (0.2 to 0.5 dB: docs/research.md). Until the end bits hardly change."""
        landed = of_size(self._coded(), self._symbols_at, LANDED_SHARE * self.control.bpp * self.pixels)
        for group, value in self.log_steps.items():
            value.fill_(math.log2(step_of(landed.steps[group]) / self.start_steps[group]))

    # -- what a target takes -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def exact(self) -> CodedField:
        """What was trained, as if rounding cost next to nothing; of fields without grids."""
        return moved(self._coded(), tuple(weight_groups(self.field)), -FINEST, self._symbols_at)

    @torch.no_grad()
    def of_size(self, bits: float) -> CodedField:
        """What the training came to, with steps of weights that take up to `bits`, if it takes more; of fields without grids."""
        return of_size(self.coded, self._symbols_at, bits)

    @torch.no_grad()
    def coarser(self, move: int) -> CodedField:
        """What the training came to, with the steps of all weights `move` indices further; of fields without grids."""
        return moved(self.coded, tuple(weight_groups(self.field)), move, self._symbols_at) if move else self.coded

    def _coded(self) -> CodedField:
        """The field with everything rounded."""
        integers = {name: to_numpy(value) for name, value in self._rounded().items()}
        network = self.coding.symbols(self.network_shape, self.network) if self.coding else {}
        steps = {group: self._step_index(group) for group in self.start_steps}
        return CodedField(self.field, steps, integers, self.network_shape, network)

    @torch.no_grad()
    def trimmed(self, threshold: float, coarser: int = 0) -> CodedField:
        """What the training came to, with grids' symbols rounded away from zero from (0.5 + threshold) of a step on; `coarser`:
        by how many indices their steps grow."""
        grids, steps = {}, {}
        for spec in grid_specs(self.field):
            steps[spec.group] = min(self._step_index(spec.group) + coarser, MAX_STEP_INDEX)
            values = spec.symbols(self.values[spec.name], step_of(steps[spec.group]))
            grids[spec.name] = values.sign() * (values.abs() + (0.5 - threshold)).floor()
        symbols = {name: to_numpy(grid) for name, grid in self._kept(grids).items()}
        return replace(self.coded, steps=self.coded.steps | steps, symbols=self.coded.symbols | symbols)


def _leaves(parameters: Parameters) -> Parameters:
    """That gradients stop at."""
    return {name: value.detach().requires_grad_() for name, value in parameters.items()}


def _gradient(leaf: Tensor) -> Tensor:
    """Zeros where nothing depends on it."""
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def to_numpy(symbols: Tensor) -> np.ndarray:
    return symbols.detach().to("cpu", torch.int32).numpy()
