"""Weights that settle on whole numbers: against plain formulas, exhaustive search, least squares and finite differences."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from test_targets import INFO, LANDSCAPE, SAMPLES, trained_network

import inrcodec.encoder.settle
import inrcodec.encoder.training_coordx
from inrcodec.encoder.annealing import Annealing
from inrcodec.encoder.clock import Clock
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.decoded import decoded_frames
from inrcodec.encoder.objective import FieldObjective
from inrcodec.encoder.refine import ideal_bits
from inrcodec.encoder.settle import Objective, Prices, nearest_plane, settle
from inrcodec.encoder.training_coordx import FORWARD_SHARE
from inrcodec.encoder.weights import FlatWeights
from inrcodec.entropy.rate import laplace_bits
from inrcodec.fields.siren import Siren, SirenConfig
from inrcodec.segment import weight_groups
from inrcodec.steps import STEPS_PER_OCTAVE

WEIGHTS, ROWS = 6, 40


def correlated(seed, weights=WEIGHTS):
    """Rows of derivatives that have much in common, and weights between whole numbers."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(ROWS, weights)) @ (np.eye(weights) + 0.8 * random.normal(size=(weights, weights)))
    return mixed, random.uniform(-3, 3, weights)


class Squares(Objective):
    """|rows (weights - best)|² over the number of rows, each of which is a point."""

    def __init__(self, rows, best):
        self.rows, self.best = torch.tensor(rows), torch.tensor(best)
        self.renewed = 0

    def renew(self):
        self.renewed += 1

    def loss(self, weights):
        return (self.rows @ (weights - self.best)).square().sum().item() / len(self.rows)

    def gradient(self, weights):
        return self.loss(weights), 2 * self.rows.T @ (self.rows @ (weights - self.best)) / len(self.rows)

    def derivatives(self, weights, points):
        yield self.rows * (points / len(self.rows)) ** 0.5


def always(share):
    return True


@pytest.mark.parametrize("seed", range(5))
def test_nearest_plane_rounds_one_weight_and_moves_those_behind_it(seed):
    """As GPTQ says it (arXiv 2210.17323, equation 3), with the inverse of the matrix of the weights that are left."""
    rows, values = correlated(seed)
    matrix = rows.T @ rows
    left, expected = values.copy(), np.empty(WEIGHTS)
    for index in range(WEIGHTS):
        inverse = np.linalg.inv(matrix[index:, index:])
        expected[index] = np.rint(left[index])
        left[index:] -= (left[index] - expected[index]) / inverse[0, 0] * inverse[:, 0]
    plane = torch.linalg.cholesky(torch.tensor(matrix).flip(0, 1), upper=True)
    assert np.array_equal(nearest_plane(torch.tensor(values), plane).numpy(), expected)


def losses(seed, monkeypatch, block):
    """Of settling, of plain rounding and of the best of all whole numbers nearby."""
    monkeypatch.setattr(inrcodec.encoder.settle, "ROUNDING_DAMPING", 1e-9)
    objective = Squares(*correlated(seed))
    settled = settle(objective.best, objective, always, block)
    assert torch.equal(settled, settled.round())
    around = torch.cartesian_prod(*(torch.arange(-2, 4) + whole for whole in objective.best.floor()))
    best = ((around - objective.best) @ objective.rows.T).square().mean(1).min().item()
    return objective.loss(settled), objective.loss(objective.best.round()), best


@pytest.mark.parametrize("block", [6, 3, 1])
def test_settling_loses_little_more_than_the_best_whole_numbers(block, monkeypatch):
    """In the mean of some problems; rounding each weight for itself loses twice as much."""
    settled, plain, best = np.mean([losses(seed, monkeypatch, block) for seed in range(12)], axis=0)
    assert best <= settled < 1.5 * best and plain > 1.8 * settled


def test_what_is_left_makes_good_what_rounding_did():
    """With blocks of one, the second of two weights goes to its least squares, given the first; then it is rounded."""
    rows = np.stack([np.linspace(1, 2, ROWS), np.ones(ROWS)], axis=1)
    objective = Squares(rows, np.array([2.4, 0.2]))
    settled = settle(objective.best, objective, always, 1)
    second = np.linalg.lstsq(rows[:, 1:], rows @ [0.4, 0.2], rcond=None)[0]
    assert settled.tolist() == [2, np.rint(second.item())] and np.rint(second.item()) == 1


