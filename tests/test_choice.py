"""Symbols that are chosen after the training: what they change is measured on whole files."""

import dataclasses
import itertools
import time

import numpy as np
import pytest
import torch
from test_targets import FACE

from inrcodec.encoder import annealing
from inrcodec.encoder.batches import Samples, whole_frames
from inrcodec.encoder.choice import Choice
from inrcodec.encoder.clock import Clock
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.decoded import decoded_frames
from inrcodec.encoder.refine import ideal_bits
from inrcodec.encoder.start import start
from inrcodec.encoder.trainings import training_of
from inrcodec.fields.pyramid import Pyramid, PyramidConfig
from inrcodec.kernels import native
from inrcodec.priors import PATIENT, THOROUGH, nearest_prior
from inrcodec.segment import grid_coding, grid_specs
from inrcodec.signal.info import SignalInfo

RATE_LAMBDA = 2e-3
INFO = SignalInfo(96, 96, 1, "rgb")
SAMPLES = Samples(FACE[None], INFO, torch.device("cpu"))
PER_BIT = RATE_LAMBDA / FACE[..., 0].size

pytestmark = pytest.mark.skipif(not native.available(), reason="the compiled loops are not there")


def trained(priors=THOROUGH, iterations=40, clock=None):
    field = Pyramid(PyramidConfig(4, nearest_prior(RATE_LAMBDA, priors)), SAMPLES.shape)
    generator = torch.Generator().manual_seed(0)
    parameters, steps = start(field, SAMPLES, RATE_LAMBDA, generator)
    control = RateControl(RATE_LAMBDA)
    training = training_of(field, SAMPLES, parameters, steps, grid_coding(field).Shape(), control, generator)
    training.run(whole_frames(SAMPLES), clock or Clock(iterations, None, None), lambda psnr_db, bpp: None)
    return training


@pytest.fixture(scope="module", params=[THOROUGH, PATIENT], ids=["planes by color", "single planes"])
def coded(request):
    return trained(request.param).coded


def loss(coded):
    """Of what a decoder gives back, but not rounded to samples, and of the whole stream's ideal length."""
    values = coded.field.plan(coded.parameters(torch.device("cpu")), SAMPLES.lattice).frame(0).numpy() + 0.5
    return np.square(values - FACE / 255).mean() + PER_BIT * ideal_bits(coded)


def flat(coded):
    return np.concatenate([coded.symbols[spec.name].ravel() for spec in grid_specs(coded.field)])


def with_symbols(coded, symbols):
    parts = np.split(symbols, np.cumsum([spec.count for spec in grid_specs(coded.field)])[:-1])
    named = {spec.name: part.reshape(spec.shape) for spec, part in zip(grid_specs(coded.field), parts)}
    return dataclasses.replace(coded, symbols=coded.symbols | named)


def never():
    return False


def test_chosen_symbols_cost_less(coded):
    """By a percent at least."""
    chosen = Choice(coded, SAMPLES, PER_BIT).made(6, never)
    moved = flat(chosen) != flat(coded)
    assert loss(chosen) < 0.99 * loss(coded)
    assert 0 < moved.mean() < 0.1
    others = set(coded.symbols) - {spec.name for spec in grid_specs(coded.field)}
    assert chosen.steps == coded.steps and all(chosen.symbols[name] is coded.symbols[name] for name in others)
    assert sum(1 for _ in decoded_frames(chosen, INFO, torch.device("cpu"))) == 1


def test_more_tries_find_more(coded):
    few, many = (loss(Choice(coded, SAMPLES, PER_BIT).made(tries, never)) for tries in (1, 8))
    assert many < few < loss(coded)


def test_more_rounds_find_more(coded):
    once, twice = (loss(Choice(coded, SAMPLES, PER_BIT).made(8, never, rounds)) for rounds in (1, 2))
    assert twice < once


def test_long_fits_choose_in_more_rounds(monkeypatch):
    asked = []
    monkeypatch.setattr(Choice, "made", lambda self, tries, stopped, rounds: asked.append(rounds) or self._coded)
    monkeypatch.setattr("inrcodec.encoder.training_pyramid.ITERATIONS_OF_ROUND", 65)
    for iterations in (64, 66, 150):
        trained(iterations=iterations)
    assert asked == [1, 2, 3]


def test_long_fits_end_colder(monkeypatch):
    """Soft rounding is nearer to rounding at the end of those of single planes, and of no others."""
    assert trained(PATIENT, 20).annealing is annealing.PATIENT
    monkeypatch.setattr(annealing, "LONG", 20)
    assert trained(THOROUGH, 20).annealing is annealing.THOROUGH
    values, noise = torch.linspace(-2, 2, 1001), torch.Generator()
    errors = []
    for one in (annealing.PATIENT, trained(PATIENT, 20).annealing):
        for fraction in (0.0, 1.0):
            soft = one.soft_round(values, fraction, noise.manual_seed(0))
            errors.append((soft - values.round()).abs().median().item())
    assert errors[0] == errors[2] and errors[3] < 0.8 * errors[1]


