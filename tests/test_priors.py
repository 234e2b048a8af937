"""Priors: what the shipped files hold, which one is taken, and a miniature training whose file a stream can build on."""

import importlib.util
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from inrcodec.encoder.photographs import read_photographs, rescaled
from inrcodec.encoder.prior_training import (
    Photograph,
    PriorOptions,
    Shared,
    _spread,
    initial_modes,
    initial_network,
    train_prior,
)
from inrcodec.entropy.codings import (
    COEFFICIENT_UNIT,
    MODES,
    PlanePrecision,
    Planes,
    PlanesApart,
    PlanesMirrored,
    TensorPrecision,
)
from inrcodec.entropy.mirroring import half_tensors
from inrcodec.entropy.planes_network import network_tensors
from inrcodec.errors import InputError, UsageError, VersionError
from inrcodec.fields import pyramid
from inrcodec.fields.pyramid import Pyramid, PyramidConfig
from inrcodec.passes import INTERLACED, ROLES, SUMMARIZED, WAVEFRONT
from inrcodec.priors import FILM, QUICK, RATE_LAMBDAS, SINGLE, THOROUGH, Prior, load_prior, nearest_prior, parse
from inrcodec.segment import CodedField, decode_segment, encode_segment, grid_coding
from inrcodec.signal.info import SignalInfo

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_prior.py"
SMALL = PriorOptions(1e-3, iterations=3, fits=3, width=5, network_width=6, modes=2)


def small_photographs() -> list[np.ndarray]:
    return [data.chelsea()[100:132, 150:198], data.coffee()[150:182, 250:298]]


def limit_of(name: str) -> int:
    return 1023 if name.endswith("bias") else 127


# -- shipped -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", RATE_LAMBDAS)
def test_shipped_priors_load_and_keep_the_limits_of_exact_networks(number):
    prior = load_prior(number)
    assert (prior.number, prior.rate_lambda) == (number, RATE_LAMBDAS[number])
    assert prior.head["hidden"].shape == (prior.width, ROLES)
    assert ("second" in prior.head) == ("second.bias" in prior.head) == (prior.layers == 2) == (number < 29)
    assert prior.head["bypass"].shape == (3, ROLES)
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in prior.head.values())
    shapes = (half_tensors if number > 32 else network_tensors)(prior.order, prior.network_width, ROLES)
    assert {name: value.shape for name, value in prior.network.items()} == shapes
    assert {name: value.shape[1:] for name, value in prior.modes.items()} == shapes
    assert len({len(value) for value in prior.modes.values()}) == 1
    for name, value in prior.network.items():
        assert value.any() or (number in SINGLE and name.endswith("bias"))
        assert np.abs(value).max() <= limit_of(name), name


@pytest.mark.parametrize("number", [0, max(RATE_LAMBDAS) + 1, 255])
def test_an_unknown_prior_is_refused(number):
    with pytest.raises(VersionError, match=rf"prior {number}, this version has 1 to {max(RATE_LAMBDAS)}$"):
        load_prior(number)


@pytest.mark.parametrize(
    "rate_lambda, trained_for",
    [(1.0, 1.6e-2), (1e-3, 1e-3), (2.1e-3, 4e-3), (1.9e-3, 1e-3), (1.2e-4, 2.5e-4), (1.1e-4, 5e-5), (1e-9, 5e-5)],
)
@pytest.mark.parametrize("numbers", [QUICK, THOROUGH, FILM], ids=["quick", "thorough", "film"])
def test_the_nearest_prior_is_that_of_the_nearest_ratio(rate_lambda, trained_for, numbers):
    """Halfway between 4e-3 and 1e-3 lies 2e-3; between 2.5e-4 and 5e-5, 1.118e-4."""
    number = nearest_prior(rate_lambda, numbers)
    assert number in numbers
    prior = load_prior(number)
    assert prior.rate_lambda == trained_for
    assert (len(prior.filters[0]) > 1) == (numbers is not QUICK)  # long fits filter their vertices


