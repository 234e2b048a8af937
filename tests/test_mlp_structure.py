"""SIREN, CoordX and ASMR: what plans keep and count, and structures that are refused."""

import pytest
import torch

from inrcodec.errors import UsageError
from inrcodec.fields.asmr import Asmr, AsmrConfig
from inrcodec.fields.coordx import CoordX, CoordXConfig
from inrcodec.fields.siren import Siren, SirenConfig
from inrcodec.lattice import Lattice

VIDEO = (7, 13, 7, 2)
TINY_BYTES = 1000


def test_coordx_keeps_pixels_only_where_they_fit():
    field = CoordX(CoordXConfig("t_yx", 2, 2, 8, 3, "product"), VIDEO)
    parameters = field.initial(torch.Generator().manual_seed(0))
    lattice = Lattice.full(*VIDEO[:3])
    kept, banded = field.plan(parameters, lattice), field.plan(parameters, lattice, TINY_BYTES)
    assert kept.kept_bytes == 4 * 24 * (7 + 13 * 7)
    assert banded.kept_bytes == 4 * 24 * 7
    head = 24 + 8 * 8 + 8 * 8 + 8 * 2
    assert kept.macs_per_pixel == head
    assert banded.macs_per_pixel == head + 2 * 8 + 8 * 24
    assert field.macs_per_point == head + 2 * 8 + 8 * 24 + 8 + 8 * 24


def test_coordx_splits_all_axes_at_the_price_of_an_image():
    field = CoordX(CoordXConfig("t_y_x", 1, 1, 8, 2, "product"), VIDEO)
    plan = field.plan(field.initial(torch.Generator().manual_seed(0)), Lattice.full(*VIDEO[:3]))
    assert plan.kept_bytes == 4 * 16 * (7 + 13 + 7)
    assert plan.macs_per_pixel == pytest.approx(16 + 64 + 16 + 16 / 7)


def test_siren_shares_nothing():
    field = Siren(SirenConfig(width=8, layers=3), VIDEO)
    plan = field.plan(field.initial(torch.Generator().manual_seed(0)), Lattice.full(*VIDEO[:3]))
    assert plan.macs_per_pixel == field.macs_per_point == 3 * 8 + 8 * 8 + 8 * 8 + 8 * 2


@pytest.mark.parametrize(
    "make_field, words",
    [
        (lambda: SirenConfig(width=1025, layers=3), "width is 1025"),
        (lambda: SirenConfig(width=8, layers=17), "layers is 17"),
        (lambda: CoordXConfig("t_yx", 0, 1, 8, 1, "product"), "branch_layers is 0"),
        (lambda: CoordXConfig("t_yx", 1, 1, 1024, 16, "product"), "16384"),
        (lambda: AsmrConfig((1,), (2, 2), (2, 2), 8), "as many digits"),
        (lambda: AsmrConfig((1,) * 3, (1 << 16,) * 3, (2,) * 3, 8), "bases_y make"),
        (lambda: Asmr(AsmrConfig((1, 1), (2, 2), (2, 2), 8), (1, 4, 5, 3)), "5 samples"),
        (lambda: Asmr(AsmrConfig((1, 2), (2, 2), (2, 2), 8), (1, 4, 4, 3)), "single frame"),
    ],
)
def test_structures_that_make_no_sense_are_refused(make_field, words):
    with pytest.raises(UsageError, match=words):
        make_field()


def test_asmr_learns_the_slower_the_more_levels_see_digits():
    def rate(bases):
        field = Asmr(AsmrConfig((1,) * len(bases), bases, bases, 32), (1, 64, 64, 1))
        return next(spec.rate for spec in field.specs() if spec.name == "last.weight")

    assert rate((16, 1, 1, 4)) == rate((64,)) == 2e-3
    assert rate((4, 4, 4)) == 1e-3
    assert rate((2,) * 6) == pytest.approx(4e-4)


def test_matrices_between_sines_decay_and_nothing_else():
    field = CoordX(CoordXConfig("t_yx", 2, 2, 8, 2, "product"), (1, 20, 30, 3))
    assert [spec.name for spec in field.specs() if spec.decays] == ["branch1.weight", "head0.weight", "head1.weight"]
