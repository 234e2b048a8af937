"""Studies of papers' claims: material, measurements, lines that are kept, tables, scripts."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from inrcodec.encoder.fit import Budget, fit
from inrcodec.errors import InputError, UsageError
from inrcodec.evaluation.reproduction import Log, Row, picture, run_rows, video
from inrcodec.evaluation.reproduction.figures import draw
from inrcodec.evaluation.reproduction.measure import inference_result
from inrcodec.evaluation.reproduction.rows import OPTIMIZERS, SAMPLINGS
from inrcodec.evaluation.reproduction.study import read_study
from inrcodec.evaluation.reproduction.tables import LAYOUTS, filled, study_table
from inrcodec.fields.asmr import Asmr, AsmrConfig
from inrcodec.fields.coordx import CoordX, CoordXConfig
from inrcodec.fields.hashgrid import HashGrid, HashGridConfig
from inrcodec.fields.siren import Siren, SirenConfig
from inrcodec.lattice import Lattice

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "camera.png"
    Image.fromarray(data.camera()).save(path)
    return path


def script(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def line(study="asmr kodak, quality", row="SIREN", psnr=30.0, **settings):
    result = {"parameters": 1000, "macs_per_pixel": 12.5, "iterations": 7, "psnr_db": psnr, "cpu_s": 2.0}
    return {"study": study, "settings": {"row": row, "seconds": 5.0, **settings}, "result": result}


def test_a_square_is_the_middle_of_its_picture(gray):
    exact = data.camera()
    material = picture(gray, 100)
    assert material.shape == (1, 100, 100, 1) and "100x100" in material.name
    assert np.array_equal(material.samples.planar[0, 0].numpy(), exact[206:306, 206:306])
    assert picture(gray).shape == (1, 512, 512, 1)
    with pytest.raises(UsageError, match="square of 513"):
        picture(gray, 513)


def test_a_reduced_video_is_the_means_of_squares(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (5, 9, 13, 3), dtype=np.uint8)
    np.save(tmp_path / "clip.npy", frames)
    material = video(tmp_path / "clip.npy", 3, 2)
    assert material.shape == (3, 4, 6, 3)
    mean = frames[2, 2:4, 10:12].astype(float).mean((0, 1))
    assert np.abs(material.samples.planar[2, :, 1, 5].numpy() - mean).max() <= 0.5
    with pytest.raises(InputError, match="picture is wanted"):
        picture(tmp_path / "clip.npy")


def test_our_count_of_products_is_torchs():
    """By hand: SIREN 2·8 + 8·8 + 8·3; CoordX shares its branches, and fuses 8 features of 2 products."""
    result = inference_result(Siren(SirenConfig(8, 2), (1, 16, 32, 3)), 1)
    assert result["macs_per_pixel"] == result["torch_macs_per_pixel"] == 2 * 8 + 8 * 8 + 8 * 3
    assert result["macs_per_point"] == result["torch_macs_per_point"] == 104
    assert result["cpu_s"] > 0 and result["by_point_cpu_s"] > 0
    result = inference_result(CoordX(CoordXConfig("t_yx", 1, 1, 8, 2, "product"), (1, 16, 32, 3)), 1)
    branches = (16 + 32) * 8 * 2 / (16 * 32)
    assert result["macs_per_pixel"] == 8 * 2 + 8 * 8 + 8 * 3
    assert result["torch_macs_per_pixel"] == pytest.approx(result["macs_per_pixel"] + branches, abs=0.01)
    result = inference_result(Asmr(AsmrConfig((1, 1), (4, 4), (8, 4), 8), (1, 16, 32, 3)), 1)
    assert result["macs_per_pixel"] == result["torch_macs_per_pixel"] == 8 * 8 * 32 / 512 + 2 * 8 * 3


def test_quick_tables_learn_at_the_rate_of_instant_ngp(gray):
    """0.01: configs/image/base.json of the paper's code; a first step of Adam is the rate by the gradient's sign."""
    material = picture(gray, 64)
    field = HashGrid(HashGridConfig("joint", (2, 2), (16,) * 3, (32,) * 3, 8, "linear", 8, 1), material.shape)
    start = field.initial(torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    batches = SAMPLINGS["points"](field, material.samples, 64, torch.Generator().manual_seed(1))
    fitted = fit(
        field, material.samples, batches, Budget(iterations=1), generator, OPTIMIZERS["adam, quick tables"]
    ).parameters
    for spec in field.specs():
        largest = (fitted[spec.name] - start[spec.name]).abs().max().item()
        if spec.name.startswith("grid"):
            assert largest == pytest.approx(0.01, rel=0.01), spec.name
        else:
            assert largest < 1.01 * spec.rate, spec.name


def test_rows_are_measured_once(tmp_path):
    calls, said = [], []

    def row(number):
        return Row("study", {"number": number}, lambda: calls.append(number) or {"value": number})

    path = tmp_path / "new" / "lines.jsonl"
    run_rows([row(1), row(2)], Log(path), said.append)
    run_rows([row(1), row(2), row(3)], Log(path), said.append)
    assert calls == [1, 2, 3]
    assert [one["result"]["value"] for one in read_study(path)] == [1, 2, 3]
    assert read_study(path)[0]["threads"] == 1 == torch.get_num_threads()
    path.write_text('{"study": "a", "settings": []}\n')
    with pytest.raises(InputError, match="line 1: no line of a study"):
        Log(path)


def test_tables_compare_with_siren_and_fill_their_places():
    lines = [line(), line(row="ASMR", psnr=31.5), line(row="ASMR", psnr=20.0, seconds=9.0)]
    page = "a\n<!-- table: asmr kodak, quality -->\nold\n<!-- end -->\nb\n"
    once = filled(page, lines)
    assert filled(once, lines) == once and "old" not in once
    assert once.startswith("a\n<!-- table") and once.endswith("<!-- end -->\nb\n")
    rows = once.splitlines()
    assert rows[2].startswith("| CPU s given | field | parameters |")
    assert rows[5] == "| 5 | ASMR | 1,000 | 12 | 7 | 31.50 | +1.50 |"
    assert rows[6].endswith("| 20.00 | – |")  # no SIREN had 9 s
    with pytest.raises(InputError, match="'ngp tables'"):
        study_table("ngp tables", lines)


def test_charts_are_drawn_of_what_was_measured(tmp_path):
    pytest.importorskip("matplotlib")
    lines = [line("coordx image quality", f"split {split}, R = 1", 20.0 + split) for split in (1, 2)]
    (path,) = draw(lines, tmp_path)
    text = path.read_text()
    assert path.name == "reproduction-coordx-quality.svg" and "split 1" in text and "PSNR, dB" in text


def test_charts_of_several_materials_lie_side_by_side(tmp_path):
    pytest.importorskip("matplotlib")
    lines = [line("ngp tables", "T = 2^14", seconds=s, material=name) for s in (1.0, 3.0) for name in ("rose", "sea")]
    (path,) = draw(lines, tmp_path)
    text = path.read_text()
    assert all(f">{name}</text>" in text for name in ("rose", "sea")) and text.count(">PSNR, dB</text>") == 2
    assert ">2</text>" in text and "mathdefault" not in text  # 1 to 3 s, by powers of two


ARGUMENTS = {
    "reproduce_coordx": ["--picture", "GRAY", "--sizes", "16"]
    + ["--studies", "sampling", "schedules", "importance", "learn-fast", "image-inference"],
    "reproduce_asmr": ["--gray", "GRAY", "--studies", "structure"],
    "reproduce_ngp": ["--pictures", "GRAY", "--tables", "8"],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_scripts_measure_and_go_on(name, gray, tmp_path, capsys, monkeypatch):
    module, output = script(name), tmp_path / "lines.jsonl"
    if name == "reproduce_coordx":
        monkeypatch.setattr(module, "SAMPLED", 2)
    small = ["--fit-size", "64", "--fit-width", "8", "--width", "8", "--seconds", "0.01", "-o", str(output)]
    arguments = [str(gray) if word == "GRAY" else word for word in ARGUMENTS[name]] + small
    assert module.main(arguments) == 0
    lines = read_study(output)
    assert {one["study"] for one in lines} <= LAYOUTS.keys()
    assert all(math.isfinite(one["result"].get("psnr_db", 0)) for one in lines)
    assert len({json.dumps([one["study"], one["settings"]]) for one in lines}) == len(lines)
    for study in {one["study"] for one in lines}:
        assert study_table(study, lines).count("\n") >= 2
    before = output.read_bytes()
    assert module.main(arguments) == 0 and output.read_bytes() == before
    output.write_text("no line\n")
    assert module.main(arguments) == 1 and "no JSON" in capsys.readouterr().err


def test_the_page_is_written_from_lines(tmp_path, capsys):
    module, page, lines = script("reproduce_tables"), tmp_path / "page.md", tmp_path / "lines.jsonl"
    page.write_text("<!-- table: asmr kodak, quality -->\n<!-- end -->\n")
    lines.write_text(json.dumps(line()) + "\n")
    page.write_text("<!-- table: asmr kodak, quality -->\n\n<!-- end -->\n")
    assert module.main([str(lines), "--page", str(page)]) == 0
    assert "| 30.00 | +0.00 |" in page.read_text()
    assert module.main([str(lines), "--page", str(tmp_path / "none.md")]) == 1
    assert "none.md" in capsys.readouterr().err


def test_nonlinear_modulators_are_one_function_however_evaluated():
    """Point by point, as the definition has it, and by the plan that shares activations."""
    module = script("reproduce_asmr")
    field = module.asmr((1, 24, 30, 2), ((2, 3, 4), (2, 4, 4)), 8, module.NonlinearModulators)
    parameters = field.initial(torch.Generator().manual_seed(0))
    assert parameters.keys() == {spec.name for spec in field.specs()}
    whole = Lattice.full(1, 24, 30)
    frame = field.plan(parameters, whole).frame(0)
    assert torch.allclose(frame.reshape(-1, 2), field.at(parameters, whole.points()), atol=1e-5)
    linear = module.asmr((1, 24, 30, 2), ((2, 3, 4), (2, 4, 4)), 8)
    assert field.macs_per_point == linear.macs_per_point + 4 * (32 + 32 * 32 + 32 * 8 - 8)  # two levels, two axes
