"""BD-rates against numbers of JCT-VC, against curves whose answer is known, and what is refused."""

import pytest

from inrcodec.errors import UsageError

pytest.importorskip("bjontegaard")

from inrcodec.evaluation import bdrate, points
from inrcodec.evaluation.table import bd_table, files_table, points_table

STEPS = (0.1, 0.2, 0.4, 0.8)


def curve(factor=1.0, low_db=30.0, gain_db=0.0):
    """3 dB a doubling of the rate, so that everything has a closed form."""
    return [(factor * bpp, low_db + gain_db + 3 * index) for index, bpp in enumerate(STEPS)]


@pytest.mark.parametrize(
    ("reference", "test", "percent"),
    [
        # HM rate points whose BD-rates are by JCT-VC's spreadsheet, as VMAF's test of its own calculator quotes them
        (
            [(108048.8736, 43.6471), (61279.976, 40.3953), (33905.6656, 37.247), (18883.6928, 34.2911)],
            [(108061.2784, 43.6768), (61299.9936, 40.4232), (33928.7472, 37.2761), (18910.912, 34.3147)],
            -0.465215420752807,
        ),
        (
            [(40433.8848, 37.5761), (7622.7456, 35.3756), (2394.488, 33.8977), (1017.6184, 32.0603)],
            [(40370.12, 37.5982), (7587.0024, 35.4025), (2390.0944, 33.9194), (1017.0984, 32.0822)],
            -1.8779823450567612,
        ),
    ],
)
def test_numbers_of_jct_vc(reference, test, percent):
    assert bdrate.bd_rate_percent(reference, test) == pytest.approx(percent, abs=1e-6)
    assert bdrate.bd_rate_percent(test[::-1], reference[::2] + reference[1::2]) == pytest.approx(
        100 * (1 / (1 + percent / 100) - 1), abs=1e-6
    )  # the other way round, and in any order


def test_known_curves():
    assert bdrate.bd_rate_percent(curve(), curve(0.8)) == pytest.approx(-20)
    assert bdrate.bd_rate_percent(curve(), curve(gain_db=1.5)) == pytest.approx(100 * (2**-0.5 - 1))
    assert bdrate.bd_rate_percent(curve(), curve()[1:3]) == pytest.approx(0)


def test_a_point_that_another_dominates_does_not_count():
    worse = [(0.5, 30.5), (0.1, 29.0)]  # more bits for less; the same bits for less
    assert bdrate.front(curve() + worse) == curve()
    assert bdrate.bd_rate_percent(curve(), curve(0.8) + [(0.5, 30.5)]) == pytest.approx(-20)


@pytest.mark.parametrize("gain_db", [9.0, 20.0, -8.5])
def test_curves_that_share_next_to_nothing_give_no_number(gain_db):
    assert bdrate.bd_rate_percent(curve(), curve(gain_db=gain_db)) is None


def lines(codec, points, file="a.png", published=False, mean=False, over="RGB", frames=1):
    names = {"codec": codec, "file": file, "frames": frames, "over": over, "published": published, "mean": mean}
    return [
        {**names, "setting": f"q={index}", "bpp": bpp, "psnr_db": psnr_db}
        for index, (bpp, psnr_db) in enumerate(points)
    ]


def two_files():
    """Of the test codec, one file takes half the bits and one twice as many."""
    reference = lines("old", curve()) + lines("old", curve(8), "b.png")
    return reference + lines("new", curve(0.5)) + lines("new", curve(16), "b.png")


def test_a_single_point_against_a_curve():
    """Halfway in decibels between two points of a straight line in log rate; twice its bits. Beyond its ends is no number."""
    line = [(0.5, 30.0), (1.0, 33.0), (2.0, 36.0)]
    assert points.excess_percent(line, (2 * 2**0.5, 34.5)) == pytest.approx(100)
    assert points.excess_percent(line, (0.5, 33.0)) == pytest.approx(-50)
    for psnr_db in (29.9, 36.1):
        assert points.excess_percent(line, (1.0, psnr_db)) is None
    assert points.excess_percent([line[0], (0.6, 29.0)], (0.5, 30.0)) is None  # a curve of a single point


def test_points_are_compared_with_the_curve_of_their_file():
    content = [
        line | {"bytes": 7}
        for line in two_files() + lines("new", [(1, 99)], "c.png") + lines("new", [(1, 30)], over="Y")
    ]
    content += [line | {"bytes": 8} for line in lines("far", [(1, 999)])]
    found = points.excesses(content, "old")
    assert [(line["codec"], line["file"]) for line, _ in found] == [("new", "a.png")] * 4 + [("new", "b.png")] * 4 + [
        ("far", "a.png")
    ]
    assert [excess for _, excess in found] == [pytest.approx(-50)] * 4 + [pytest.approx(100)] * 4 + [None]
    table = points_table(content, "old")
    assert "| new | q=3 | b.png | 7 |" in table and "| +100.0 % |" in table
    assert "| far | q=0 | a.png | 8 | 999.00 dB | not comparable |" in table
    with pytest.raises(UsageError, match="'older', the lines have old, new, far"):
        points.excesses(content, "older")


