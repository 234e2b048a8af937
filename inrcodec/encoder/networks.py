"""After training: the head and the context network of a pyramid settle on whole numbers (`settle`).

Training shows them noise in place of rounding, which they learn to stand, and rounds all of their weights at once in the end.
Here symbols of grids are whole numbers already and stay; weights are rounded block after block, and those that are left make good
what the others lost. So steps may be some times as long as those that rounding alone could stand.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from inrcodec.encoder.batches import Samples, channel_weights, whole_frames
from inrcodec.encoder.refine import at_precision, context_bits, refine_network
from inrcodec.encoder.settle import Objective, Prices, settle
from inrcodec.encoder.weights import FlatWeights
from inrcodec.entropy.codings import MODES, Planes
from inrcodec.entropy.mirroring import whole_network
from inrcodec.entropy.planes_rate import drawn, example_bits
from inrcodec.entropy.rate import weight_bits
from inrcodec.entropy.tiles import tiles_of
from inrcodec.fields import Parameters, TensorSpec
from inrcodec.fields.pyramid import FILTERS, Pyramid
from inrcodec.fields.pyramid_tensors import features_at, head_values, squared_errors
from inrcodec.kernels import native
from inrcodec.passes import spread
from inrcodec.segment import CodedField, grid_coding, grid_specs, weight_groups
from inrcodec.steps import step_of

BLOCK = 400
"""Weights that are rounded at a time. With all of them at once the loss that is left is twice as large."""
DERIVED_NUMBERS = 1 << 25
"""Of derivatives that are held at a time."""
HEAD_EXCESS = 0.04
"""Of what rounding adds to the loss, that is taken to be left when the head has settled, to find the best steps for it."""
TRIED_PRECISIONS = 3
"""At which context networks settle, at the most."""

InTime = Callable[[], bool]


def settled_head(
    coded: CodedField, values: Parameters, samples: Samples, lambda_per_bit: float, evaluations: int, in_time: InTime
) -> CodedField:
    """The pyramid with its head settled at its steps, by so many evaluations. values: as they were trained."""
    steps = {group: step_of(index) for group, index in coded.steps.items()}
    head = HeadObjective(coded.parameters("cpu"), coded.field, samples, steps, lambda_per_bit)
    return replace(coded, symbols=coded.symbols | _settled(head, values, evaluations, in_time))


def settled_context(
    coded: CodedField, network: dict[str, Tensor], lambda_per_bit: float, evaluations: int, in_time: InTime
) -> CodedField:
    """The pyramid with its context network rounded or settled, whatever takes the least bits: by so many evaluations at each
    precision that is tried, from coarse to fine as long as it takes fewer bits. The finest one is what is best for rounding.
    network: as it was trained; where there are no symbols it is the prior's."""
    if not any(coded.symbols[spec.name].any() for spec in grid_specs(coded.field)):
        return replace(coded, network={name: np.zeros_like(one) for name, one in coded.network.items()})
    rounded, coding = refine_network(coded, network), grid_coding(coded.field)
    bits = context_bits(rounded)
    coarser = dict.fromkeys(coding.coarser(rounded.network_shape, by) for by in reversed(range(TRIED_PRECISIONS)))
    best, least = None, math.inf
    for shape in coarser:
        one = at_precision(coded, network, shape)
        context = _context_objective(one, lambda_per_bit)
        tried = replace(one, network=one.network | _settled(context, network, evaluations, in_time))
        if (took := context_bits(tried)) >= least:
            break
        best, least = tried, took
    return best if least < bits else rounded


def _settled(objective: _Whole, values: dict[str, Tensor], evaluations: int, in_time: InTime) -> dict[str, np.ndarray]:
    """Symbols by name."""

    def due(share: float) -> bool:
        return objective.seen < share * evaluations and in_time()

    found = objective.flat.views(settle(objective.symbols(values), objective, due, BLOCK))
    return {name: one.to(torch.int32).numpy() for name, one in found.items()}


