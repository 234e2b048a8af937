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
    return _bent(values, temperature)[0]


def noisy_round(values: Tensor, temperature: float, deviation: float, generator: torch.Generator) -> Tensor:
    """Soft rounding, noise of mean 0, soft rounding again (C3, section 3): what training sees before it rounds.

    The noise is normal, or in the compiled loop a sum of four uniform variables.
    """
    return _NoisyRound.apply(values, temperature, deviation, generator)


class _NoisyRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, temperature: float, deviation: float, generator: torch.Generator) -> Tensor:
        values = values.detach().contiguous()
        symbols, slopes = torch.empty_like(values), torch.empty_like(values)
        noisily_rounded(values, 1.0, temperature, deviation, generator, (symbols, slopes))
        ctx.save_for_backward(slopes)
        return symbols

    @staticmethod
    def backward(ctx, upstream: Tensor):
        return upstream * ctx.saved_tensors[0], None, None, None


def noisily_rounded(
    values: Tensor,
    step: float,
    temperature: float,
    deviation: float,
    generator: torch.Generator,
    into: tuple[Tensor, Tensor],
) -> None:
    """`noisy_round` of values / step, and its derivatives by these, to two contiguous tensors like values: for whoever joins
    gradients by hand."""
    if native.available() and values.device.type == "cpu" and values.dtype == torch.float32:
        seed = int(torch.randint(2**31, (), generator=generator))
        rounding.noisy_round(values.numpy(), step, temperature, deviation, seed, tuple(one.numpy() for one in into))
        return
    once, slopes = _bent(values / step, temperature)
    noise = torch.randn(values.shape, generator=generator, device=values.device) * deviation
    twice, more = _bent(once + noise, temperature)
    into[0].copy_(twice)
    into[1].copy_(slopes * more)


def _bent(values: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """`soft_round`, and its derivatives."""
    middle, half = values.floor() + 0.5, 0.5 / math.tanh(0.5 / temperature)
    bent = torch.tanh((values - middle) / temperature)
    return middle + bent * half, (1 - bent.square()) * (half / temperature)


def straight_through(values: Tensor) -> Tensor:
    """Rounded values with the gradient of the identity."""
    return values + (values.round() - values).detach()
