"""Compiled interpolation along an axis, and its transpose, against matrices; `test_film` looks at sparse maps."""

import numpy as np
import pytest

from inrcodec.fields.pyramid import sparse
from inrcodec.fields.taps import vertex_count, vertices_and_weights
from inrcodec.kernels import heads, native
from inrcodec.lattice import Lattice

pytestmark = pytest.mark.skipif(not native.available(), reason="the compiled loops are not there")
SMOOTH = (1.0, 2.0, 3.0, 2.0, 1.0)
CASES = [  # samples, spacing of vertices, outputs, rows, filter
    (768, 2.0, 768, 37, (1.0,)),
    (901, 4.0, 901, 16, (1.0,)),
    (901, 64.0, 901, 3, (1.0,)),  # more outputs of a vertex than a window holds
    (130, 1.0, 130, 5, SMOOTH),
    (9, 2.0, 9, 1, (1.0,)),  # fewer vertices than taps of a filter, and than a vector holds
    (1, 1.0, 1, 17, (1.0,)),
    (7, 16.0, 300, 2, (1.0,)),  # a single vertex
    (901, 1.0, 9, 20, (1.0,)),  # vertices that no output looks at
    (2000, 1.0, 150, 20, SMOOTH),  # far apart
]


def given(samples, spacing, outputs, rows, smoothing):
    """Taps, their matrix (vertices, outputs), and numbers at vertices and at outputs, of two planes."""
    index, weight = vertices_and_weights(Lattice.full(1, 1, outputs).x, samples, spacing, "cubic", smoothing)
    matrix = np.zeros((vertex_count(samples, spacing), outputs))
    np.add.at(matrix, (index, np.arange(outputs)[:, None]), weight)
    random = np.random.default_rng(samples + rows)
    at_vertices, at_outputs = (random.standard_normal((2, rows, count)).astype(np.float32) for count in matrix.shape)
    return sparse(index, weight), matrix, at_vertices, at_outputs


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_loops_multiply_by_the_matrix_of_the_taps(case, threads, monkeypatch):
    monkeypatch.setattr(heads, "threads", lambda: threads)
    taps, matrix, at_vertices, at_outputs = given(*case)
    there, back = heads.interpolate(at_vertices, taps), heads.interpolate_back(at_outputs, taps, len(matrix))
    for found, numbers, by in ((there, at_vertices, matrix), (back, at_outputs, matrix.T)):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, numbers @ by, rtol=0, atol=3e-6 * max(1, np.abs(by).sum(axis=0).max()))


def test_where_outputs_are_the_vertices_arrays_are_handed_through():
    taps, _, at_vertices, at_outputs = given(60, 1.0, 60, 4, (1.0,))
    assert taps.count == 1
    assert heads.interpolate(at_vertices, taps) is at_vertices
    assert heads.interpolate_back(at_outputs, taps, 60) is at_outputs


@pytest.mark.parametrize(
    "vertices, index, weight", [(70, range(60), 1.0), (60, range(60), 0.5), (60, range(59, -1, -1), 1.0)]
)
def test_single_taps_that_are_not_all_vertices_in_order_are_no_copies(vertices, index, weight):
    """Fewer outputs than vertices, other weights, another order."""
    taps = heads.Taps(np.array(index, np.int32)[:, None], np.full((60, 1), weight, np.float32))
    grid = np.random.default_rng(0).standard_normal((2, 3, vertices)).astype(np.float32)
    expected, back = weight * grid[..., index], np.zeros_like(grid)
    back[..., index] = weight * expected
    assert np.array_equal(heads.interpolate(grid, taps), expected)
    assert np.array_equal(heads.interpolate_back(expected, taps, vertices), back)


def test_a_vertex_that_is_taken_twice_is_no_copy():
    taps = heads.Taps(np.arange(20, dtype=np.int32).repeat(2).reshape(20, 2), np.ones((20, 2), np.float32))
    grid = np.random.default_rng(0).standard_normal((1, 3, 20)).astype(np.float32)
    assert np.array_equal(heads.interpolate(grid, taps), 2 * grid)
    assert np.array_equal(heads.interpolate_back(grid, taps, 20), 2 * grid)
