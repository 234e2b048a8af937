"""Fits without quantization: what they minimize, when they end, what they refuse."""

import math

import numpy as np
import pytest
import torch
from skimage import data
from skimage.transform import resize

from inrcodec.encoder.batches import Samples, sub_lattices, whole_frames
from inrcodec.encoder.fit import Budget, by_adam, by_soap, fit, random_points
from inrcodec.errors import InrError, UsageError
from inrcodec.evaluation.reproduction.measure import psnr_db
from inrcodec.fields.siren import Siren, SirenConfig
from inrcodec.signal.info import SignalInfo


@pytest.fixture(scope="module")
def samples():
    picture = (resize(data.astronaut(), (24, 32), anti_aliasing=True) * 255).round().astype(np.uint8)
    return Samples(picture[None], SignalInfo(32, 24, 1, "rgb", matrix=0), torch.device("cpu"))


def random():
    return torch.Generator().manual_seed(0)


def batches_of(kind, samples):
    if kind == "points":
        return random_points(samples, 512, random())
    return whole_frames(samples) if kind == "whole" else sub_lattices(samples, 512, 1, random())


@pytest.mark.parametrize(
    "kind, optimizing", [("points", by_adam), ("whole", by_adam), ("lattice", by_adam), ("lattice", by_soap)]
)
def test_a_fit_comes_close_to_the_picture(samples, kind, optimizing):
    field = Siren(SirenConfig(32, 3), samples.shape)
    fitted = fit(field, samples, batches_of(kind, samples), Budget(iterations=300), random(), optimizing)
    assert fitted.iterations == 300 and fitted.seconds > 0
    assert not any(value.requires_grad for value in fitted.parameters.values())
    with torch.no_grad():
        values = field.at(fitted.parameters, samples.lattice.points()).view(24, 32, 3)
    exact = samples.planar[0].permute(1, 2, 0).numpy() / 255
    error = np.mean((np.round((values.numpy() + 0.5).clip(0, 1) * 255) / 255 - exact) ** 2)
    assert psnr_db(field, fitted.parameters, samples) == pytest.approx(-10 * math.log10(error), abs=0.02)
    assert -10 * math.log10(error) > 28  # the mean color alone gives 11 dB


@pytest.mark.parametrize("optimizing", [by_adam, by_soap])
def test_first_steps_are_of_one_length_where_nothing_is_rotated(samples, optimizing):
    """Kingma and Ba, section 2.1: a first step is the rate by the gradient's sign. Soap rotates matrices."""
    field = Siren(SirenConfig(8, 2), samples.shape)
    start = field.initial(random())
    fitted = fit(field, samples, whole_frames(samples), Budget(iterations=1), random(), optimizing)
    for spec in field.specs():
        moved = (fitted.parameters[spec.name] - start[spec.name]).abs()
        rotated = optimizing is by_soap and moved.dim() == 2
        assert (moved.max() / moved.min() < 1.01) != rotated, spec.name
        assert optimizing is by_soap or moved.max() == pytest.approx(spec.rate, rel=0.01)


def test_points_have_the_samples_of_their_places(samples):
    (points,) = next(random_points(samples, 100, random()))
    index = (torch.as_tensor(points.positions) * torch.tensor([1, 24, 32]) - 0.5).round().long()
    expected = samples.planar[0].permute(1, 2, 0)[index[:, 1], index[:, 2]].float() / 255 - 0.5
    assert torch.allclose(points.values, expected, atol=1e-6)
    assert len(set(map(tuple, index.tolist()))) > 80


def test_processor_time_ends_a_fit(samples):
    field = Siren(SirenConfig(8, 2), samples.shape)
    fitted = fit(field, samples, whole_frames(samples), Budget(seconds=0.2), random())
    assert fitted.iterations > 1 and 0.2 <= fitted.seconds < 1


def test_budgets_and_errors_that_are_none_are_refused(samples):
    for wrong in ({}, {"iterations": 0}, {"seconds": -1.0}):
        with pytest.raises(UsageError, match="budget"):
            Budget(**wrong)
    field = Siren(SirenConfig(8, 2), samples.shape)
    field.initial = lambda generator: {spec.name: torch.full(spec.shape, math.nan) for spec in field.specs()}
    with pytest.raises(InrError, match="diverged at iteration 0"):
        fit(field, samples, whole_frames(samples), Budget(iterations=3), random())
