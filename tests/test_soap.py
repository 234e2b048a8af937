"""SOAP against what Adam does to the same matrix, and what it leaves as Adam has it."""

import pytest
import torch

from inrcodec.encoder.adam import COMPILED_FROM, Adam
from inrcodec.encoder.soap import Soap
from inrcodec.kernels import adam


class Bowl:
    """Of 12 by 9 numbers: long and narrow along directions of its own in rows and in columns, and shaken."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.rows, self.columns = (torch.linalg.qr(self._random(size, size))[0] for size in (12, 9))
        self.stiffness = torch.logspace(0, -2, 12)[:, None] * torch.logspace(0, -2, 9)
        self.goal = self._random(12, 9)

    def _random(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator)

    def height(self, matrix: torch.Tensor) -> torch.Tensor:
        return (self.stiffness * (self.rows.T @ (matrix - self.goal) @ self.columns).square()).sum()

    def shaken(self, matrix: torch.Tensor) -> torch.Tensor:
        return self.height(matrix - self._random(12, 9))


def fitted(optimizer, tensor, loss, iterations=200):
    for iteration in range(iterations):
        optimizer.zero_grad()
        loss(tensor).backward()
        optimizer.step(iteration / iterations)
    return loss(tensor).item()


@pytest.mark.parametrize("seed", range(3))
def test_rotated_steps_go_along_the_bowl(seed):
    heights = []
    for optimizer in (Adam(), Soap()):
        bowl, matrix = Bowl(seed), torch.zeros(12, 9, requires_grad=True)
        if isinstance(optimizer, Soap):
            optimizer.add_rotated(matrix, 0.1, 0.05)
        else:
            optimizer.add([matrix], 0.1, 0.05)
        fitted(optimizer, matrix, bowl.shaken)
        heights.append(bowl.height(matrix).item())
    assert heights[1] < 0.6 * heights[0]


def test_what_is_not_rotated_is_adams():
    target = torch.tensor([1.0, -2.0, 0.5])
    ends = []
    for optimizer in (Adam(), Soap()):
        tensor = torch.zeros(3, requires_grad=True)
        optimizer.add([tensor], 0.05, 0.1)
        fitted(optimizer, tensor, lambda found: (found - target).square().sum(), 20)
        ends.append(tensor.detach())
    assert torch.equal(*ends)


@pytest.mark.parametrize("shape", [(5,), (), (3, 1), (1, 4)])
def test_any_shape_is_taken(shape):
    tensor = torch.zeros(shape, requires_grad=True)
    soap = Soap()
    soap.add_rotated(tensor, 0.1, 0.01)
    assert fitted(soap, tensor, lambda found: (found - 1).square().sum()) < 0.01


def test_a_tensor_without_a_gradient_rests_and_zeros_are_no_harm():
    rests, still = (torch.ones(2, 2, requires_grad=True) for _ in range(2))
    soap = Soap()
    soap.add_rotated(rests, 0.1, 0.01)
    soap.add_rotated(still, 0.1, 0.01)
    for _ in range(3):
        soap.zero_grad()
        (0 * still).sum().backward()
        soap.step(0.0)
    assert torch.equal(rests, torch.ones(2, 2)) and torch.equal(still, torch.ones(2, 2))
    soap.zero_grad()
    assert still.grad is None


def test_what_decays_loses_a_share_that_falls_with_the_rate():
    """Without a gradient nothing else happens: a tenth at first, a twentieth halfway down the cosine, the floor's share at the
    end."""
    tensor, soap = torch.ones(2, 3, requires_grad=True), Soap()
    soap.add_rotated(tensor, 0.1, floor=0.2, decay=0.1)
    expected = 1.0
    for fraction, share in ((0.0, 1.0), (0.0, 1.0), (0.5, 0.6), (1.0, 0.2)):
        soap.zero_grad()
        (0 * tensor).sum().backward()
        soap.step(fraction)
        expected *= 1 - 0.1 * share
        assert torch.allclose(tensor, torch.full((2, 3), expected))


@pytest.mark.parametrize("steps", [40, 400])
def test_a_travel_is_as_long_however_many_steps_it_takes(steps):
    """Down an endless slope, at rates that fall by a cosine: half of what the first would do. Without time nothing moves."""
    tensor, optimizer = torch.zeros(1, requires_grad=True), Adam()
    optimizer.add([tensor], rate=1.0, floor=0.0, travel=6.0)
    fitted(optimizer, tensor, torch.sum, steps)
    assert -tensor.item() == pytest.approx(3.0, rel=0.1)
    end = tensor.item()
    tensor.sum().backward()
    optimizer.step(1 - 1 / steps)
    assert tensor.item() == end


def test_no_step_of_a_travel_is_longer_than_the_rate():
    tensor, optimizer = torch.zeros(1, requires_grad=True), Adam()
    optimizer.add([tensor], rate=0.02, floor=0.0, travel=6.0)
    fitted(optimizer, tensor, torch.sum, 10)
    assert 0 < -tensor.item() <= 0.02 * 10


@pytest.mark.parametrize("size", [2, COMPILED_FROM + 5, adam.SHARED_FROM + 21])
def test_moments_are_as_short_as_asked(size):
    """As PyTorch's own Adam steps with these betas: few values, many in compiled loops, more than one thread takes."""
    start = torch.linspace(-2, 1, size)
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    optimizer = Adam()
    optimizer.add([ours], 0.1, 1.0, betas=(0.5, 0.95))
    reference = torch.optim.Adam([theirs], lr=0.1, betas=(0.5, 0.95))
    for factor in (1.0, 3.0, -0.5, 2.0):
        for tensor in (ours, theirs):
            tensor.grad = factor * tensor.detach() ** 2
        optimizer.step(0.0)
        reference.step()
    assert torch.allclose(ours, theirs, atol=1e-6)
