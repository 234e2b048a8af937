"""CoordX's compiled sweep against its definition, and CoordX's errors against those of its plans."""

import numpy as np
import pytest
import torch
from fieldcases import COORDX, make

from inrcodec.fields.base import Field
from inrcodec.fields.coordx import fused_errors
from inrcodec.kernels import native
from inrcodec.kernels.sines import sine_errors
from inrcodec.lattice import Lattice

compiled = pytest.mark.skipif(not native.available(), reason="the compiled loops are not there")


def given(width, rank, layers, channels, rows, columns, strength=1.0):
    random = torch.Generator().manual_seed(width + columns)
    sizes = (width, rank, rows), (width, rank, columns), (layers * width * (width + 1) + channels * (width + 1),)
    first, second, head = (torch.randn(size, generator=random) for size in sizes)
    return (
        first,
        second,
        head * (strength * width**-0.5),
        layers,
        torch.randn((channels, rows, columns), generator=random),
        (torch.rand(rows, generator=random), torch.rand(columns, generator=random)),
    )


def by_definition(first, second, head, layers, target, importance, weight):
    """Errors and gradients in float64."""
    leaves = [one.double().requires_grad_() for one in (first, second, head)]
    errors = fused_errors(*leaves, layers, target.double(), tuple(one.double() for one in importance))
    (errors * weight).sum().backward()
    return [errors.detach(), *(leaf.grad for leaf in leaves)]


@compiled
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "case",
    [(7, 2, 2, 3, 5, 157), (30, 1, 1, 4, 3, 128), (5, 3, 0, 1, 4, 300), (1, 1, 3, 2, 1, 1), (61, 2, 2, 3, 2, 130)],
)
def test_the_sweep_equals_the_definition(case, threads, monkeypatch):
    monkeypatch.setattr("inrcodec.kernels.sines.threads", lambda: threads)
    first, second, head, layers, target, importance = given(*case)
    weight = torch.arange(1.0, len(target) + 1)
    expected = by_definition(first, second, head, layers, target, importance, weight)
    arrays = (first.numpy(), second.numpy(), head.numpy(), layers, target.numpy(), [one.numpy() for one in importance])
    found = sine_errors(*arrays, weight.numpy())
    for one, other in zip(expected, vars(found).values()):
        assert np.abs(one.numpy() - other).max() < 3e-6 * max(1, one.abs().max().item())
    assert np.array_equal(sine_errors(*arrays, None).errors, found.errors)


@compiled
def test_phases_of_hundreds_of_turns_keep_their_sines():
    first, second, head, layers, target, importance = given(9, 1, 1, 3, 40, 128, strength=400.0)
    head[-30:] /= 400
    expected = by_definition(first, second, head, layers, target, importance, torch.ones(3))
    arrays = (first.numpy(), second.numpy(), head.numpy(), layers, target.numpy(), [one.numpy() for one in importance])
    found = sine_errors(*arrays, np.ones(3, np.float32))
    for one, other in zip(expected, vars(found).values()):
        assert np.abs(one.numpy() - other).max() < 1e-3 * one.abs().max().item()


@pytest.mark.parametrize("weights", [(1.0, 1.0), (4.0, 1.0)], ids=["alike", "unlike"])
@pytest.mark.parametrize("shape", [(1, 13, 7, 2), (3, 6, 150, 2)], ids=["image", "video"])
@pytest.mark.parametrize("important", [False, True], ids=["even", "important"])
@pytest.mark.parametrize("name", COORDX)
def test_errors_and_their_gradients_are_those_of_the_plan(name, shape, weights, important):
    """Compiled or not; of channels that weigh alike or do not, and rows and columns too."""
    field, parameters = make(name, shape)
    lattice = Lattice.full(*shape[:3])
    random = torch.Generator().manual_seed(1)
    target = torch.rand(shape, generator=random) - 0.5
    importance = tuple(torch.rand(size, generator=random) for size in shape[1:3]) if important else None
    results = []
    for errors_of in (field.squared_errors, lambda *given: Field.squared_errors(field, *given)):
        leaves = {key: value.clone().requires_grad_() for key, value in parameters.items()}
        errors = errors_of(leaves, lattice, lambda index: target[index], importance)
        (errors * torch.tensor(weights)).sum().backward()
        results.append([errors.detach(), *(leaf.grad for leaf in leaves.values())])
    for found, expected in zip(*results):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