def _values(coded: CodedField) -> dict[str, Tensor]:
    """Of the context network's symbols."""
    quantizer = partial(grid_coding(coded.field).quantizer, shape=coded.network_shape)
    return {name: quantizer(name).values(torch.from_numpy(one).float()) for name, one in coded.network.items()}


def _context_objective(coded: CodedField, lambda_per_bit: float) -> ContextObjective:
    """With coefficients of modes as they are."""
    coding = grid_coding(coded.field)
    steps = {
        group: coding.quantizer(specs[0].name, coded.network_shape).step
        for group, specs in network_groups(coding).items()
    }
    return ContextObjective(_values(coded), coded, steps, lambda_per_bit)


class _Whole(Objective):
    """What the weights of `groups` cost, all of the picture being looked at each time; a weight is offset + step · symbol. seen:
    evaluations so far."""

    def __init__(self, groups: dict[str, list[TensorSpec]], steps: dict[str, float], lambda_per_bit: float) -> None:
        self.flat = FlatWeights(groups, torch.device("cpu"))
        self.steps = torch.tensor([steps[group] for group in self.flat.groups])[self.flat.group_of]
        self.lambda_per_bit, self.seen = lambda_per_bit, 0
        self._generator = torch.Generator().manual_seed(0)

    @abstractmethod
    def cost(self, named: dict[str, Tensor]) -> Tensor:
        """Of these weights, but for their own bits."""

    @abstractmethod
    def gradients(self, named: dict[str, Tensor]) -> float:
        """The same, added to the gradients of `named`."""

    def symbols(self, values: dict[str, Tensor]) -> Tensor:
        """(N,), not rounded."""
        return (self.flat.joined(values) - self.flat.offset) / self.steps

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        return self.flat.views(weights * self.steps + self.flat.offset)

    def _bits(self, weights: Tensor) -> Tensor:
        return self.lambda_per_bit * weight_bits(weights, self.flat.counts)

    def renew(self) -> None:
        pass

    def prices(self, weights: Tensor) -> Prices:
        means = self.flat.mean_magnitudes(weights.round()).clamp_min(1e-4)
        return Prices((0.5 / torch.asinh(0.5 / means))[self.flat.group_of], self.lambda_per_bit)

    @torch.no_grad()
    def loss(self, weights: Tensor) -> float:
        self.seen += 1
        return self.cost(self.named(weights)) + self._bits(weights).item()

    @torch.enable_grad()
    def gradient(self, weights: Tensor) -> tuple[float, Tensor]:
        self.seen += 1
        weights = weights.detach().requires_grad_()
        bits = self._bits(weights)
        bits.backward()
        leaves = {name: value.detach().requires_grad_() for name, value in self.named(weights).items()}
        cost = self.gradients(leaves)
        slopes = self.flat.joined({name: leaf.grad for name, leaf in leaves.items()})
        return cost + bits.item(), weights.grad + slopes * self.steps

    @torch.enable_grad()
    def _slopes(self, values: Callable[..., Tensor], weights: Tensor, examples: tuple[Tensor, ...]) -> Iterator[Tensor]:
        """Derivatives of `values` (weights (N,), an example) -> (rows,) by the weights: (n, N), row after row."""
        for parts in zip(*(one.split(max(1, DERIVED_NUMBERS // len(weights))) for one in examples)):
            each = weights.detach().expand(len(parts[0]), -1).clone().requires_grad_()
            for total in vmap(values)(each, *parts).sum(0).unbind():
                yield torch.autograd.grad(total, each, retain_graph=True)[0]


class HeadObjective(_Whole):
    """Distortion, of the head's weights, whatever the picture's filters are."""

    def __init__(self, parameters: Parameters, field: Pyramid, samples: Samples, *given) -> None:
        """parameters: grids and filters."""
        groups = {name: specs for name, specs in weight_groups(field).items() if name != FILTERS}
        super().__init__(groups, *given)
        self._fixed, self._field, self._samples = parameters, field, samples
        self._bands = next(whole_frames(samples))
        self._weights = channel_weights(samples.info) / math.prod(samples.shape[:3])

    def cost(self, named: dict[str, Tensor]) -> float:
        return sum(
            (self._field.squared_errors(self._fixed | named, band.lattice, self._frame(band)) * self._weights)
            .sum()
            .item()
            for band in self._bands
        )

    def gradients(self, named: dict[str, Tensor]) -> float:
        total = 0.0
        for band in self._bands:
            given = self._field, self._fixed | named, band.lattice, self._frame(band), native.ALL
            part = (squared_errors(*given) * self._weights).sum()
            part.backward()
            total += part.item()
        return total

    def _frame(self, band):
        return lambda index: self._samples.frame(band, index).cpu()

    def derivatives(self, weights: Tensor, points: int) -> Iterator[Tensor]:
        sizes = torch.tensor(self._samples.shape[:3], dtype=torch.float64)
        places = torch.rand(points, 3, generator=self._generator, dtype=torch.float64)
        places = ((places * sizes).floor() + 0.5) / sizes
        roots = channel_weights(self._samples.info).sqrt()
        features = features_at(self._field, self._fixed, places).T
        return self._slopes(
            lambda one, feature: head_values(self.named(one), feature[:, None])[:, 0] * roots, weights, (features,)
        )


class ContextObjective(_Whole):
    """Bits of the symbols, of the context network's weights, whatever the coefficients of modes are."""

    def __init__(self, network: dict[str, Tensor], coded: CodedField, *given) -> None:
        """network: what is fixed of it."""
        coding = grid_coding(coded.field)
        super().__init__(network_groups(coding), *given)
        planes = [
            plane
            for spec in grid_specs(coded.field)
            for plane in coded.symbols[spec.name].reshape(-1, *spec.shape[-2:])
        ]
        self._fixed, self._order = network, coding.order
        self._rate, self._summed = coding.rate(torch.device("cpu"), sampled=False), coding.summing(torch.device("cpu"))
        self._shapes = coding.shapes
        self._symbols = torch.from_numpy(np.concatenate([plane.ravel() for plane in planes])).float()
        self._tiles = [tiles_of(plane) for plane in planes]
        self._count = sum(int(spread(tiles, 0, 0, 1, *plane.shape).sum()) for tiles, plane in zip(self._tiles, planes))

    def cost(self, named: dict[str, Tensor]) -> float:
        return self.lambda_per_bit * self._rate(self._symbols, self._fixed | named, self._tiles).item()

    def gradients(self, named: dict[str, Tensor]) -> float:
        cost = self.lambda_per_bit * self._rate(self._symbols, self._fixed | named, self._tiles)
        cost.backward()
        return cost.item()

    def derivatives(self, weights: Tensor, points: int) -> Iterator[Tensor]:
        """Of what stands in for values whose squares are the bits: the outer products of the gradients of code lengths add up to
        Fisher's information, which is about their Hessian."""
        examples = drawn(self._shapes, self._order, self._symbols, self._tiles, points, self._generator)
        scale = math.sqrt(self.lambda_per_bit * self._count * math.log(2) / 2)

        def bits(one: Tensor, *example: Tensor) -> Tensor:
            network = whole_network(self._summed(self._fixed | self.named(one)), torch.cat)
            entries = torch.stack([network[f"entry{kind}"] for kind in range(self._order.kinds)])
            return scale * example_bits(*example, entries, network)[None]

        return self._slopes(bits, weights, examples.each())


def network_groups(coding: Planes) -> dict[str, list[TensorSpec]]:
    """The context network's tensors, but for coefficients of modes."""
    groups = [group for group in coding.groups(coding.Shape()) if MODES not in group]
    return {
        str(number): [TensorSpec(name, size, "weight", str(number), 1.0, 0.0) for name, size in group.items()]
        for number, group in enumerate(groups)
    }
