"""scripts/rd.py as a user calls it: what is measured, what is said, and what is not run twice."""

import json
import subprocess
import sys

import numpy as np
import pytest
from evaluationcases import SCRIPTS, script_caller
from PIL import Image

SCRIPT = SCRIPTS / "rd.py"


@pytest.fixture
def rd(capsys):
    return script_caller("rd", capsys)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from skimage.data import astronaut

    folder = tmp_path_factory.mktemp("pictures")
    for index, name in enumerate(("a.png", "b.png")):
        Image.fromarray(astronaut()[40 * index : 64 + 40 * index, 160:256]).save(folder / name)
    return folder


def test_bad_inputs_get_a_line_each_and_the_rest_is_measured(rd, pictures, tmp_path):
    pytest.importorskip("bjontegaard")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.png").write_bytes((pictures / "a.png").read_bytes()[:200])
    output = tmp_path / "rd.jsonl"
    places = (pictures, tmp_path / "empty", tmp_path / "damaged.png", tmp_path / "nothing.png")
    codecs = ("jpeg:q=10/30/60/80", "webp:q=1/20/50/80", "gif", "x264")
    status, out, err = rd(
        *places, "--codecs", *codecs, "--threads", 1, "-o", output, "--bd", "jpeg", "--decoded", tmp_path / "decoded"
    )
    assert status == 1
    told = [line for line in err if line.startswith("rd: ")]
    due = [
        "holds no picture",
        "nothing.png: is not there",
        "codec 'gif' is unknown",
        "damaged.png",
        "x264 medium: codes videos",
    ]
    assert len(told) == len(due)
    assert all(text in line for text, line in zip(due, told, strict=True)), told
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(lines) == 16
    measured = {(line["codec"], line["file"]) for line in lines}
    assert measured == {(codec, file) for codec in ("jpeg", "webp") for file in ("a.png", "b.png")}
    assert "| webp | RGB | 2 | -" in out and "BD-rate of mean curve" in out

    (line,) = (line for line in lines if (line["codec"], line["setting"], line["file"]) == ("webp", "q=50", "b.png"))
    kept = np.asarray(Image.open(tmp_path / "decoded" / "webp" / "q=50" / "b.png"), dtype=float)
    mse = np.mean((kept - np.asarray(Image.open(pictures / "b.png"))) ** 2)
    assert line["psnr_db"] == pytest.approx(10 * np.log10(255**2 / mse))

    status, _, err = rd(pictures, "--codecs", *codecs[:2], "--threads", 1, "-o", output)
    assert (status, len(output.read_text().splitlines())) == (0, 16)
    assert f"{output}: 16 points" in err


def test_published_curves_and_other_files_stand_in_the_table(rd, pictures, tmp_path):
    pytest.importorskip("bjontegaard")
    output, curve = tmp_path / "rd.jsonl", tmp_path / "curve.json"
    assert rd(pictures, "--codecs", "jpeg:q=10/30/80", "--threads", 1, "-o", output)[0] == 0
    curve.write_text(json.dumps({"VTM": {"bpp": [0.2, 0.5, 1, 2], "psnr": [22, 26, 30, 34]}}))
    status, out, _ = rd("-o", output, "--published", curve, "--bd", "jpeg")
    assert status == 0
    assert "| VTM (published) | RGB | 0 | not comparable | not comparable | published; a published mean" in out
    ours = tmp_path / "ours.jsonl"
    assert rd(pictures, "--codecs", "jpeg:q=20/50/90,subsampling=4:4:4", "--threads", 1, "-o", ours)[0] == 0
    status, out, err = rd("-o", ours, "--beside", output, tmp_path / "none.jsonl", "--bd", "jpeg")
    assert (status, len(err)) == (1, 1) and "none.jsonl: No such file" in err[0]
    assert "| jpeg subsampling=4:4:4 | RGB | 2 | +" in out
    _, out, _ = rd("-o", ours, "--beside", output, "--bd", "jpeg", "--by-file", "--points", "jpeg")
    assert "| jpeg subsampling=4:4:4 | RGB | 2 | +" in out and out.count("| jpeg subsampling=4:4:4 |\n|---|") == 1
    assert out.count("| jpeg subsampling=4:4:4 | q=") == 6
    _, out, _ = rd("-o", output, "--published", curve, "--bd", "jpeg", "--same-files")
    assert "| VTM (published) | RGB | 0 | not comparable | -" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "nothing.jsonl", "--bd", "jpeg"], "nothing.jsonl: No such file"),
        (["a.png", "--codecs", "jpeg"], "-o OUT.jsonl are wanted"),
        (["-o", "x.jsonl"], "or -o OUT.jsonl and --bd or --points CODEC"),
        (["a.png", "-o", "x.jsonl", "--threads", "0"], "--threads is 0, allowed are 1 and more"),
    ],
)
def test_wrong_use_is_one_line(rd, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = rd(*arguments)
    assert (status, out, len(err)) == (1, "", 1)
    assert message in err[0]


def test_the_script_runs_by_itself_and_lists_codecs():
    ran = subprocess.run(
        [sys.executable, SCRIPT, "--list"], capture_output=True, text=True, cwd=SCRIPTS.parent, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "jpeg: q=4/8/15/25/40/55/70/80, subsampling=4:2:0" in ran.stdout
    assert "compressai: quality=1/2/3/4/5/6, model=bmshj2018-hyperprior" in ran.stdout