def test_only_the_numbers_that_are_given_count():
    assert nearest_prior(1e-9, (3, 2)) == 3
    assert nearest_prior(1.0, (3, 2)) == 2
    assert nearest_prior(1.0, (3,)) == 3


@pytest.mark.parametrize("order, kinds", [(INTERLACED, 7), (WAVEFRONT, 4), (SUMMARIZED, 1)])
def test_first_layers_tell_the_order_of_symbols(order, kinds):
    names = [f"entry{kind}" for kind in range(kinds)] + ["second", "last"]
    arrays = {f"{part}.{name}": np.zeros((2, 2), np.int16) for part in ("network", "modes") for name in names}
    assert parse(1, arrays | {"rate_lambda": np.float64(1e-3)}).order is order
    assert load_prior(1).order is INTERLACED  # the first ones that were published


# -- photographs -------------------------------------------------------------------------------------------------------


def test_enlarged_photographs_are_cut_and_reduced_ones_are_not():
    photograph = np.broadcast_to(np.array([200, 30, 90], np.uint8), (321, 481, 3))
    assert rescaled(photograph, 1.0).shape == (321, 481, 3)
    assert rescaled(photograph, 0.7).shape == (225, 337, 3)
    assert rescaled(photograph, 1.5).shape == rescaled(photograph, 2.0).shape == (320, 480, 3)
    assert rescaled(photograph[:20, :30], 2.0).shape == (40, 60, 3)
    assert (rescaled(photograph, 2.0) == [200, 30, 90]).all()


def test_a_cut_begins_where_the_middle_square_of_480_does():
    rows, columns = np.mgrid[:400, :300].astype(np.float32)
    photograph = np.stack([rows * 0.6, columns * 0.8, rows * 0], axis=2).astype(np.uint8)
    cut = rescaled(photograph, 2.0)  # of 800 x 600: from row (800 - 480) / 2 and column (600 - 480) / 2
    assert cut.shape == (320, 480, 3)
    assert np.abs(cut[0, 0] - photograph[80, 30].astype(int)).max() <= 1


def test_files_are_drawn_by_seed_and_in_any_order(tmp_path):
    paths = [tmp_path / f"{shade}.png" for shade in range(8)]
    for shade, path in enumerate(paths):
        Image.new("RGB", (6, 4), (shade, 0, 0)).save(path)

    def shades(paths, seed):
        return [int(one[0, 0, 0]) for one in read_photographs(paths, 5, seed)]

    assert shades(paths, 0) == shades(paths[::-1], 0) != shades(paths, 1)
    assert len(set(shades(paths, 0))) == 5
    assert [one.shape[:2] for one in read_photographs(paths, 5, 0)] == [(4, 6), (6, 9), (8, 12), (3, 4), (4, 6)]
    with pytest.raises(UsageError, match="9 photographs asked for, allowed are 1 … 8"):
        read_photographs(paths, 9, 0)
    Image.new("L", (6, 4)).save(tmp_path / "gray.png")
    with pytest.raises(InputError, match=r"gray\.png: 1 × gray, 8 bits"):
        read_photographs([tmp_path / "gray.png"], 1, 0)


# -- training ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"rate_lambda": 0.0}, "rate_lambda is 0.0, allowed are positive"),
        ({"rate_lambda": float("nan")}, "rate_lambda is nan"),
        ({"iterations": 0}, "iterations is 0, allowed are 1 …"),
        ({"fits": -1}, "fits is -1, allowed are 0 …"),
        ({"width": 49}, "width is 49, allowed are 1 … 48"),
        ({"network_width": 33}, "network_width is 33, allowed are 1 … 32"),
        ({"modes": -1}, "modes is -1, allowed are 0 … 64"),
        ({"mirrored": True}, "only the context networks of single planes"),
        ({"mirrored": True, "order": SUMMARIZED, "network_width": 7}, "network_width is 7, a mirrored one is even"),
    ],
)
def test_options_out_of_range_are_refused(wrong, words):
    with pytest.raises(UsageError, match=words):
        PriorOptions(**{"rate_lambda": 1e-3} | wrong)


