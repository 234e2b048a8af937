"""Vectors of motion that merge, and adaptive decisions: round trips, prices against entropies, damaged streams."""

import itertools
import math

import numpy as np
import pytest

from inrcodec.entropy import adaptive
from inrcodec.entropy.adaptive import Counts
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.merging import CHANNELS, KINDS, Vectors, cost_bits, decode_vectors, encode_vectors, initial_counts
from inrcodec.entropy.tables import MAX_SYMBOL
from inrcodec.errors import StreamError
from inrcodec.kernels import native

SHAPES = {
    "anchor": (Vectors(9, 17, 0, 2),),
    "film": (Vectors(9, 17, 0, 2), Vectors(9, 17, 1, 5), Vectors(9, 17, 2, 5)),
    "dot": (Vectors(1, 1, 0, 2), Vectors(1, 1, 1, 5)),
    "row": (Vectors(1, 23, 1, 5),),
    "column": (Vectors(23, 1, 2, 5),),
}
"""Frames of a film, which are coded one after the other."""


def encoded(film, frames):
    encoder, counts = SymbolEncoder(), initial_counts()
    for vectors, symbols in zip(film, frames, strict=True):
        encode_vectors(encoder, vectors, symbols, counts)
    return encoder.getvalue()


def decoded(film, payload):
    decoder, counts = SymbolDecoder(payload, "here"), initial_counts()
    frames = [decode_vectors(decoder, vectors, counts) for vectors in film]
    decoder.end()
    return frames


def price(film, frames):
    counts = initial_counts()
    return sum(cost_bits(vectors, symbols, counts) for vectors, symbols in zip(film, frames, strict=True))


def same(frames, others):
    for one, other in zip(frames, others, strict=True):
        np.testing.assert_array_equal(one, other)


def noise(film, limit, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(-limit, limit + 1, vectors.size).astype(np.int32) for vectors in film]


def patches(film, seed=0):
    """Two rectangles in every frame, each with a vector of its own."""
    random = np.random.default_rng(seed)
    frames = []
    for vectors in film:
        frame = np.zeros((vectors.channels, vectors.height, vectors.width), np.int32)
        for _ in range(2):
            (top, bottom), (left, right) = (
                sorted(random.integers(0, n + 1, 2)) for n in (vectors.height, vectors.width)
            )
            frame[:, top:bottom, left:right] = random.integers(-60, 61, (vectors.channels, 1, 1))
        frames.append(frame.ravel())
    return frames


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("limit", [0, 1, 40, MAX_SYMBOL])
def test_random_vectors_come_back(name, limit, path):
    frames = noise(SHAPES[name], limit)
    same(decoded(SHAPES[name], encoded(SHAPES[name], frames)), frames)


@pytest.mark.parametrize("name", SHAPES)
def test_vectors_of_regions_come_back(name, path):
    frames = patches(SHAPES[name])
    same(decoded(SHAPES[name], encoded(SHAPES[name], frames)), frames)


@pytest.mark.parametrize("make", [lambda film: noise(film, 30), lambda film: noise(film, 1), patches])
def test_plain_and_compiled_write_the_same(make, monkeypatch):
    if not native.available():
        pytest.skip("the compiled loops were not built")
    frames = make(SHAPES["film"])
    compiled = encoded(SHAPES["film"], frames)
    monkeypatch.setattr(native, "available", lambda: False)
    assert encoded(SHAPES["film"], frames) == compiled


def test_extreme_neighbors_come_back(path):
    """Differences are twice as large as symbols may be."""
    (vectors,) = SHAPES["row"]
    symbols = np.where(np.arange(vectors.size) % 2, MAX_SYMBOL, -MAX_SYMBOL).astype(np.int32)
    same(decoded([vectors], encoded([vectors], [symbols])), [symbols])


