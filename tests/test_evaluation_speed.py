"""Speed: what is counted and how figures hang together. No test looks at how long anything takes."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from evaluationcases import script_caller
from PIL import Image
from streams import image_info, random_stream, video_info

from inrcodec.decode import Decoder
from inrcodec.encoder import EncodeOptions
from inrcodec.encoder.fit import Budget
from inrcodec.errors import InputError, InrError, UsageError
from inrcodec.evaluation.signals import open_signal
from inrcodec.evaluation.speed import (
    Conditions,
    cold_speed,
    cost_speed,
    costs,
    decode_speed,
    draw_costs,
    encode_speed,
    find_streams,
    machine_speed,
    play_speed,
    read_speeds,
    tables,
)
from inrcodec.evaluation.speed import decoding as decoding_module
from inrcodec.evaluation.speed import machine as machine_module
from inrcodec.evaluation.speed import playing as playing_module
from inrcodec.evaluation.speed.cold import VERBS
from inrcodec.evaluation.speed.costs import Cost, field_of
from inrcodec.evaluation.speed.encoding import Iterations
from inrcodec.evaluation.speed.joint import joint_stream
from inrcodec.evaluation.speed.memory import peak_memory
from inrcodec.evaluation.speed.timing import Stopwatch, spread

FEW = Conditions("cpu", threads=1, warmup=1, repetitions=3, frames=4)
SPREADS = ("open_s", "symbols_s", "first_frame_s", "frame_s", "random_frame_s", "region_first_s", "region_s", "plan_s")
SPREADS += ("cached_frame_s", "direct_frame_s")


@pytest.fixture
def streams(tmp_path):
    """clip.inr: 6 frames of 33x21 by CoordX; picture.inr: 40x27 by a pyramid."""
    folder = tmp_path / "streams"
    folder.mkdir()
    (folder / "clip.inr").write_bytes(random_stream("coordx", video_info(6, 21, 33)))
    (folder / "picture.inr").write_bytes(random_stream("pyramid", image_info(27, 40)))
    return folder


@pytest.fixture
def without_memory(monkeypatch):
    """Memory is measured in a process of its own, which takes seconds to start."""
    known = {"peak_bytes": 5 << 20, "peak_device_bytes": None}
    monkeypatch.setattr(decoding_module, "peak_memory", lambda path, conditions: known)
    monkeypatch.setattr(playing_module, "peak_memory", lambda path, conditions, played: known)


@pytest.fixture
def speed(capsys):
    return script_caller("speed", capsys)


def test_a_spread_is_median_quartiles_and_extremes():
    found = spread([4.0, 1.0, 3.0, 2.0])
    assert found == {"median_s": 2.5, "low_s": 1.75, "high_s": 3.25, "min_s": 1.0, "max_s": 4.0, "count": 4}
    assert spread([7.0]) == {"median_s": 7.0, "low_s": 7.0, "high_s": 7.0, "min_s": 7.0, "max_s": 7.0, "count": 1}


def test_calls_are_warmed_up_and_then_timed_in_turn():
    called = []
    found = Stopwatch(FEW).repeated(lambda: called.append("a"), lambda: called.append("b"))
    assert called == ["a", "b"] * (1 + 3)
    assert found["count"] == 2 * 3 and 0 <= found["min_s"] <= found["median_s"] <= found["max_s"]


def test_a_gpu_is_waited_for_before_and_after(monkeypatch):
    events = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: events.append(str(device)))
    watch = Stopwatch(FEW)
    watch.seconds(lambda: events.append("call"))
    watch.device = torch.device("cuda", 1)
    watch.seconds(lambda: events.append("call"))
    assert events == ["call", "cuda:1", "call", "cuda:1"]


@pytest.mark.parametrize("name", ["clip", "picture"])
def test_the_figures_of_a_stream_hang_together(streams, without_memory, name):
    path = streams / f"{name}.inr"
    line = decode_speed(path, FEW)
    frames, of_segment = (4, 6) if name == "clip" else (1, 1)
    width, height = (33, 21) if name == "clip" else (40, 27)
    assert (line["kind"], line["file"], line["measured_frames"]) == ("decode", path.name, frames)
    assert (line["frames"], line["width"], line["height"], line["segments"]) == (of_segment, width, height, 1)
    assert line["bytes"] == path.stat().st_size
    assert line["bpp"] == pytest.approx(8 * line["bytes"] / (of_segment * width * height))
    assert line["region"] == [(width - width // 2) // 2, (height - height // 2) // 2, width // 2, height // 2]
    counts = {key: line[key]["count"] for key in SPREADS}
    one_each = dict.fromkeys(("open_s", "symbols_s", "first_frame_s", "plan_s", "direct_frame_s"), 3)
    per_frame = dict.fromkeys(("frame_s", "random_frame_s", "region_s", "cached_frame_s"), 3 * frames)
    assert counts == one_each | per_frame | {"region_first_s": 3 * 2}
    assert all(0 < line[key]["min_s"] <= line[key]["low_s"] <= line[key]["median_s"] for key in SPREADS)
    assert all(line[key]["median_s"] <= line[key]["high_s"] <= line[key]["max_s"] for key in SPREADS)
    direct, cached, plan = (line[key]["median_s"] for key in ("direct_frame_s", "cached_frame_s", "plan_s"))
    assert line["ratio"] == pytest.approx(direct / cached)
    assert line["ratio_with_plan"] == pytest.approx(direct / (cached + plan / of_segment))
    assert line["largest_difference"] < 1e-4  # both are the same function
    assert line["macs_direct"] > line["macs_cached"] > 0
    assert (line["device"], line["threads"], line["warmup"], line["repetitions"]) == ("cpu", 1, 1, 3)
    assert line["versions"]["torch"] == torch.__version__ and "cores" in line["machine"]
    json.dumps(line, allow_nan=False)


def test_cold_commands_are_timed_as_processes(streams):
    line = cold_speed(streams / "picture.inr", Conditions("cpu", warmup=0, repetitions=2))
    assert (line["kind"], line["file"], line["family"], line["threads"]) == ("cold", "picture.inr", "pyramid", 1)
    assert all(line[f"{verb}_s"]["count"] == 2 and line[f"{verb}_s"]["min_s"] > 0.01 for verb in VERBS)
    line |= {"info_s": spread([0.1]), "decode_s": spread([0.5, 0.6, 0.7])}
    assert "| 100 (100–100) |" in tables([line]) and "| 600 (550–650) |" in tables([line])
    (streams / "picture.inr").write_bytes((streams / "picture.inr").read_bytes()[:-30])
    with pytest.raises(InrError):
        cold_speed(streams / "picture.inr", Conditions("cpu", warmup=0, repetitions=1))


def test_tables_are_in_milliseconds(streams, without_memory):
    line = decode_speed(streams / "clip.inr", FEW)
    line |= {"plan_s": spread([0.0123456]), "direct_frame_s": spread([1.0, 2.0, 3.0]), "ratio": 12.345}
    shown = tables([line])
    assert "| 12.3 |" in shown and "| 2,000 (1,500–2,500) |" in shown and "| 5 |" in shown  # 5 MiB


def test_a_difference_between_cached_and_direct_evaluation_is_told(streams, without_memory, monkeypatch):
    direct = decoding_module._direct
    monkeypatch.setattr(decoding_module, "_direct", lambda *arguments: direct(*arguments) + 0.25)
    assert decode_speed(streams / "clip.inr", FEW)["largest_difference"] == pytest.approx(0.25, abs=1e-3)


def test_memory_is_that_of_decoding_without_the_frame(tmp_path):
    """A SIREN's values of 1024x1024 samples are 12 MiB of float32; the uint8 frame, 3 MiB, is not counted."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("no /proc")
    path = tmp_path / "large.inr"
    path.write_bytes(random_stream("siren", image_info(1024, 1024)))
    found = peak_memory(path, Conditions("cpu", frames=1))
    assert 12 << 20 < found["peak_bytes"] < 100 << 20  # PyTorch itself, 200 MiB and more, is not counted
    assert found["peak_device_bytes"] is None


