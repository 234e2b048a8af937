"""Filters of vertices whose taps are parameters: the definition against SciPy's, the compiled loops against the definition."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from inrcodec.fields.pyramid import FILTERS, Pyramid, PyramidConfig
from inrcodec.fields.pyramid_tensors import filtered, vertices_of
from inrcodec.kernels import native, vertices
from inrcodec.priors import load_prior

compiled = pytest.mark.skipif(not native.available(), reason="the compiled loops are not there")
CASES = [
    ((1, 43, 301), 3),
    ((2, 37, 53), 5),
    ((1, 3, 2), 3),
    ((3, 1, 1), 4),
    ((1, 8, 130), 0),
    ((2, 1, 40), 2),
    ((1, 40, 1), 5),
]
LEVELS = [
    [(1, 1, 1), (1, 3, 2), (1, 8, 130), (1, 43, 301)],
    [(2, 1, 40), (2, 37, 53)],
    [(1, 40, 1), (3, 7, 16)],
    [(3, 2, 48)],
]
"""Some no wider or higher than the taps reach."""


def given(shape, half):
    random = torch.Generator().manual_seed(half + shape[2])
    return torch.randn(shape, generator=random), torch.randn(half + 1, generator=random)


@pytest.mark.parametrize("shape, half", CASES)
def test_the_definition_correlates_along_both_axes_with_edges_repeated(shape, half):
    grid, taps = given(shape, half)
    whole = np.concatenate([taps.numpy()[:0:-1], taps.numpy()])
    expected = correlate1d(correlate1d(grid.numpy(), whole, axis=2, mode="nearest"), whole, axis=1, mode="nearest")
    assert np.abs(filtered(grid, taps).numpy() - expected).max() < 1e-5 * np.abs(expected).max()


@compiled
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("half", [0, 1, 3, 5])
@pytest.mark.parametrize("shapes", LEVELS)
def test_the_compiled_loops_equal_the_definition(shapes, half, threads, monkeypatch):
    """Values, and gradients in float64. Threads share the rows of all planes and levels, also where there are fewer rows."""
    monkeypatch.setattr(vertices, "threads", lambda: threads)
    monkeypatch.setattr(vertices, "SHARED_FROM", 0)
    grids, taps = zip(*(given(shape, half) for shape in shapes))
    upstream, taps = (
        [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in shapes],
        torch.stack(taps),
    )
    leaves = [one.double().requires_grad_() for one in (*grids, taps)]
    expected = [filtered(grid, own) for grid, own in zip(leaves, leaves[-1])]
    sum((one * other).sum() for one, other in zip(expected, upstream)).backward()
    arrays = [grid.numpy() for grid in grids], taps.numpy()
    found = vertices.filtered(*arrays)
    backs, by_taps = vertices.filtered_back(*arrays, [one.numpy() for one in upstream])
    wanted = *(one.detach() for one in expected), *(leaf.grad for leaf in leaves)
    for one, other in zip(wanted, (*found, *backs, by_taps), strict=True):
        assert other.dtype == np.float32
        assert np.abs(one.numpy() - other).max() < 3e-6 * max(1, one.abs().max().item())


def test_multiplications_of_filters_are_counted_by_vertices():
    """24 + 6 vertices of 24 pixels, 7 taps along two axes, then 4 taps of two features; or 10 of each where filters are fixed."""
    fixed, own = (Pyramid(PyramidConfig(2, prior), (1, 4, 6, 3)) for prior in (27, 28))
    assert fixed.macs_per_pixel - fixed.head_macs == 2 * 2 * 10
    assert own.macs_per_pixel - own.head_macs == 30 / 24 * 2 * 7 + 2 * 2 * 4
    assert own.macs_per_point == fixed.macs_per_point  # a point depends on as many vertices


def test_own_filters_begin_as_the_priors_and_leave_flat_planes_as_they_are():
    """Taps add up to 1, whatever the picture makes of them."""
    field = Pyramid(PyramidConfig(3, 28), (1, 16, 16, 1))
    parameters = field.initial(torch.Generator())
    whole = np.array(load_prior(28).filters[2], np.float32)
    assert np.allclose(parameters[FILTERS][0], whole[4:] / whole.sum())
    parameters[FILTERS] += torch.randn(parameters[FILTERS].shape, generator=torch.Generator().manual_seed(0))
    parameters["grid1"][:] = 3.0
    assert torch.allclose(vertices_of(field, parameters, 1), torch.full((1, 8, 8), 3.0), atol=1e-4)