def test_training_starts_as_a_codec():
    """Before the first step a pyramid that is not rounded gives the picture, but for what the filters of its vertices change:
    the highest frequencies."""
    gray = np.repeat(small_photographs()[0][:, :, 1:2], 3, axis=2)  # chroma has no finest level
    state = Photograph(gray, Shared(SMALL))
    with torch.no_grad():
        picture = state.field.plan(state._parameters(state.symbols), state.whole.lattice).frame(0)
    error = picture.numpy() - (gray / 255 - 0.5)
    assert -10 * np.log10(np.mean(error**2)) > 30  # the mean color gives 16 dB


def test_single_planes_start_as_a_codec():
    """Of gray pictures: the sum of all levels is the picture, and each holds a part of it."""
    gray = np.repeat(small_photographs()[0][:, :, 1:2], 3, axis=2)
    state = Photograph(gray, Shared(replace(SMALL, order=SUMMARIZED)))
    symbols = state.symbols.detach().split([spec.count for spec in state.specs])
    assert all(part.abs().mean() > 0.2 for part in symbols)
    with torch.no_grad():
        picture = state.field.plan(state._parameters(state.symbols), state.whole.lattice).frame(0)
    error = picture.numpy() - (gray / 255 - 0.5)
    assert -10 * np.log10(np.mean(error**2)) > 30  # the mean color gives 16 dB


def test_summaries_are_trained_with_single_planes():
    options = replace(SMALL, order=SUMMARIZED, modes=0)
    arrays = train_prior(small_photographs(), options)
    before = train_prior(small_photographs(), replace(options, fits=0))  # as drawn
    assert parse(27, arrays).order is SUMMARIZED
    for name in ("network.summary", "network.entry0", "head.bypass"):
        assert not np.array_equal(arrays[name], before[name]), name


def test_fits_of_photographs_are_spread_and_begin_anew():
    """Two photographs, fits of 4 iterations: the second goes ahead by 2, and nothing shared moves by that."""
    shared = Shared(replace(SMALL, iterations=4))
    before = shared.arrays()
    states = [Photograph(one, shared) for one in small_photographs()]
    _spread(states, torch.Generator().manual_seed(0))
    assert [state.fraction for state in states] == [0, 0.5]
    assert all(np.array_equal(before[name], value) for name, value in shared.arrays().items())
    assert not torch.equal(states[1].symbols, states[1].beginning)
    states[1].restart()
    assert states[1].fraction == 0
    assert torch.equal(states[1].symbols, states[1].beginning)


def test_what_is_shared_learns_more_from_late_iterations_of_a_fit(monkeypatch):
    """A quarter of the gradients of its first one counts, and more from one to the next."""
    weights, step = [], Shared.step
    monkeypatch.setattr(
        Shared, "step", lambda self, fraction, weight: (weights.append(weight), step(self, fraction, weight))
    )
    train_prior(small_photographs()[:1], replace(SMALL, iterations=4, fits=2))
    assert weights == [0.25, 0.4375, 0.625, 0.8125] * 2


def finest_tiles(state: Photograph, threshold: float) -> torch.Tensor:
    """Ones in those of the two 32 columns wide tiles of a 32x48 plane in which a symbol is larger."""
    symbols = state.beginning[-32 * 48 :].view(32, 48).abs()
    parts = (symbols[:, :32], symbols[:, 32:])
    return torch.cat([torch.full(part.shape, float((part > threshold).any())) for part in parts], dim=1)