def test_one_point_gives_no_number():
    assert bdrate.bd_rate_percent(curve(), curve()[:1]) is None
    (summary,) = bdrate.summaries(lines("old", curve()) + lines("new", curve()[:1]), "old")
    assert (summary.mean_of_files_percent, summary.mean_curve_percent) == (None, None)
    assert summary.note == "a curve of a single point"


def test_both_means_differ_and_are_named():
    (summary,) = bdrate.summaries(two_files(), "old")
    assert summary.mean_of_files_percent == pytest.approx((-50 + 100) / 2)
    assert summary.mean_curve_percent == pytest.approx(100 * ((0.5 + 16) / (1 + 8) - 1))
    assert (summary.files, summary.compared, summary.published, summary.note) == (2, 2, False, "")
    table = bd_table(two_files(), "old")
    assert "BD-rate, mean of files | BD-rate of mean curve" in table
    assert "| new | RGB | 2 | +25.0 % | +83.3 % |  |" in table


def test_only_settings_that_all_files_have_are_in_the_mean_curve():
    more = two_files() + [{**lines("new", [(9, 99)])[0], "setting": "q=9"}]
    with_it = bdrate.summaries(more, "old")[0].mean_curve_percent
    assert with_it == pytest.approx(bdrate.summaries(two_files(), "old")[0].mean_curve_percent)


def test_files_without_overlap_are_counted_apart():
    content = two_files()[:-4] + lines("new", curve(gain_db=40), "b.png")
    (summary,) = bdrate.summaries(content, "old")
    assert (summary.files, summary.compared) == (2, 1)
    assert summary.mean_of_files_percent == pytest.approx(-50)
    assert summary.mean_curve_percent is None
    assert summary.note == "no overlap in quality of 1 of 2 files; no overlap in quality of the mean curves"
    assert "| -50.0 % | not comparable | no overlap" in bd_table(content, "old")


def test_each_file_has_a_row_and_each_codec_a_column():
    """Of two files of one codec, one of which has no overlap with a third codec's; a video is told by its frames, too."""
    content = two_files() + lines("far", curve(gain_db=40), "b.png")
    content += lines("old", curve(), "c.mp4", frames=8) + lines("far", curve(2), "c.mp4", frames=8)
    assert files_table(content, "old").splitlines()[2:] == [
        "| file | new | far |",
        "|---|---:|---:|",
        "| a | -50.0 % |  |",
        "| b | +100.0 % | not comparable |",
        "| c ×8 |  | +100.0 % |",
    ]


def test_files_are_matched_by_stem_and_frames():
    published = lines("table (published)", curve(0.9), "a", published=True)
    other_file = lines("other", curve(0.9), "c.png")
    other_frames = lines("shorter", curve(0.9), "a.png", frames=8)
    found = {
        one.codec: one for one in bdrate.summaries(lines("old", curve()) + published + other_file + other_frames, "old")
    }
    assert found["table (published)"].mean_of_files_percent == pytest.approx(-10)
    assert found["table (published)"].published
    for codec in ("other", "shorter"):
        assert (found[codec].mean_curve_percent, found[codec].note) == (None, "no file in common")


def test_samples_of_different_kinds_are_never_compared():
    mixed = lines("old", curve()) + lines("new", curve(0.5), over="4:2:0")
    assert bdrate.summaries(mixed, "old") == []


def test_a_published_mean_is_compared_with_means_only():
    mean = lines("vtm (published)", curve(0.7), "mean of all", published=True, mean=True)
    other = lines("hm (published)", curve(), "mean of everything", published=True, mean=True)
    content = two_files() + mean + other
    against_measured = {one.codec: one for one in bdrate.summaries(content, "old")}["vtm (published)"]
    assert (against_measured.mean_of_files_percent, against_measured.mean_curve_percent) == (None, None)
    assert against_measured.note == "a published mean over files of its own"
    against_mean = {one.codec: one for one in bdrate.summaries(content, "hm (published)")}["vtm (published)"]
    assert against_mean.mean_curve_percent == pytest.approx(-30)
    asserted = {one.codec: one for one in bdrate.summaries(content, "old", same_files=True)}["vtm (published)"]
    assert asserted.mean_curve_percent == pytest.approx(100 * (0.7 / 4.5 - 1))
    assert asserted.mean_of_files_percent is None


def test_a_lossless_point_is_left_out():
    lossless = {**lines("new", [(9, 0)])[0], "setting": "lossless", "psnr_db": None}
    (summary,) = bdrate.summaries(lines("old", curve()) + lines("new", curve(0.5)) + [lossless], "old")
    assert summary.mean_of_files_percent == pytest.approx(-50)


def test_an_unknown_reference_is_said():
    with pytest.raises(UsageError, match="reference is 'x', the lines have old, new"):
        bdrate.summaries(two_files(), "x")