class Priced(Squares):
    """With a price of weights that are not zero, of which derivatives tell nothing; beyond a limit it has no end."""

    least, limit = np.inf, np.inf

    def loss(self, weights):
        if weights.abs().max() > self.limit:
            return np.inf
        loss = super().loss(weights) + 100 * (weights.square() + 0.01).sqrt().sum().item()
        self.least = min(self.least, loss)
        return loss

    def gradient(self, weights):
        return self.loss(weights), super().gradient(weights)[1] + 100 * weights / (weights.square() + 0.01).sqrt()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limit", [np.inf, 10.0])
def test_weights_reach_what_lies_far_nearer_than_the_first_look(seed, limit):
    """Steep prices make steps that go a hundred times too far."""
    objective, calls = Priced(*correlated(seed)), itertools.count()
    objective.limit = limit
    start = torch.full_like(objective.best, 0.4)
    settle(start, objective, lambda share: next(calls) < 60, WEIGHTS)
    assert objective.least < objective.loss(0 * start) < 0.6 * objective.loss(start)


def test_without_time_weights_are_rounded_all_the_same():
    objective = Squares(*correlated(1))
    settled = settle(objective.best, objective, lambda share: False, WEIGHTS)
    assert torch.equal(settled, settled.round())


def test_every_block_gets_its_share_of_the_time_and_samples_of_its_own():
    asked = []
    objective = Squares(*correlated(2))
    settle(objective.best, objective, lambda share: asked.append(share) or False, 2)
    assert asked == [1 / 3, 2 / 3, 3 / 3] and objective.renewed == 3


# -- of a field --------------------------------------------------------------------------------------------------------

FIELD = Siren(SirenConfig(width=5, layers=2), SAMPLES.shape)


@pytest.mark.parametrize("scale", [0.3, 0.5, 2.0])
def test_prices_of_whole_numbers_are_weighed(scale):
    """One weight at a time: its value is where distortion and bits between whole numbers are least; of all whole numbers the
    cheapest is found."""
    random, bend = np.random.default_rng(0), 0.7
    whole, between = np.arange(-40, 41.0), np.linspace(-40, 40, 80001)
    prices, plane = Prices(torch.tensor([scale]), 1.0), torch.tensor([[bend**0.5]])
    bits = {
        name: laplace_bits(torch.from_numpy(np.abs(at)), torch.tensor(np.log2(scale))).numpy()
        for name, at in (("whole", whole), ("between", between))
    }
    lost, plainly_lost = [], []
    for wanted in random.laplace(scale=2.0, size=60):
        losses = bend * (whole - wanted) ** 2 + bits["whole"]
        value = between[(bend * (between - wanted) ** 2 + bits["between"]).argmin()]
        value = torch.tensor([value], dtype=torch.float32)
        lost.append(losses[whole == nearest_plane(value, plane, prices).item()] - losses.min())
        plainly_lost.append(losses[whole == nearest_plane(value, plane).item()] - losses.min())
    assert np.mean(lost) < 0.01
    assert np.mean(lost) < 0.2 * np.mean(plainly_lost) or scale > 1  # where bits grow evenly there is nothing to gain


def field_objective(error=None, rate=None, seen=None):
    """In steps of 1/50, and the weights."""
    flat = FlatWeights(weight_groups(FIELD), torch.device("cpu"))
    weights = 50 * flat.joined(FIELD.initial(torch.Generator().manual_seed(1)))
    steps = torch.full((len(weights),), 1 / 50)

    def squares(parameters, batch):
        return (
            FIELD.squared_errors(parameters, batch.lattice, lambda index: SAMPLES.frame(batch, index)).mean()
            / batch.pixels
        )

    nothing = lambda *_: None  # noqa: E731
    none = lambda weights: 0 * weights.sum()  # noqa: E731
    return FieldObjective(FIELD, SAMPLES, steps, error or squares, rate or none, seen or nothing), weights


def test_the_loss_is_that_of_all_pixels_and_of_the_rate(monkeypatch):
    """In bands of rows, as of the whole picture."""
    monkeypatch.setattr("inrcodec.encoder.objective.BAND_PIXELS", 5000)
    objective, weights = field_objective(rate=lambda weights: 0.25 * weights.abs().sum())
    values = FIELD.plan(objective.parameters(weights), SAMPLES.lattice).frame(0)
    expected = (values + 0.5 - torch.from_numpy(LANDSCAPE) / 255).square().mean() + 0.25 * weights.abs().sum()
    assert objective.loss(weights) == pytest.approx(expected.item(), rel=1e-5)
    assert objective.gradient(weights)[0] == pytest.approx(expected.item(), rel=1e-5)