@pytest.mark.parametrize("family", ["coordx", "film", "hashgrid"])
def test_every_pass_of_a_video_begins_with_its_file(tmp_path, without_memory, monkeypatch, family):
    """Each repetition opens the stream three times: to play it once in sequence, to jump about in it, and to play it when symbols
    are there."""
    path = tmp_path / "clip.inr"
    path.write_bytes(random_stream(family, video_info(6, 24, 32, "yuv420")))
    opened, rendered = [], []

    class Watched(Decoder):
        def __init__(self, source, **arguments):
            opened.append(len(rendered))
            super().__init__(source, **arguments)

        def __getitem__(self, index):
            rendered.append(index)
            return super().__getitem__(index)

    monkeypatch.setattr(playing_module, "Decoder", Watched)
    line = play_speed(path, FEW)
    calls = 1 + 3
    assert opened == [*range(0, 18 * calls, 6), 18 * calls]
    for call in range(calls):
        played, (first, *sought), again = (rendered[start : start + 6] for start in range(18 * call, 18 * call + 18, 6))
        assert played == again == list(range(6)) and first == 0
        assert sorted(sought) == list(range(1, 6)) != sought
    assert (line["kind"], line["family"], line["frames"], line["width"], line["height"]) == ("play", family, 6, 32, 24)
    assert [line[key]["count"] for key in ("play_s", "render_s", "first_frame_s", "random_frame_s")] == [3, 3, 3, 15]
    assert line["frames_per_s"] == pytest.approx(6 / line["play_s"]["median_s"], rel=1e-3)
    assert line["rendered_per_s"] == pytest.approx(6 / line["render_s"]["median_s"], rel=1e-3)
    assert 0 < line["first_frame_s"]["min_s"] < line["play_s"]["min_s"] and line["random_frame_s"]["min_s"] > 0
    assert line["peak_bytes"] == 5 << 20
    json.dumps(line, allow_nan=False)
    line |= {"play_s": spread([1.0, 2.0, 3.0]), "frames_per_s": 3.0, "random_frame_s": spread([0.01, 0.02, 0.9])}
    assert "| 3 (2.4–4) |" in tables([line]) and "| 20 (15–460) | 900 | 5 |" in tables([line])