@pytest.mark.parametrize("short, number, threshold, rate_lambda", [(False, 8, 0.5, 3e-2), (True, 3, 1.0, 2e-3)])
def test_fits_of_a_prior_are_those_of_pictures(short, number, threshold, rate_lambda):
    """Filters by kind of prior, and tiles given up below the thresholds of `annealing`; the right third is flat."""
    photograph = small_photographs()[0].copy()
    photograph[:, 32:] = 120
    state = Photograph(photograph, Shared(replace(SMALL, short=short, rate_lambda=rate_lambda)))
    assert state.field.prior.filters == load_prior(number).filters
    mask = state.mask[-32 * 48 :].view(32, 48)
    assert torch.equal(mask, finest_tiles(state, threshold))
    assert set(mask.unique().tolist()) == {0, 1}


def test_training_goes_on_from_a_prior():
    prior = load_prior(3)
    shared = Shared(replace(SMALL, short=True), prior)
    assert prior.order is shared.order is shared.prior().order is INTERLACED
    arrays = shared.arrays()
    for part in ("head", "network", "modes"):
        for name, value in getattr(prior, part).items():
            assert np.array_equal(arrays[f"{part}.{name}"], value), name
    told = []
    moved = train_prior(small_photographs(), replace(SMALL, short=True, fits=1), told.append, prior)
    assert moved["head.second"].shape == prior.head["second"].shape
    assert not np.array_equal(moved["network.second"], prior.network["second"])
    assert parse(3, moved).order is INTERLACED


@pytest.fixture(scope="module")
def trained():
    """Arrays of a trained prior, and what was told on the way."""
    told = []
    arrays = train_prior(small_photographs(), SMALL, told.append)
    return arrays, told


def test_loss_falls(trained):
    _, told = trained
    assert [one.fit for one in told] == [1, 2, 3]
    assert 0 < told[2].loss < 0.8 * told[0].loss


def test_training_moves_all_that_is_shared(trained):
    arrays, _ = trained
    before = Shared(SMALL).arrays()
    same = {name for name in before if np.array_equal(arrays[name], before[name])}
    assert same == {"rate_lambda"}
    for name, value in arrays.items():
        if name.startswith("network."):
            assert np.abs(value).max() <= limit_of(name), name


def test_heads_of_one_hidden_layer_are_drawn_trained_and_parsed():
    told = []
    options = replace(SMALL, layers=1)
    arrays = train_prior(small_photographs(), options, told.append)
    assert parse(3, arrays).layers == 1 and parse(3, arrays).width == SMALL.width
    assert not np.array_equal(arrays["head.last"], Shared(options).arrays()["head.last"])
    assert told[2].loss < 0.8 * told[0].loss


def test_training_from_scratch_gives_wavefront_order(trained):
    assert parse(3, trained[0]).order is Shared(SMALL).order is WAVEFRONT


def test_weights_too_large_for_the_exact_network_are_clipped():
    shared = Shared(SMALL)
    with torch.no_grad():
        shared.network["second"].fill_(5.0)
        shared.network["second_bias"].fill_(-50.0)
    arrays = shared.arrays()
    assert (arrays["network.second"] == 127).all()
    assert (arrays["network.second_bias"] == -1023).all()


def test_the_file_stands_for_the_networks_that_were_trained():
    """Bits by the exact network of the file's whole numbers, and by the trained floating point; symbols are small: a rare
    large one is cut short by the tables, not by the formula."""
    shared = Shared(SMALL)
    state = Photograph(small_photographs()[1], shared)
    symbols = torch.randint(-1, 2, state.symbols.shape, generator=torch.Generator().manual_seed(0)).float()
    coefficients = torch.tensor([1.0, -0.5])
    coding = Planes(state.field.planes, parse(1, shared.arrays()))
    network = coding.symbols(PlanePrecision(), coding.initial(PlanePrecision(), torch.Generator()))
    network[MODES] = (coefficients.numpy() * COEFFICIENT_UNIT).astype(np.int32)
    exact = coding.cost_bits(PlanePrecision(), network, symbols.int().numpy())
    with torch.no_grad():
        trained = state.rate(symbols, shared.network_of(state.roles, coefficients)).item()
        without = state.rate(symbols, shared.network_of(state.roles, torch.zeros(2))).item()
    assert abs(trained - without) > 0.1 * trained  # modes matter here
    assert exact == pytest.approx(trained, rel=0.005)


