"""Adam, and for weights Adam in the eigenbases of their gradients' second moments (SOAP, Vyas et al., arXiv 2409.11321).

Weights of a small network work together: along the axes of their matrices Adam's steps fight one another, along the axes in
which gradients are not correlated they do not. The bases are followed by one power iteration now and then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from inrcodec.encoder.adam import Adam, falling

EVERY = 10
"""Steps between two looks at the bases."""
EPSILON = 1e-12


class Soap(Adam):
    """`add` as in Adam; tensors given to `add_rotated` are stepped in bases of their own. beta: of all their moments."""

    def __init__(self, beta: float = 0.95) -> None:
        super().__init__()
        self._beta = beta
        self._rotated: list[_Rotated] = []

    def add_rotated(self, tensor: Tensor, rate: float, floor: float, decay: float = 0.0) -> None:
        """A matrix; any other shape has no bases to be rotated to. decay: of each step, the share that it loses at first; later
        as much less as the rate (Loshchilov and Hutter, arXiv 1711.05101)."""
        sides = [_Side(size, self._beta) for size in tensor.shape] if tensor.dim() == 2 else []
        moments = torch.zeros_like(tensor), torch.zeros_like(tensor)
        self._rotated.append(_Rotated(tensor, rate, floor, decay, self._beta, *moments, sides))

    def zero_grad(self) -> None:
        super().zero_grad()
        for one in self._rotated:
            one.tensor.grad = None

    @torch.no_grad()
    def step(self, fraction: float) -> None:
        super().step(fraction)
        correction = 1 - self._beta**self.steps
        for one in self._rotated:
            if one.tensor.grad is not None:
                one.observe(looks=self.steps % EVERY == 1)
                share = falling(fraction, one.floor)
                if one.decay:
                    one.tensor.mul_(1 - share * one.decay)
                one.tensor.sub_(one.direction(correction), alpha=share * one.rate)


@dataclass
class _Side:
    """Rows or columns of a matrix: second moments of its gradients over the other side, and their eigenvectors."""

    size: int
    beta: float
    moments: Tensor = field(init=False)
    basis: Tensor | None = None

    def __post_init__(self) -> None:
        self.moments = torch.zeros(self.size, self.size)

    def observe(self, products: Tensor, looks: bool) -> None:
        self.moments = self.moments.to(products.device).lerp(products, 1 - self.beta)
        if looks or self.basis is None:
            scaled = self.moments / self.moments.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
            if self.basis is None:
                self.basis = torch.linalg.eigh(scaled)[1]
            else:
                self.basis = torch.linalg.qr(scaled @ self.basis)[0]


@dataclass
class _Rotated:
    tensor: Tensor
    rate: float
    floor: float
    decay: float
    beta: float
    mean: Tensor
    square: Tensor
    sides: list[_Side]
    """Rows and columns, if it is a matrix."""

    def observe(self, looks: bool) -> None:
        gradient = self.tensor.grad
        self.mean.lerp_(gradient, 1 - self.beta)
        if self.sides:
            self.sides[0].observe(gradient @ gradient.T, looks)
            self.sides[1].observe(gradient.T @ gradient, looks)
        rotated = self._to_bases(gradient)
        self.square.lerp_(rotated * rotated, 1 - self.beta)

    def direction(self, correction: float) -> Tensor:
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
