"""The rate of training against the same formulas in one plain float64 piece, against tables and against slopes."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from inrcodec.entropy import rate
from inrcodec.entropy.codings import Interlaced
from inrcodec.entropy.context import Contexts, Grid, Network, NetworkShape, cost_bits
from inrcodec.entropy.rate import ContextRate, initial_network, laplace_bits, mean_bits, weight_bits
from inrcodec.entropy.tables import QUARTERS, SCALES, laplace

IMAGE = Contexts((Grid((3, 1, 7, 9)), Grid((3, 1, 14, 18), 0), Grid((1, 1, 28, 36), 1)))
VIDEO = Contexts((Grid((2, 3, 6, 8)), Grid((2, 5, 12, 16), 0)))
CPU = torch.device("cpu")


# -- one distribution --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quarter", QUARTERS)
@pytest.mark.parametrize("index", [0, 8, 19, 27, 36, 47])
def test_bits_of_a_symbol_are_those_of_its_table(index, quarter):
    """Wherever the table's entries are many counts (the mode of a wide table has what rounding left, 3 %); 24 bits is
    the most that either says."""
    table = laplace(index, quarter)
    symbols = np.arange(-table.reach, table.reach + 1)
    distance = torch.from_numpy(np.abs(symbols - quarter / 4)).float()
    bits = laplace_bits(distance, torch.full(distance.shape, (index - 19) / 4)).numpy()
    likely = table.bits[:-1] < 14
    assert likely.any() and np.abs(bits - table.bits[:-1])[likely].max() < (0.002 if index < 40 else 0.04)
    assert bits.max() <= 24


def test_bits_of_a_symbol_by_hand():
    """b = 1: the center has 1 - e^-1/2, cell 2 has e^-3/2 (1 - e^-1) / 2; a distance of 1/4 is between two cells."""
    expected = [1 - math.exp(-0.5), math.exp(-1.5) * (1 - math.exp(-1)) / 2]
    expected.append(1 - 0.5 * math.exp(-0.25) - 0.5 * math.exp(-0.75))
    bits = laplace_bits(torch.tensor([0.0, 2.0, 0.25]), torch.zeros(3))
    assert bits.tolist() == pytest.approx([-math.log2(mass) for mass in expected], rel=1e-5)


def test_scales_beyond_the_tables_count_as_the_outermost():
    distance = torch.tensor([0.0, 1.0, 30.0])
    for beyond, outermost in ((-9.0, -4.75), (12.0, 7.0)):
        assert torch.equal(
            laplace_bits(distance, torch.tensor(beyond)), laplace_bits(distance, torch.tensor(outermost))
        )


def test_gradients_of_bits_are_finite_everywhere():
    distance = torch.tensor([0.0, 0.5, 1.0, 100.0, 1e6], requires_grad=True)
    for value in (-20.0, -4.75, 0.0, 7.0, 20.0):
        scale = torch.full((5,), value, requires_grad=True)
        laplace_bits(distance, scale).sum().backward()
        assert distance.grad.isfinite().all() and scale.grad.isfinite().all()


def test_weights_that_are_all_zero_cost_nothing_and_have_gradients():
    symbols = torch.zeros(50, requires_grad=True)
    bits = weight_bits(symbols, torch.tensor([20, 0, 30]))
    bits.backward()
    assert 0 <= bits.item() < 1 and symbols.grad.isfinite().all()


def test_every_group_of_weights_has_a_distribution_of_its_own():
    """Of its mean magnitude, by scipy."""
    random = np.random.default_rng(0)
    groups = [np.rint(random.laplace(0, scale, count)) for scale, count in ((0.4, 300), (5.0, 200))]
    expected = 0.0
    for group in groups:
        of_laplace = stats.laplace(scale=0.5 / np.arcsinh(0.5 / np.abs(group).mean()))
        expected -= np.log2(of_laplace.cdf(group + 0.5) - of_laplace.cdf(group - 0.5)).sum()
    symbols = torch.from_numpy(np.concatenate(groups)).float()
    assert weight_bits(symbols, torch.tensor([300, 200])).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scale", [0.3, 1.0, 20.0])
def test_the_mean_magnitude_tells_the_bits_of_whole_numbers(scale):
    symbols = torch.from_numpy(np.rint(np.random.default_rng(0).laplace(0, scale, 20_000))).float()
    assert mean_bits(symbols.abs().mean()).item() * 20_000 == pytest.approx(
        weight_bits(symbols, torch.tensor([20_000])).item(), rel=0.004
    )


def test_the_mean_of_nothing_costs_nothing_and_has_a_gradient():
    magnitudes = torch.zeros(2, requires_grad=True)
    bits = mean_bits(magnitudes).sum()
    bits.backward()
    assert 0 <= bits.item() < 0.01 and magnitudes.grad.isfinite().all()


# -- the context network -----------------------------------------------------------------------------------------------


def neighbor_like(contexts, seed=0):
    """Symbols whose magnitudes go up and down along the grid, as those of a picture do."""
    random = np.random.default_rng(seed)
    envelope = 2 + 1.9 * np.sin(np.arange(contexts.count) / 9)
    return np.rint(random.laplace(0, envelope)).astype(np.float32)


def network_of(contexts, shape, seed=0):
    """Other than the initial one, and in whole numbers of the stream: (float tensors, whole numbers)."""
    network = initial_network(shape, contexts, torch.Generator().manual_seed(seed))
    random = torch.Generator().manual_seed(seed + 1)
    for name in network:
        network[name] = network[name] + 0.05 * torch.randn(network[name].shape, generator=random)
    coding = Interlaced(contexts.grids)
    symbols = {name: torch.from_numpy(value) for name, value in coding.symbols(shape, network).items()}
    return {name: coding.quantizer(name, shape).values(value.float()) for name, value in symbols.items()}, symbols


@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize("contexts", [IMAGE, VIDEO], ids=["image", "video"])
def test_the_rate_is_what_coding_costs(contexts, hidden):
    """Within 2 %: only means and scales are rounded to the tables' grid."""
    network, integers = network_of(contexts, NetworkShape(hidden))
    symbols = neighbor_like(contexts)
    real = cost_bits(Network(contexts, {name: value.numpy() for name, value in integers.items()}), symbols.astype(int))
    estimate = ContextRate(contexts, CPU)(torch.from_numpy(symbols), network).item()
    assert estimate == pytest.approx(real, rel=0.02)


