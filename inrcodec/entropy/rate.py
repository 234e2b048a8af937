"""Differentiable code length, in bits, of symbols that training holds as real numbers.

The counterparts of `tables` (Laplace) and of `context.Network`; the stream's size differs from these only by the
rounding of scales and means to the tables' grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inrcodec.entropy.context import (
    CLASS_FACTORS,
    CLASSES,
    IN_PLANE,
    IN_PLANE_WEIGHTS,
    MAGNITUDE_UNIT,
    SYMBOL_CLIP,
    Contexts,
    NetworkShape,
)

CHUNK = 1 << 15
"""Symbols that go through the network at a time, forward and backward, so that activations stay in the cache."""
LOG2_SCALE_RANGE = (-4.75, 7.0)
"""Of the tables."""


def laplace_bits(distance: Tensor, log2_scale: Tensor) -> Tensor:
    """Bits of a symbol at `distance` ≥ 0 from the mean of a Laplace distribution integrated over unit cells."""
    inverse = torch.exp2(-log2_scale.clamp(*LOG2_SCALE_RANGE))
    near = torch.exp((-0.5 - distance) * inverse)
    inside = 1 - 0.5 * torch.exp((distance - 0.5).clamp(max=0) * inverse) - 0.5 * near
    outside = 0.5 * torch.exp((0.5 - distance).clamp(max=0) * inverse) - 0.5 * near
    return -torch.log2(torch.where(distance < 0.5, inside, outside).clamp_min(2.0**-24))


def weight_bits(symbols: Tensor, counts: Tensor) -> Tensor:
    """Bits of groups of weights, each under the Laplace distribution that fits it best. symbols: (N,), group after group;
    counts: of each, (G,) int64.

    For whole numbers the mean magnitude of that distribution is m = 1 / (2 sinh(1 / 2b)), which gives b.
    """
    group_of, size = torch.repeat_interleave(counts), symbols.abs()
    means = size.new_zeros(len(counts)).index_add(0, group_of, size) / counts.clamp_min(1)
    scales = 0.5 / torch.asinh(0.5 / means.clamp_min(1e-4))
    return laplace_bits(size, torch.log2(scales)[group_of]).sum()


def mean_bits(magnitudes: Tensor) -> Tensor:
    """Bits of a symbol under the Laplace distributions of these mean magnitudes, which is what `weight_bits` comes to for
    whole numbers that are distributed so. A group's mean is all that has to be known of it; noise on symbols that are
    mostly zero is counted for too much."""
    magnitudes = magnitudes.clamp_min(1e-4)
    inverse = 2 * torch.asinh(0.5 / magnitudes)
    beyond = torch.exp(-0.5 * inverse)
    center = 1 - beyond
    first = 0.5 * (1 / beyond - beyond)
    return magnitudes * inverse / math.log(2) - center * torch.log2(center) - beyond * torch.log2(first)


def initial_network(shape: NetworkShape, contexts: Contexts, generator: torch.Generator) -> dict[str, Tensor]:
    """Float parameters of a context network: the scale follows the neighbors' magnitudes
    (as in networks trained on photographs), the rest starts small."""
    tensors = {}
    for name, size in shape.tensors(contexts).items():
        tensors[name] = torch.randn(size, generator=generator) * (0.5 / math.sqrt(size[-1]))
    for name in ("second_bias", "scale_bias"):
        if name in tensors:
            tensors[name].zero_()
    if "last" in tensors:
        tensors["last"] *= 0.1
    bypass = tensors["bypass"].zero_()
    logs = len(IN_PLANE) + 2 + (2 if contexts.temporal else 0)
    bypass[1, logs : logs + 3] = torch.tensor([1.1, 0.3, 0.2])  # of the plane, the parent, the previous channel
    bypass[1, -CLASSES:] = torch.tensor([-2.0, -3.0, -3.0, -3.0])
    return tensors


class ContextRate:
    """Code length of all grids of a segment, with gradients of symbols and network in one chunked sweep."""

    def __init__(self, contexts: Contexts, device: torch.device) -> None:
        self.count = contexts.count
        self.temporal = contexts.temporal
        self.order = torch.from_numpy(contexts.order).to(device)
        self.neighbors = torch.from_numpy(contexts.neighbors).to(device)
        self.channels = torch.from_numpy(contexts.channels).to(device)
        classes = torch.from_numpy(contexts.classes).long().to(device)
        self.one_hot = torch.nn.functional.one_hot(classes, CLASSES).T.float().contiguous()
        self.factor = torch.tensor(CLASS_FACTORS, dtype=torch.float32, device=device)[classes] * (3 / MAGNITUDE_UNIT)
        self.plane_weights = torch.tensor(IN_PLANE_WEIGHTS, dtype=torch.float32, device=device)

    def __call__(self, symbols: Tensor, network: dict[str, Tensor]) -> Tensor:
        """`symbols`: (N,) float32 of the concatenated grids in raster order. Bits, a scalar."""
        return _Sweep.apply(self, tuple(network), symbols, *network.values())

    def chunk_bits(self, own: Tensor, near: Tensor, network: dict[str, Tensor], start: int, stop: int) -> Tensor:
        """Bits of the symbols [start, stop) in coding order: `own` (n,), their `near` neighbors (K, n)."""
        inputs = self._inputs(near.clamp(-SYMBOL_CLIP, SYMBOL_CLIP), start, stop)
        outputs = network["bypass"] @ inputs
        if "first" in network:
            hidden = torch.relu(network["first"] @ inputs)
            second = torch.addmm(network["second_bias"][:, None], network["second"], hidden) + hidden
            outputs = outputs + network["last"] @ torch.relu(second)
        bias = network["scale_bias"].index_select(0, self.channels[start:stop])
        return laplace_bits((own - outputs[0]).abs(), outputs[1] + bias).sum()

    def _inputs(self, near: Tensor, start: int, stop: int) -> Tensor:
        size = near.abs()
        plane = (self.plane_weights @ size[: len(IN_PLANE)]) * self.factor[start:stop]
        sums = [plane, 3 * size[-2], 3 * size[-1]]
        if self.temporal:
            sums.append(1.5 * (size[len(IN_PLANE)] + size[len(IN_PLANE) + 1]))
        logs = torch.log2(1 + torch.stack(sums))
        return torch.cat([near, logs, self.one_hot[:, start:stop]])


class _Sweep(torch.autograd.Function):
    """The rate is a sum over symbols: each chunk is taken forward and backward before the next one starts."""

    @staticmethod
    def forward(ctx, rate: ContextRate, names: tuple[str, ...], symbols: Tensor, *weights: Tensor) -> Tensor:
        wanted = any(ctx.needs_input_grad)
        ordered = torch.cat([symbols.detach().index_select(0, rate.order), symbols.new_zeros(1)])
        gradient = torch.zeros_like(ordered)
        sums = [torch.zeros_like(weight) for weight in weights]
        total = symbols.new_zeros(())
        for start in range(0, rate.count, CHUNK):
            stop = min(start + CHUNK, rate.count)
            index = rate.neighbors[:, start:stop].reshape(-1)
            near = ordered.index_select(0, index).view(-1, stop - start)
            own = ordered[start:stop]
            leaves = [leaf.detach().requires_grad_(wanted) for leaf in (own, near, *weights)]
            with torch.set_grad_enabled(wanted):
                bits = rate.chunk_bits(leaves[0], leaves[1], dict(zip(names, leaves[2:])), start, stop)
            total += bits.detach()
            if wanted:
                own_grad, near_grad, *weight_grads = torch.autograd.grad(bits, leaves)
                gradient[start:stop] += own_grad
                gradient.scatter_add_(0, index.long(), near_grad.reshape(-1))
                sums = [one + other for one, other in zip(sums, weight_grads)]
        if wanted:
            raster = torch.empty_like(symbols)
            raster[rate.order] = gradient[:-1]
            ctx.save_for_backward(raster, *sums)
        return total

    @staticmethod
    def backward(ctx, upstream: Tensor):
        return (None, None, *(upstream * saved for saved in ctx.saved_tensors))
