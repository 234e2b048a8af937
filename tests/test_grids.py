"""Grids as one vector: what they are in an iteration, and their gradients, which are joined by hand, against autograd's."""

from functools import partial

import numpy as np
import pytest
import torch
from fieldcases import make

from inrcodec.encoder.annealing import PATIENT
from inrcodec.encoder.grids import FlatGrids
from inrcodec.kernels import native
from inrcodec.kernels.padding import PaddedPlanes
from inrcodec.passes import PlaneShape
from inrcodec.quantize import soft_round
from inrcodec.segment import grid_specs

CPU = torch.device("cpu")
TEMPERATURE = 0.35
"""PATIENT's at the start."""


@pytest.fixture(params=["pyramid3", "hashgrid-joint-linear"])
def grids(request):
    field, parameters = make(request.param, (1, 40, 36, 3))
    return FlatGrids(grid_specs(field), parameters, CPU)


@pytest.fixture
def steps(grids):
    return {spec.group: 0.05 + 0.01 * index for index, spec in enumerate(grids.specs)}


def seen_without_noise(grids, steps, monkeypatch):
    monkeypatch.setattr("inrcodec.encoder.annealing.Annealing._softness", lambda self, fraction: (TEMPERATURE, 0.0))
    return grids.seen(steps, partial(PATIENT.softly_rounded, fraction=0.0, noise=torch.Generator()))


def test_values_are_seen_by_name(grids):
    assert [spec.name for spec in grids.specs] == list(grids.named)
    start = 0
    for spec in grids.specs:
        stop = start + grids.named[spec.name].numel()
        assert torch.equal(grids.values[start:stop], grids.named[spec.name].flatten())
        assert grids.named[spec.name].data_ptr() == grids.values[start:].data_ptr()
        start = stop
    assert start == len(grids.values) and torch.equal(grids.joined(grids.named), grids.values)


def test_symbols_are_rounded_softly_in_units_of_their_steps(path, grids, steps, monkeypatch):
    seen = seen_without_noise(grids, steps, monkeypatch)
    for spec, symbols in zip(grids.specs, grids.views(seen.symbols).values()):
        expected = soft_round(soft_round(grids.named[spec.name] / steps[spec.group], TEMPERATURE), TEMPERATURE)
        assert torch.allclose(symbols, expected, atol=1e-4)
        assert torch.equal(seen.parameters()[spec.name], symbols * steps[spec.group])


@pytest.mark.parametrize("restricted", [False, True])
def test_gradients_are_those_of_autograd(path, grids, steps, restricted, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    by_parameters = {name: torch.randn(value.shape, generator=generator) for name, value in grids.named.items()}
    by_symbols = torch.randn(len(grids.values), generator=generator)
    last = grids.specs[-1].name
    masks = {last: (torch.rand(grids.named[last].shape, generator=generator) < 0.5).float()} if restricted else {}
    seen = seen_without_noise(grids, steps, monkeypatch)
    seen.restrict(masks)
    leaves = {name: value.clone().requires_grad_() for name, value in grids.named.items()}
    loss = 0.0
    for spec, part in zip(grids.specs, grids.views(by_symbols).values()):
        step = steps[spec.group]
        symbols = soft_round(soft_round(leaves[spec.name] / step, TEMPERATURE), TEMPERATURE) * masks.get(spec.name, 1)
        loss = loss + (by_parameters[spec.name] * symbols * step).sum() + (part * symbols).sum()
    loss.backward()
    seen.go_back(by_parameters, by_symbols)
    for name, leaf in leaves.items():
        assert leaf.grad.abs().max() > 0.1
        assert torch.allclose(grids.named[name].grad, leaf.grad, rtol=1e-3, atol=1e-3 * leaf.grad.abs().max().item())


@pytest.mark.skipif(not native.available(), reason="the compiled loops were not built")
@pytest.mark.parametrize("height, width", [(1, 1), (3, 2), (2, 31), (5, 32), (4, 67), (3, 130)])
def test_even_columns_lie_before_odd_ones(height, width):
    """Whatever the width of vectors, with zeros around; and come back."""
    shapes = (PlaneShape(height, width, parent=None, previous=None, role=0),) * 2
    planes = PaddedPlanes(shapes)
    flat = np.arange(1, 1 + 2 * height * width, dtype=np.float32)
    split = planes.split(flat)
    for index, plane in enumerate(flat.reshape(2, height, width)):
        for odd in (0, 1):
            place = planes.split_position(index) + odd * (planes.strides[index] // 2)
            for y in range(height):
                row = split[place + y * planes.strides[index] :][: len(plane[y, odd::2]) + 1]
                assert np.array_equal(row, [*plane[y, odd::2], 0])
    assert np.count_nonzero(split) == flat.size and np.array_equal(planes.flat(None, split), flat)