def test_gradients_are_slopes_of_the_loss():
    objective, weights = field_objective(rate=lambda weights: 1e-4 * weights.square().sum())
    gradient = objective.gradient(weights)[1]
    direction = gradient / gradient.norm()
    ahead, behind = (objective.loss(weights + move * direction) for move in (0.2, -0.2))
    assert (ahead - behind) / 0.4 == pytest.approx(gradient.norm().item(), rel=1e-2)


def test_derivatives_foresee_what_a_small_move_costs():
    """Where the loss is 0: the quadratic form of the Gauss-Newton matrix."""
    objective, weights = field_objective()
    own = FIELD.plan(objective.parameters(weights), SAMPLES.lattice).frame(0)

    def to_own(parameters, batch):
        moved = FIELD.plan(parameters, batch.lattice).frame(0)
        return (moved - own[batch.rows]).square().mean()

    objective, weights = field_objective(error=to_own)
    move = 0.1 * torch.randn(len(weights), generator=torch.Generator().manual_seed(2))
    rows = torch.cat(list(objective.derivatives(weights, 4000)))
    assert rows.shape == (4000 * 3, len(weights))
    foreseen = (rows @ move).square().sum().item() / 4000
    assert objective.loss(weights + move) == pytest.approx(foreseen, rel=0.1)


def test_looks_at_pixels_are_told():
    told = []
    objective, weights = field_objective(rate=lambda weights: 0.25 * weights.abs().sum(), seen=told.append)
    losses = objective.loss(weights), objective.gradient(weights)[0]
    pixels = SAMPLES.lattice.shape[1] * SAMPLES.lattice.shape[2]
    assert [(look.pixels, look.backward) for look in told] == [(pixels, False), (pixels, True)]
    assert [look.rate for look in told] == pytest.approx([0.25 * weights.abs().sum().item()] * 2)
    assert [look.error + look.rate for look in told] == pytest.approx(list(losses))


# -- of a trained network ----------------------------------------------------------------------------------------------


@pytest.fixture
def settling(monkeypatch):
    """Weights settle after short fits too."""
    monkeypatch.setattr(inrcodec.encoder.training_coordx, "LEAST_BLOCK", 0)


def test_trained_networks_settle_better_than_they_round(settling):
    """At the same steps, some times those of training, in the median of five; with the time of a fit of thousands of iterations:
    that of sixty is too short for it."""

    def error(coded):
        frame = next(iter(decoded_frames(coded, INFO, torch.device("cpu"))))
        return np.square(frame / 255 - LANDSCAPE / 255).mean()

    shares = []
    for seed in range(5):
        training = trained_network(RateControl(1e-5), seed=seed)
        training.settling_pixels *= 40
        settled = training.coarser(STEPS_PER_OCTAVE)
        symbols = {spec.name: training._symbols_at(spec, settled.steps[spec.group]) for spec in settled.field.specs()}
        shares.append(error(settled) / error(dataclasses.replace(settled, symbols=symbols)))
    assert np.median(shares) < 0.98


def test_what_is_too_large_settles_anew_at_coarser_steps(settling):
    training = trained_network(RateControl(1e-3))
    bits = 0.95 * ideal_bits(training.coded)
    assert 0.9 * bits < ideal_bits(training.of_size(bits)) <= bits


def test_settling_is_a_fifth_of_the_iterations(settling, monkeypatch):
    """In which as many pixels are looked at as in the others, each of which sees a seventh of the picture."""
    learned, noisy, looked_at, told = [], Annealing.noisy_weights, [], FieldObjective._told

    def counted(self, *given):
        learned.append(1)
        return noisy(self, *given)

    def heard(self, backward, *given):
        looked_at.append(self.pixels * (1 if backward else FORWARD_SHARE))
        return told(self, backward, *given)

    monkeypatch.setattr(Annealing, "noisy_weights", counted)
    monkeypatch.setattr(FieldObjective, "_told", heard)
    clock = Clock(400, None, None)
    trained_network(RateControl(1e-3), clock)
    assert len(learned) == 320 and 400 <= clock.iteration < 420
    assert sum(looked_at) == pytest.approx(80 << 12, rel=0.25)


def test_short_fits_do_not_settle():
    training = trained_network(RateControl(1e-3))
    assert not training.settles
    steps = training.coded.steps
    assert all(
        (training._symbols_at(spec, steps[spec.group]) == training.coded.symbols[spec.name]).all()
        for spec in training.field.specs()
    )
