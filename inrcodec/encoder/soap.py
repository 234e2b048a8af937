"""Adam, and for weights Adam in the eigenbases of their gradients' second moments (SOAP, Vyas et al., arXiv 2409.11321).

Weights of a small network work together: along the axes of their matrices Adam's steps fight one another, along the axes in
which gradients are not correlated they do not. The bases are followed by one power iteration now and then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inrcodec.encoder.adam import Adam, falling, has_loops
from inrcodec.kernels import soap

EVERY = 10
"""Steps between two looks at the bases."""
EPSILON = 1e-12
COMPILED_TO = 192
"""Rows and columns of a matrix: PyTorch's products and factors of larger ones are faster (256: 2.6 ms against 2.9)."""


class Soap(Adam):
    """`add` as in Adam; tensors given to `add_rotated` are stepped in bases of their own. beta: of all their moments."""

    def __init__(self, beta: float = 0.95) -> None:
        super().__init__()
        self._beta = beta
        self._rotated: list[_Rotated] = []

    def add_rotated(self, tensor: Tensor, rate: float, floor: float, decay: float = 0.0) -> None:
        """A matrix; any other shape has no bases to be rotated to. decay: of each step, the share that it loses at first; later
        as much less as the rate (Loshchilov and Hutter, arXiv 1711.05101)."""
        self._rotated.append(_Rotated(tensor, rate, floor, decay, self._beta))

    def zero_grad(self) -> None:
        super().zero_grad()
        for one in self._rotated:
            one.tensor.grad = None

    @torch.no_grad()
    def step(self, fraction: float) -> None:
        super().step(fraction)
        correction = 1 - self._beta**self.steps
        looks = self.steps % EVERY == 1
        for one in self._rotated:
            if one.tensor.grad is not None:
                one.step(falling(fraction, one.floor), correction, looks)


def _zeros(shape: Sequence[int], device: torch.device) -> Tensor:
    """Rows begin where the compiled loops want them to."""
    rows, columns = shape if len(shape) == 2 else (1, math.prod(shape))
    zeros = torch.zeros(rows, soap.filled_up(columns), device=device)[:, :columns]
    return zeros if len(shape) == 2 else zeros.view(shape)


class _Side:
    """Rows or columns of a matrix: second moments of its gradients over the other side, and their eigenvectors."""

    def __init__(self, size: int, beta: float, device: torch.device) -> None:
        self.size, self.beta = size, beta
        self.moments, self.basis = _zeros((size, size), device), _zeros((size, size), device)
        self.has_basis = False

    def observe(self, products: Tensor, looks: bool) -> None:
        self.moments.lerp_(products, 1 - self.beta)
        if looks or not self.has_basis:
            scaled = self.moments / self.moments.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
            found = torch.linalg.qr(scaled @ self.basis)[0] if self.has_basis else torch.linalg.eigh(scaled)[1]
            self.basis.copy_(found)
            self.has_basis = True


@dataclass
class _Rotated:
    tensor: Tensor
    rate: float
    floor: float
    decay: float
    beta: float
    mean: Tensor = field(init=False)
    square: Tensor = field(init=False)
    sides: list[_Side] = field(init=False)
    """Rows and columns, if it is a matrix."""
    compiled: soap.Rotated | None = field(init=False)
    """Takes the steps after the first, where the loops can."""

    def __post_init__(self) -> None:
        shape, device = self.tensor.shape, self.tensor.device
        self.mean, self.square = _zeros(shape, device), _zeros(shape, device)
        self.sides = [_Side(size, self.beta, device) for size in shape] if len(shape) == 2 else []
        self.compiled = self._in_loops()

    def _in_loops(self) -> soap.Rotated | None:
        if not has_loops(self.tensor) or any(side.size > COMPILED_TO for side in self.sides):
            return None
        moments = self.mean.numpy(), self.square.numpy()
        sides = [one.numpy() for side in self.sides for one in (side.moments, side.basis)]
        return soap.Rotated(self.tensor.detach().numpy(), moments, sides, self.beta, EPSILON)

    def step(self, share: float, correction: float, looks: bool) -> None:
        """share: of the first rate and decay, what is left of them."""
        kept, rate = 1 - share * self.decay, share * self.rate
        if self.compiled and all(side.has_basis for side in self.sides):
            gradient = self.tensor.grad.contiguous()  # held while the loop reads it
            self.compiled.step(gradient.data_ptr(), correction, kept, rate, looks)
        else:
            self._observe(looks)
            self.tensor.mul_(kept).sub_(self._direction(correction), alpha=rate)

    def _observe(self, looks: bool) -> None:
        gradient = self.tensor.grad
        self.mean.lerp_(gradient, 1 - self.beta)
        if self.sides:
            self.sides[0].observe(gradient @ gradient.T, looks)
            self.sides[1].observe(gradient.T @ gradient, looks)
        rotated = self._to_bases(gradient)
        self.square.lerp_(rotated * rotated, 1 - self.beta)

    def _direction(self, correction: float) -> Tensor:
        """Adam's, found in the bases."""
        step = (self._to_bases(self.mean) / correction) / ((self.square / correction).sqrt() + EPSILON)
        step.clamp_(-1, 1)  # which nothing exceeds while the bases rest; squares are not rotated with them
        if not self.sides:
            return step
        rows, columns = self.sides
        return rows.basis @ step @ columns.basis.T

    def _to_bases(self, matrix: Tensor) -> Tensor:
        if not self.sides:
            return matrix
        rows, columns = self.sides
        return rows.basis.T @ matrix @ columns.basis
