"""Seconds and memory against size: what a line says. No test looks at how long anything takes."""

import json

import numpy as np
import pytest
from evaluationcases import script_caller
from PIL import Image
from skimage.data import astronaut, camera

from inrcodec.evaluation.speed.sizes import resized, size_table


@pytest.mark.parametrize("picture", [astronaut(), camera()[..., None]], ids=["rgb", "gray"])
def test_pictures_are_made_smaller_to_megapixels(picture):
    small = resized(picture, 0.065536)  # a quarter of 512 x 512
    assert small.shape == (256, 256, picture.shape[2]) and abs(small.mean() - picture.mean()) < 0.5
    for as_it_is in (0.0, 1.0):
        np.testing.assert_array_equal(resized(picture, as_it_is), picture)


def test_each_encode_has_a_process_and_a_line(capsys, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "face.png")
    (tmp_path / "damaged.png").write_text("no picture")
    output = tmp_path / "sizes.jsonl"
    sizes = script_caller("sizes", capsys)
    few = ("--megapixels", 0.004, "--threads", 1, "--rate-lambda", 0.01, "-o", output)
    status, out, err = sizes(tmp_path / "face.png", tmp_path / "damaged.png", tmp_path / "none.png", *few)
    err = [one for one in err if one.startswith("sizes: ")]  # the others say what goes on, after some seconds
    assert status == 1 and len(err) == 2 and "none.png: is not there" in err[0] and "damaged.png: the process" in err[1]
    (line,) = [json.loads(line) for line in output.read_text().splitlines()]
    assert (line["kind"], line["file"], line["width"], line["height"], line["effort"]) == (
        "size",
        "face.png",
        63,
        63,
        1,
    )
    assert line["bpp"] == 8 * line["bytes"] / 63**2 and line["iterations"] > 2
    assert 50 << 20 < line["base_bytes"] <= line["peak_bytes"] < 2 << 30  # Python and PyTorch are counted
    assert line["cpu_s"] > 0 and line["encode_s"] > 0
    assert out == size_table([line]) + "\n" and "| face.png, 63×63 | 0.00 | 1 |" in out