def planes_of(prior) -> Planes:
    return Planes(Pyramid(PyramidConfig(3, prior=1), (1, 41, 60, 3), prior).planes, prior)


def random_network(coding, precision) -> dict[str, np.ndarray]:
    """What a stream says of a network: small whole numbers."""
    random = np.random.default_rng(3)
    groups = coding.groups(precision)
    return {name: random.integers(-9, 10, size, np.int32) for group in groups for name, size in group.items()}


def test_first_layers_of_wavefront_order_share_what_is_coded(trained):
    """One difference, in units of 2^shift, moves those of all kinds, which are not the same; no more than one is coded."""
    precision, coding = PlanePrecision(2, 0), planes_of(parse(1, trained[0]))
    names = {name for group in coding.groups(precision) for name in group}
    assert names == {"modes", "entry0", "second", "last", "kind_bias", "plane_bias", "second_bias"}
    network = random_network(coding, precision)
    before = coding.exact(precision, network)
    network["entry0"][3, 5] += 2
    after = coding.exact(precision, network)
    for name, value in before.items():
        changed = np.zeros_like(value)
        if name.startswith("entry"):
            changed[3, 5] = 2 << 2
        np.testing.assert_array_equal(after[name] - value, changed, err_msg=name)
    assert not np.array_equal(before["entry0"], before["entry3"])


def test_first_layers_of_interlaced_order_have_differences_of_their_own():
    precision, coding = PlanePrecision(), planes_of(load_prior(1))
    network = random_network(coding, precision)
    before = coding.exact(precision, network)
    network["entry0"][3, 5] += 2
    after = coding.exact(precision, network)
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {"entry0"}
    assert {f"entry{kind}" for kind in range(7)} <= network.keys()


def test_tensors_that_are_coded_apart():
    """Each in units of its own; of summaries only those of coarser planes that there are: the two planes of the first level have
    none, those of the last one two each."""
    field = Pyramid(PyramidConfig(3, prior=31), (1, 41, 60, 4))
    coding, precision = grid_coding(field), TensorPrecision((1, 2, 3, 4, 0, 1))
    groups = [set(group) for group in coding.groups(precision)]
    summaries = {"summary2", "summary3", "summary4", "summary5"}
    assert groups == [{"entry0"}, summaries, {"second"}, {"last"}, {"kind_bias", "second_bias"}, {"plane_bias"}]
    network = random_network(coding, precision)
    assert [network[name].shape for name in sorted(summaries)] == [(6, 1), (6, 1), (6, 2), (6, 2)]
    before = coding.exact(precision, network)
    np.testing.assert_array_equal(before["summary"][:2], 2 * field.prior.network["summary"][[8, 11]])
    changes = {
        "entry0": (7, 3),
        "summary4": (5, 1),
        "second": (2, 2),
        "last": (1, 0),
        "second_bias": (4,),
        "plane_bias": (5, 1),
    }
    for (name, place), shift in zip(changes.items(), precision.shifts):
        network[name][place] -= 1
        after = coding.exact(precision, network)
        tensor, place = ("summary", (4, 5 * 7 + 1)) if name == "summary4" else (name, place)
        assert {other for other in after if not np.array_equal(after[other], before[other])} == {tensor}
        assert (after[tensor] != before[tensor]).sum() == 1
        assert after[tensor][place] == before[tensor][place] - 2**shift
        before = after


