"""What every field keeps: its plan equals its definition in any order, in gradients too; its specs describe it."""

import itertools

import numpy as np
import pytest
import torch
from fieldcases import IMAGE, POINT, TINY_BYTES, TOLERANCE, VIDEO, cases, definition, lattices, make
from skimage.data import chelsea
from skimage.transform import resize

from inrcodec.fields import asmr_plan, hashgrid, sine
from inrcodec.kernels import native
from inrcodec.lattice import Lattice


@pytest.mark.parametrize("name, shape", cases(IMAGE, VIDEO, POINT))
def test_plan_equals_definition_in_any_order(name, shape):
    field, parameters = make(name, shape)
    for kind, lattice in lattices(shape):
        expected = definition(field, parameters, lattice)
        plan = field.plan(parameters, lattice)
        order = torch.randperm(lattice.shape[0], generator=torch.Generator().manual_seed(1)).tolist()
        in_order = plan.frames()
        at_random = torch.stack([plan.frame(index) for index in order])
        banded = field.plan(parameters, lattice, keep_bytes=TINY_BYTES)
        banded_at_random = torch.stack([banded.frame(index) for index in order])
        assert in_order.shape == expected.shape and in_order.dtype == torch.float32, kind
        assert (in_order - expected).abs().max() < TOLERANCE, kind
        assert (at_random - expected[order]).abs().max() < TOLERANCE, kind
        assert (banded_at_random - expected[order]).abs().max() < TOLERANCE, kind


@pytest.mark.parametrize("name, shape", cases(VIDEO))
def test_plan_larger_than_a_tile_equals_definition(name, shape, monkeypatch):
    field, parameters = make(name, shape)
    expected = [(lattice, definition(field, parameters, lattice)) for _, lattice in lattices(shape)]
    for room in (sine, asmr_plan, hashgrid):
        monkeypatch.setattr(room, "TILE", 15)
    for lattice, values in expected:
        assert (field.plan(parameters, lattice).frames() - values).abs().max() < TOLERANCE
        assert (definition(field, parameters, lattice) - values).abs().max() < TOLERANCE


@pytest.mark.parametrize("keep_bytes", [1 << 29, TINY_BYTES])
@pytest.mark.parametrize("name, shape", cases(IMAGE, VIDEO))
def test_gradients_through_plan_equal_those_through_definition(name, shape, keep_bytes):
    field, parameters = make(name, shape)
    for _, lattice in itertools.islice(lattices(shape), 3):
        target = torch.rand(*lattice.shape, field.channels, generator=torch.Generator().manual_seed(5))
        gradients = []
        for planned in (True, False):
            leaves = {key: value.clone().requires_grad_() for key, value in parameters.items()}
            plan = field.plan(leaves, lattice, keep_bytes)
            values = plan.frames() if planned else definition(field, leaves, lattice)
            (values - target).square().mean().backward()
            unused = {key: torch.zeros_like(leaf) for key, leaf in leaves.items()}  # by frames that are not asked for
            gradients.append({key: unused[key] if leaf.grad is None else leaf.grad for key, leaf in leaves.items()})
        for key, gradient in gradients[0].items():
            assert torch.allclose(gradient, gradients[1][key], rtol=1e-3, atol=1e-5), key


@pytest.mark.parametrize("name", ["siren", "asmr2", "coordx-t_yx-product-11r2", "coordx-t_yx-sum-11r2"])
def test_a_few_iterations_reduce_the_error_on_a_photograph(name):
    image = torch.tensor(resize(chelsea(), (16, 24), anti_aliasing=True)).float() - 0.5
    field, _ = make(name, (1, 16, 24, 3))
    parameters = {key: p.requires_grad_() for key, p in field.initial(torch.Generator().manual_seed(0)).items()}
    optimizer = torch.optim.Adam([{"params": [parameters[spec.name]], "lr": spec.rate} for spec in field.specs()])
    errors = []
    for _ in range(60):
        optimizer.zero_grad()
        error = (field.plan(parameters, Lattice.full(1, 16, 24)).frame(0) - image).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < min(0.5 * errors[0], 0.7 * image.var().item())


