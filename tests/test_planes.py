"""Orders, neighborhoods and network of a pyramid's symbols by a slow, obvious reference; plain and compiled; what is written."""

import contextlib
import math
import threading
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

from inrcodec.entropy import planes_network, planes_prediction, planes_rate, tiles
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.mirroring import half_tensors, whole_network
from inrcodec.entropy.planes import PlanesCoder
from inrcodec.entropy.planes_network import PlaneNetwork, network_tensors
from inrcodec.entropy.planes_rate import PlanesRate, plane_bits
from inrcodec.entropy.tables import MAX_SYMBOL
from inrcodec.errors import StreamError
from inrcodec.kernels import context, native, prediction, summaries
from inrcodec.kernels.helping import Helper, helped_by
from inrcodec.passes import INTERLACED, SUMMARIZED, WAVEFRONT, bias_rows, plane_shapes, spread


def pyramid(height, width, kinds):
    """Planes of levels that halve, coarse to fine; `kinds`: of each level's channels."""
    sizes = [(-(-height // (1 << level)), -(-width // (1 << level))) for level in range(len(kinds))]
    return plane_shapes(tuple((own, *size) for own, size in zip(kinds, sizes[::-1], strict=True)))


SETS = {
    "color": pyramid(11, 18, [(0, 1, 2), (0, 1, 2), (0,)]),
    "alpha": pyramid(13, 9, [(0, 1, 2, 3), (0, 3)]),
    "dot": pyramid(1, 1, [(0, 1), (0,)]),
    "row": pyramid(1, 13, [(0, 1)] * 3),
    "column": pyramid(9, 1, [(0,), (0, 1)]),
    "flat": pyramid(17, 37, [(0,)]),
    "tiles": pyramid(70, 101, [(0, 1), (0, 1), (0,)]),
}
OFFSETS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)] + [
    *((-2, -1), (-2, 1), (-1, -2), (-1, 2), (1, -2), (1, 2), (2, -1), (2, 1))
]
BEFORE = [
    *((-2, -2), (-2, -1), (-2, 0), (-2, 1), (-2, 2)),
    *((-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2)),
    *((-3, 0), (0, -3), (0, -2), (0, -1)),
]
NINE = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (1, 1)]


ORDERS = {"interlaced": INTERLACED, "wavefront": WAVEFRONT, "summarized": SUMMARIZED}


@pytest.fixture(params=ORDERS.values(), ids=ORDERS.keys())
def order(request):
    return request.param


def coder(network) -> PlanesCoder:
    return PlanesCoder(network, tiles.initial_counts())


def decoded(coder, decoder):
    symbols = np.zeros(coder.size, np.int32)
    coder.decode(decoder, symbols)
    return symbols


def count(shapes) -> int:
    return sum(shape.height * shape.width for shape in shapes)


# -- the reference -----------------------------------------------------------------------------------------------------


def place(y: int, x: int) -> tuple[int, int]:
    """Of a sample: the distance of its neighbors (the largest power of two, up to 8, that divides y and x), and its pass."""
    distance = min((y | x) & -(y | x), 8) if y or x else 8
    odd_y, odd_x = y // distance % 2, x // distance % 2
    if distance == 8:
        return 8, 0
    return distance, {4: 0, 2: 3, 1: 6}[distance] + (1 if odd_y and odd_x else 2 if odd_x else 3)


def turn(order, y: int, x: int) -> int:
    """Of a sample in its plane: those of equal turns are coded at once. The pass, or the diagonal."""
    return place(y, x)[1] if order is INTERLACED else x + 3 * y


def kind_of(order, y: int, x: int) -> int:
    """Of a sample: which of the first layers it has."""
    if order is WAVEFRONT:
        return 2 * (y % 2) + x % 2
    if order is SUMMARIZED:
        return 0
    mine = place(y, x)[1]
    return mine if mine <= 3 else mine - 3