def test_nothing_changes_once_a_caller_says_stop(coded):
    assert np.array_equal(flat(Choice(coded, SAMPLES, PER_BIT).made(6, lambda: True)), flat(coded))


def single_moves(coded, count=40):
    """Places of symbols that are coded, by level, and the loss that a move by one really adds."""
    choice, symbols, generator = Choice(coded, SAMPLES, PER_BIT), flat(coded), np.random.default_rng(0)
    state, before = choice._seen(torch.from_numpy(symbols).float()), loss(coded)
    places = generator.choice(np.flatnonzero(state.lengths[1] > 0), count, replace=False)
    return choice, state, symbols, places, before


def test_what_a_move_changes_is_seen_in_its_cell(coded):
    """All but some percent of it, where only one symbol moves."""
    choice, state, symbols, places, before = single_moves(coded)
    sizes = [spec.count for spec in grid_specs(coded.field)]
    seen, real = [], []
    for place in places:
        level = np.searchsorted(np.cumsum(sizes), place, side="right")
        other = symbols.copy()
        other[place] += 1
        within = torch.tensor([place - sum(sizes[:level])])
        tried = choice._seen(torch.from_numpy(other).float())
        seen.append(choice._changes(state, tried, within, coded.field.ages[level]).item())
        real.append(loss(with_symbols(coded, other)) - before)
    assert np.corrcoef(seen, real)[0, 1] > 0.95
    assert np.sum(seen) == pytest.approx(np.sum(real), rel=0.2)


def test_distortion_bends_as_foreseen(coded):
    """What is added beyond the slope: in the mean to a quarter."""
    choice, state, symbols, places, _ = single_moves(coded)
    bends, real = choice._bends(state.symbols), []
    for place in places:
        moved = [state.errors.sum().item()]
        for step in (-1, 1):
            other = symbols.copy()
            other[place] += step
            moved.append(choice._seen(torch.from_numpy(other).float()).errors.sum().item())
        real.append((moved[1] + moved[2]) / 2 - moved[0])
    assert np.mean(real) == pytest.approx(bends[places].mean().item(), rel=0.25)


def test_the_training_keeps_what_was_chosen(monkeypatch):
    """Values are pinned, so that trimming to a size or a quality begins with it."""
    training = trained(iterations=130)
    assert np.array_equal(flat(training.trimmed(0.0)), flat(training.coded))
    monkeypatch.setattr("inrcodec.encoder.training_pyramid.MOST_TRIES", 0)
    plain = trained(iterations=130).coded
    assert 0 < (flat(training.coded) != flat(plain)).mean() < 0.1 and loss(training.coded) < 0.995 * loss(plain)


def test_a_short_fit_is_only_rounded(monkeypatch):
    monkeypatch.setattr("inrcodec.encoder.training_pyramid.Choice", None)
    training = trained(iterations=50)
    assert np.array_equal(flat(training.coded), flat(training._coded()))


def test_a_limited_time_leaves_a_part_for_what_follows(monkeypatch):
    """On a clock that goes on whenever it is looked at; all iterations are made where there is time enough."""
    asked = []

    def tell(self, tries, stopped, rounds):
        asked.append((tries, stopped(), clock.elapsed_s))
        return self._coded

    monkeypatch.setattr(Choice, "made", tell)
    monkeypatch.setattr("inrcodec.encoder.training_pyramid.ITERATIONS_OF_TRY", 1)
    now = itertools.count()
    monkeypatch.setattr("inrcodec.encoder.clock.time.monotonic", lambda: next(now) * 0.01)
    clock = Clock(10**6, 2.0, None)
    trained(clock=clock)
    tries, over, elapsed_s = asked[0]
    assert tries == min(8, clock.iteration) and not over and 1.65 < elapsed_s < 1.85
    clock = Clock(40, 3600.0, None)
    trained(clock=clock)
    assert clock.iteration == 40


def test_the_choice_ends_with_the_time(monkeypatch):
    clock = Clock(1, 60.0, None)
    monkeypatch.setattr("inrcodec.encoder.clock.time.monotonic", lambda start=time.monotonic(): start + 50)
    assert clock.in_time()
    monkeypatch.setattr("inrcodec.encoder.clock.time.monotonic", lambda start=time.monotonic(): start + 70)
    assert not clock.in_time()
    assert Clock(1, None, None).in_time() and not Clock(1, None, lambda: True).in_time()