@pytest.mark.parametrize("name", ["pyramid1", "pyramid3", "pyramid3-filtered", "pyramid3-single", "pyramid3-own"])
@pytest.mark.parametrize("shape", [(1, 13, 7, 3), (1, 70, 301, 4), (1, 1, 1, 1), (1, 9, 150, 2)])
def test_a_plan_of_arrays_equals_the_definition(name, shape):
    """And its samples are the quantized values, half to even, of 8 and of 16 bits."""
    field, parameters = make(name, shape)
    if not field.takes_arrays:
        pytest.skip("the compiled loops were not built")
    arrays = {key: value.numpy() for key, value in parameters.items()}
    for kind, lattice in lattices(shape):
        plan, expected = field.plan(arrays, lattice), definition(field, parameters, lattice)[0].numpy()
        values = plan.frame(0)
        assert isinstance(values, np.ndarray) and np.abs(values - expected).max() < TOLERANCE, kind
        for peak, dtype in ((255, np.uint8), (1, np.uint8), (65_535, np.uint16), (1023, np.uint16)):
            samples = plan.samples(0, peak)
            assert samples.dtype == dtype and samples.shape == values.shape
            assert np.array_equal(samples, np.rint((values + np.float32(0.5)).clip(0, 1) * np.float32(peak)))


@pytest.mark.parametrize("threads", [1, 3])
def test_arrays_and_tensors_are_shared_by_any_number_of_threads(threads, monkeypatch):
    field, parameters = make("pyramid3", (1, 40, 50, 3))
    if not field.takes_arrays:
        pytest.skip("the compiled loops were not built")
    lattice = Lattice.full(1, 40, 50)
    expected = field.plan(parameters, lattice).frame(0)
    monkeypatch.setattr(native, "threads", lambda: threads)
    assert torch.equal(field.plan(parameters, lattice).frame(0), expected)


def squared_error_gradients(field, parameters, target):
    """Of the sum over channels, by parameter."""
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    errors = field.squared_errors(leaves, Lattice.full(1, *target.shape[:2]), lambda index: target)
    errors.sum().backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


@pytest.mark.parametrize(
    "name", ["pyramid3", "pyramid3-filtered", "pyramid3-single", "pyramid3-own", "pyramid3-one-layer"]
)
def test_compiled_gradients_of_squared_errors_are_those_of_autograd(name, monkeypatch):
    """Rows longer than a tile and than the vectors' width."""
    if not native.available():
        pytest.skip("the compiled loops were not built")
    shape = (1, 43, 301, 3)
    field, parameters = make(name, shape)
    target = torch.rand(shape[1:], generator=torch.Generator().manual_seed(3)) - 0.5
    found = squared_error_gradients(field, parameters, target)
    monkeypatch.setattr(native, "available", lambda: False)
    for key, expected in squared_error_gradients(field, parameters, target).items():
        assert (found[key] - expected).norm() <= 1e-4 * expected.norm(), key


def test_in_large_pictures_every_tile_has_its_turn(monkeypatch):
    """Matrices' gradients of four sweeps differ, and have those of a whole sweep as their mean; all others are the same."""
    if not native.available():
        pytest.skip("the compiled loops were not built")
    shape = (1, 43, 301, 3)
    field, parameters = make("pyramid3", shape)
    target = torch.rand(shape[1:], generator=torch.Generator().manual_seed(3)) - 0.5
    whole = squared_error_gradients(field, parameters, target)
    monkeypatch.setattr(native, "SAMPLED_FROM", 43 * 301)
    field, _ = make("pyramid3", shape)
    sampled = [squared_error_gradients(field, parameters, target) for _ in range(native.SAMPLED)]
    for key, expected in whole.items():
        found = torch.stack([one[key] for one in sampled])
        assert (found.mean(0) - expected).norm() <= 1e-4 * expected.norm(), key
        of_all = key.startswith("grid") or key.endswith("bias")
        assert torch.allclose(found, found[:1].expand_as(found), rtol=1e-5) == of_all, key
