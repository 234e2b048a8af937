"""Mixed radix: digits by hand, prefixes, bases for any size."""

import math

import pytest
import torch

from inrcodec.fields.radix import Prefixes, bases_for, digits, patch_bases
from inrcodec.lattice import window


def test_digits_by_hand():
    # 5 = 1 * 4 + 0 * 2 + 1 in bases 3, 2, 2; 10 = 2 * 4 + 1 * 2 + 0
    centers = window(0, 11, 11)
    values = digits(centers, 11, (3, 2, 2))
    assert values[5].tolist() == [0, -0.5, 0.5]
    assert values[10].tolist() == pytest.approx([2 / 3, 0.5, -0.5])
    # a quarter of a sample above center 5, in bases where the last one is 1: the digit of base 2 keeps the fraction
    quarter = (torch.tensor([5.0], dtype=torch.float64) + 0.75) / 11
    assert digits(quarter, 11, (6, 2, 1))[0].tolist() == pytest.approx([5 / 6 - 1, (2 * 1.25 + 1) / 2 - 1, 0])
    # the borders of the signal belong to the first and the last sample
    borders = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert digits(borders, 4, (2, 2)).tolist() == [[-0.5, -1], [0.5, 1]]


def test_prefixes_of_a_scattered_axis():
    axis = Prefixes(window(0, 8, 8)[torch.tensor([6, 1, 6, 0])], 8, (2, 2, 2))
    assert axis.counts == [2, 2, 3]
    assert axis.path[0].tolist() == [1, 0, 1, 0]
    assert axis.path[-1].tolist() == [2, 1, 2, 0]
    assert axis.parent[1].tolist() == [0, 1] and axis.parent[2].tolist() == [0, 0, 1]
    assert axis.digit[2].tolist() == [-0.5, 0.5, -0.5]


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 6, 16])
def test_bases_cover_every_size_with_little_padding(layers):
    for size in [*range(1, 70), 97, 150, 512, 768, 1080, 65521]:
        bases = bases_for(size, layers)
        assert len(bases) == layers and max(bases) == bases[-1]
        assert size <= math.prod(bases) <= size + max(1, size // 16)
    assert bases_for(512, 4) == (4, 4, 4, 8)


def test_patch_bases_are_places_of_patches_and_places_in_them():
    assert patch_bases(768, 4, 8) == (96, 1, 1, 8)
    assert patch_bases(13, 3, 4) == (4, 1, 4)  # three whole patches and a cut one
    assert patch_bases(3, 2, 8) == (1, 3)
    assert patch_bases(1, 4, 1) == (1, 1, 1, 1)