def test_memory_of_playing_is_above_a_frame_in_memory(tmp_path):
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("no /proc")
    path = tmp_path / "clip.inr"
    path.write_bytes(random_stream("film", video_info(3, 512, 512, "yuv420")))
    found = peak_memory(path, Conditions("cpu"), played=True)
    assert 3 << 20 < found["peak_bytes"] < 150 << 20  # a frame that others refer to: 512 * 512 samples of 3 * 4 bytes


def test_a_stream_of_the_joint_form_is_fitted(tmp_path):
    """A clip of a dark and a bright half is fitted better than by its mean, and decodes as was measured."""
    frames = np.full((4, 24, 32, 3), 50, np.uint8)
    frames[:, :, 16:] = 200
    data, psnr_db = joint_stream(frames, video_info(4, 24, 32), Budget(iterations=40))
    with Decoder(data) as decoder:
        assert decoder.metadata.family == "hashgrid" and decoder.coded_segment(0).field.config.form == "joint"
        decoded = np.stack([decoder.samples(index) for index in range(4)]).astype(float)
    errors = ((decoded - frames) ** 2).mean((1, 2, 3))
    assert psnr_db == pytest.approx((10 * np.log10(255**2 / errors)).mean(), abs=1e-3)
    assert errors.mean() < 0.2 * frames.var()


def test_costs_cover_what_is_varied():
    found = list(costs())
    assert {cost.against for cost in found} == {"pixels", "frames", "depth", "width"}
    for cost in found:
        field = field_of(cost)
        assert (field.family, field.shape) == (cost.family, cost.shape)
        frames, height, width, _ = cost.shape
        known = {"pixels": height * width / 1e6, "frames": frames, "depth": cost.layers, "width": cost.width}
        assert cost.value == known[cost.against]
        if cost.against == "depth":
            assert len([spec for spec in field.specs() if spec.name.endswith("weight")]) >= cost.layers