def test_halves_of_a_mirrored_network_are_coded_apart():
    """What is for sums of pairs and what is for differences share a table; a difference to either moves four of the whole."""
    field = Pyramid(PyramidConfig(3, prior=33), (1, 41, 60, 3))
    coding, precision = grid_coding(field), TensorPrecision((0, 0, 2, 1, 0, 0))
    groups = [set(group) for group in coding.groups(precision)]
    assert isinstance(coding, PlanesMirrored)
    assert groups[2:] == [{"even", "odd"}, {"last"}, {"kind_bias", "second_bias"}, {"plane_bias"}]
    network = random_network(coding, precision)
    assert network["entry0"].shape == (13, 20) and network["odd"].shape == (12, 12) and network["last"].shape == (2, 12)
    before = coding.exact(precision, network)
    assert before["second"].shape == (24, 24) and before["entry0"].shape == (26, 20)
    for name, sign in (("even", 1), ("odd", -1)):
        network[name][3, 7] += 1
        after = coding.exact(precision, network)
        changed = after["second"] - before["second"]
        assert np.count_nonzero(changed) == 4
        assert changed[3, 7] == changed[15, 19] == sign * changed[3, 19] == sign * changed[15, 7] == 4
        before = after
    network["last"][0, 5] -= 3
    changed = coding.exact(precision, network)["last"] - before["last"]
    assert np.argwhere(changed).tolist() == [[0, 5], [0, 17]] and changed[0, [5, 17]].tolist() == [-6, 6]


def test_a_whole_that_exceeds_its_limits_is_clamped():
    coding = grid_coding(Pyramid(PyramidConfig(3, prior=33), (1, 41, 60, 3)))
    network = {name: np.zeros_like(value) for name, value in random_network(coding, TensorPrecision()).items()}
    network["even"][0, 1] = network["odd"][0, 1] = 200
    second = coding.exact(TensorPrecision(), network)["second"]
    assert second[0, 1] == second[12, 13] == 255 and second[0, 13] == second[12, 1] == 0


def test_precisions_that_are_one_move_away():
    coding = grid_coding(Pyramid(PyramidConfig(3, prior=31), (1, 41, 60, 3)))
    moved = set(coding.moved(TensorPrecision((0, 4, 2, 2, 2, 2))))
    assert len(moved) == 10 and all(sum(map(abs, np.subtract(one.shifts, (0, 4, 2, 2, 2, 2)))) == 1 for one in moved)
    assert coding.coarser(TensorPrecision((0, 4, 2, 2, 3, 2)), 2).shifts == (2, 4, 4, 4, 4, 4)


def beginning_in(order) -> Prior:
    """A prior whose training has not begun."""
    shared, generator = Shared(SMALL), torch.Generator().manual_seed(1)
    shared.network = initial_network(order, 6, generator)
    shared.modes = initial_modes(shared.network, 2, generator)
    return parse(1, shared.arrays())


def apart() -> PlanesApart:
    """With scales that suit symbols as they are here."""
    coding = PlanesApart(planes_of(load_prior(31)).shapes, load_prior(31))
    coding.prior["kind_bias"] = np.zeros_like(coding.prior["kind_bias"])
    return coding


def mirrored() -> PlanesMirrored:
    coding = PlanesMirrored(planes_of(load_prior(31)).shapes, load_prior(33))
    coding.prior["kind_bias"] = np.zeros_like(coding.prior["kind_bias"])
    return coding


@pytest.mark.parametrize(
    "coding, precision, order",
    [
        (partial(planes_of, beginning_in(INTERLACED)), PlanePrecision(1, 0), INTERLACED),
        (partial(planes_of, beginning_in(WAVEFRONT)), PlanePrecision(1, 0), WAVEFRONT),
        (apart, TensorPrecision((0, 1, 0, 1, 1, 2)), SUMMARIZED),
        (mirrored, TensorPrecision((0, 1, 0, 1, 1, 2)), SUMMARIZED),
    ],
    ids=["interlaced", "wavefront", "apart", "mirrored"],
)
def test_the_rate_of_fits_is_that_of_the_coder(coding, precision, order):
    """With coefficients and differences, which matter; symbols are small: a rare large one is cut short by the tables."""
    coding = coding()
    assert coding.order is order
    count = sum(shape.height * shape.width for shape in coding.shapes)
    symbols = np.random.default_rng(4).integers(-1, 2, count, np.int32)
    rate, bits = coding.rate(torch.device("cpu")), []
    for network in (
        random_network(coding, precision),
        coding.symbols(precision, coding.initial(precision, None)),
    ):
        floats = {
            name: torch.from_numpy(value) * coding.quantizer(name, precision).step for name, value in network.items()
        }
        bits.append(coding.cost_bits(precision, network, symbols))
        assert bits[-1] == pytest.approx(rate(torch.tensor(symbols).float(), floats).item(), rel=0.01)
    assert abs(bits[0] - bits[1]) > 0.05 * bits[1]


