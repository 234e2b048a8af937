"""Vectors of motion that merge, and adaptive decisions: round trips, prices against entropies, damaged streams."""

import itertools
import math

import numpy as np
import pytest

from inrcodec.entropy import adaptive
from inrcodec.entropy.adaptive import UNIT, Counts
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.merging import CHANNELS, KINDS, Vectors, cost_bits, decode_vectors, encode_vectors
from inrcodec.entropy.tables import MAX_SYMBOL
from inrcodec.errors import StreamError
from inrcodec.kernels import native

SHAPES = {
    "film": Vectors(9, 17, (0, 1, 2, 2), (2, 5, 5, 5)),
    "anchors": Vectors(5, 8, (0, 0, 0), (2, 2, 2)),
    "dot": Vectors(1, 1, (0, 1), (2, 5)),
    "row": Vectors(1, 23, (1,), (5,)),
    "column": Vectors(23, 1, (0, 2), (2, 5)),
}


@pytest.fixture(params=["plain", "compiled"])
def path(request, monkeypatch):
    """Which of the two decoders is taken."""
    if request.param == "plain":
        monkeypatch.setattr(native, "available", lambda: False)
    elif not native.available():
        pytest.skip("the compiled loops were not built")
    return request.param


def encoded(vectors, symbols):
    encoder = SymbolEncoder()
    encode_vectors(encoder, vectors, symbols)
    return encoder.getvalue()


def decoded(vectors, payload):
    decoder = SymbolDecoder(payload, "here")
    symbols = decode_vectors(decoder, vectors)
    decoder.end()
    return symbols


def noise(vectors, limit, seed=0):
    return np.random.default_rng(seed).integers(-limit, limit + 1, vectors.size).astype(np.int32)


def patches(vectors, seed=0):
    """Two rectangles in every frame, each with a vector of its own."""
    random = np.random.default_rng(seed)
    frames = []
    for channels in vectors.channels:
        frame = np.zeros((channels, vectors.height, vectors.width), np.int32)
        for _ in range(2):
            (top, bottom), (left, right) = (
                sorted(random.integers(0, n + 1, 2)) for n in (vectors.height, vectors.width)
            )
            frame[:, top:bottom, left:right] = random.integers(-60, 61, (channels, 1, 1))
        frames.append(frame.ravel())
    return np.concatenate(frames)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("limit", [0, 1, 40, MAX_SYMBOL])
def test_random_vectors_come_back(name, limit, path):
    symbols = noise(SHAPES[name], limit)
    np.testing.assert_array_equal(decoded(SHAPES[name], encoded(SHAPES[name], symbols)), symbols)


@pytest.mark.parametrize("name", SHAPES)
def test_vectors_of_regions_come_back(name, path):
    symbols = patches(SHAPES[name])
    np.testing.assert_array_equal(decoded(SHAPES[name], encoded(SHAPES[name], symbols)), symbols)


def test_extreme_neighbors_come_back():
    """Differences are twice as large as symbols may be."""
    vectors = SHAPES["row"]
    symbols = np.where(np.arange(vectors.size) % 2, MAX_SYMBOL, -MAX_SYMBOL).astype(np.int32)
    np.testing.assert_array_equal(decoded(vectors, encoded(vectors, symbols)), symbols)


@pytest.mark.parametrize("make", [lambda vectors: noise(vectors, 30), patches])
def test_the_price_is_the_size(make):
    """Within two percent, beside the words that a range coder ends with."""
    vectors = Vectors(30, 40, (0, 1, 2, 2), (2, 5, 5, 5))
    symbols = make(vectors)
    assert 8 * len(encoded(vectors, symbols)) == pytest.approx(cost_bits(vectors, symbols), rel=0.02, abs=64)


def test_a_region_costs_its_border():
    """A rectangle among zeros: one vector and some decisions along its border, not one for each of its vertices."""
    vectors = Vectors(40, 60, (0,), (2,))
    frame = np.zeros((2, 40, 60), np.int32)
    empty = cost_bits(vectors, frame.ravel())
    frame[:, 10:30, 10:50] = np.array([37, -120])[:, None, None]
    border = 2 * (20 + 40)
    assert empty < 64
    assert cost_bits(vectors, frame.ravel()) < empty + 40 + 2 * border


@pytest.mark.parametrize("share", [0.001, 0.03, 0.5, 0.9])
def test_decisions_cost_their_entropy(share):
    """n H(p), and log2(n) / 2 for learning p (Krichevsky and Trofimov 1981)."""
    random = np.random.default_rng(1)
    count = 20000
    decisions = random.random(count) < share
    measuring = adaptive.Measuring(Counts(np.full((1, 2), UNIT // 2)))
    for part in np.split(decisions, count // 10):
        measuring(np.zeros(len(part), np.int64), part)
    p = decisions.mean()
    entropy = -count * (p * math.log2(p) + (1 - p) * math.log2(1 - p))
    assert entropy <= measuring.bits + 1 and measuring.bits < 1.03 * entropy + math.log2(count) + 20


def test_counts_follow_a_change():
    counts = Counts(np.full((2, 2), UNIT // 2))
    ones, none = np.zeros(1000, np.int64), np.zeros(1000, bool)
    counts.learn(ones, ~none)
    before = counts.bits()
    for _ in range(50):
        counts.learn(ones[:20], none[:20])
    after = counts.bits()
    assert before[0, 1] < 0.01 < 8 < before[0, 0] and after[0, 0] < 0.1
    np.testing.assert_allclose(after[1], 1, atol=0.01)


def test_predicted_frames_learn_apart():
    """What kinds of frames have in common is nothing: moving anchors say nothing of the frames between."""
    still, moving = np.zeros(5 * 8 * 5, np.int32), noise(Vectors(5, 8, (0,), (2,)), 30)
    alone = cost_bits(Vectors(5, 8, (2,), (5,)), still)
    together = cost_bits(Vectors(5, 8, (0, 2), (2, 5)), np.concatenate([moving, still]))
    assert together == pytest.approx(alone + cost_bits(Vectors(5, 8, (0,), (2,)), moving))


def test_kinds_and_channels_cover_films():
    for kind, channels in itertools.product(range(KINDS), (1, CHANNELS)):
        vectors = Vectors(3, 4, (kind,), (channels,))
        np.testing.assert_array_equal(decoded(vectors, encoded(vectors, noise(vectors, 5))), noise(vectors, 5))


@pytest.mark.parametrize("seed", range(12))
def test_damaged_bytes_are_refused_or_within_bounds(seed, path):
    vectors = SHAPES["film"]
    random = np.random.default_rng(seed)
    payload = bytearray(encoded(vectors, noise(vectors, 100)))
    if seed % 3 == 0:
        payload = bytearray(random.integers(0, 256, 400, dtype=np.uint8).tobytes())
    elif seed % 3 == 1:
        payload = payload[: len(payload) // 8 * 4]
    else:
        payload[random.integers(0, len(payload))] ^= 1 << random.integers(0, 8)
    try:
        symbols = decoded(vectors, bytes(payload))
    except StreamError as error:
        assert "here" in str(error)
    else:
        assert np.abs(symbols).max() <= MAX_SYMBOL


def test_a_number_out_of_bounds_is_refused(path):
    """An encoder that takes larger ones writes what no decoder takes."""
    vectors = Vectors(1, 1, (0,), (2,))
    payload = encoded(vectors, np.array([3, -MAX_SYMBOL - 1], np.int32))
    with pytest.raises(StreamError, match=f"here: a symbol of motion is {MAX_SYMBOL + 1}, allowed are ±{MAX_SYMBOL}"):
        decoded(vectors, payload)