def plain_bits(contexts, symbols, network):
    """The same in one piece, with nothing but autograd, in float64."""
    ordered = torch.cat([symbols[torch.from_numpy(contexts.order)], symbols.new_zeros(1)])
    near = ordered[torch.from_numpy(contexts.neighbors).long()].clamp(-64, 64)
    size = near.abs()
    kinds = torch.from_numpy(contexts.classes).long()
    weights = torch.tensor([2, 4, 2, 4, 4, 2, 4, 2] + [1] * 8, dtype=torch.float64)
    whole = torch.tensor([0, 8, 24, 32], dtype=torch.float64)[kinds]  # of the weights of known neighbors
    mean = torch.where(whole > 0, (weights[:, None] * size[:16]).sum(0) / whole.clamp_min(1), 0.0)
    rows = [mean, size[-2], size[-1]] + ([size[16:18].mean(0)] if contexts.temporal else [])
    logs = torch.stack([torch.log2(1 + 3 * row) for row in rows])
    inputs = torch.cat([near, logs, torch.nn.functional.one_hot(kinds, 4).T.double()])
    outputs = network["bypass"] @ inputs
    if "first" in network:
        hidden = torch.relu(network["first"] @ inputs)
        second = torch.relu(network["second"] @ hidden + network["second_bias"][:, None] + hidden)
        outputs = outputs + network["last"] @ second
    b = 2 ** (outputs[1] + network["scale_bias"][torch.from_numpy(contexts.channels).long()]).clamp(-4.75, 7)

    def below(x):
        return torch.where(x < 0, 0.5 * torch.exp(-x.abs() / b), 1 - 0.5 * torch.exp(-x.abs() / b))

    distance = (ordered[:-1] - outputs[0]).abs()
    mass = below(0.5 - distance) - below(-0.5 - distance)
    return -torch.log2(mass.clamp_min(2.0**-24)).sum()


