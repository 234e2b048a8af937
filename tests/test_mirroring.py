"""Mirrored context networks: what the halves stand for, and that the signs of symbols do not matter."""

import numpy as np
import pytest
import torch

from inrcodec.entropy.mirroring import half_tensors, whole_network
from inrcodec.entropy.planes_network import network_tensors
from inrcodec.entropy.planes_rate import plane_bits
from inrcodec.passes import SUMMARIZED, plane_shapes

SHAPES = plane_shapes((((0,), 5, 7), ((0,), 10, 14), ((0,), 20, 27)))
COUNT = 5 * 7 + 10 * 14 + 20 * 27


def random_halves(width: int = 6) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(2)
    shapes = half_tensors(SUMMARIZED, width, len(SHAPES))
    return {name: 0.2 * torch.randn(size, generator=random, dtype=torch.float64) for name, size in shapes.items()}


def bits(symbols: torch.Tensor, network: dict[str, torch.Tensor]) -> float:
    return plane_bits(SHAPES, SUMMARIZED, symbols, network).item()


def test_a_whole_by_hand():
    """One pair that sees two inputs; two planes."""
    halves = {
        "entry0": [[1, 2], [3, 4]],
        "summary": [[5, 6]],
        "even": [[7]],
        "odd": [[3]],
        "last": [[8], [9]],
        "kind_bias": [[10, 11]],
        "plane_bias": [[12, 13], [14, 15]],
        "second_bias": [16],
    }
    whole = whole_network({name: np.array(value) for name, value in halves.items()}, np.concatenate)
    assert {name: value.tolist() for name, value in whole.items()} == {
        "entry0": [[1, 2], [-1, -2], [3, 4], [0, 0]],
        "summary": [[5, 6]],
        "second": [[10, 4], [4, 10]],
        "last": [[8, -8], [9, 9]],
        "kind_bias": [[10, 10, 0, 11]],
        "plane_bias": [[12, 12, 0, 13], [14, 14, 0, 15]],
        "second_bias": [16, 16],
    }
    assert whole_network(whole, np.concatenate) is whole


@pytest.mark.parametrize("width", [2, 6, 32])
def test_halves_make_a_whole_of_the_width(width):
    whole = whole_network(random_halves(width), torch.cat)
    assert {name: tuple(value.shape) for name, value in whole.items()} == network_tensors(
        SUMMARIZED, width, len(SHAPES)
    )
    assert list(half_tensors(SUMMARIZED, 6, 4).items()) == [
        *[("entry0", (4, 20)), ("summary", (4, 42)), ("even", (3, 3)), ("odd", (3, 3)), ("last", (2, 3))],
        *[("kind_bias", (1, 4)), ("plane_bias", (4, 4)), ("second_bias", (3,))],
    ]


def test_symbols_take_as_many_bits_as_their_negatives():
    """Which is no matter of course: not if a single weight of the whole is another one."""
    symbols = torch.tensor(np.random.default_rng(1).laplace(0.5, 1.0, COUNT)).round()
    whole = whole_network(random_halves(), torch.cat)
    assert bits(symbols, whole) == pytest.approx(bits(-symbols, whole), rel=1e-12)
    for name, place in (("entry0", (4, 2)), ("second", (1, 5)), ("last", (0, 3)), ("kind_bias", (0, 6))):
        other = {key: value.clone() for key, value in whole.items()}
        other[name][place] += 0.3
        assert bits(symbols, other) != pytest.approx(bits(-symbols, other), rel=1e-6)
