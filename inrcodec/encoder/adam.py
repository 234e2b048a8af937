"""Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1). torch.optim's gives the same numbers, but its first use imports
PyTorch's compiler: two seconds, where a whole encode may take five."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrcodec.kernels import adam, native

BETAS = (0.9, 0.999)
EPSILON = 1e-8
COMPILED_FROM = 1 << 10
"""Values."""


def falling(fraction: float, floor: float) -> float:
    """Share of a learning rate after this fraction of a training: from 1 to `floor` by half a cosine."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * fraction))


@dataclass
class _Group:
    tensors: list[Tensor]
    rate: float
    floor: float
    epsilon: float
    travel: float | None
    betas: tuple[float, float]
    moments: list[tuple[Tensor, Tensor]]


class Adam:
    """Learning rates fall from each group's `rate` to `floor` times it, by a cosine of the training's fraction."""

    def __init__(self) -> None:
        self.groups: list[_Group] = []
        self.steps = 0
        self._fraction = 0.0

    def add(
        self,
        tensors: list[Tensor],
        rate: float,
        floor: float,
        epsilon: float = EPSILON,
        travel: float | None = None,
        betas: tuple[float, float] = BETAS,
    ) -> None:
        """Tensors that are trained together. `epsilon`: gradients that are not larger move a tensor by less than its rate.
        travel: the rate is not larger than this for a whole training, however many steps it will have. betas: what a step
        keeps of the first and second moments."""
        moments = [(torch.zeros_like(tensor), torch.zeros_like(tensor)) for tensor in tensors]
        self.groups.append(_Group(tensors, rate, floor, epsilon, travel, betas, moments))

    def zero_grad(self) -> None:
        for group in self.groups:
            for tensor in group.tensors:
                tensor.grad = None

    @torch.no_grad()
    def step(self, fraction: float) -> None:
        """One step of all tensors that have a gradient."""
        self.steps += 1
        passed = max(0.0, fraction - self._fraction)
        self._fraction = fraction
        for group in self.groups:
            corrections = [1 - beta**self.steps for beta in group.betas]
            rate = group.rate if group.travel is None else min(group.rate, group.travel * passed)
            rate *= falling(fraction, group.floor)
            for tensor, (mean, square) in zip(group.tensors, group.moments):
                if tensor.grad is None:
                    continue
                if _compiled(tensor):
                    moments = mean.numpy(), square.numpy()
                    given = group.betas, self.steps, rate, group.epsilon
                    adam.step(tensor.detach().numpy(), tensor.grad.numpy(), moments, *given)
                    continue
                mean.lerp_(tensor.grad, 1 - group.betas[0])
                square.mul_(group.betas[1]).addcmul_(tensor.grad, tensor.grad, value=1 - group.betas[1])
                root = square.sqrt().mul_(1 / math.sqrt(corrections[1])).add_(group.epsilon)
                tensor.addcdiv_(mean, root, value=-rate / corrections[0])


def _compiled(tensor: Tensor) -> bool:
    """Whether the compiled loop takes its steps: of a few values it is not worth a call."""
    large = tensor.numel() >= COMPILED_FROM and tensor.is_contiguous() and tensor.dtype == torch.float32
    return large and tensor.device.type == "cpu" and native.available()