@pytest.mark.parametrize("chunk", [1 << 15, 97])
@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize("contexts", [IMAGE, VIDEO], ids=["image", "video"])
def test_value_and_gradients_are_those_of_the_plain_form(contexts, hidden, chunk, monkeypatch):
    monkeypatch.setattr(rate, "CHUNK", chunk)
    network, _ = network_of(contexts, NetworkShape(hidden))
    noise = np.random.default_rng(8).uniform(-0.4, 0.4, contexts.count)
    symbols = torch.from_numpy(neighbor_like(contexts) + noise)
    results = []
    for function, kind in ((ContextRate(contexts, CPU), torch.float32), (None, torch.float64)):
        leaves = [leaf.detach().to(kind).requires_grad_() for leaf in (symbols, *network.values())]
        named = dict(zip(network, leaves[1:], strict=True))
        bits = function(leaves[0], named) if function else plain_bits(contexts, leaves[0], named)
        (3 * bits).backward()
        results.append((bits.item(), [leaf.grad.double() for leaf in leaves]))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-4)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        assert (one - other).norm() < 2e-3 * other.norm()


def test_gradients_are_slopes():
    """By finite differences, along the gradient's signs: of the symbols and of each tensor of the network."""
    network, _ = network_of(VIDEO, NetworkShape(4))
    function = ContextRate(VIDEO, CPU)
    leaves = {name: value.clone().requires_grad_() for name, value in network.items()}
    symbols = torch.from_numpy(neighbor_like(VIDEO) + 0.3).float().requires_grad_()
    function(symbols, leaves).backward()
    for name, leaf in leaves.items():
        step = 1e-3 * torch.sign(leaf.grad)
        up, down = (function(symbols.detach(), network | {name: network[name] + way * step}) for way in (1, -1))
        assert (up - down).item() / 2 == pytest.approx((leaf.grad * step).sum().item(), rel=0.1, abs=0.05), name
    step = 2e-3 * torch.sign(symbols.grad)
    up, down = (function(symbols.detach() + way * step, network) for way in (1, -1))
    assert (up - down).item() / 2 == pytest.approx((symbols.grad * step).sum().item(), rel=0.1)


def test_without_gradients_there_is_only_the_value():
    network, _ = network_of(IMAGE, NetworkShape(4))
    bits = ContextRate(IMAGE, CPU)(torch.from_numpy(neighbor_like(IMAGE)), network)
    assert not bits.requires_grad and bits.shape == ()


def test_the_initial_network_beats_the_best_table():
    """On symbols whose neighbors tell their magnitude: a blob in the middle of nothing."""
    contexts = Contexts((Grid((1, 1, 32, 32)),))
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    symbols = np.rint(np.random.default_rng(0).laplace(0, 5 * np.exp(-8 * (x * x + y * y)) + 0.05)).ravel()
    best = min(laplace(index).cost_bits(symbols.astype(int)) for index in range(SCALES))
    network = initial_network(NetworkShape(8), contexts, torch.Generator().manual_seed(0))
    assert ContextRate(contexts, CPU)(torch.from_numpy(symbols).float(), network) < 0.95 * best


# -- whole numbers of the network --------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight_shift, bias_shift", [(0, 0), (2, 1), (3, 3)])
def test_whole_numbers_stand_for_shifted_thirty_seconds(weight_shift, bias_shift):
    shape = NetworkShape(2, weight_shift, bias_shift)
    steps = {"bypass": 2**weight_shift / 32, "second_bias": 2**bias_shift / 32, "scale_bias": 1 / 4}
    limits = {"bypass": 127 >> weight_shift, "second_bias": 127 >> bias_shift, "scale_bias": 127}
    values = {name: torch.tensor([0.0, 2.4, -2.6, 1e9, -1e9]) * step for name, step in steps.items()}
    coding = Interlaced(IMAGE.grids)
    for name, symbols in coding.symbols(shape, values).items():
        quantizer = coding.quantizer(name, shape)
        assert (quantizer.step, quantizer.low, quantizer.high) == (steps[name], -limits[name], limits[name])
        assert symbols.tolist() == [0, 2, -3, limits[name], -limits[name]] and symbols.dtype == np.int32
