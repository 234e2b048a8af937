"""Fitting a film: frame by frame in coding order, each to what the decoder will have of its references.

A frame's motion comes first (`motion`), then its grids are trained for what is left, as a picture's are: from a Laplacian pyramid
of the signal, with soft rounding, for distortion + rate_lambda · bits per pixel. Frames that others refer to are worth more
than their own error, so rate_lambda is smaller for them. What the context networks learn carries over from frame to frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.encoder.adam import Adam
from inrcodec.encoder.annealing import THOROUGH
from inrcodec.encoder.batches import Samples, channel_weights
from inrcodec.encoder.clock import Clock, Part
from inrcodec.encoder.film.motion import FilmMotion
from inrcodec.encoder.promise import promise_of
from inrcodec.encoder.start import pyramid_step
from inrcodec.entropy.codings import MODES, PlanePrecision, Planes
from inrcodec.fields.film import SAMPLES_OF_PLANES, Film, kind_of
from inrcodec.fields.film_arrays import ArrayRendering
from inrcodec.fields.hierarchy import Link
from inrcodec.kernels import warp as warping
from inrcodec.lattice import Lattice
from inrcodec.passes import PlaneShape
from inrcodec.segment import CodedField
from inrcodec.steps import nearest_index, step_of

LAMBDA_OF_DEPTH = (0.25, 0.5, 0.9, 1.2, 1.5)
"""Factors of rate_lambda by depth in the hierarchy; the last one holds for all deeper frames."""
SHRINKAGE = 0.25
"""By how many steps grids of frames with references move towards 0 at the start: most of what is left is noise."""
FIRST_FACTOR = 10
"""The first frame is trained for so many times more iterations."""
PROMISING = 0.7
"""A tile is trained where it begins with a larger symbol."""
CHAIN_BITS = 8 * 8192
"""Of a chain of symbols, about: what each costs, some 30 to 90 bytes until its decisions have learned, is then below 1 %, and
less is read in no time."""
GRID_RATES = {False: 0.06, True: 0.2}
"""Learning rate of grids, in steps, by whether the frame is the first one."""


Report = Callable[[float, float], None]
"""Called after each iteration with PSNR in dB and bits per pixel of the frame."""


def fit_film(
    field: Film, samples: Samples, rate_lambda: float, clock: Clock, noise: torch.Generator, report: Report
) -> CodedField:
    """The quantized field, after as many iterations as `clock` allows; it shares them out among the frames."""
    fit = FilmFit(field, samples, rate_lambda, noise)
    shares = [1 if link.references else FIRST_FACTOR for link in field.links]
    for position, link in enumerate(field.links):
        unit = clock.iterations / sum(shares)
        part = clock.part(round(unit * shares[position]), round(unit * sum(shares[position:])))
        fit.fit(link, part, report)
    return fit.coded()


def iterations_of_film(field: Film, of_frame: int) -> int:
    """Of all frames, where one that refers to others takes `of_frame`."""
    return of_frame * sum(1 if link.references else FIRST_FACTOR for link in field.links)


@dataclass
class Frame:
    """A coded frame: its whole symbols by name, and their bits as estimated."""

    symbols: dict[str, Tensor]
    bits: float


class Network:
    """The context network of one kind of planes while frames are fitted: the prior's, and coefficients of its modes."""

    def __init__(self, field: Film, start: Network | None = None) -> None:
        self._prior = field.pyramid.prior
        self._codings: dict[tuple[PlaneShape, ...], tuple[Planes, object]] = {}
        zeros = torch.zeros(len(self._prior.modes["second"]))
        self.coefficients = (start.coefficients.detach().clone() if start else zeros).requires_grad_()
        self._optimizer = Adam()
        self._optimizer.add([self.coefficients], 0.1, 1.0)

    def bits(
        self, planes: tuple[PlaneShape, ...], symbols: Tensor, tiles: Sequence[np.ndarray], rounded: bool
    ) -> Tensor:
        """Of flat symbols in the tiles that are coded; coefficients as the stream has them, or with the noise of rounding."""
        if planes not in self._codings:
            coding = Planes(planes, self._prior)
            self._codings[planes] = coding, coding.rate(torch.device("cpu")), coding.initial(PlanePrecision(), None)
        coding, rate, zeros = self._codings[planes]
        quantizer = coding.quantizer(MODES, PlanePrecision())
        whole = quantizer.symbols(self.coefficients)
        whole = whole.round() if rounded else whole + torch.randn(whole.shape) * 12**-0.5
        return rate(symbols, zeros | {MODES: quantizer.values(whole)}, tiles)

    def step(self) -> None:
        """After a backward pass."""
        self._optimizer.step(0.0)
        self._optimizer.zero_grad()