@pytest.mark.parametrize("make", [lambda film: noise(film, 30), patches])
def test_the_price_is_the_size(make):
    """Within two percent, beside the words that a range coder ends with."""
    film = Vectors(30, 40, 0, 2), Vectors(30, 40, 1, 5), Vectors(30, 40, 2, 5)
    frames = make(film)
    assert 8 * len(encoded(film, frames)) == pytest.approx(price(film, frames), rel=0.02, abs=64)


def test_a_region_costs_its_border():
    """A rectangle among zeros: one vector and some decisions along its border, not one for each of its vertices."""
    film = [Vectors(40, 60, 0, 2)]
    frame = np.zeros((2, 40, 60), np.int32)
    empty = price(film, [frame])
    frame[:, 10:30, 10:50] = np.array([37, -120])[:, None, None]
    border = 2 * (20 + 40)
    assert empty < 64
    assert price(film, [frame]) < empty + 40 + 2 * border


@pytest.mark.parametrize("share", [0.001, 0.03, 0.5, 0.9])
def test_decisions_cost_their_entropy(share):
    """n H(p), and log2(n) / 2 for learning p (Krichevsky and Trofimov 1981)."""
    decisions = np.random.default_rng(1).random(5000) < share
    listing = adaptive.Listing(Counts(1))
    for decision in decisions:
        listing(0, decision)
    p, count = decisions.mean(), len(decisions)
    entropy = -count * (p * math.log2(p) + (1 - p) * math.log2(1 - p))
    bits = listing.listed().bits()
    assert entropy <= bits + 1 and bits < 1.03 * entropy + math.log2(count) + 20


def test_counts_follow_a_change():
    counts = Counts(2)
    for _ in range(1000):
        counts.learn(0, True)
    before = counts.bits()
    for _ in range(1000):
        counts.learn(0, False)
    after = counts.bits()
    assert before[0, 1] < 0.01 < 8 < before[0, 0] and after[0, 0] < 0.1
    np.testing.assert_allclose(after[1], 1, atol=0.01)


def test_predicted_frames_learn_apart():
    """What kinds of frames have in common is nothing: moving anchors say nothing of the frames between."""
    anchor, between = Vectors(5, 8, 0, 2), Vectors(5, 8, 2, 5)
    moving, still = noise([anchor], 30)[0], np.zeros(between.size, np.int32)
    together = price([anchor, between], [moving, still])
    assert together == pytest.approx(price([anchor], [moving]) + price([between], [still]))


def test_kinds_and_channels_cover_films():
    for kind, channels in itertools.product(range(KINDS), (1, CHANNELS)):
        film = [Vectors(3, 4, kind, channels)]
        same(decoded(film, encoded(film, noise(film, 5))), noise(film, 5))


@pytest.mark.parametrize("seed", range(12))
def test_damaged_bytes_are_refused_or_within_bounds(seed, path):
    film = SHAPES["film"]
    random = np.random.default_rng(seed)
    payload = bytearray(encoded(film, noise(film, 100)))
    if seed % 3 == 0:
        payload = bytearray(random.integers(0, 256, 400, dtype=np.uint8).tobytes())
    elif seed % 3 == 1:
        payload = payload[: len(payload) // 8 * 4]
    else:
        payload[random.integers(0, len(payload))] ^= 1 << random.integers(0, 8)
    try:
        frames = decoded(film, bytes(payload))
    except StreamError as error:
        assert "here" in str(error)
    else:
        assert max(np.abs(symbols).max() for symbols in frames) <= MAX_SYMBOL


def test_a_number_out_of_bounds_is_refused(path):
    """An encoder that takes larger ones writes what no decoder takes."""
    film = [Vectors(1, 1, 0, 2)]
    payload = encoded(film, [np.array([3, -MAX_SYMBOL - 1], np.int32)])
    with pytest.raises(StreamError, match=f"here: a symbol of motion is {MAX_SYMBOL + 1}, allowed are ±{MAX_SYMBOL}"):
        decoded(film, payload)