@pytest.mark.parametrize("family", ["siren", "coordx", "asmr", "hashgrid", "film"])
def test_a_cost_is_that_of_all_frames(family, monkeypatch):
    from inrcodec.fields import FAMILIES

    planned, made = FAMILIES[family].plan, []
    monkeypatch.setattr(FAMILIES[family], "plan", lambda *arguments: made.append(planned(*arguments)) or made[-1])
    line = cost_speed(Cost("frames", 5, family, (5, 48, 64, 3)), FEW)
    assert (line["kind"], line["against"], line["value"], line["family"]) == ("cost", "frames", 5, family)
    assert line["all_cpu_s"]["count"] == 3 and line["all_cpu_s"]["min_s"] > 0
    assert len(made) == 1 + 3 + 1 and line["macs_per_pixel"] == made[-1].macs_per_pixel
    assert all(np.abs(np.asarray(made[0].frame(index))).max() > 1e-3 for index in range(5))  # nothing is zero
    line |= {"all_cpu_s": spread([0.192]), "frames": 5, "width": 24, "height": 16}
    assert "| 192 (192–192) | 100,000 |" in tables([line])


def test_curves_of_cost_are_drawn(tmp_path, speed):
    facts = {
        "threads": 1,
        "warmup": 1,
        "repetitions": 3,
        "machine": "m",
        "commit": "c",
        "device": "cpu",
        "versions": {},
    }
    size = {"frames": 4, "width": 10, "height": 10, "macs_per_pixel": 5.0}
    lines = [
        {
            "kind": "cost",
            "against": against,
            "value": value,
            "family": family,
            "all_cpu_s": spread([value]),
            **size,
            **facts,
        }
        for against in ("pixels", "depth")
        for family in ("asmr", "siren")
        for value in (3, 1, 2)
    ]
    paths = draw_costs(lines, tmp_path / "figures")
    assert [path.name for path in paths] == ["speed-cost-pixels.svg", "speed-cost-depth.svg"]
    shown = paths[0].read_text()
    assert all(f">{text}</text>" in shown for text in ("asmr", "siren", "linear", "megapixels of a frame"))
    assert "mathdefault" not in shown and all(f">{value}</text>" in shown for value in (1, 2, 3))
    (tmp_path / "speed.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, out, err = speed("figures", tmp_path / "speed.jsonl", "-o", tmp_path / "again")
    assert (status, err) == (0, []) and len(out.splitlines()) == 2
    assert (tmp_path / "again" / paths[0].name).read_bytes() == paths[0].read_bytes()


def test_the_machine_is_measured(monkeypatch):
    monkeypatch.setattr(machine_module, "SIDE", 64)
    monkeypatch.setattr(machine_module, "BLOCK_BYTES", 1 << 16)
    line = machine_speed(FEW)
    assert line["product_s"]["count"] == line["copy_s"]["count"] == 3 and line["product_flop"] == 2 * 64**3
    line |= {"product_flop": 2e9, "product_s": spread([0.1, 0.2, 0.3]), "copy_s": spread([0.5]), "copy_bytes": 4e9}
    assert "| 1 | cpu | 10 | 20 | 8 | 8 |" in tables([line])


def test_iterations_are_timed_from_one_to_the_next_of_a_segment():
    moments, waited = iter([10.0, 11.0, 13.0, 20.0, 20.5]), []
    iterations = Iterations(lambda: waited.append(1), lambda: next(moments))
    for segment, iteration in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2)):
        iterations.step(SimpleNamespace(segment=segment, iteration=iteration))
    assert (iterations.seconds, len(waited)) == ([1.0, 2.0, 0.5], 5)
    assert iterations.facts()["iterations_per_s"] == 1.0  # median of 1, 2 and 0.5 s
    assert Iterations(lambda: None).facts() == {"iteration_s": None, "iterations_per_s": None}


