"""The differentiable rate against the integer models, and its chunked gradients against autograd over one piece."""

import numpy as np
import pytest
import torch

from inrcodec.entropy import rate
from inrcodec.entropy.context import Contexts, Grid, Network, NetworkShape, cost_bits
from inrcodec.entropy.tables import laplace
from inrcodec.segment import choose_model, table_of

GRIDS = (Grid((1, 1, 12, 10)), Grid((3, 1, 24, 20), 0))


def test_laplace_bits_are_those_of_the_table():
    table = laplace(19 + 6)
    symbols = torch.arange(-20.0, 21.0)
    bits = rate.laplace_bits(symbols.abs(), torch.tensor(6 / 4))
    due = table.bits[np.arange(-20, 21) + table.reach]
    np.testing.assert_allclose(bits.numpy(), due, atol=0.02)


def test_weight_bits_are_near_the_best_table():
    random = np.random.default_rng(0)
    for scale in (0.15, 0.6, 4.0, 30.0):
        symbols = np.rint(random.laplace(0, scale, 4000)).astype(np.int32)
        best = table_of(choose_model(symbols)).cost_bits(symbols)
        assert rate.weight_bits(torch.from_numpy(symbols).float()).item() == pytest.approx(best, rel=0.02)


def setup():
    contexts = Contexts(GRIDS)
    shape = NetworkShape(8)
    network = rate.initial_network(shape, contexts, torch.Generator().manual_seed(0))
    symbols = torch.from_numpy(np.rint(np.random.default_rng(1).laplace(0, 1.2, contexts.count))).float()
    return contexts, shape, network, symbols


def test_estimate_is_within_two_percent_of_the_exact_cost():
    contexts, shape, network, symbols = setup()
    whole = rate.network_symbols(network, shape)
    seen = {name: value * rate.network_step(name, shape) for name, value in whole.items()}
    estimate = rate.ContextRate(contexts, torch.device("cpu"))(symbols, seen).item()

    exact = Network(contexts, {name: value.numpy() for name, value in whole.items()})
    assert estimate == pytest.approx(cost_bits(exact, symbols.numpy().astype(np.int32)), rel=0.02)


def test_chunked_gradients_are_those_of_one_piece(monkeypatch):
    contexts, _, network, symbols = setup()
    symbols = symbols + 0.2
    model = rate.ContextRate(contexts, torch.device("cpu"))
    leaves = [symbols.clone().requires_grad_(), *(value.clone().requires_grad_() for value in network.values())]

    def whole(values, *weights):
        ordered = torch.cat([values[model.order], values.new_zeros(1)])
        near = ordered[model.neighbors.long()]
        return model.chunk_bits(ordered[:-1], near, dict(zip(network, weights)), 0, contexts.count)

    due = torch.autograd.grad(whole(*leaves), leaves)
    monkeypatch.setattr(rate, "CHUNK", 100)
    bits = model(leaves[0], dict(zip(network, leaves[1:])))
    assert bits.item() == pytest.approx(whole(*leaves).item(), rel=1e-5)
    for name, got, want in zip(["symbols", *network], torch.autograd.grad(3 * bits, leaves), due):
        torch.testing.assert_close(got, 3 * want, rtol=1e-3, atol=1e-3, msg=name)
