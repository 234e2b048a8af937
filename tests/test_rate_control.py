"""Rate control, piece by piece: against fits made of formulas, whose answers are known by hand."""

import math

import pytest

from inrcodec.encoder.control import Outlook, RateControl, Reach
from inrcodec.encoder.probe import BITS_LEFT, PSNR_GAIN_DB, probed_lambda
from inrcodec.encoder.trim import trimmed


def test_an_outlook_is_what_its_formula_says():
    """At λ = 0.02 and half of the training: bits 0.8 · 0.5^3 = 0.1 in logarithms, PSNR 1.6 · 0.5^3 = 0.2 dB."""
    rate, error = Outlook(rate=0.8, psnr_db=1.6, power=3).ahead(0.5, 0.02)
    assert rate == pytest.approx(0.1)
    assert 10 * error / math.log(10) == pytest.approx(0.2)
    assert Outlook(rate=0.8, psnr_db=1.6, power=3).ahead(1.0, 0.02) == (0, 0)


def fitted(control, bits, psnr, looks=24):
    """The value of what is asked for at the end of a fit whose bits and PSNR are functions of λ and of the fraction done."""

    def value(fraction):
        if control.bpp is not None:
            return bits(control.rate_lambda, fraction)
        return 10 ** (-psnr(control.rate_lambda, fraction) / 10)

    for look in range(1, looks):
        if control.moves(look / looks):
            control.observe(look / looks, value(look / looks))
    return value(1.0)


def falling_bits(rate_lambda, fraction):
    return 0.01 * rate_lambda**-0.67 * (1 + 0.3 * (1 - fraction) ** 2)


def rising_psnr(rate_lambda, fraction):
    return 10 - 2.8 * math.log(rate_lambda) - 1.5 * (1 - fraction) ** 2


@pytest.mark.parametrize("first_lambda", [1e-2, 2e-3])
@pytest.mark.parametrize("looks", [6, 24])
def test_bits_and_quality_come_to_what_is_aimed_at(first_lambda, looks):
    sizes = RateControl(first_lambda, bpp=0.5, reach=Reach(surplus=0))
    assert fitted(sizes, falling_bits, rising_psnr, looks) == pytest.approx(0.5, rel=0.02)
    qualities = RateControl(first_lambda, psnr_db=27, reach=Reach(surplus_db=0.05))
    found = -10 * math.log10(fitted(qualities, falling_bits, rising_psnr, looks))
    assert found == pytest.approx(27.05, abs=0.1)


def test_what_is_still_to_come_is_counted_in():
    """The same fit and the same first λ, which needs no move if what bits will fall by is known."""
    knowing = RateControl(5e-3, bpp=falling_bits(5e-3, 1.0), reach=Reach(surplus=0))
    knowing.outlook = Outlook(rate=0.3 / (5e-3 / 0.02) ** 0.35, power=2)
    guessing = RateControl(5e-3, bpp=falling_bits(5e-3, 1.0), reach=Reach(surplus=0))
    for control in (knowing, guessing):
        control.observe(0.3, falling_bits(5e-3, 0.3))
    assert abs(math.log(knowing.rate_lambda / 5e-3)) < 0.1 * abs(math.log(guessing.rate_lambda / 5e-3))


def test_steps_follow_the_root_of_lambda_in_eighths_of_an_octave_until_they_rest():
    control = RateControl(1e-3, bpp=0.5, outlook=Outlook(steps_rest=0.4))
    control.observe(0.2, 1.0)
    assert control.rate_lambda > 1e-3
    factor = control.step_factor
    assert factor == 2 ** (round(8 * math.log2(math.sqrt(control.rate_lambda / 1e-3))) / 8) > 1
    control.observe(0.5, 1.0)
    assert control.step_factor == factor and control.rate_lambda > 1e-3 * factor**2


def test_without_a_target_nothing_moves_or_misses():
    control = RateControl(1e-3)
    assert not any(control.moves(look / 100) for look in range(100)) and not control.misses(0.3)
    assert control.step_factor == 1


@pytest.mark.parametrize("value, missed", [(0.48, True), (0.491, False), (0.5, False), (0.51, True)])
def test_a_size_is_missed_outside_of_the_reach(value, missed):
    assert RateControl(1e-3, bpp=0.5, reach=Reach(shares=(0.98, 1.0))).misses(value) == missed


@pytest.mark.parametrize("psnr_db, missed", [(29.9, True), (30.05, False), (30.3, True)])
def test_a_quality_is_missed_outside_of_the_reach(psnr_db, missed):
    control = RateControl(1e-3, psnr_db=30, reach=Reach(excess_db=(0.0, 0.2)))
    assert control.misses(10 ** (-psnr_db / 10)) == missed


# -- probe -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thorough", [False, True])
def test_a_probe_finds_the_lambda_of_a_power_law(thorough):
    """bits = 0.01 λ^-0.8 at the start, of which a known share is left: 0.3 = share · 0.01 λ^-0.8."""
    found = probed_lambda(lambda tried: 0.01 * tried**-0.8, RateControl(1e-2, bpp=0.3), thorough)
    assert found == pytest.approx((0.3 / (BITS_LEFT[thorough] * 0.01)) ** (-1 / 0.8), rel=1e-6)
    found = probed_lambda(lambda tried: 0.02 * tried**0.6, RateControl(1e-2, psnr_db=31), thorough)
    assert found == pytest.approx((10 ** (-(31 - PSNR_GAIN_DB[thorough]) / 10) / 0.02) ** (1 / 0.6), rel=1e-6)


def test_a_probe_of_what_does_not_answer_stays_in_the_range_of_lambda():
    """A black picture takes the same bits at every λ."""
    for bpp in (1e-4, 64.0):
        assert 1e-7 <= probed_lambda(lambda tried: 0.01, RateControl(1e-3, bpp=bpp), True) <= 10


# -- trim --------------------------------------------------------------------------------------------------------------


def line(threshold):
    """A field that is its threshold; its value is 100 there, and 2 a hundredth."""
    return threshold


def value(threshold):
    return 100 - 200 * threshold


@pytest.mark.parametrize("low, high", [(97, 98), (103, 104), (99, 101)])
@pytest.mark.parametrize("below", [False, True])
def test_a_window_within_reach_is_met(low, high, below):
    found, its_value = trimmed(line, (0.0, 100.0), value, (low, high), (-0.05, 0.05), below)
    assert low <= value(found) == its_value <= high
    if low <= 100 <= high:
        assert found == 0


@pytest.mark.parametrize(
    "window, below, expected",
    [((80, 85), True, 90), ((80, 85), False, 90), ((120, 125), True, 110), ((120, 125), False, 110)],
)
def test_out_of_reach_the_nearest_is_taken(window, below, expected):
    assert trimmed(line, (0.0, 100.0), value, window, (-0.05, 0.05), below)[1] == expected


@pytest.mark.parametrize("below, expected", [(True, 90), (False, 100)])
def test_a_jump_over_the_window_lands_on_the_right_side(below, expected):
    def jump(threshold):
        return 100 if threshold < 0.03 else 90

    assert trimmed(line, (0.0, 100.0), jump, (94, 96), (0.0, 0.06), below)[1] == expected


def test_without_thresholds_nothing_is_trimmed():
    assert trimmed(None, (0.0, 100.0), value, (80, 85), (0.0, 0.0), True) == (0.0, 100.0)
