"""Order and neighborhoods of grids by a slow, obvious reference; the network in whole numbers; what the coder writes."""

import math
from fractions import Fraction

import numpy as np
import pytest

from inrcodec.entropy import context
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.context import Contexts, Grid, Network, NetworkShape, cost_bits, decode_grids, encode_grids
from inrcodec.entropy.tables import MAX_SYMBOL, laplace
from inrcodec.errors import StreamError

IMAGE = (Grid((2, 1, 3, 2)), Grid((3, 1, 5, 4), 0), Grid((1, 1, 11, 17), 1))
VIDEO = (Grid((1, 2, 2, 3)), Grid((2, 5, 4, 6), 0), Grid((1, 1, 7, 9)))
ODD = (Grid((1, 1, 1, 1)), Grid((1, 1, 1, 13), 0), Grid((2, 1, 9, 1)))
SETS = {"image": IMAGE, "video": VIDEO, "odd": ODD, "long": (Grid((1, 11, 3, 3)),)}
OFFSETS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)] + [
    *((-2, -1), (-2, 1), (-1, -2), (-1, 2), (1, -2), (1, 2), (2, -1), (2, 1))
]


# -- order and neighborhoods -------------------------------------------------------------------------------------------


def low_bit(value: int) -> int:
    return value & -value


def place(y: int, x: int) -> tuple[int, int, int]:
    """Of a sample: (distance, pass, class). The distance is the largest power of two, up to 8, that divides y and x."""
    if y % 8 == 0 and x % 8 == 0:
        return 8, 0, 0
    distance = low_bit(y | x)
    odd_y, odd_x = y // distance % 2, x // distance % 2
    kind = 1 if odd_y and odd_x else 2 if odd_x else 3
    return distance, {4: 0, 2: 3, 1: 6}[distance] + kind, kind


def stage(t: int, frames: int) -> int:
    """0 for frame 0, 1 for the frame in the middle, 2 for the quarters …"""
    return 0 if t == 0 else (frames - 1).bit_length() - low_bit(t).bit_length() + 1


def coding_order(grids):
    """(grid, channel, t, y, x) of every symbol, and the key of its pass, in the order of coding."""
    for index, grid in enumerate(grids):
        channels, frames, height, width = grid.shape
        for channel in range(channels):
            samples = [(t, y, x) for t in range(frames) for y in range(height) for x in range(width)]
            keyed = [((index, channel, stage(t, frames), place(y, x)[1]), (t, y, x)) for t, y, x in samples]
            for key, sample in sorted(keyed):
                yield (index, channel, *sample), key


def cell(index: int, count: int, parents: int) -> int:
    """The one of `parents` equal cells that holds the center of cell `index` of `count`."""
    return math.floor(Fraction(2 * index + 1, 2 * count) * parents)


def neighbors_of(sample, grids, temporal):
    """Symbols that a symbol may look at, None where there is none."""
    g, c, t, y, x = sample
    grid = grids[g]
    _, frames, height, width = grid.shape
    distance, mine, _ = place(y, x)
    for dy, dx in OFFSETS:
        ny, nx = y + dy * distance, x + dx * distance
        inside = 0 <= ny < height and 0 <= nx < width
        yield (g, c, t, ny, nx) if inside and place(ny, nx)[1] < mine else None
    if temporal:
        yield (g, c, t - low_bit(t), y, x) if t else None
        yield (g, c, t + low_bit(t), y, x) if t and t + low_bit(t) < frames else None
    if grid.parent is None:
        yield None
    else:
        shape = grids[grid.parent].shape
        above = (cell(at, count, size) for at, count, size in zip((t, y, x), grid.shape[1:], shape[1:], strict=True))
        yield (grid.parent, min(c, shape[0] - 1), *above)
    yield (g, c - 1, t, y, x) if c else None


