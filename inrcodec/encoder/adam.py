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


def falling(fraction: float, floor: float) -> float:
    """Share of a learning rate after this fraction of a training: from 1 to `floor` by half a cosine."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * fraction))


@dataclass
class _Stepped:
    """compiled: takes the steps of `tensor`, where the loops can."""

    tensor: Tensor
    mean: Tensor
    square: Tensor
    compiled: adam.Steps | None


@dataclass
class _Group:
    stepped: list[_Stepped]
    rate: float
    floor: float
    epsilon: float
    travel: float | None
    betas: tuple[float, float]


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
        stepped = []
        for tensor in tensors:
            moments = torch.zeros_like(tensor), torch.zeros_like(tensor)
            arrays = tuple(one.detach().numpy() for one in (tensor, *moments)) if has_loops(tensor) else None
            compiled = adam.Steps(arrays[0], arrays[1:], betas, epsilon) if arrays else None
            stepped.append(_Stepped(tensor, *moments, compiled))
        self.groups.append(_Group(stepped, rate, floor, epsilon, travel, betas))

    def zero_grad(self) -> None:
        for group in self.groups:
            for one in group.stepped:
                one.tensor.grad = None

    @torch.no_grad()
    def step(self, fraction: float) -> None:
        """One step of all tensors that have a gradient."""
        self.steps += 1
        passed = max(0.0, fraction - self._fraction)
        self._fraction = fraction
        for group in self.groups:
            corrections = tuple(1 - beta**self.steps for beta in group.betas)
            rate = group.rate if group.travel is None else min(group.rate, group.travel * passed)
            rate *= falling(fraction, group.floor)
            for one in group.stepped:
                if one.tensor.grad is None:
                    continue
                if one.compiled:
                    gradient = one.tensor.grad.contiguous()  # held while the loop reads it
                    one.compiled.step(gradient.data_ptr(), corrections, rate)
                else:
                    _step(one, group, corrections, rate)


def _step(one: _Stepped, group: _Group, corrections: tuple[float, float], rate: float) -> None:
    gradient = one.tensor.grad
    one.mean.lerp_(gradient, 1 - group.betas[0])
    one.square.mul_(group.betas[1]).addcmul_(gradient, gradient, value=1 - group.betas[1])
    root = one.square.sqrt().mul_(1 / math.sqrt(corrections[1])).add_(group.epsilon)
    one.tensor.addcdiv_(one.mean, root, value=-rate / corrections[0])


def has_loops(tensor: Tensor) -> bool:
    """Whether compiled loops can step a tensor."""
    return (
        tensor.is_contiguous() and tensor.dtype == torch.float32 and tensor.device.type == "cpu" and native.available()
    )