def coding_order(order, shapes, symbols):
    """(plane, y, x) of every symbol of flat `symbols` that lies in a tile of 32x32 samples with one that is not zero."""
    start = 0
    for index, shape in enumerate(shapes):
        samples = [(y, x) for y in range(shape.height) for x in range(shape.width)]
        own = zip(samples, symbols[start : start + len(samples)], strict=True)
        start += len(samples)
        coded = {(y // 32, x // 32) for (y, x), symbol in own if symbol}
        samples = [(y, x) for y, x in samples if (y // 32, x // 32) in coded]
        yield from ((index, y, x) for y, x in sorted(samples, key=lambda at: (turn(order, *at), at)))


def log(mean: Fraction) -> int:
    return round(32 * math.log2(1 + 3 * mean))


def inputs_of(order, shapes, tensors, samples, index, y, x) -> tuple[int, list[int]]:
    """Kind and whole-number inputs of one symbol; `samples` by (plane, y, x)."""

    def at(plane, row, column):
        return 0 if plane is None else max(-64, min(64, int(samples.get((plane, row, column), 0))))

    if order is SUMMARIZED:
        near = [32 * at(index, y + dy, x + dx) for dy, dx in BEFORE]
        above, parent, shift = [], shapes[index].parent, 1
        while parent is not None:
            above.append(at(parent, y >> shift, x >> shift))
            parent, shift = shapes[parent].parent, shift + 1
        weights = tensors["summary"][index].reshape(6, 7)[:, : len(above)]
        sums = [sum(int(w) * 32 * s for w, s in zip(row, above, strict=True)) for row in weights]
        return 0, near + [max(-2047, min(2047, one // 64)) for one in sums]
    if order is WAVEFRONT:
        distance, known = 1, BEFORE
    else:
        distance, mine = place(y, x)
        known = [(dy, dx) for dy, dx in OFFSETS if place(y + dy * distance, x + dx * distance)[1] < mine]
    weights = [{1: 4, 2: 2, 4: 2, 5: 1, 8: 1, 9: 1}[dy * dy + dx * dx] for dy, dx in known]
    near = [at(index, y + dy * distance, x + dx * distance) for dy, dx in known]
    size = Fraction(sum(w * abs(s) for w, s in zip(weights, near, strict=True)), sum(weights) or 1)
    parent = shapes[index].parent
    nine = [at(parent, y // 2 + dy, x // 2 + dx) for dy, dx in NINE]
    previous = at(shapes[index].previous, y, x)
    inputs = [32 * s for s in near] + [log(size)] + [32 * s for s in nine]
    inputs += [log(Fraction(abs(nine[4]))), log(Fraction(sum(map(abs, nine)), 9)), 32 * previous, log(abs(previous))]
    return kind_of(order, y, x), inputs


def reference_prediction(tensors, index, kind, inputs, seen):
    """(whole mean, number of the table) of one symbol, in Python's integers. `seen` collects magnitudes of sums: of absolute
    terms, so that no order of summation can exceed them."""

    def dot(row, values, extra=0):
        seen.append(sum(abs(int(w) * v) for w, v in zip(row, values, strict=True)) + abs(extra))
        return sum(int(w) * v for w, v in zip(row, values, strict=True)) + extra

    biases = (tensors["kind_bias"][kind].astype(int) + tensors["plane_bias"][index]).tolist()
    entry = [dot(row, inputs, 32 * bias) for row, bias in zip(tensors[f"entry{kind}"], biases, strict=True)]
    first = [min(max(value // 64, 0), 2047) for value in entry[:-2]]
    second = [
        dot(row, first, 32 * int(bias)) for row, bias in zip(tensors["second"], tensors["second_bias"], strict=True)
    ]
    hidden = [min(max(value // 64, 0), 2047) for value in second]
    sums = (dot(row, hidden) + own for row, own in zip(tensors["last"], entry[-2:], strict=True))
    mean, scale = (min(max(value // 64, -2047), 2047) for value in sums)
    scale = min(max((scale + 4) // 8, -19), 28) + 19
    grade = min(scale // 8, 4)
    parts = 16 >> grade  # of a symbol, to which means are rounded at this scale
    rounded = math.floor(Fraction(mean * parts, 32) + Fraction(1, 2))
    whole = (rounded + parts // 2) // parts
    before = [parts for index in range(scale) for parts in [16 >> min(index // 8, 4)]]
    return whole, sum(before) + rounded - whole * parts + parts // 2


class Recorder:
    """In place of a SymbolEncoder; decisions of tiles are counted only."""

    def __init__(self):
        self.parts, self.decisions = [], 0

    def in_order(self, decisions, choices, tables):
        self.decisions += len(decisions)

    def mixed(self, symbols, choices, tables, sizes):
        """`parts`: what is coded at once."""
        borders = np.cumsum(sizes)
        assert borders[-1] == len(symbols) == len(choices)
        for one in zip(np.split(symbols, borders[:-1]), np.split(choices, borders[:-1]), strict=True):
            self.parts.append(tuple(part.tolist() for part in one))

    def all(self):
        """(what is coded, number of the table) of every symbol."""
        return [pair for part in self.parts for pair in zip(*part, strict=True)]


def recorded(shapes, order, tensors, symbols) -> Recorder:
    recorder = Recorder()
    coder(PlaneNetwork(shapes, order, tensors)).encode(recorder, symbols)
    return recorder


def random_tensors(shapes, order, width, scale, seed=0):
    """Whole numbers; scale "signs": the largest magnitudes; "largest": all of them positive."""
    random, tensors = np.random.default_rng(seed), {}
    for name, size in network_tensors(order, width, len(shapes)).items():
        limit = 2047 if "bias" in name else 255
        if scale == "largest":
            tensors[name] = np.full(size, limit)
        elif scale == "signs":
            tensors[name] = random.choice([-limit, limit], size)
        else:
            tensors[name] = np.rint(random.laplace(0, scale, size)).clip(-limit, limit).astype(int)
    return tensors


def zeros(shapes, order):
    return {name: np.zeros(size, dtype=int) for name, size in network_tensors(order, 1, len(shapes)).items()}


def random_symbols(shapes, scale, seed=0):
    return np.rint(np.random.default_rng(seed).laplace(0, scale, count(shapes))).astype(np.int32)


def extreme_symbols(shapes, seed=0):
    choices = [-MAX_SYMBOL, -65, -64, 0, 0, 1, 64, MAX_SYMBOL]
    return np.random.default_rng(seed).choice(choices, count(shapes)).astype(np.int32)


def sparse_symbols(shapes, seed=0):
    """Most tiles hold nothing."""
    random = np.random.default_rng(seed)
    return (random.integers(-9, 10, count(shapes)) * (random.random(count(shapes)) < 3e-4)).astype(np.int32)


# -- order and network -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_the_order_is_that_of_the_reference(name, order, path):
    """A network of zeros predicts zero, so that what is coded are the symbols: here, their places in raster order."""
    shapes = SETS[name]
    starts = np.cumsum([0] + [shape.height * shape.width for shape in shapes])
    symbols = np.arange(1, count(shapes) + 1, dtype=np.int32)
    expected = list(coding_order(order, shapes, symbols))
    recorder = recorded(shapes, order, zeros(shapes, order), symbols)
    assert [symbol for symbol, _ in recorder.all()] == [
        1 + starts[index] + y * shapes[index].width + x for index, y, x in expected
    ]
    turns = [(index, turn(order, y, x)) for index, y, x in expected]
    assert [len(part) for part, _ in recorder.parts] == [turns.count(one) for one in dict.fromkeys(turns)]
    assert recorder.decisions == sum(-(-shape.height // 32) * -(-shape.width // 32) for shape in shapes)


CASES = [(3, 5.0), (16, 5.0), (32, "signs"), (32, "largest")]


@pytest.mark.parametrize("width, scale", CASES)
@pytest.mark.parametrize("name", ["color", "alpha", "dot", "row", "column"])
def test_the_network_is_exact(name, width, scale, order, path):
    """And no sum of float32, in any order, reaches 2^24, from where float32 skips whole numbers."""
    shapes = SETS[name]
    tensors, seen = random_tensors(shapes, order, width, scale), []
    symbols = random_symbols(shapes, 2.0)
    if scale == "signs":
        symbols = extreme_symbols(shapes)
    if scale == "largest":
        symbols[:] = 5000
    raster = [(i, y, x) for i, shape in enumerate(shapes) for y in range(shape.height) for x in range(shape.width)]
    samples = dict(zip(raster, symbols.tolist(), strict=True))
    found = recorded(shapes, order, tensors, symbols).all()
    for (index, y, x), (rest, table) in zip(coding_order(order, shapes, symbols), found, strict=True):
        expected = reference_prediction(tensors, index, *inputs_of(order, shapes, tensors, samples, index, y, x), seen)
        assert (samples[index, y, x] - rest, table) == expected, (index, y, x)
    assert max(seen) < 1 << 24
    assert scale != "largest" or max(seen) > 1 << 23  # the extremes are extreme


def test_logarithms_are_rounded_exactly():
    """v = round(32 log2 q) is the largest whole number with 2^((2 v - 1) / 64) <= q: whole numbers only, by 64th powers."""
    value, unit = 0, 96**64
    for magnitude, found in enumerate(planes_network.LOGS.tolist()):
        power = (96 + magnitude) ** 64
        while unit << (2 * value + 1) <= power:
            value += 1
        assert found == value
    assert magnitude == 64 * 288 and value == 243


def test_tensors_of_a_network():
    others = {"second": (5, 5), "last": (2, 5)}
    assert network_tensors(INTERLACED, 5, 9) == {
        **{"entry0": (7, 14), "entry1": (7, 18), "entry2": (7, 26), "entry3": (7, 30)},
        **{"entry4": (7, 18), "entry5": (7, 26), "entry6": (7, 30), **others},
        **{"kind_bias": (7, 7), "plane_bias": (9, 7), "second_bias": (5,)},
    }
    assert network_tensors(WAVEFRONT, 5, 9) == {
        **{"entry0": (7, 28), "entry1": (7, 28), "entry2": (7, 28), "entry3": (7, 28), **others},
        **{"kind_bias": (4, 7), "plane_bias": (9, 7), "second_bias": (5,)},
    }
    assert network_tensors(SUMMARIZED, 5, 9) == {
        **{"entry0": (7, 20), "summary": (9, 42), **others},
        **{"kind_bias": (1, 7), "plane_bias": (9, 7), "second_bias": (5,)},
    }
    for order, kinds in ((INTERLACED, 7), (WAVEFRONT, 4), (SUMMARIZED, 1)):
        names = [f"entry{kind}" for kind in range(kinds)] + ["summary"] * (order is SUMMARIZED)
        names += ["second", "last", "kind_bias", "plane_bias", "second_bias"]
        assert list(network_tensors(order, 5, 9)) == names
        for width in (0, 33):
            with pytest.raises(StreamError, match=f"width {width}, allowed are 1 … 32"):
                network_tensors(order, width, 9)


TENSORS = [
    pytest.param(order, name, id=f"{key}-{name}")
    for key, order in ORDERS.items()
    for name in network_tensors(order, 1, 1)
]


@pytest.mark.parametrize("order, name", TENSORS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_weights_and_biases_have_limits(order, name, sign):
    shapes = SETS["dot"]
    limit = 2047 if "bias" in name else 255
    tensors = random_tensors(shapes, order, 2, 3.0)
    tensors[name][-1] = sign * limit
    PlaneNetwork(shapes, order, tensors)
    tensors[name][-1] = sign * (limit + 1)
    with pytest.raises(StreamError, match=f"{name} holds {sign * (limit + 1)}, allowed are ±{limit}$"):
        PlaneNetwork(shapes, order, tensors)


# -- coding ------------------------------------------------------------------------------------------------------------


def written(network, symbols) -> bytes:
    encoder = SymbolEncoder()
    coder(network).encode(encoder, symbols)
    return encoder.getvalue()


@pytest.mark.parametrize("width, scale", [(1, 6.0), (16, 6.0), (32, "signs")])
@pytest.mark.parametrize("name", SETS)
def test_planes_come_back(name, width, scale, order, path):
    shapes = SETS[name]
    network = PlaneNetwork(shapes, order, random_tensors(shapes, order, width, scale))
    for symbols in (random_symbols(shapes, 1.5), extreme_symbols(shapes), sparse_symbols(shapes)):
        payload = written(network, symbols)
        decoder = SymbolDecoder(payload, "here")
        back = decoded(coder(network), decoder)
        decoder.end()
        assert np.array_equal(back, symbols) and back.dtype == np.int32
        assert -8 <= 8 * len(payload) - coder(network).cost_bits(symbols) <= 72


@pytest.mark.parametrize("width, scale", [(1, 4.0), (7, 4.0), (16, "signs"), (32, 9.0), (32, "signs")])
@pytest.mark.parametrize("name", SETS)
def test_plain_and_compiled_predict_the_same(name, width, scale, order, monkeypatch):
    """In bands, in threads, in tiles."""
    if not native.available():
        pytest.skip("the compiled loops were not built")
    shapes = SETS[name]
    tensors = random_tensors(shapes, order, width, scale, 3)
    for symbols in (random_symbols(shapes, 3.0), extreme_symbols(shapes, 1), sparse_symbols(shapes)):
        compiled = recorded(shapes, order, tensors, symbols).parts
        with monkeypatch.context() as patch:
            patch.setattr(prediction, "THREADED_FROM", 0)
            patch.setattr(prediction, "threads", lambda: 3)
            assert recorded(shapes, order, tensors, symbols).parts == compiled
            patch.setattr(native, "available", lambda: False)
            assert recorded(shapes, order, tensors, symbols).parts == compiled
            patch.setattr(planes_prediction, "CHUNK", 7)
            assert recorded(shapes, order, tensors, symbols).parts == compiled


def test_long_diagonals_are_predicted_alike(monkeypatch):
    """Of more than 256 rows; also where most of what they look at are zeros, with a symbol here and there."""
    if not native.available():
        pytest.skip("the compiled loops were not built")
    shapes = pyramid(261, 795, [(0,), (0,)])
    network = PlaneNetwork(shapes, WAVEFRONT, random_tensors(shapes, WAVEFRONT, 3, 4.0))
    for symbols in (random_symbols(shapes, 2.0), sparse_symbols(shapes)):
        payload = written(network, symbols)
        assert np.array_equal(decoded(coder(network), SymbolDecoder(payload, "here")), symbols)
        with monkeypatch.context() as patch:
            patch.setattr(native, "available", lambda: False)
            assert written(network, symbols) == payload


def plausible_symbols(shapes, seed=0):
    """Mostly zeros; louder where a slow wave is high, as residuals of photographs are."""
    random, parts = np.random.default_rng(seed), []
    for shape in shapes:
        y, x = np.mgrid[0 : shape.height, 0 : shape.width] / (shape.height + shape.width)
        loudness = 0.05 + 1.2 * np.sin(4 * y + 7 * x) ** 4
        parts.append(np.rint(random.laplace(0, loudness)).ravel())
    return np.concatenate(parts).astype(np.int32)


def plausible_tensors(shapes, order, width):
    """Scales that follow the magnitudes around, means that follow the neighbors a little, some noise everywhere."""
    tensors = random_tensors(shapes, order, width, 1.5)
    if order is SUMMARIZED:  # of both signs of the nearest neighbors
        tensors["entry0"][:] = 0
        for row, neighbor in enumerate((6, 7, 8, 13)):
            tensors["entry0"][[row, row + 4], neighbor] = 64, -64
        tensors["entry0"][-2, :14] = 2
        tensors["second"] = 64 * np.eye(width, dtype=int)
        tensors["last"][1, :8] = 30
        tensors["kind_bias"][:, -1] = -130
        return tensors
    for kind in range(len(tensors["kind_bias"])):
        entry = tensors[f"entry{kind}"]
        entry[-2:] = 0
        entry[-2, : entry.shape[1] - 14] = 2
        entry[-1, [-14, -4, -3, -1]] = [32, 8, 16, 8]
    tensors["kind_bias"][:, -1] = -120
    return tensors


def test_the_cost_is_that_of_the_float_definition(order, path):
    """But for activations that are rounded down, and means and scales that are rounded to the tables' grid."""
    shapes = pyramid(70, 93, [(0, 1, 2), (0, 1, 2), (0,)])
    symbols, tensors = plausible_symbols(shapes), plausible_tensors(shapes, order, 12)
    assert 0.5 < (symbols == 0).mean() < 0.9
    cost = coder(PlaneNetwork(shapes, order, tensors)).cost_bits(symbols)
    weights = {name: torch.tensor(value, dtype=torch.float64) / 64 for name, value in tensors.items()}
    expected = float(plane_bits(shapes, order, torch.tensor(symbols, dtype=torch.float64), weights))
    assert cost == pytest.approx(expected, rel=0.01)
    tensors = {name: np.zeros_like(value) for name, value in tensors.items()}
    assert cost < 0.85 * coder(PlaneNetwork(shapes, order, tensors)).cost_bits(symbols)  # the agreement is on something


@pytest.mark.parametrize("rate", [PlanesRate, lambda *of: partial(plane_bits, *of)], ids=["compiled", "definition"])
def test_in_training_kinds_are_the_same(rate, order):
    """Where the network gives symbols of one kind the mean 1, and no others, those being ones cost what zeros do else."""
    shapes = SETS["color"]
    network = {name: torch.zeros(value.shape) for name, value in zeros(shapes, order).items()}
    kinds = [kind_of(order, y, x) for shape in shapes for y in range(shape.height) for x in range(shape.width)]
    rate = rate(shapes, order)
    expected = rate(torch.zeros(len(kinds)), network).item()
    assert set(kinds) == set(range(len(network["kind_bias"])))
    for kind in set(kinds):
        network["kind_bias"] = torch.zeros_like(network["kind_bias"])
        network["kind_bias"][kind, -2] = 1
        ones = (torch.tensor(kinds) == kind).float()
        assert rate(ones, network).item() == pytest.approx(expected, rel=1e-5)
        assert rate(torch.zeros(len(kinds)), network).item() > 1.001 * expected


def alone(monkeypatch):
    return contextlib.nullcontext()


def by_three(monkeypatch):
    monkeypatch.setattr(context, "threads", lambda: 3)
    return contextlib.nullcontext()


def by_nobody_else(monkeypatch):
    """There is a helper, which never comes."""
    return helped_by(Helper())


@contextlib.contextmanager
def by_a_helper(monkeypatch):
    """What is offered is done before what the one who offers does itself."""
    helper = Helper()
    monkeypatch.setattr(helper, "both", lambda own, other: (run_by_another(other), own()))
    with helped_by(helper):
        yield


def run_by_another(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def random_halves(shapes, order):
    """In units of 1 / 64."""
    random, size = np.random.default_rng(5), half_tensors(order, 14, max(bias_rows(shapes)) + 1)
    return {name: np.rint(random.normal(0, 6, shape)) for name, shape in size.items()}


@pytest.mark.parametrize("shared_out", [alone, by_three, by_nobody_else, by_a_helper])
@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize(
    "order, tensors",
    [(one, partial(random_tensors, width=12, scale=1.5)) for one in ORDERS.values()] + [(SUMMARIZED, random_halves)],
    ids=[*ORDERS, "mirrored"],
)
def test_compiled_gradients_are_those_of_autograd(order, tensors, tiled, shared_out, monkeypatch):
    """Value, and slopes by symbols and by every tensor, in float64; with tiles, of the symbols in those only. No symbol is as
    unlikely as 2^-24, where the definition is flat. Whoever does it."""
    if not native.available():
        pytest.skip("the compiled loops were not built")
    monkeypatch.setattr(context, "threads", lambda: 1)
    shapes = SETS["tiles"]
    random = np.random.default_rng(4)
    numbers = torch.tensor(random.laplace(0, 0.7, count(shapes)))
    coded = [random.integers(0, 2, tiles.tile_count(shape)).astype(np.uint8) for shape in shapes] if tiled else ()
    if tiled:
        inside = [spread(one, 0, 0, 1, shape.height, shape.width) for one, shape in zip(coded, shapes, strict=True)]
        numbers = numbers * torch.tensor(np.concatenate([one.ravel() for one in inside]))
    weights = {name: torch.tensor(value) / 64 for name, value in tensors(shapes, order).items()}
    results = []

    def definition(symbols, network, coded):
        return plane_bits(shapes, order, symbols, whole_network(network, torch.cat), coded)

    functions = PlanesRate(shapes, order), definition
    for function, kind in zip(functions, (torch.float32, torch.float64), strict=True):
        leaves = [leaf.detach().to(kind).requires_grad_() for leaf in (numbers, *weights.values())]
        with shared_out(monkeypatch):
            bits = function(leaves[0], dict(zip(weights, leaves[1:], strict=True)), coded)
        (2 * bits).backward()
        results.append((bits.item(), [leaf.grad.double() for leaf in leaves]))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm()


@pytest.mark.parametrize("threads", [1, 3])
def test_compiled_summaries_are_those_of_autograd(threads, monkeypatch):
    """Also of symbols that are clipped, which learn nothing then."""
    if not native.available():
        pytest.skip("the compiled loops were not built")
    monkeypatch.setattr(summaries, "threads", lambda: threads)
    shapes, random = pyramid(203, 141, [(0,)] * 4), np.random.default_rng(6)
    symbols = torch.tensor(random.laplace(0, 40, count(shapes)), dtype=torch.float32, requires_grad=True)
    size = random_tensors(shapes, SUMMARIZED, 12, 1.0)["summary"].shape
    weights = torch.tensor(random.normal(size=size), dtype=torch.float32, requires_grad=True)
    expected = planes_rate._summaries(shapes, symbols, weights)
    given = shapes, symbols.detach().numpy(), weights.detach().numpy()
    found = [summaries.PlaneSummaries(*given).of(index) for index in range(len(shapes))]
    assert [one is None for one in found] == [one is None for one in expected] == [True, False, False, False]
    gradients = [None if one is None else random.normal(size=one.shape).astype(np.float32) for one in found]
    sum((one * torch.tensor(by)).sum() for one, by in zip(expected[1:], gradients[1:], strict=True)).backward()
    by_symbols = np.ones(count(shapes), np.float32)
    by_weights = summaries.PlaneSummaries(*given).back(gradients, by_symbols)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert np.allclose(one, other.detach(), rtol=1e-5, atol=1e-3)
    assert np.allclose(by_symbols - 1, symbols.grad, rtol=1e-4, atol=1e-3) and (by_symbols == 1).mean() > 0.05
    assert np.allclose(by_weights, weights.grad, rtol=1e-4, atol=1e-4 * weights.grad.abs().max().item())


def test_in_large_sweeps_every_tile_has_its_turn(order, monkeypatch):
    """Matrices' gradients of four sweeps differ, and have those of a whole sweep as their mean; all others are the same."""
    if not native.available():
        pytest.skip("the compiled loops were not built")
    shapes = SETS["tiles"]
    leaves = {"symbols": torch.tensor(np.random.default_rng(5).laplace(0, 0.7, count(shapes)), dtype=torch.float32)}
    leaves |= {name: torch.tensor(value) / 64 for name, value in random_tensors(shapes, order, 12, 1.5).items()}
    for leaf in leaves.values():
        leaf.requires_grad_()
    network = {name: leaf for name, leaf in leaves.items() if name != "symbols"}

    def gradients(rate):
        return dict(zip(leaves, torch.autograd.grad(rate(leaves["symbols"], network), leaves.values()), strict=True))

    whole = gradients(PlanesRate(shapes, order))
    monkeypatch.setattr(native, "SAMPLED_FROM", count(shapes))
    rate = PlanesRate(shapes, order)
    sampled = [gradients(rate) for _ in range(native.SAMPLED)]
    for name, expected in whole.items():
        found = torch.stack([one[name] for one in sampled])
        assert torch.allclose(found.mean(0), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item()), name
        of_all = name in ("symbols", "summary") or name.endswith("bias")
        assert torch.allclose(found, found[:1].expand_as(found), rtol=1e-5) == of_all, name


@pytest.mark.parametrize("at", [0, 7, -1])
def test_a_symbol_beyond_the_limit_is_refused(at, order, path):
    shapes = SETS["column"]
    network = PlaneNetwork(shapes, order, zeros(shapes, order))
    symbols = np.zeros(count(shapes), dtype=np.int32)
    for value in (-MAX_SYMBOL - 1, MAX_SYMBOL + 1):
        symbols[at] = value
        with pytest.raises(StreamError, match="here: a symbol of a plane exceeds ±1048576"):
            decoded(coder(network), SymbolDecoder(written(network, symbols), "here"))


def test_damage_is_read_alike_or_told(order, monkeypatch):
    """Flipped bits, missing words, words of ones: plain and compiled give the same symbols, or both an error."""
    if not native.available():
        pytest.skip("the compiled loops were not built")
    shapes, random = SETS["color"], np.random.default_rng(7)
    network = PlaneNetwork(shapes, order, random_tensors(shapes, order, 7, 4.0))
    symbols, told = random_symbols(shapes, 2.0), []
    payload = written(network, symbols)

    def read(damaged, compiled):
        monkeypatch.setattr(native, "available", lambda: compiled)
        try:
            return decoded(coder(network), SymbolDecoder(damaged, "here")).tolist()
        except StreamError as error:
            assert str(error).startswith("here: ")
            return None

    assert read(b"\xff" * 64, True) is read(b"\xff" * 64, False) is None
    for _ in range(12):
        flipped = bytearray(payload)
        flipped[random.integers(0, len(payload) - 4)] ^= 1 << int(random.integers(0, 8))
        cut = payload[: 4 * int(random.integers(0, len(payload) // 4 - 1))]
        for damaged in (bytes(flipped), cut, cut + b"\xff" * 64):
            found = read(damaged, True)
            assert found == read(damaged, False) != symbols.tolist()
            told.append(found is None)
    assert not all(told)


def test_planes_of_zeros_cost_next_to_nothing(order, path):
    shapes = pyramid(500, 700, [(0, 1, 2), (0, 1, 2), (0,)])
    network = PlaneNetwork(shapes, order, random_tensors(shapes, order, 3, 4.0))
    symbols = np.zeros(count(shapes), np.int32)
    assert coder(network).cost_bits(symbols) < 100
    assert not decoded(coder(network), SymbolDecoder(written(network, symbols), "here")).any()


def test_plain_and_compiled_decisions_of_tiles_are_the_same(monkeypatch):
    """Contexts too: they show in what counts learn."""
    if not native.available():
        pytest.skip("the compiled loops were not built")
    random, shapes = np.random.default_rng(2), pyramid(200, 310, [(0, 1), (0, 1), (0,)])
    coded = [random.integers(0, 2, tiles.tile_count(shape)).astype(np.uint8) for shape in shapes]
    found = []
    for plain in (False, True):
        monkeypatch.setattr(native, "available", lambda plain=plain: not plain)
        counts = tiles.initial_counts()
        coder = tiles.TileCoder(counts)
        found.append([coder.listed(shape, one.copy()) for shape, one in zip(shapes, coded, strict=True)])
        found[-1].append(counts.counts)
    np.testing.assert_array_equal(found[0].pop(), found[1].pop())
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one.decisions, other.decisions)
        np.testing.assert_array_equal(one.tables, other.tables)


def test_what_tiles_are_coded_is_learned_from_set_to_set(order, path):
    """Sets of planes that share counts: a second one with the same tiles costs less."""
    shapes = SETS["tiles"]
    network = PlaneNetwork(shapes, order, random_tensors(shapes, order, 3, 4.0))
    counts = tiles.initial_counts()
    first, second = PlanesCoder(network, counts), PlanesCoder(network, counts)
    symbols = sparse_symbols(shapes)
    assert second.cost_bits(symbols) > second.cost_bits(symbols)
    again, encoder = tiles.initial_counts(), SymbolEncoder()
    writer = PlanesCoder(network, again)
    writer.encode(encoder, symbols)
    writer.encode(encoder, symbols[::-1].copy())
    decoder = SymbolDecoder(encoder.getvalue(), "here")
    reader = PlanesCoder(network, tiles.initial_counts())
    np.testing.assert_array_equal(decoded(reader, decoder), symbols)
    np.testing.assert_array_equal(decoded(reader, decoder), symbols[::-1])
    assert first.size == len(symbols)


def golden_case(order):
    shapes = pyramid(5, 6, [(0, 1, 2), (0, 1, 2), (0,)])
    steps = np.arange(count(shapes), dtype=np.int32)
    symbols = (steps * steps * 7 + 3 * steps) % 11 - 5
    symbols[[9, 60]] = 400, -70_000
    tensors = {}
    for index, (name, size) in enumerate(network_tensors(order, 3, len(shapes)).items()):
        tensors[name] = ((np.arange(math.prod(size)) * (37 + index) + 11) % 31 - 15).reshape(size)
    return PlaneNetwork(shapes, order, tensors), symbols.astype(np.int32)


GOLDEN = {
    INTERLACED: "3253288047827892f28781442ee44af8151ac631b7a52aa58f2de7c61f30f8072196784e6f1423eaf8a967fd79591911"
    "81876ade539d8dd6040bcd008239fd8d4dbc306318dbd4a38f60014a3d0100001128ee81",
    WAVEFRONT: "1511b580e6525d756451903098e57fbdb756679ff7a9f1ff421cba283543cac150a8a12c121f5bfca72e63359c9b4df3"
    "e8edb22ff65004cbae13faf87b166c838d4b59453cdba1b7e3d9bf5e7bd96681b35b8429a5e3ffecc7e6d5f2ef47ec6b",
    SUMMARIZED: "3b2570814803ba22376a99471b490133c37ef012b19f7adc3e6eaadae913691a8976e176603e084b195e60cb9f38ba39"
    "358f63c0bc3926fae8048d43eaaf0c5c3733a16200e527ba",
}
"""Frozen with the format: what the code wrote when the tests above first agreed with it."""


def test_the_bytes_are_the_same_everywhere(order, path):
    """Order, inputs, network and tables: a new format version is due if this fails."""
    network, symbols = golden_case(order)
    assert written(network, symbols).hex() == GOLDEN[order]
    assert np.array_equal(decoded(coder(network), SymbolDecoder(bytes.fromhex(GOLDEN[order]), "here")), symbols)


@pytest.mark.parametrize("name", SETS)
def test_code_lengths_of_each_symbol_are_parts_of_the_cost(name, order, path):
    """All of them, with what says the tiles, are the whole; another last symbol, which none sees, changes it by its own alone."""
    shapes = SETS[name]
    network = PlaneNetwork(shapes, order, random_tensors(shapes, order, 16, 6.0))
    for symbols in (random_symbols(shapes, 1.5), extreme_symbols(shapes)):
        symbols[symbols == 0] = 3  # all tiles are coded
        index, y, x = list(coding_order(order, shapes, symbols))[-1]
        last = count(shapes[:index]) + y * shapes[index].width + x
        symbols[last] = 3
        lengths = coder(network).lengths(symbols)
        assert lengths.shape == (3, len(symbols))
        tiles_bits = sum(part.bits() for part in coder(network).parts(symbols) if not hasattr(part, "rest"))
        cost = coder(network).cost_bits(symbols)
        assert lengths[1].sum() + tiles_bits == pytest.approx(cost, rel=1e-5)
        for row, move in ((0, -1), (2, 1)):
            other = symbols.copy()
            other[last] += move
            change = coder(network).cost_bits(other) - cost
            assert lengths[row, last] - lengths[1, last] == pytest.approx(change, abs=1e-2)


def test_symbols_that_are_not_coded_take_no_bits(order, path):
    shapes = SETS["tiles"]
    symbols = sparse_symbols(shapes)
    lengths = coder(PlaneNetwork(shapes, order, random_tensors(shapes, order, 16, 6.0))).lengths(symbols)
    coded = np.zeros(len(symbols), bool)
    for index, y, x in coding_order(order, shapes, symbols):
        coded[count(shapes[:index]) + y * shapes[index].width + x] = True
    assert coded.any() and not coded.all() and np.array_equal(lengths[1] > 0, coded)
