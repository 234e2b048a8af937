"""SOAP against what Adam does to the same matrix, and what it leaves as Adam has it."""

import pytest
import torch

from inrcodec.encoder.adam import Adam
from inrcodec.encoder.soap import EVERY, Soap
from inrcodec.kernels import adam, native

needs_loops = pytest.mark.skipif(not native.available(), reason="the compiled loops were not built")


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


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_loops), False])
@pytest.mark.parametrize("size", [2, 1029, adam.SHARED_FROM + 21])
def test_moments_are_as_short_as_asked(size, compiled, monkeypatch):
    """As PyTorch's own Adam steps with these betas, in compiled loops or not: few values, many, more than one thread takes."""
    monkeypatch.setattr(native, "available", lambda: compiled)
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


def rotated(shape, decay, steps, monkeypatch, compiled):
    """A tensor of this shape and its state, after steps along noise: the first two without, the others not contiguous."""
    monkeypatch.setattr(native, "available", lambda: compiled)
    generator = torch.Generator().manual_seed(5)
    tensor = torch.randn(shape, generator=generator).requires_grad_()
    soap = Soap(0.8)
    soap.add_rotated(tensor, 0.1, 0.05, decay)
    for step in range(steps):
        noise = torch.randn(*shape, 2, generator=generator)
        tensor.grad = noise[..., 0] if step >= 2 else None
        soap.step(step / steps)
    return soap._rotated[0]


def bases(one):
    return [side.basis for side in one.sides]


OF_FULL_RANK = [(), (3,), (45,), (2, 3, 4), (6, 1), (1, 5), (2, 12), (12, 12), (13, 20), (45, 7), (26, 37)]
"""Are the second moments of all sides by the time of a second look at the bases."""
CASES = [(shape, 4 * EVERY + 5) for shape in OF_FULL_RANK] + [((3, 45), EVERY), ((1, 40), EVERY)]


@needs_loops
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("shape, steps", CASES)
def test_compiled_steps_are_those_of_the_definition(shape, steps, decay, monkeypatch):
    """Where moments are not of full rank, new bases are arbitrary in part: only the steps before are compared."""
    ours, theirs = (rotated(shape, decay, steps, monkeypatch, compiled) for compiled in (True, False))
    assert ours.compiled and not theirs.compiled
    for name in ("tensor", "mean", "square"):
        assert torch.allclose(getattr(ours, name), getattr(theirs, name), atol=1e-5), name
    assert all(torch.allclose(*both, atol=3e-5) for both in zip(bases(ours), bases(theirs)))


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_loops), False])
@pytest.mark.parametrize("scale", [0.0, 1e-12, 1.0])
def test_bases_stay_orthogonal_where_gradients_are_few(scale, compiled, monkeypatch):
    """Of one column, whose rows are hardly of any size; after that of none."""
    monkeypatch.setattr(native, "available", lambda: compiled)
    tensor, soap = torch.zeros(20, 5, requires_grad=True), Soap()
    soap.add_rotated(tensor, 0.1, 0.05)
    tensor.grad = torch.zeros(20, 5)
    tensor.grad[:, 1] = scale * torch.logspace(0, -30, 20)
    for _ in range(3 * EVERY):
        soap.step(0.5)
        if soap.steps == EVERY:
            tensor.grad.zero_()
    for basis in bases(soap._rotated[0]):
        assert torch.allclose(basis.T @ basis, torch.eye(len(basis)), atol=1e-5)
    assert tensor.isfinite().all()


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_loops), False])
def test_what_is_no_number_is_not_hidden(compiled, monkeypatch):
    monkeypatch.setattr(native, "available", lambda: compiled)
    tensor, soap = torch.zeros(2, 3, requires_grad=True), Soap()
    soap.add_rotated(tensor, 0.1, 0.05)
    for value in (1.0, float("nan")):
        tensor.grad = torch.full((2, 3), value)
        soap.step(0.5)
    assert tensor.isnan().all()