@pytest.mark.parametrize("name", SETS)
def test_order_and_neighbors_are_those_of_the_reference(name):
    grids = SETS[name]
    contexts = Contexts(grids)
    order = list(coding_order(grids))
    starts = np.cumsum([0] + [math.prod(grid.shape) for grid in grids])
    raster = [starts[g] + np.ravel_multi_index(rest, grids[g].shape) for (g, *rest), _ in order]
    assert contexts.order.tolist() == raster
    assert sorted(raster) == list(range(contexts.count)) and contexts.count == starts[-1]
    ranks = {sample: rank for rank, (sample, _) in enumerate(order)} | {None: contexts.count}
    temporal = any(grid.shape[1] > 1 for grid in grids)
    expected = [[ranks[other] for other in neighbors_of(sample, grids, temporal)] for sample, _ in order]
    assert contexts.temporal == temporal
    assert contexts.neighbors.T.tolist() == expected
    assert contexts.classes.tolist() == [place(y, x)[2] for (_, _, _, y, x), _ in order]
    names = {key: index for index, key in enumerate(dict.fromkeys(sample[:2] for sample, _ in order))}
    assert contexts.channels.tolist() == [names[sample[:2]] for sample, _ in order]
    assert contexts.channel_count == len(names)


@pytest.mark.parametrize("name", SETS)
def test_passes_cover_all_and_look_at_earlier_passes_only(name):
    contexts = Contexts(SETS[name])
    keys = [key for _, key in coding_order(SETS[name])]
    assert [start for start, _ in contexts.passes] == [0, *(stop for _, stop in contexts.passes[:-1])]
    assert contexts.passes[-1][1] == contexts.count
    for start, stop in contexts.passes:
        assert len(set(keys[start:stop])) == 1 and (stop == len(keys) or keys[stop] != keys[start])
        near = contexts.neighbors[:, start:stop]
        assert ((near < start) | (near == contexts.count)).all()


def test_frames_follow_in_dyadic_order():
    """Each frame but the first has the frame before at its distance, and the one after it unless the video ends."""
    contexts = Contexts((Grid((1, 9, 1, 1)),))
    assert contexts.order.tolist() == [0, 8, 4, 2, 6, 1, 3, 5, 7]
    before, after = contexts.neighbors[16:18]
    assert before.tolist() == [9, 0, 0, 0, 2, 0, 3, 2, 4]
    assert after.tolist() == [9, 9, 1, 2, 1, 3, 2, 4, 1]


def test_far_inside_each_class_knows_its_neighbors():
    """None, 4, 12, 16 of the 16."""
    contexts = Contexts((Grid((1, 1, 64, 64)),))
    y, x = np.divmod(contexts.order, 64)
    inside = (np.minimum(y, x) >= 16) & (np.maximum(y, x) < 48)
    known = (contexts.neighbors[:16] < contexts.count).sum(axis=0)
    for kind, count in enumerate((0, 4, 12, 16)):
        assert set(known[inside & (contexts.classes == kind)].tolist()) == {count}


# -- the network -------------------------------------------------------------------------------------------------------


