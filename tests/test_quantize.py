"""Steps in eighths of an octave; soft rounding between rounding and the identity."""

import math

import pytest
import torch

from inrcodec.encoder.annealing import SPLIT, TABLES
from inrcodec.quantize import noisy_round, soft_round, straight_through
from inrcodec.steps import MAX_STEP_INDEX, nearest_index, step_of


def test_steps_are_eighths_of_an_octave_around_one():
    assert [step_of(index) for index in (0, 104, 128, 136, 248)] == [2**-16, 1 / 8, 1, 2, 32768]
    ratios = [step_of(index + 1) / step_of(index) for index in range(MAX_STEP_INDEX)]
    assert len(ratios) == 255 and ratios == pytest.approx([2 ** (1 / 8)] * 255, rel=1e-12)


def test_the_nearest_step_is_nearest_in_ratio():
    assert [nearest_index(step_of(index)) for index in range(256)] == list(range(256))
    border = 2 ** (1 / 16)
    assert nearest_index(border * 0.999) == 128 and nearest_index(border * 1.001) == 129
    assert nearest_index(1e-9) == 0 and nearest_index(1e9) == 255


VALUES = torch.tensor([-2.4, -1.6, -0.51, -0.49, 0.0, 0.2, 0.49, 0.51, 1.3, 7.9], dtype=torch.float64)


def test_soft_rounding_lies_between_rounding_and_the_identity():
    assert torch.allclose(soft_round(VALUES, 1e-3), VALUES.round(), atol=1e-6)
    assert torch.allclose(soft_round(VALUES, 100.0), VALUES, atol=1e-4)
    middle = soft_round(VALUES, 0.3)
    low, high = torch.minimum(VALUES, VALUES.round()), torch.maximum(VALUES, VALUES.round())
    assert (middle >= low - 1e-12).all() and (middle <= high + 1e-12).all()


def test_soft_rounding_is_the_formula_of_the_paper():
    """s(x) = m + tanh(r) / (2 tanh(1 / 2T)), r = (x - m) / T with m the middle between two whole numbers."""
    expected = [
        math.floor(x) + 0.5 + math.tanh((x - math.floor(x) - 0.5) / 0.3) / (2 * math.tanh(0.5 / 0.3))
        for x in VALUES.tolist()
    ]
    assert soft_round(VALUES, 0.3).tolist() == pytest.approx(expected, abs=1e-12)
    whole = torch.arange(-4.0, 5.0)
    assert torch.allclose(soft_round(whole, 0.2), whole, atol=1e-6)  # fixed points
    assert torch.allclose(soft_round(whole + 0.5, 0.2), whole + 0.5)
    assert torch.allclose(soft_round(whole - 1e-4, 0.2), soft_round(whole + 1e-4, 0.2), atol=1e-3)  # continuous


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["plain", "compiled"])
def test_noise_between_two_soft_roundings(dtype):
    generator = torch.Generator().manual_seed(4)
    values = torch.full((20_000,), 3.2, dtype=dtype)
    nearly_identity = noisy_round(values, 50.0, 0.25, generator)
    assert abs(nearly_identity.mean() - 3.2) < 0.01 and abs(nearly_identity.std() - 0.25) < 0.01
    hard = noisy_round(values, 1e-3, 0.25, generator)
    share = (hard.round() == 3).double().mean()
    assert abs(share - math.erf(0.5 / (0.25 * math.sqrt(2)))) < 0.01  # 3 + noise stays within 1/2: 95.4 %
    exact = VALUES.to(dtype)
    assert torch.allclose(noisy_round(exact, 0.3, 0.0, generator), soft_round(soft_round(exact, 0.3), 0.3), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["plain", "compiled"])
def test_gradients_go_through_both_roundings(dtype):
    values = torch.linspace(-2.9, 3.1, 1001, dtype=dtype).requires_grad_()
    noisy_round(values, 0.3, 0.0, torch.Generator()).sum().backward()
    middle = values.detach().double()
    slope = (soft_round(soft_round(middle + 1e-6, 0.3), 0.3) - soft_round(soft_round(middle - 1e-6, 0.3), 0.3)) / 2e-6
    assert torch.allclose(values.grad.double(), slope, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["plain", "compiled"])
def test_the_same_generator_gives_the_same_noise(dtype):
    draws = [noisy_round(VALUES.to(dtype), 0.3, 0.2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_straight_through_rounds_with_the_gradient_of_the_identity():
    values = VALUES.clone().requires_grad_()
    rounded = straight_through(values)
    assert torch.equal(rounded.detach().round(), VALUES.round())
    assert torch.allclose(rounded.detach(), VALUES.round(), atol=1e-12)
    (rounded * torch.arange(10)).sum().backward()
    assert torch.equal(values.grad, torch.arange(10).double())


def test_noise_of_coordx_weights_falls_and_that_of_others_does_not():
    """As shares of the deviation of errors of rounding, the root of a twelfth."""
    values, noise = torch.zeros(100_000), torch.Generator().manual_seed(0)
    for annealing, fraction, share in ((SPLIT, 0.0, 0.4), (SPLIT, 0.5, 0.25), (SPLIT, 1.0, 0.1), (TABLES, 1.0, 1.0)):
        deviation = annealing.noisy_weights(values, fraction, noise).std().item()
        assert deviation == pytest.approx(share / math.sqrt(12), rel=0.02)