def test_encoding_is_measured_by_effort(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "noise.png")
    conditions = Conditions("cpu", warmup=0, repetitions=2)
    line = encode_speed(open_signal(tmp_path / "noise.png"), EncodeOptions(effort=1, rate_lambda=0.01), conditions)
    assert (line["kind"], line["file"], line["frames"], line["effort"]) == ("encode", "noise.png", 1, 1)
    assert line["rate_lambda"] == 0.01 and line["bytes"] > 50 and 5 < line["psnr_db"] < 60
    assert line["encode_s"]["count"] == 2 and line["iterations"] > 2
    assert line["iteration_s"]["count"] == 2 * (line["iterations"] - 1)
    assert line["iterations_per_s"] == pytest.approx(1 / line["iteration_s"]["median_s"], rel=1e-3)
    assert line["encode_s"]["min_s"] > line["iteration_s"]["min_s"] * (line["iterations"] - 1)
    assert "| lossless |" in tables([line | {"psnr_db": None}])  # JSON has no word for infinite
    json.dumps(line, allow_nan=False)


def test_streams_are_found(streams, tmp_path):
    both = [streams / "clip.inr", streams / "picture.inr"]
    assert find_streams(streams) == find_streams(streams / "*.inr") == both
    assert find_streams(both[0]) == both[:1]
    for place, told in (
        (tmp_path, "holds no .inr file"),
        (tmp_path / "*.inr", "no file"),
        (tmp_path / "a", "not there"),
    ):
        with pytest.raises(InputError, match=told):
            find_streams(place)


def test_bad_inputs_get_a_line_each_and_the_rest_is_measured(speed, streams, without_memory, tmp_path):
    (streams / "damaged.inr").write_bytes((streams / "clip.inr").read_bytes()[:-9])
    output, few = tmp_path / "speed.jsonl", ("--threads", 1, "--repetitions", 1, "--warmup", 0, "--device", "cpu")
    status, out, err = speed("decode", streams, tmp_path, tmp_path / "none.inr", *few, "-o", output)
    assert status == 1
    assert [one.startswith("speed: ") for one in err] == [True] * 3
    due = ("holds no .inr file", "none.inr: is not there", "damaged.inr: ")
    assert all(text in one for text, one in zip(due, err, strict=True)), err
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["file"] for line in lines] == ["clip.inr", "picture.inr"]
    assert out == tables(lines) + "\n" and "| clip.inr ×6, 33×21 | coordx |" in out
    (tmp_path / "other.jsonl").write_text('{"kind": "decode"}\n')
    status, again, err = speed("table", output, tmp_path / "other.jsonl")
    assert (status, again, len(err)) == (1, out, 1) and "other.jsonl, line 1: no line of scripts/speed.py" in err[0]


def test_pictures_that_cannot_be_encoded_get_a_line_each(speed, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.png").write_text("no picture")
    Image.new("RGB", (16, 16)).save(tmp_path / "black.png")
    places = (tmp_path / "damaged.png", tmp_path / "empty", tmp_path / "black.png")
    status, out, err = speed("encode", *places, "--efforts", 1, 2, "--repetitions", 1, "--warmup", 0, "--threads", 1)
    assert (status, len(err)) == (1, 2), err
    assert "holds no picture" in err[0] and "damaged.png" in err[1]
    assert out.count("| black.png, 16×16 |") == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--threads", "0"], "threads is 0, allowed are 1 to 1024"),
        (["--device", "abacus"], "device 'abacus' cannot be used"),
        (["-o", "nowhere/speed.jsonl"], "nowhere/speed.jsonl: cannot be written"),
    ],
)
def test_wrong_use_is_one_line(speed, streams, monkeypatch, arguments, told):
    monkeypatch.chdir(streams)
    status, out, err = speed("decode", "clip.inr", *arguments)
    assert (status, out, len(err)) == (1, "", 1) and told in err[0]


def test_conditions_have_limits():
    for name in ("threads", "repetitions", "frames"):
        with pytest.raises(UsageError, match=f"{name} is 0"):
            Conditions(**{name: 0})


def test_other_lines_are_no_speeds(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"kind": "guess"}\n')
    with pytest.raises(InputError, match="a.jsonl, line 1: no line of scripts/speed.py"):
        read_speeds(tmp_path / "a.jsonl")