class FilmFit:
    """State of one fit."""

    def __init__(self, field: Film, samples: Samples, rate_lambda: float, generator: torch.Generator) -> None:
        self.field, self.samples, self.rate_lambda = field, samples, rate_lambda
        self.weights = channel_weights(samples.info)
        self.noise = generator
        self.rendering = ArrayRendering(field, Lattice.full(1, *field.shape[1:3]))
        self.networks: dict[str, Network] = {}
        self.motion = FilmMotion(field, self.rendering.places, self.weights, generator)
        self.decoded: dict[int, np.ndarray] = {}
        self.frames: dict[int, Frame] = {}
        self.pixels = field.shape[1] * field.shape[2]
        self.steps = {"motion": self.motion.step}
        for link in field.links:
            for age in field.pyramid.ages:
                step = pyramid_step(field.pyramid, age, self.lambda_of(link))
                self.steps.setdefault(f"grid{age}.depth{link.depth}", nearest_index(step))

    def lambda_of(self, link: Link) -> float:
        return self.rate_lambda * LAMBDA_OF_DEPTH[min(link.depth, len(LAMBDA_OF_DEPTH) - 1)]

    def target(self, frame: int) -> Tensor:
        """(C, H, W), centered."""
        return self.samples.planar[frame].cpu().float() * (1 / self.samples.info.peak) - 0.5

    # -- one frame ---------------------------------------------------------------------------------------------------

    def fit(self, link: Link, clock: Part, report: Report) -> None:
        """Codes a frame whose references are coded."""
        target = self.target(link.frame)
        symbols, bits, predicted = {}, 0.0, torch.zeros_like(target)
        if link.references:
            motion = self.motion.fit(link, target, self.decoded, self.lambda_of(link), clock.iterations)
            symbols[f"motion{link.frame}"] = motion.symbols[:, None]
            bits, predicted = motion.bits, motion.predicted
        grids, its_bits = self._grids(link, target - predicted, clock, report)
        symbols |= {f"grid{age}.{link.frame}": grid[:, None] for age, grid in zip(self.field.ages(link.frame), grids)}
        self.frames[link.frame] = Frame(symbols, bits + its_bits)
        self.decoded[link.frame] = self._decoded(link, predicted, grids)

    def _decoded(self, link: Link, predicted: Tensor, grids: list[Tensor]) -> np.ndarray:
        """(H, W, LANES), as the decoder has it."""
        total = predicted
        if grids:
            values = [(grid * step).numpy() for grid, step in zip(grids, self._grid_steps(link))]
            total = total + torch.from_numpy(self.rendering.synthesis.values(values, self.field.ages(link.frame)))
        return warping.lanes(total.clamp(-0.5, 0.5).permute(1, 2, 0).numpy())

    def _network(self, kind: str) -> Network:
        """Of a kind of frames; it begins where the first frame's is by then."""
        if kind not in self.networks:
            self.networks[kind] = Network(self.field, self.networks.get("first"))
        return self.networks[kind]

    # -- grids -------------------------------------------------------------------------------------------------------

    def _grid_steps(self, link: Link) -> list[float]:
        return [step_of(self.steps[f"grid{age}.depth{link.depth}"]) for age in self.field.ages(link.frame)]

    def _grids(self, link: Link, rest: Tensor, clock: Part, report: Report) -> tuple[list[Tensor], float]:
        """Whole symbols of each level, coarse to fine, and their bits."""
        ages, steps = self.field.ages(link.frame), self._grid_steps(link)
        if not ages:
            return [], 0.0
        network = self._network(kind_of(link))
        planes = self.field.frame_planes(link.frame)
        shrinkage = SHRINKAGE if link.references else 0.0
        values = [
            F.softshrink(grid / step, shrinkage).requires_grad_()
            for grid, step in zip(self._laplacian(rest, ages), steps)
        ]
        promise = promise_of(values, ages, PROMISING)
        optimizer = Adam()
        bit_cost = self.lambda_of(link) / self.pixels
        optimizer.add(values, GRID_RATES[not link.references], THOROUGH.floor, epsilon=bit_cost)
        target, weight = rest.numpy(), self.weights.numpy()
        while clock.running():
            fraction = clock.fraction
            optimizer.zero_grad()
            soft = [
                THOROUGH.soft_round(value, fraction, self.noise) * mask for value, mask in zip(values, promise.masks)
            ]
            bits = network.bits(planes, torch.cat([one.flatten() for one in soft]), promise.tiles, rounded=False)
            dequantized = [(one.detach() * step).numpy() for one, step in zip(soft, steps)]
            errors, slopes = self.rendering.synthesis.gradients(dequantized, ages, target, weight)
            slopes = [torch.from_numpy(slope) * (step / self.pixels) for slope, step in zip(slopes, steps)]
            torch.autograd.backward([bits * bit_cost, *soft], [None, *slopes])
            optimizer.step(fraction)
            network.step()
            clock.tick()
            report(_decibels(float((errors * weight).sum()) / self.pixels), bits.item() / self.pixels)
        with torch.no_grad():
            whole = [value.round() * mask for value, mask in zip(values, promise.masks)]
            bits = network.bits(planes, torch.cat([one.flatten() for one in whole]), promise.tiles, rounded=True)
            return whole, bits.item()

    def _laplacian(self, rest: Tensor, ages: range) -> list[Tensor]:
        """What is left of a frame (C, H, W), as a pyramid without quantization."""
        pyramid = self.field.pyramid
        matrix = torch.from_numpy(SAMPLES_OF_PLANES[self.field.config.planes])[: len(rest), : len(rest)]
        planes = dict(zip(pyramid.kinds(1), torch.einsum("ij,jhw->ihw", torch.linalg.inv(matrix), rest)))
        lattice = Lattice.full(1, *rest.shape[1:])
        grids = []
        for age in ages:
            kinds = pyramid.kinds(age)
            missing = torch.stack([planes[kind] for kind in kinds])
            size = pyramid.vertices(age)
            grid = missing if age == 0 else F.interpolate(missing[None], size=size, mode="bicubic", antialias=True)[0]
            grids.append(grid)
            rows, columns = pyramid.interpolation(age, lattice, torch.device("cpu"))
            planes |= dict(zip(kinds, missing - columns.columns(rows.rows(grid))))
        return grids

    # -- the whole ---------------------------------------------------------------------------------------------------

    def coded(self) -> CodedField:
        """All frames, without the finest levels that turned out empty."""
        field = self._trimmed()
        symbols = {}
        for spec in field.specs():
            frame = int(spec.name.removeprefix("motion").rpartition(".")[2])
            symbols[spec.name] = self.frames[frame].symbols[spec.name].detach().int().numpy()
        steps = {spec.group: self.steps[spec.group] for spec in field.specs()}
        network = {
            name: np.zeros(size, np.int32)
            for group in field.coding.groups(PlanePrecision())
            for name, size in group.items()
        }
        for name, coding in field.coding.planes.items():
            quantizer = coding.quantizer(MODES, PlanePrecision())
            whole = quantizer.symbols(self.networks[name].coefficients.detach()).round()
            network[f"{name}.{MODES}"] = whole.int().numpy()
        return CodedField(field, steps, symbols, PlanePrecision(), network)

    def _trimmed(self) -> Film:
        """The field with only those finest levels that hold anything."""
        config = self.field.config
        finest = []
        for frame in range(self.field.shape[0]):
            kept = [age for age in self.field.ages(frame) if self.frames[frame].symbols[f"grid{age}.{frame}"].any()]
            finest.append(min(kept, default=config.levels if frame else config.levels - 1))
        bits = sum(frame.bits for frame in self.frames.values())
        return Film(replace(config, chained=chained_groups(self.field, bits), finest=tuple(finest)), self.field.shape)


def chained_groups(field: Film, bits: float) -> int:
    """Groups of frames that share a chain of symbols, in a film of so many bits."""
    groups = sum(link.depth == 1 for link in field.links)
    return max(1, math.ceil(groups * min(1.0, CHAIN_BITS / max(bits, 1.0))))


def _decibels(error: float) -> float:
    return -10 * math.log10(max(error, 1e-12))
