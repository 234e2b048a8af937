"""What stands in for rounding while training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inrcodec.kernels import native, rounding


def soft_round(values: Tensor, temperature: float) -> Tensor:
    """Rounding with a slope: tanh between the half-way points; the identity as temperature grows, rounding at 0.

    Agustsson and Theis, "Universally quantized neural compression" (arXiv 2006.09952), section 4, with the temperature
    as in C3 (arXiv 2312.02753).
    """
    middle = values.floor() + 0.5
    return middle + torch.tanh((values - middle) / temperature) * (0.5 / math.tanh(0.5 / temperature))


def noisy_round(values: Tensor, temperature: float, deviation: float, generator: torch.Generator) -> Tensor:
    """Soft rounding, noise of mean 0, soft rounding again (C3, section 3): what training sees before it rounds.

    The noise is normal, or in the compiled loop a sum of four uniform variables.
    """
    if native.available() and values.device.type == "cpu" and values.dtype == torch.float32:
        seed = int(torch.randint(2**31, (), generator=generator))
        return _CompiledNoisyRound.apply(values, temperature, deviation, seed)
    noise = torch.randn(values.shape, generator=generator, device=values.device) * deviation
    return soft_round(soft_round(values, temperature) + noise, temperature)


class _CompiledNoisyRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, temperature: float, deviation: float, seed: int) -> Tensor:
        symbols, slopes = rounding.noisy_round(values.detach().numpy(), temperature, deviation, seed)
        ctx.save_for_backward(torch.from_numpy(slopes))
        return torch.from_numpy(symbols)

    @staticmethod
    def backward(ctx, upstream: Tensor):
        return upstream * ctx.saved_tensors[0], None, None, None


def straight_through(values: Tensor) -> Tensor:
    """Rounded values with the gradient of the identity."""
    return values + (values.round() - values).detach()
