"""Targets against what is reached: what a line says, and what counts as met. No test looks at how long anything takes."""

import json
from types import SimpleNamespace

import pytest
from evaluationcases import script_caller
from PIL import Image
from skimage.data import astronaut

from inrcodec.evaluation.signals import open_signal
from inrcodec.evaluation.targets import Asked, target_line, target_table


@pytest.fixture
def face(tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(astronaut()[20:180:2, 140:300:2]).save(path)
    return path


@pytest.mark.parametrize(
    "asked, reached, expected",
    [
        (Asked(bpp=0.5), (0.495, 33.0), {"miss_percent": -1.0, "met": True}),
        (Asked(bpp=0.5), (0.485, 33.0), {"miss_percent": -3.0, "met": False}),
        (Asked(bpp=0.5), (0.505, 33.0), {"miss_percent": 1.0, "met": False}),
        (Asked(psnr_db=33.0), (0.5, 33.05), {"miss_db": 0.05, "met": True}),
        (Asked(psnr_db=33.0), (0.5, 33.25), {"miss_db": 0.25, "met": False}),
        (Asked(psnr_db=33.0), (0.5, 32.99), {"miss_db": -0.01, "met": False}),
    ],
)
def test_a_target_is_met_from_one_side_only(asked, reached, expected):
    assert asked.miss(SimpleNamespace(bpp=reached[0], psnr_db=reached[1])) == expected


def test_a_line_holds_both_encodes(face):
    line = target_line(open_signal(face), Asked(bpp=1.5), effort=1, threads=1)
    plain = line["without_target"]
    assert (line["file"], line["effort"], line["asked"], line["family"]) == ("face.png", 1, {"bpp": 1.5}, "pyramid")
    assert line["bpp"] == 8 * line["bytes"] / 80**2 and line["miss_percent"] == round(100 * (line["bpp"] / 1.5 - 1), 3)
    assert plain["rate_lambda"] == line["rate_lambda"] and plain["bytes"] != line["bytes"]
    assert line["cpu_ratio"] == pytest.approx(line["cpu_s"] / plain["cpu_s"], rel=1e-2)
    json.dumps(line, allow_nan=False)


def test_the_script_writes_lines_and_a_table_and_tells_faults(capsys, face, tmp_path):
    targets, output = script_caller("targets", capsys), tmp_path / "targets.jsonl"
    (tmp_path / "damaged.png").write_text("no picture")
    places = (face, tmp_path / "damaged.png", tmp_path / "none.png")
    status, out, err = targets(*places, "--bpp", 2, "--psnr", 28, "--threads", 1, "-o", output)
    err = [one for one in err if one.startswith("targets: ")]  # the others say what goes on, after some seconds
    assert status == 1 and len(err) == 2 and "none.png: is not there" in err[0] and "damaged.png" in err[1]
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["asked"] for line in lines] == [{"bpp": 2}, {"psnr_db": 28}]
    assert out == target_table(lines) + "\n" and "| face.png | 1 | 2 bpp |" in out and "of 2 met" in out


@pytest.mark.parametrize(
    "arguments, told",
    [
        ([], "nothing is asked for: --bpp or --psnr"),
        (["--bpp", "-1"], "target_bpp is -1.0, allowed are 0.0001 to 64"),
        (["--bpp", "1", "-o", "nowhere/targets.jsonl"], "nowhere/targets.jsonl: cannot be written"),
    ],
)
def test_wrong_use_is_one_line(capsys, face, monkeypatch, arguments, told):
    monkeypatch.chdir(face.parent)
    status, out, err = script_caller("targets", capsys)(face, *arguments)
    assert (status, out, len(err)) == (1, "", 1) and told in err[0]


def test_what_is_reached_without_loss_is_no_number():
    found = Asked(psnr_db=33.0).miss(SimpleNamespace(bpp=0.5, psnr_db=float("inf")))
    assert found == {"miss_db": None, "met": False}  # JSON has no word for infinite
