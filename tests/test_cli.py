"""The command line as a stranger meets it: exit statuses, what goes to which stream, and what is left on the disk."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from streams import image_info, random_stream, video_info

import inrcodec
from inrcodec import cli
from inrcodec.cli import encode, parser, terminal
from inrcodec.encoder.options import DEFAULT_QUALITY, Progress
from inrcodec.kernels import native

FAST = ["-e", "1", "--time-limit", "0.2", "--family", "coordx"]


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    """Every test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INRCODEC_DEBUG", raising=False)


@pytest.fixture
def picture() -> str:
    """The name of a 24x16 PNG with smooth colors."""
    y, x = np.mgrid[0:16, 0:24]
    Image.fromarray(np.stack([y * 15, x * 10, 255 - y * 8], axis=-1).astype(np.uint8)).save("in.png")
    return "in.png"


@pytest.fixture
def clip() -> str:
    """The name of a stream of three RGB frames of 20x12, in two segments."""
    Path("clip.inr").write_bytes(random_stream("hashgrid", video_info(3, 12, 20), segments=2))
    return "clip.inr"


def files() -> set[str]:
    return {path.name for path in Path().iterdir()}


def refused(capsys, status: int, *argv: str) -> str:
    """Runs a command that must fail with `status`, one line of error (which it returns) and no output."""
    assert cli.main(argv) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("inrcodec: ")
    return lines[0]


def replace_encode(monkeypatch, function) -> None:
    monkeypatch.setattr(sys.modules["inrcodec.encoder"], "encode", function)


def answer(capsys, *argv: str) -> dict:
    """Runs a command that must succeed and print one JSON object."""
    assert cli.main(argv) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def pipe(monkeypatch):
    """Standard input with the bytes that it is called with, and the bytes that standard output gets."""

    def connect(data: bytes = b"") -> io.BytesIO:
        out = io.BytesIO()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
        return out

    return connect


# -- encode ------------------------------------------------------------------------------------------------------------


def test_encode_writes_a_stream_that_is_what_json_says(picture, capsys):
    facts = answer(capsys, "encode", picture, "-o", "out.inr", "--json", "--quiet", *FAST)
    assert files() == {"in.png", "out.inr"}
    size = Path("out.inr").stat().st_size
    assert facts["bytes"] == size
    assert facts["bpp"] == pytest.approx(8 * size / (24 * 16))
    assert facts["family"] == "coordx" and facts["effort"] == 1 and facts["output"] == "out.inr"
    assert facts["iterations"] >= 0 and facts["encode_s"] > 0 and not facts["stopped"]
    with inrcodec.open("out.inr") as decoder:
        error = np.mean((decoder.numpy(0).astype(float) - np.asarray(Image.open(picture))) ** 2)
    assert facts["psnr_db"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-6)
    assert facts["psnr_over"] == "RGB"


