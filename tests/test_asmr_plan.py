"""What a plan of ASMR keeps, recomputes and counts."""

import pytest
import torch

from inrcodec.fields.asmr import Asmr, AsmrConfig
from inrcodec.fields.asmr_plan import BandedPlan
from inrcodec.lattice import Lattice, window


def test_asmr_counts_as_published_but_for_the_last_layer():
    """The Kodak configuration of the paper's repository, whose profiler says 1846 with biases and modulations.

    Matrix products alone, a sine layer per digit: 65536 (1/64 + 1/(64 * 24) + 1/(64 * 24 * 16)) + 768 = 1837 a pixel.
    The addition theorem doubles the 768; a lattice of columns whose digits differ everywhere does without it.
    """
    field = Asmr(AsmrConfig((1,) * 4, (4, 4, 4, 8), (4, 4, 6, 8), 256), (1, 512, 768, 3))
    parameters = field.initial(torch.Generator().manual_seed(0))
    shared = 65536 * (1 / 64 + 1 / 1536 + 1 / 24576)
    full = Lattice.full(1, 512, 768)
    assert field.plan(parameters, full).macs_per_pixel == pytest.approx(shared + 2 * 768)
    uneven = Lattice(full.t, window(0, 512, 512, 511), window(0, 768, 768, 767))
    assert field.plan(parameters, uneven).macs_per_pixel == pytest.approx(shared + 768, rel=0.01)
    assert field.macs_per_point == 2 * 256 * 4 + 3 * 65536 + 768


def test_asmr_recomputes_only_levels_whose_time_digit_changed():
    field = Asmr(AsmrConfig((2, 2, 2), (2, 2, 2), (2, 2, 2), 8), (8, 8, 8, 1))
    parameters = field.initial(torch.Generator().manual_seed(0))
    plan = field.plan(parameters, Lattice.full(8, 8, 8))
    times = []
    for index in range(8):
        plan.frame(index)
        times.append((plan.kept[1][0], plan.kept[2][0]))
    assert times == [(0, 0), (0, 0), (0, 1), (0, 1), (1, 2), (1, 2), (1, 3), (1, 3)]
    before = plan.kept[1][1]
    plan.frame(5)
    assert plan.kept[1][1] is before and plan.kept[2][0] == 2
    # per frame: a quarter of 2 x 2 prefixes at level 1, half of 4 x 4 at level 2, and the last layer twice
    assert plan.macs_per_pixel == pytest.approx(64 * (4 / 4 + 16 / 2) / 64 + 2 * 8)
    assert plan.kept_bytes == 4 * 8 * (4 + 16)


@pytest.mark.parametrize("share, rows", [(2, 8), (3, 4), (4, 4), (5, 2), (1000, 1)])
def test_asmr_bands_are_whole_cells(share, rows):
    """Cells of 4, 2 and 1 rows; the budget allows 16 / share of them."""
    field = Asmr(AsmrConfig((1, 1, 1), (4, 2, 2), (2, 2, 2), 8), (1, 16, 8, 1))
    parameters = field.initial(torch.Generator().manual_seed(0))
    lattice = Lattice.full(1, 16, 8)
    whole = field.plan(parameters, lattice)
    banded = field.plan(parameters, lattice, keep_bytes=whole.kept_bytes // share)
    assert isinstance(banded, BandedPlan)
    assert [band.shape[1] for band in banded.bands] == [rows] * (16 // rows)
    if rows >= 4:  # no band cuts a cell, so nothing is computed twice
        assert banded.macs_per_pixel == pytest.approx(whole.macs_per_pixel)
    assert torch.allclose(banded.frames(), whole.frames(), atol=1e-5)