def reference_prediction(contexts, tensors, ordered, rank, seen):
    """(whole mean, scale index, quarter of the mean) of one symbol, in Python's integers. `seen` collects magnitudes of
    sums: of absolute terms, so that no order of summation can exceed them."""

    def dot(row, values, extra=0):
        seen.append(sum(abs(int(w) * v) for w, v in zip(row, values, strict=True)) + abs(extra))
        return sum(int(w) * v for w, v in zip(row, values, strict=True)) + extra

    def log(amount):
        return round(32 * math.log2(1 + min(amount, 4095) / 32))

    near = [max(-64, min(64, int(ordered[other]))) for other in contexts.neighbors[:, rank]]
    size = [abs(value) for value in near]
    kind = int(contexts.classes[rank])
    weight = [{1: 4, 2: 2, 5: 1}[dy * dy + dx * dx] for dy, dx in OFFSETS]
    plane = sum(w * s for w, s in zip(weight, size[:16], strict=True)) * (0, 12, 4, 3)[kind]
    inputs = [32 * value for value in near] + [log(plane), log(96 * size[-2]), log(96 * size[-1])]
    inputs += [log(48 * (size[16] + size[17]))] if contexts.temporal else []
    inputs += [32 * (kind == other) for other in range(4)]
    mean, scale = (dot(row, inputs) for row in tensors["bypass"])
    if "first" in tensors:
        hidden = [min(max(dot(row, inputs) // 32, 0), 4095) for row in tensors["first"]]
        second = [
            dot(row, hidden, 32 * (int(bias) + own))
            for row, bias, own in zip(tensors["second"], tensors["second_bias"], hidden, strict=True)
        ]
        active = [min(max(value // 32, 0), 4095) for value in second]
        mean, scale = (value + dot(row, active) for value, row in zip((mean, scale), tensors["last"], strict=True))
        seen[-2:] = [one + two for one, two in zip(seen[-2:], seen[:2], strict=True)]
    mean, scale = (min(max(value // 32, -4095), 4095) for value in (mean, scale))
    scale += 8 * int(tensors["scale_bias"][contexts.channels[rank]])
    quarters = (mean + 4) // 8
    whole = (quarters + 2) // 4
    return whole, min(max((scale + 4) // 8, -19), 28) + 19, quarters - 4 * whole


def random_tensors(contexts, hidden, scale, seed):
    random = np.random.default_rng(seed)
    shapes = NetworkShape(hidden).tensors(contexts)
    if scale is None:
        return {name: random.choice([-127, 127], size) for name, size in shapes.items()}
    return {name: np.rint(random.laplace(0, scale, size)).clip(-127, 127).astype(int) for name, size in shapes.items()}


@pytest.mark.parametrize("symbol_scale", [1.5, 5000])
@pytest.mark.parametrize("weight_scale", [4.0, None, "all"], ids=["usual", "extreme", "largest"])
@pytest.mark.parametrize("hidden", [0, 3, 16])
@pytest.mark.parametrize("name", ["image", "video"])
def test_the_network_is_exact_in_float32(name, hidden, weight_scale, symbol_scale):
    """And no sum, in any order, reaches 2^24, from where float32 skips whole numbers."""
    contexts = Contexts(SETS[name])
    if weight_scale == "all":
        tensors = {key: np.full(size, 127) for key, size in NetworkShape(hidden).tensors(contexts).items()}
        symbols = np.full(contexts.count, int(symbol_scale) * 20)
    else:
        tensors = random_tensors(contexts, hidden, weight_scale, hidden)
        symbols = np.rint(np.random.default_rng(5).laplace(0, symbol_scale, contexts.count)).astype(int)
    ordered = np.append(symbols, 0).astype(np.int32)
    whole, tables = Network(contexts, tensors).predict(ordered, 0, contexts.count)
    largest = 0
    for rank in range(contexts.count):
        seen = []
        mean, scale, quarter = reference_prediction(contexts, tensors, ordered, rank, seen)
        assert (whole[rank], tables[rank]) == (mean, 4 * scale + quarter + 2)
        largest = max(largest, *seen)
    assert largest < 1 << 24
    assert weight_scale == 4.0 or hidden < 16 or largest > 1 << 22  # the extremes are extreme


def test_table_numbers_name_scale_and_quarter():
    tables = [laplace(scale, quarter) for scale in range(48) for quarter in (-2, -1, 0, 1)]
    assert all(context.TABLES[index] is table for index, table in enumerate(tables))


def test_tensors_of_a_network():
    contexts = Contexts(IMAGE)
    assert NetworkShape(0).tensors(contexts) == {"bypass": (2, 25), "scale_bias": (6,)}
    shapes = NetworkShape(5).tensors(Contexts(VIDEO))
    assert shapes == {
        "bypass": (2, 28),
        "first": (5, 28),
        "second": (5, 5),
        "last": (2, 5),
        "second_bias": (5,),
        "scale_bias": (4,),
    }
    assert list(shapes) == ["bypass", "first", "second", "last", "second_bias", "scale_bias"]


# -- coding ------------------------------------------------------------------------------------------------------------


def written(network, symbols) -> bytes:
    encoder = SymbolEncoder()
    encode_grids(encoder, network, symbols)
    return encoder.getvalue()


def smooth_symbols(contexts, seed=0, scale=1.5):
    return np.rint(np.random.default_rng(seed).laplace(0, scale, contexts.count)).astype(np.int32)


@pytest.mark.parametrize("hidden", [0, 4, 16])
@pytest.mark.parametrize("name", SETS)
def test_grids_come_back(name, hidden, monkeypatch):
    contexts = Contexts(SETS[name])
    network = Network(contexts, random_tensors(contexts, hidden, 6.0, 1))
    for symbols in (smooth_symbols(contexts), smooth_symbols(contexts, 1, 3e4).clip(-MAX_SYMBOL, MAX_SYMBOL)):
        payload = written(network, symbols)
        decoder = SymbolDecoder(payload, "here")
        back = decode_grids(decoder, network)
        decoder.end()
        assert np.array_equal(back, symbols) and back.dtype == np.int32
        assert -8 <= 8 * len(payload) - cost_bits(network, symbols) <= 72
        with monkeypatch.context() as patch:
            patch.setattr(context, "CHUNK", 7)
            assert written(network, symbols) == payload
            assert np.array_equal(decode_grids(SymbolDecoder(payload, "here"), network), symbols)


def test_neighbors_make_symbols_cheaper():
    """A ramp, by a bypass that takes the mean of the two neighbors in its row (or column)."""
    contexts = Contexts((Grid((1, 1, 24, 24)),))
    ramp = np.add.outer(np.arange(24), np.arange(24)).ravel().astype(np.int32)
    tensors = {"bypass": np.zeros((2, 25), dtype=int), "scale_bias": np.zeros(1, dtype=int)}
    without = cost_bits(Network(contexts, tensors), ramp)
    tensors["bypass"][0, [1, 3, 4, 6]] = 8  # direct neighbors; a diagonal midpoint has none of them
    tensors["bypass"][1, -4:] = [127, 127, -40, -40]
    assert cost_bits(Network(contexts, tensors), ramp) < 0.5 * without


def golden_case():
    contexts = Contexts((Grid((1, 1, 2, 3)), Grid((2, 3, 3, 4), 0)))
    steps = np.arange(contexts.count, dtype=np.int32)
    symbols = (steps * steps * 7 + 3 * steps) % 11 - 5
    symbols[[9, 60]] = 400, -70_000
    tensors = {}
    for index, (name, size) in enumerate(NetworkShape(3).tensors(contexts).items()):
        tensors[name] = ((np.arange(math.prod(size)) * (37 + index) + 11) % 31 - 15).reshape(size)
    return Network(contexts, tensors), symbols.astype(np.int32)


GOLDEN = (
    "af4c0200558f2ffd963fb17755e7569793365278b9206cd9052def1b89a3d0450f1f7fe3bb5355d63f83cbf476480c95"
    "2baf10a8feda3e010000e7e1bf56041221f726486a40425fe1393e7e8fffffc032e9ffbfd142ffffdbe5add50f580128"
    "3ac075ff963a00821bf0b16436360e71e6f6ba60917ce5b083e9fdff82fc677dd66e5b3c000000df"
)


def test_the_bytes_are_the_same_everywhere():
    """Order, inputs, network and tables: a new format version is due if this fails."""
    network, symbols = golden_case()
    assert written(network, symbols).hex() == GOLDEN
    assert np.array_equal(decode_grids(SymbolDecoder(bytes.fromhex(GOLDEN), "here"), network), symbols)


@pytest.mark.parametrize("value, fine", [(127, True), (-127, True), (128, False), (-128, False)])
def test_weights_have_a_limit(value, fine):
    contexts = Contexts(ODD)
    tensors = random_tensors(contexts, 2, 3.0, 0)
    tensors["second"][1, 0] = value
    if fine:
        Network(contexts, tensors)
    else:
        with pytest.raises(StreamError, match=f"second holds {value}, allowed are ±127"):
            Network(contexts, tensors)


@pytest.mark.parametrize("sign", [-1, 1])
def test_symbols_have_a_limit(sign):
    contexts = Contexts(ODD)
    network = Network(contexts, random_tensors(contexts, 0, 3.0, 0))
    symbols = smooth_symbols(contexts)
    symbols[4] = sign * MAX_SYMBOL
    assert decode_grids(SymbolDecoder(written(network, symbols), "box"), network)[4] == sign * MAX_SYMBOL
    symbols[4] += sign
    with pytest.raises(StreamError, match="box: a symbol of a grid exceeds ±1048576"):
        decode_grids(SymbolDecoder(written(network, symbols), "box"), network)
