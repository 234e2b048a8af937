"""Integer tables against the closed forms of their distributions, and against themselves on every other machine."""

import hashlib
import math

import numpy as np
import pytest

from inrcodec.entropy.coder import SymbolEncoder
from inrcodec.entropy.tables import MAX_SYMBOL, QUARTERS, SCALES, gauss, laplace

SOME_SCALES = (0, 5, 11, 19, 26, 33, 40, 47)


def scale_of(index: int) -> float:
    """2^((index - 19) / 4), the documented grid."""
    return 2 ** ((index - 19) / 4)


def laplace_cell(k: int, mean: float, scale: float) -> float:
    """Mass of [k - 1/2, k + 1/2]."""

    def below(x: float) -> float:
        return 0.5 * math.exp(x / scale) if x < 0 else 1 - 0.5 * math.exp(-x / scale)

    low, high = k - 0.5 - mean, k + 0.5 - mean
    if low > 0:  # the same by symmetry, without cancellation
        low, high = -high, -low
    return below(high) - below(low)


def close(counts: np.ndarray, masses: list[float]) -> None:
    """Each entry has one count by right and a share of the rest, rounded down; the mode has what rounding left."""
    share = np.array(masses) / math.fsum(masses) * (2**24 - len(counts)) + 1
    off = counts[:-1] - share
    mode = np.argmax(counts[:-1])
    assert off[mode] + 1e-6 * share[mode] + 0.01 >= 0 and off[mode] <= len(counts) + 1e-6 * share[mode]
    off[mode] = 0
    assert (off <= 1e-6 * share + 0.01).all() and (off >= -1 - 1e-6 * share - 0.01).all()


@pytest.mark.parametrize("quarter", QUARTERS)
@pytest.mark.parametrize("index", SOME_SCALES)
def test_laplace_cells_have_the_mass_of_the_closed_form(index, quarter):
    table, scale = laplace(index, quarter), scale_of(index)
    assert 16 * scale <= table.reach <= 16 * scale + 2
    close(table.counts, [laplace_cell(k, quarter / 4, scale) for k in range(-table.reach, table.reach + 1)])


@pytest.mark.parametrize("index", SOME_SCALES)
def test_gauss_samples_the_density(index):
    table, sigma = gauss(index), scale_of(index)
    assert 8 * sigma <= table.reach <= 8 * sigma + 2
    close(table.counts, [math.exp(-k * k / (2 * sigma**2)) for k in range(-table.reach, table.reach + 1)])


def test_wide_gauss_tables_have_the_mass_of_the_integral():
    """By erf, which sampling approaches as sigma grows."""
    table, sigma = gauss(39), scale_of(39)
    for k in (0, 7, -30, 64):
        mass = 0.5 * (math.erf((k + 0.5) / sigma / 2**0.5) - math.erf((k - 0.5) / sigma / 2**0.5))
        assert table.counts[k + table.reach] / 2**24 == pytest.approx(mass, rel=1e-3)


def all_tables():
    yield from (laplace(index, quarter) for index in range(SCALES) for quarter in QUARTERS)
    yield from (gauss(index) for index in range(SCALES))


def test_counts_sum_to_the_coders_total_and_none_is_zero():
    for table in all_tables():
        assert table.counts.sum() == 1 << 24 and table.counts.min() >= 1
        assert len(table.counts) == 2 * table.reach + 2
        assert table.counts[-1] == 1  # the escape


def test_means_are_mirrored():
    for index in SOME_SCALES:
        plus, minus = laplace(index, 1), laplace(index, -1)
        assert np.abs(plus.counts[:-1] - minus.counts[-2::-1]).max() <= 1
        assert np.array_equal(laplace(index).counts[:-1], laplace(index).counts[-2::-1])


def test_the_integers_are_the_same_everywhere():
    """One changed count makes every stream undecodable: a new format version is due if this fails."""
    digest = hashlib.sha256()
    for table in all_tables():
        digest.update(table.counts.astype("<u4").tobytes())
    assert digest.hexdigest() == "09aca3b44a25316e4aca6721256a6dd8c01574c6f0fbef623e12d04f74e6477a"


def test_some_counts_by_hand():
    """b = 1: the center's mass is 1 - e^-1/2, each next one e^-1 times that of its neighbor."""
    table = laplace(19)
    assert table.counts[table.reach] == pytest.approx((1 - math.exp(-0.5)) * 2**24, rel=2e-5)
    assert table.counts[table.reach + 2] == pytest.approx(math.sinh(0.5) * math.exp(-2) * 2**24, rel=2e-5)


# -- what symbols cost -------------------------------------------------------------------------------------------------


def test_bits_are_logarithms_of_counts():
    table = laplace(22, -2)
    symbols = np.arange(-table.reach, table.reach + 1)
    expected = [24 - math.log2(count) for count in table.counts[:-1]]
    assert table.symbol_bits(symbols).tolist() == pytest.approx(expected)
    assert table.cost_bits(symbols) == pytest.approx(sum(expected))
    assert table.cost_bits(np.array([], dtype=np.int32)) == 0


@pytest.mark.parametrize("excess, bits", [(1, 2), (2, 4), (3, 4), (4, 6), (7, 6), (8, 8), (1000, 20)])
def test_escapes_cost_a_sign_and_an_exp_golomb_code(excess, bits):
    table = gauss(10)
    for sign in (-1, 1):
        assert table.cost_bits(np.array([sign * (table.reach + excess)])) == 24 + bits


def payloads():
    random = np.random.default_rng(2)
    yield laplace(11, 1), np.rint(random.laplace(0.25, scale_of(11), 3000))
    yield laplace(40), np.rint(random.laplace(0, scale_of(40), 3000))
    yield gauss(30), np.rint(random.normal(0, scale_of(30), 3000))
    yield laplace(3), np.zeros(3000)
    yield laplace(15), np.array([MAX_SYMBOL, -MAX_SYMBOL, 0, 40, -41, 100] * 30)  # nearly all escapes


@pytest.mark.parametrize("table, symbols", list(payloads()))
def test_the_estimate_is_what_the_coder_writes(table, symbols):
    """To a few bits, beside the coder's last word."""
    symbols = symbols.astype(np.int32)
    encoder = SymbolEncoder()
    encoder.run(symbols, table)
    written = 8 * len(encoder.getvalue())
    assert -8 <= written - table.cost_bits(symbols) <= 2 * 32 + 8