def test_words_of_encode_go_to_stderr_and_quiet_has_none(picture, capsys):
    assert cli.main(["encode", picture, "-o", "a.inr", *FAST]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("in.png -> a.inr: ") and captured.err.count("\n") == 1
    assert cli.main(["encode", picture, "-o", "b.inr", "--quiet", *FAST]) == 0
    assert capsys.readouterr() == ("", "")


def test_an_existing_file_is_refused_before_the_work(picture, capsys, monkeypatch):
    Path("out.inr").write_bytes(b"precious")
    replace_encode(monkeypatch, lambda *_: pytest.fail("it encoded first"))
    assert "out.inr: exists already" in refused(capsys, 5, "encode", picture, "-o", "out.inr")
    assert Path("out.inr").read_bytes() == b"precious"
    assert "absent/out.inr" in refused(capsys, 5, "encode", picture, "-o", "absent/out.inr")


def test_an_existing_file_is_replaced_with_y(picture, capsys):
    Path("out.inr").write_bytes(b"old")
    assert cli.main(["encode", picture, "-o", "out.inr", "-y", *FAST]) == 0
    assert cli.main(["verify", "out.inr"]) == 0
    assert files() == {"in.png", "out.inr"}


@pytest.mark.parametrize("fault", ["truncated", "unwritable"])
def test_a_failed_write_leaves_the_folder_as_it_was(picture, capsys, monkeypatch, fault):
    """What is read back differs, or the move fails: the old file stays and nothing is left over."""
    Path("out.inr").write_bytes(b"old")

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if fault == "truncated":
            read = Path.read_bytes
            patch.setattr(Path, "read_bytes", lambda path: read(path)[:-1])
        else:
            patch.setattr(Path, "replace", full)
        assert "out.inr" in refused(capsys, 5, "encode", picture, "-o", "out.inr", "-y", "--quiet", *FAST)
    assert files() == {"in.png", "out.inr"}
    assert Path("out.inr").read_bytes() == b"old"


def test_a_missed_target_is_written_and_said(picture, capsys):
    status = cli.main(["encode", picture, "-o", "out.inr", "--target-size", "64", "--json", "--quiet", *FAST])
    captured = capsys.readouterr()
    line, facts = captured.err, json.loads(captured.out)
    assert status == 6
    assert f"{facts['bytes']} bytes, the limit is 64" in line and line.count("\n") == 1
    assert Path("out.inr").stat().st_size == facts["bytes"] > 64


def test_several_files_go_to_a_folder_and_a_bad_one_stops_none(picture, capsys):
    Path("bad.png").write_bytes(b"no picture")
    Image.open(picture).save("second.png")
    status = cli.main(["encode", "bad.png", picture, "second.png", "-o", "out", "--json", "--quiet", *FAST])
    captured = capsys.readouterr()
    assert status == 3
    assert captured.err.startswith("inrcodec: bad.png: ") and captured.err.count("\n") == 1
    assert [json.loads(line)["output"] for line in captured.out.splitlines()] == ["out/in.inr", "out/second.inr"]
    assert {path.name for path in Path("out").iterdir()} == {"in.inr", "second.inr"}


def test_two_inputs_of_one_name_are_refused(picture, capsys):
    assert "in.inr" in refused(capsys, 2, "encode", picture, "other/in.jpg", "-o", "out")


def test_encode_through_pipes(picture, pipe):
    out = pipe(Path(picture).read_bytes())
    assert cli.main(["encode", "-", "-o", "-", "--quiet", *FAST]) == 0
    with inrcodec.open(out.getvalue()) as decoder:
        assert (decoder.info.width, decoder.info.height) == (24, 16)
    assert files() == {"in.png"}


def test_memory_and_device_have_status_7(picture, capsys, monkeypatch):
    assert "nowhere" in refused(capsys, 7, "encode", picture, "-o", "a.inr", "--device", "nowhere")

    def exhausted(*_, **__):
        raise MemoryError

    replace_encode(monkeypatch, exhausted)
    assert "memory" in refused(capsys, 7, "encode", picture, "-o", "a.inr")


def test_memory_is_named_wherever_it_runs_out(clip, capsys, monkeypatch):
    def exhausted(_) -> None:
        raise MemoryError

    monkeypatch.setattr("inrcodec.cli.info.stream_facts", exhausted)
    assert refused(capsys, 7, "info", clip) == "inrcodec: not enough memory"


def test_internal_errors_are_one_line_and_a_traceback_on_demand(picture, capsys, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("of\ntwo lines")

    replace_encode(monkeypatch, broken)
    line = refused(capsys, 1, "encode", picture, "-o", "a.inr")
    assert line.startswith("inrcodec: internal error: ZeroDivisionError: of two lines")
    monkeypatch.setenv("INRCODEC_DEBUG", "1")
    assert cli.main(["encode", picture, "-o", "a.inr"]) == 1
    assert "Traceback" in capsys.readouterr().err


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


def interrupted(times: int, monkeypatch, *command: str, by=signal.SIGINT) -> int:
    """Runs an encode whose first iteration sends this process `times` signals; the status."""
    sent = []

    def now(*_) -> None:
        while len(sent) < times:
            sent.append(by)
            os.kill(os.getpid(), by)

    monkeypatch.setattr(terminal.Words, "now", now)
    return cli.main(["encode", *command, "-e", "9", "--family", "coordx"])


def test_one_interrupt_finishes_with_a_valid_file(picture, capsys, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    assert interrupted(1, monkeypatch, picture, "absent.png", "-o", "out", "--json") == 130
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts["stopped"] and facts["iterations"] == 1
    assert captured.err.startswith("Ctrl-C: finishing with the best") and "out/in.inr is valid" in captured.err
    assert "absent" not in captured.err
    assert cli.main(["verify", "out/in.inr"]) == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_two_interrupts_abort_without_a_file(picture, capsys, monkeypatch):
    assert interrupted(2, monkeypatch, picture, "-o", "out.inr") == 130
    assert capsys.readouterr() == ("", "inrcodec: interrupted\n")
    assert files() == {"in.png"}


def test_termination_leaves_no_hidden_file(picture, capsys, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    assert interrupted(1, monkeypatch, picture, "-o", "out.inr", by=signal.SIGTERM) == 143
    assert capsys.readouterr() == ("", "inrcodec: terminated\n")
    assert files() == {"in.png"}
    assert signal.getsignal(signal.SIGTERM) is before


# -- progress ----------------------------------------------------------------------------------------------------------


def test_progress_in_words():
    """Two more segments, each of 10 + 20 s, follow the 20 s that are left of this one."""
    moment = Progress(0, 3, 120, 0.25, 31.25, 0.5, elapsed_s=10, left_s=20)
    line = encode._live_line("folder/in.png", moment)
    assert line == "in.png: segment 1/3, iteration 120, 25%, 31.25 dB, 0.5000 bpp, 1 min 20 s left"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_live_line_without_color_if_so_asked(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", Terminal())
    words = terminal.Words()
    with words.live():
        words.now("iteration 12")
    text = sys.stderr.getvalue()
    assert "iteration 12" in text and "\x1b[2K" in text  # the line is erased
    assert "\x1b[3" not in text and "\x1b[9" not in text


def test_a_pipe_gets_lines_now_and_then(capsys, monkeypatch):
    time = iter(range(26))
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(time))  # the first second is that of `live`
    words = terminal.Words()
    with words.live():
        for second in range(1, 26):
            words.now(f"second {second}")
    assert capsys.readouterr() == ("", "second 10\nsecond 20\n")


# -- decode ------------------------------------------------------------------------------------------------------------


def test_decode_writes_what_the_decoder_gives(clip, capsys):
    facts = answer(capsys, "decode", clip, "-o", "out.npy", "--json")
    with inrcodec.open(clip) as decoder:
        expected = np.stack([decoder.numpy(index) for index in range(3)])
        part = np.stack([decoder.numpy(index, (2, 3, 8, 4), 0.5) for index in (1, 2)])
    assert np.array_equal(np.load("out.npy"), expected)
    assert (facts["frames"], facts["width"], facts["height"], facts["output"]) == (3, 20, 12, "out.npy")
    assert facts["fps"] == pytest.approx(3 / facts["decode_s"])
    command = ["decode", clip, "-o", "part.npy", "--frames", "1:", "--region", "2,3,8,4", "--scale", "0.5"]
    facts = answer(capsys, *command, "--json", "--quiet")
    assert (facts["frames"], facts["width"], facts["height"]) == (2, 4, 2)
    assert np.array_equal(np.load("part.npy"), part)


def test_decode_tells_its_speed_on_stderr(clip, capsys):
    assert cli.main(["decode", clip, "-o", "out/"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and "frames per second" in captured.err
    assert sorted(path.name for path in Path("out").iterdir()) == ["00000.png", "00001.png", "00002.png"]


def test_decode_keeps_the_planes_and_times_of_420(tmp_path):
    info = video_info(3, 12, 20, "yuv420", matrix=1, full_range=False)
    Path("a.inr").write_bytes(random_stream("coordx", info, ticks=(0, 2, 7)))
    assert cli.main(["decode", "a.inr", "-o", "a.y4m", "--quiet"]) == 0
    header, *frames = Path("a.y4m").read_bytes().split(b"FRAME\n")
    assert header.startswith(b"YUV4MPEG2 W20 H12 F25:1 ")
    with inrcodec.open("a.inr") as decoder:
        samples = decoder.samples(2)
    planes = [samples[:, :, 0], samples[::2, ::2, 1], samples[::2, ::2, 2]]
    assert frames[2] == b"".join(plane.tobytes() for plane in planes)
    assert cli.main(["decode", "a.inr", "-o", "a.mkv", "--frames", "1:3", "--quiet"]) == 0
    import av

    with av.open("a.mkv") as container:
        seconds = [frame.time for frame in container.decode(video=0)]
    assert seconds == pytest.approx([0, 5 / 50], abs=2e-3)


def test_a_region_of_420(capsys):
    Path("a.inr").write_bytes(random_stream("coordx", video_info(2, 12, 20, "yuv420")))
    command = ["decode", "a.inr", "--quiet", "--region", "0,0,8,6", "-o"]
    assert cli.main([*command, "a.npy"]) == 0
    assert np.load("a.npy").shape == (2, 6, 8, 3)
    assert cli.main([*command, "a.y4m"]) == 0
    assert [len(frame) for frame in Path("a.y4m").read_bytes().split(b"FRAME\n")[1:]] == [2 * 3 * 24 // 2] * 2


def test_decode_through_pipes(clip, pipe):
    out = pipe(Path(clip).read_bytes())
    assert cli.main(["decode", "-", "-o", "-", "-f", "npy", "--quiet"]) == 0
    assert np.load(io.BytesIO(out.getvalue())).shape == (3, 12, 20, 3)
    out = pipe(Path(clip).read_bytes())
    assert cli.main(["decode", "-", "-o", "-", "-f", "png", "--frames", "1:2", "--quiet"]) == 0
    assert Image.open(io.BytesIO(out.getvalue())).size == (20, 12)


def test_decode_refuses_an_existing_file(clip, capsys):
    Path("out.npy").write_bytes(b"precious")
    assert "exists already" in refused(capsys, 5, "decode", clip, "-o", "out.npy")
    assert Path("out.npy").read_bytes() == b"precious"
    assert cli.main(["decode", clip, "-o", "out.npy", "-y"]) == 0


def test_a_damaged_segment_leaves_no_output(clip, capsys):
    data = bytearray(Path(clip).read_bytes())
    data[-60] ^= 1  # in the last segment
    Path(clip).write_bytes(data)
    line = refused(capsys, 4, "decode", clip, "-o", "out.npy")
    assert "checksum does not match" in line
    assert files() == {"clip.inr"}
    assert refused(capsys, 4, "verify", clip)


# -- info, verify, evaluate, doctor ------------------------------------------------------------------------------------


def test_info_of_a_video(clip, capsys):
    facts = answer(capsys, "info", clip, "--json")
    expected = {"version": 1, "family": "hashgrid", "width": 20, "height": 12, "frames": 3, "channels": 3}
    expected |= {"bit_depth": 8, "frame_rate": 25.0, "segments": 2, "pixel_format": "rgb"}
    assert expected.items() <= facts.items()
    size = Path(clip).stat().st_size
    assert facts["bytes"] == sum(facts["groups"].values()) == size
    assert facts["groups"].keys() == {"header", "config", "coding", "weights", "grids"}
    assert facts["bpp"] == pytest.approx(8 * size / (20 * 12 * 3))
    with inrcodec.open(clip) as decoder:
        assert facts["parameters"] == sum(
            symbols.size for index in (0, 1) for symbols in decoder.coded_segment(index).symbols.values()
        )
    assert cli.main(["info", clip]) == 0
    table = capsys.readouterr()
    assert table.err == "" and "20x12" in table.out and str(size) in table.out


def test_info_of_an_image_has_no_times(tmp_path, capsys):
    path = tmp_path / "image.inr"
    path.write_bytes(random_stream("hashgrid", image_info(9, 14)))
    assert cli.main(["info", str(path)]) == 0
    told = capsys.readouterr().out
    assert "14x9\n" in told and "frames" not in told


def test_info_of_an_image_in_a_pipe(pipe):
    out = pipe(random_stream("siren", image_info(5, 7, "gray")))
    assert cli.main(["info", "-", "--json"]) == 0
    facts = json.loads(out.getvalue())
    assert facts["frame_rate"] is None and (facts["family"], facts["channels"]) == ("siren", 1)


def test_verify_says_ok_on_stderr(clip, capsys):
    assert cli.main(["verify", clip]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("clip.inr: ok")


@pytest.mark.parametrize("verb", ["info", "verify"])
def test_bad_streams(verb, clip, capsys):
    assert "absent.inr" in refused(capsys, 3, verb, "absent.inr")
    data = Path(clip).read_bytes()
    Path("cut.inr").write_bytes(data[:-1])
    assert refused(capsys, 4, verb, "cut.inr")
    Path("newer.inr").write_bytes(data[:4] + b"\x63" + data[5:])
    assert "version 99" in refused(capsys, 4, verb, "newer.inr")
    Path("text.inr").write_text("hello")
    assert "not an .inr stream" in refused(capsys, 4, verb, "text.inr")


def test_evaluate_an_exact_and_a_wrong_reference(clip, capsys):
    assert cli.main(["decode", clip, "-o", "same.npy", "--quiet"]) == 0
    facts = answer(capsys, "evaluate", "same.npy", clip, "--json")
    assert facts["psnr_db"] is None and facts["frames"] == 3 and facts["decode_s"] > 0  # infinite
    other = np.load("same.npy").astype(int)
    other += np.where(other < 128, 3, -3)
    np.save("other.npy", other.astype(np.uint8))
    facts = answer(capsys, "evaluate", "other.npy", clip, "--json")
    assert facts["psnr_db"] == pytest.approx(10 * np.log10(255**2 / 9))
    assert facts["psnr_over"] == "RGB" and facts["ms_ssim"] is None and facts["bytes"] == Path(clip).stat().st_size
    assert cli.main(["evaluate", "other.npy", clip]) == 0
    assert "38.59 dB over RGB" in capsys.readouterr().out


def test_evaluate_refuses_what_cannot_be_compared(clip, capsys):
    faults = {
        "width": (3, 12, 24, 3),
        "height": (3, 14, 20, 3),
        "frames": (2, 12, 20, 3),
        "pixel_format": (3, 12, 20, 1),
    }
    for fact, shape in faults.items():
        np.save("reference.npy", np.zeros(shape, np.uint8))
        assert f"{fact} of the reference is" in refused(capsys, 2, "evaluate", "reference.npy", clip)
    np.save("reference.npy", np.zeros((9, 12, 20, 3), np.uint8))
    assert answer(capsys, "evaluate", "reference.npy", clip, "--frames", "2:5", "--json")["frames"] == 3


def test_doctor(capsys, monkeypatch):
    assert cli.main(["doctor"]) == 0
    captured = capsys.readouterr()
    report = dict(line.split(maxsplit=1) for line in captured.out.splitlines())
    assert report["self-test"].startswith("ok") and report["numpy"] == np.__version__ and captured.err == ""
    monkeypatch.setattr(inrcodec.Decoder, "numpy", lambda decoder, index: np.zeros((16, 16, 3), np.uint8))
    assert cli.main(["doctor"]) == 1
    assert "failed: RuntimeError" in capsys.readouterr().out


# -- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("required", ""),
        ("invalid choice", "transmogrify"),
        ("required", "encode in.png"),
        ("not allowed with", "encode in.png -o a.inr -q 5 --target-bpp 1"),
        ("effort is 10, allowed are 1 to 9", "encode in.png -o a.inr -e 10"),
        ("quality is 101.0", "encode in.png -o a.inr -q 101"),
        ("'1.5T' is no size", "encode in.png -o a.inr --target-size 1.5T"),
        ("'5' is no range", "encode in.png -o a.inr --frames 5"),
        ("invalid choice: 'nerf'", "encode in.png -o a.inr --family nerf"),
        ("both want standard output", "encode in.png -o - --json"),
        ("both want standard output", "decode clip.inr -o - -f npy --json"),
        ("'1,2,3' is no region", "decode clip.inr -o a.npy --region 1,2,3"),
        ("region is 15,0,8,8", "decode clip.inr -o a.npy --region 15,0,8,8"),
        ("scale is 0.0", "decode clip.inr -o a.npy --scale 0"),
        ("frames 2:4", "decode clip.inr -o a.npy --frames 2:4"),
        ("one picture cannot hold 3 frames", "decode clip.inr -o a.png"),
        ("suffix '.xyz'", "decode clip.inr -o a.xyz"),
        ("no format", "decode clip.inr -o -"),
    ],
)
def test_usage_errors(words, command, picture, clip, capsys):
    assert words in refused(capsys, 2, *command.split())
    assert files() == {"in.png", "clip.inr"}


@pytest.mark.parametrize(("text", "size"), [("1500", 1500), ("20k", 20000), ("1.5M", 1500000), ("2g", 2 * 10**9)])
def test_sizes(text, size):
    assert parser.byte_count(text) == size


def test_json_has_no_infinity(capsys):
    terminal.print_json({"psnr_db": float("inf"), "bpp": 0.5, "name": "x"})
    assert json.loads(capsys.readouterr().out) == {"psnr_db": None, "bpp": 0.5, "name": "x"}


def test_help_states_the_default_quality(capsys):
    assert cli.main(["encode", "--help"]) == 0
    assert f"higher is better ({DEFAULT_QUALITY:g})" in capsys.readouterr().out


# -- the process -------------------------------------------------------------------------------------------------------


def process(*argv: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess:
    """Runs Python with this package, its standard output buffered as it is for a user."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment["PYTHONPATH"] = str(Path(inrcodec.__file__).parents[1])
    return subprocess.run([sys.executable, *argv], stdout=stdout, stderr=subprocess.PIPE, env=environment, timeout=60)


@pytest.mark.parametrize("given, used", [(None, b"PASSIVE"), ("ACTIVE", b"ACTIVE")])
def test_threads_wait_as_the_user_says_else_without_spinning(given, used, monkeypatch):
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    else:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    assert process("-c", "import inrcodec, os; print(os.environ['OMP_WAIT_POLICY'])").stdout.strip() == used


@pytest.mark.parametrize("command", ["--help", "--version", "encode --help", "info clip.inr", "info clip.inr --json"])
def test_quick_answers_do_not_load_pytorch(command, clip):
    code = "import sys; from inrcodec.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = process("-c", code, *command.split())
    assert done.stdout
    loaded = set(done.stderr.decode().split())
    assert "inrcodec.cli.parser" in loaded
    assert loaded.isdisjoint({"torch", "numpy", "av", "PIL", "rich", "inrcodec.decode"})


@pytest.mark.parametrize("command", ["decode picture.inr -o out.png", "verify picture.inr"])
def test_a_picture_is_decoded_without_pytorch(command, tmp_path, monkeypatch):
    if not native.available():
        pytest.skip("the compiled loops were not built")
    monkeypatch.chdir(tmp_path)
    Path("picture.inr").write_bytes(random_stream("pyramid", image_info(20, 31)))
    code = "import sys; from inrcodec.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    done = process("-c", code, *command.split())
    loaded = set(done.stdout.decode().split())
    assert "inrcodec.fields.pyramid" in loaded and "torch" not in loaded
    assert command.startswith("verify") or Path("out.png").stat().st_size > 100


@pytest.mark.parametrize("effort", [1, 5])
def test_an_encode_does_not_load_what_compiles_pytorch(effort, tmp_path, monkeypatch):
    """Two seconds, where a whole encode may take four."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)).save("picture.png")
    code = "import sys; from inrcodec.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    done = process("-c", code, "encode", "picture.png", "-e", str(effort), "--time-limit", "0.2", "-o", "out.inr")
    loaded = set(done.stdout.decode().split())
    assert Path("out.inr").stat().st_size > 100 and "inrcodec.encoder.training_pyramid" in loaded
    assert loaded.isdisjoint({"sympy", "torch._dynamo", "torch._inductor"})


def test_the_module_runs_and_gives_its_status(clip):
    done = process("-m", "inrcodec", "info", "absent.inr")
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr == b"inrcodec: cannot read absent.inr: No such file or directory\n"


@pytest.mark.parametrize("command", ["info clip.inr", "decode clip.inr -o - -f npy --quiet"])
def test_a_closed_pipe_is_quiet(command, clip):
    read, write = os.pipe()
    os.close(read)
    done = process("-m", "inrcodec", *command.split(), stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (5, b"")
