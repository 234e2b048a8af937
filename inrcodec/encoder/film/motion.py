"""Motion of a film's frames: searched block by block, then refined by gradients of the film itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.encoder.adam import Adam
from inrcodec.encoder.film.displaced import Scene, what_errors_cost
from inrcodec.encoder.film.merges import Prices, packed
from inrcodec.encoder.film.search import Search
from inrcodec.entropy.merging import cost_bits, initial_counts
from inrcodec.fields.film import MOTION_STEP, Film
from inrcodec.fields.film_arrays import Places
from inrcodec.fields.hierarchy import Link
from inrcodec.kernels import warp as warping
from inrcodec.quantize import noisy_round
from inrcodec.steps import nearest_index, step_of

ROUGHLY, CLOSELY = 1 << 15, 1 << 18
"""Frames of more samples are searched at half their size: by blocks, and with motion interpolated."""
ITERATIONS = 0.4
"""Of refinement, as a share of those of grids."""
RATE, FLOOR = 0.3, 0.1
"""Learning rate of symbols, and what is left of it at the end."""
TEMPERATURES, DEVIATIONS = (0.35, 0.15), (0.2, 0.1)
"""Of rounding and its noise, from the first to the last iteration of refinement."""


@dataclass
class Motion:
    """symbols: whole numbers (channels, h, w). bits: about what they cost. predicted: (C, H, W), what references give."""

    symbols: Tensor
    bits: float
    predicted: Tensor


class FilmMotion:
    """Of frames in coding order."""

    def __init__(self, field: Film, places: Places, weights: Tensor, generator: torch.Generator) -> None:
        self._field, self._places, self._weights, self._noise = field, places, weights, generator
        self._towards: dict[int, Tensor] = {}
        self._counts = initial_counts()
        self.step = nearest_index(MOTION_STEP)
        """Its index."""

    def fit(
        self, link: Link, target: Tensor, decoded: dict[int, np.ndarray], rate_lambda: float, iterations: int
    ) -> Motion:
        """Of a frame (C, H, W), centered, whose references are `decoded` (H, W, LANES)."""
        references = [decoded[frame] for frame in link.references]
        pixels, spacing = target.shape[1] * target.shape[2], self._field.config.spacing
        weights = self._weights[:, None, None]

        def errors(symbols: Tensor) -> Tensor:
            missing = ((self._predicted(link, references, symbols) - target).square() * weights).sum(0)
            of_blocks = F.avg_pool2d(missing[None, None], spacing, ceil_mode=True)[0, 0] * spacing**2
            return what_errors_cost(of_blocks, rate_lambda * spacing**2).sum() / pixels

        scene, prices = self._scene(link, target, references, rate_lambda), self._prices(link)
        found = Search(scene.shrunk(ROUGHLY), prices, rate_lambda).blocks()
        search = Search(scene.shrunk(CLOSELY), prices, rate_lambda)
        found = torch.from_numpy(search.smooth(found)).float()
        refined = self._refined(found, errors, round(ITERATIONS * iterations))
        chosen = torch.from_numpy(search.smooth(min((found, refined), key=errors).numpy())).float()
        bits = cost_bits(self._field.motion_vectors(link), chosen.int().numpy().ravel(), self._counts)
        return Motion(chosen, bits, self._predicted(link, references, chosen, keep=True))

    def _scene(self, link: Link, target: Tensor, references: list[np.ndarray], rate_lambda: float) -> Scene:
        mirror = None
        if len(references) == 2:
            mirror = (link.frame - link.references[1]) / (link.frame - link.references[0])
        return Scene(
            target.numpy(),
            tuple(np.ascontiguousarray(one.transpose(2, 0, 1)[: len(target)]) for one in references),
            self._weights.numpy(),
            self._predicted_motion(link).numpy(),
            mirror,
            step_of(self.step),
            self._field.config.spacing,
            rate_lambda,
        )

    def _prices(self, link: Link) -> Prices:
        kind = self._field.motion_vectors(link).kind
        return Prices(self._counts, kind)

    def _refined(self, symbols: Tensor, errors, iterations: int) -> Tensor:
        """Whole symbols near `symbols`: what was alike stays alike, what was zero stays zero."""
        names = packed(symbols.numpy())
        _, first, owner = np.unique(names, return_index=True, return_inverse=True)
        vectors = symbols.flatten(1)[:, torch.from_numpy(first)]
        owner = torch.from_numpy(owner.reshape(-1))
        free = torch.zeros_like(vectors)
        free[:2] = (vectors != 0).any(0)
        values = vectors.clone().requires_grad_()
        optimizer = Adam()
        optimizer.add([values], RATE, FLOOR)
        for iteration in range(iterations):
            fraction = iteration / iterations
            temperature, deviation = (low + (high - low) * fraction for low, high in (TEMPERATURES, DEVIATIONS))
            optimizer.zero_grad()
            soft = noisy_round(values, temperature, deviation, self._noise)
            errors((vectors + (soft - vectors) * free)[:, owner].view_as(symbols)).backward()
            optimizer.step(fraction)
        with torch.no_grad():
            return (vectors + (values.round() - vectors) * free)[:, owner].view_as(symbols)

    def _predicted_motion(self, link: Link) -> Tensor:
        zeros = torch.zeros(5, 1, *self._field.motion_vertices)
        displacements, _ = self._field.displacements({f"motion{link.frame}": zeros}, link, dict(self._towards))
        return displacements[0]

    def _predicted(self, link: Link, references: list[np.ndarray], symbols: Tensor, keep: bool = False) -> Tensor:
        """(C, H, W) of what references give, for symbols of motion; differentiable. keep: others build on this motion."""
        towards = self._towards if keep else dict(self._towards)
        motion = (symbols * step_of(self.step))[:, None]
        displacements, weight = self._field.displacements({f"motion{link.frame}": motion}, link, towards)
        found = [
            _Displaced.apply(reference, self._places, displacement)
            for reference, displacement in zip(references, displacements)
        ]
        channels = self._field.channels
        if weight is None:
            return found[0][:channels]
        share = _Spread.apply(self._places, weight)
        return (share * found[0] + (1 - share) * found[1])[:channels]


class _Displaced(torch.autograd.Function):
    """(LANES, H, W) of a whole frame, displaced by (2, h, w) at the vertices of motion."""

    @staticmethod
    def forward(ctx, reference: np.ndarray, places: Places, displacement: Tensor) -> Tensor:
        y, x = places.of(displacement.detach().numpy())
        if not displacement.requires_grad:
            return torch.from_numpy(warping.warp_slopes(reference, y, x)[0]).permute(2, 0, 1)
        values, by_y, by_x = warping.warp_slopes(reference, y, x)
        ctx.places, ctx.slopes = places, (by_y, by_x)
        return torch.from_numpy(values).permute(2, 0, 1)

    @staticmethod
    def backward(ctx, upstream: Tensor):
        upstream = upstream.permute(1, 2, 0).numpy()
        by_place = np.stack([np.einsum("hwc,hwc->hw", upstream, slope) for slope in ctx.slopes])
        return None, None, torch.from_numpy(ctx.places.interpolated_back(by_place))


class _Spread(torch.autograd.Function):
    """(F, H, W) of grids at the vertices of motion."""

    @staticmethod
    def forward(ctx, places: Places, grid: Tensor) -> Tensor:
        ctx.places = places
        return torch.from_numpy(places.interpolated(grid.detach().numpy()))

    @staticmethod
    def backward(ctx, upstream: Tensor):
        return None, torch.from_numpy(ctx.places.interpolated_back(upstream.contiguous().numpy()))