def test_a_stream_can_build_on_a_trained_prior(trained, monkeypatch):
    prior = parse(7, trained[0])
    monkeypatch.setattr(pyramid, "load_prior", {7: prior}.__getitem__)
    field = Pyramid(PyramidConfig(3, prior=7), (1, 21, 30, 3))
    assert field.prior is prior
    random = np.random.default_rng(0)
    symbols = {spec.name: random.integers(-2, 3, spec.shape, dtype=np.int32) for spec in field.specs()}
    coding = grid_coding(field)
    network = {
        name: random.integers(-3, 4, shape, dtype=np.int32)
        for group in coding.groups(PlanePrecision())
        for name, shape in group.items()
    }
    steps = {spec.group: 100 for spec in field.specs()}
    raw = encode_segment(CodedField(field, steps, symbols, PlanePrecision(), network))
    decoded = decode_segment(raw, SignalInfo(30, 21, 1, "rgb"))
    assert all(np.array_equal(decoded.symbols[name], value) for name, value in symbols.items())
    assert all(np.array_equal(decoded.network[name], value) for name, value in network.items())


# -- the script --------------------------------------------------------------------------------------------------------


@pytest.fixture
def main():
    spec = importlib.util.spec_from_file_location("train_prior_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def files(tmp_path) -> list[str]:
    paths = [tmp_path / f"{index}.png" for index in range(2)]
    for path, photograph in zip(paths, small_photographs()):
        Image.fromarray(photograph).save(path)
    return [str(path) for path in paths]


WIDTHS = ["--width", "5", "--network-width", "6", "--modes", "2"]


def test_the_script_writes_a_prior(main, files, tmp_path, capsys):
    output = tmp_path / "new.npz"
    counts = ["--photographs", "2", "--iterations", "2", "--fits", "1"]
    call = [*files, *counts, *WIDTHS, "--rate-lambda", "2e-3", "-o", str(output)]
    assert main(call) == 0
    assert "fit 1, 1000 × loss" in capsys.readouterr().out
    with np.load(output, allow_pickle=False) as arrays:
        prior = parse(9, dict(arrays))
        kinds = {name.split(".")[0]: value.dtype for name, value in arrays.items()}
    assert kinds == {"rate_lambda": np.float64, "head": np.float32, "network": np.int16, "modes": np.int16}
    assert (prior.rate_lambda, prior.width, prior.network_width, len(prior.modes["second"])) == (2e-3, 5, 6, 2)


def test_the_script_never_overwrites(main, files, tmp_path, capsys):
    output = tmp_path / "003.npz"
    output.write_bytes(b"published")
    assert main([*files, "--photographs", "2", "--rate-lambda", "1e-3", "-o", str(output)]) == 5
    assert "003.npz: exists already" in capsys.readouterr().err
    assert output.read_bytes() == b"published"


def test_a_script_that_fails_leaves_no_file(main, files, tmp_path, capsys):
    output = tmp_path / "new.npz"
    assert main([*files, "--photographs", "3", "--rate-lambda", "1e-3", "-o", str(output)]) == 2
    assert "3 photographs asked for" in capsys.readouterr().err
    assert not output.exists()
