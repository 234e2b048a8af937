"""Means over some images, moved to those over all."""

import math

import pytest

from inrcodec.errors import InputError
from inrcodec.evaluation.means import bpp_at, lead_db, psnr_at, table_of


def straight(base_db, *rates):
    """A curve of 6 dB for every factor of two in rate, and base_db at 1 bit per pixel."""
    return [(bpp, base_db + 6 * math.log2(bpp)) for bpp in rates]


def test_a_curve_is_read_between_its_points_and_beyond_them():
    curve = straight(40.0, 0.25, 0.5, 1.0)
    assert psnr_at(curve, 0.5) == pytest.approx(34.0)
    assert psnr_at(curve, 0.3) == pytest.approx(40 + 6 * math.log2(0.3))
    assert psnr_at(curve, 0.125) == pytest.approx(22.0) and psnr_at(curve, 2.0) == pytest.approx(46.0)
    assert bpp_at(curve, 34.0) == pytest.approx(0.5)
    assert bpp_at(curve, 27.9) is None and bpp_at(curve, 40.1) is None


def test_easy_images_lead_by_what_the_table_says():
    """Two images 5 dB above the two others: 2.5 dB above the mean of all."""
    table = {name: straight(base, 0.1, 0.2, 0.4) for name, base in (("a", 40), ("b", 40), ("c", 35), ("d", 35))}
    assert lead_db(table, ["a", "b"], 0.3) == pytest.approx(2.5)
    assert lead_db(table, ["c"], 0.3) == pytest.approx(-2.5)
    assert lead_db(table, list("abcd"), 0.3) == pytest.approx(0.0)
    with pytest.raises(InputError, match="no e"):
        lead_db(table, ["a", "e"], 0.3)


def test_below_the_rates_of_most_curves_the_lead_stays():
    """Curves that come nearer to one another the lower the rate: three of four begin at 0.1, where the lead counts."""
    steep = [(bpp, 40 + 9 * math.log2(bpp)) for bpp in (0.1, 0.2, 0.4)]
    table = {"a": steep} | {
        name: straight(30, *rates) for name, rates in zip("bcd", [(0.05, 0.4), (0.1, 0.4), (0.2, 0.4)])
    }
    known = 0.75 * (10 + 3 * math.log2(0.1))
    assert lead_db(table, ["a"], 0.1) == pytest.approx(known)
    assert lead_db(table, ["a"], 0.02) == pytest.approx(known)


def test_images_are_known_by_their_stem_and_dominated_points_left_out():
    lines = [
        {"file": "a.png", "bpp": bpp, "psnr_db": psnr_db} for bpp, psnr_db in ((0.2, 30.0), (0.1, 28.0), (0.3, 29.0))
    ]
    assert table_of(lines) == {"a": [(0.1, 28.0), (0.2, 30.0)]}
