"""Positions are fractions of the extent, sample centers at (i + 1/2) / N."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from inrcodec.lattice import Lattice, sample_index, window


def test_centers_of_samples():
    assert window(0, 4, 4).tolist() == [1 / 8, 3 / 8, 5 / 8, 7 / 8]
    assert window(2, 2, 4).tolist() == [5 / 8, 7 / 8]
    assert window(0, 4, 4, 2).tolist() == [1 / 4, 3 / 4]  # half the size: centers of pairs
    assert window(1, 2, 4, 4).tolist() == [5 / 16, 7 / 16, 9 / 16, 11 / 16]  # twice the size
    assert window(3, 1, 7).dtype == np.float64


@pytest.mark.parametrize("start, length, total, count", [(0, 7, 7, 3), (5, 6, 13, 17), (0, 1, 1, 1), (12, 1, 13, 4)])
def test_windows_are_equal_cells_of_their_samples(start, length, total, count):
    expected = [(start + Fraction(2 * k + 1, 2 * count) * length) / total for k in range(count)]
    positions = window(start, length, total, count).tolist()
    assert positions == pytest.approx([float(value) for value in expected], abs=1e-15)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 48, 769, 65_521, 65_536, 1 << 24])
def test_sample_centers_have_whole_indices(count):
    """For any size, though (i + 1/2) / N is rounded."""
    some = torch.unique(torch.linspace(0, count - 1, 1000).long().clamp(0, count - 1))
    assert torch.equal(sample_index((some.double() + 0.5) / count, count), some.double())
    assert np.array_equal(sample_index((some.double().numpy() + 0.5) / count, count), some.numpy())


def test_positions_between_centers_keep_their_fraction():
    positions = torch.tensor([0.0, 0.25, 0.2501, 0.5, 1.0])
    expected = [-0.5, 0.75, 5 * 0.2501 - 0.5, 2.0, 4.5]
    assert sample_index(positions.double(), 5).tolist() == pytest.approx(expected, abs=1e-6)
    near = torch.tensor([(2.5 + 5e-5) / 5, (2.5 + 2e-4) / 5], dtype=torch.float64)
    assert sample_index(near, 5).tolist() == pytest.approx([2.0, 2.0002], abs=1e-9)
    assert sample_index(near, 5)[0] == 2


def test_points_go_through_x_first_and_t_last():
    lattice = Lattice.full(2, 1, 3)
    assert lattice.shape == (2, 1, 3)
    expected = [[t, 1 / 2, x] for t in (1 / 4, 3 / 4) for x in (1 / 6, 3 / 6, 5 / 6)]
    assert torch.allclose(lattice.points(), torch.tensor(expected, dtype=torch.float64), atol=1e-15)


def test_parts_of_a_lattice():
    lattice = Lattice.full(4, 6, 5)
    part = lattice.at_indices(torch.tensor([3, 0]), torch.tensor([5]), torch.tensor([1, 1, 4]))
    assert part.t.tolist() == [7 / 8, 1 / 8] and part.y.tolist() == [11 / 12] and part.shape == (2, 1, 3)
    assert part.x.tolist() == pytest.approx([0.3, 0.3, 0.9])
    band = lattice.rows(2, 4)
    assert band.shape == (4, 2, 5) and band.y.tolist() == [5 / 12, 7 / 12]
    assert np.array_equal(band.t, lattice.t) and np.array_equal(band.x, lattice.x)
