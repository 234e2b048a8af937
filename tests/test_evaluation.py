"""Many points: what is kept, what is not run twice, what fails, and published curves."""

import json

import numpy as np
import pytest
from evaluationcases import codec_of, write_media

from inrcodec.errors import InputError, UsageError
from inrcodec.evaluation.codec import Codec
from inrcodec.evaluation.lines import read_lines
from inrcodec.evaluation.measure import Conditions
from inrcodec.evaluation.published import read_published
from inrcodec.evaluation.run import TimeLeft, plan, run
from inrcodec.evaluation.signals import find_files, open_signal
from inrcodec.evaluation.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def face(folder):
    return open_signal(folder / "face.png")


@pytest.fixture(scope="module")
def clip(folder):
    return open_signal(folder / "clip.mkv")


def run_all(codecs, signals, store):
    faults, reports = [], []
    tasks = plan(codecs, signals, store, faults.append)
    run(
        tasks,
        store,
        Conditions(with_ms_ssim=False),
        faults.append,
        lambda done, task, left_s: reports.append((done, left_s)),
    )
    return tasks, faults, reports


def test_a_point_that_is_there_is_not_run_again(face, tmp_path):
    path = tmp_path / "rd.jsonl"
    tasks, faults, reports = run_all([codec_of("jpeg:q=20/40")], [face], Store(path))
    assert (len(tasks), faults) == (2, [])
    assert [done for done, _ in reports] == [0, 1]
    assert reports[0][1] is None and reports[1][1] > 0
    before = path.read_bytes()
    tasks, faults, _ = run_all([codec_of("jpeg:q=20/30/40")], [face], Store(path))
    assert [str(task) for task in tasks] == ["jpeg q=30 face.png"]
    assert path.read_bytes().startswith(before)
    assert [line["setting"] for line in read_lines(path)] == ["q=20", "q=40", "q=30"]


def test_a_point_of_other_frames_or_of_another_file_of_that_name_is_another_point(face, tmp_path):
    store = Store(tmp_path / "rd.jsonl")
    run_all([codec_of("jpeg:q=20")], [face], store)
    line = store.lines[0]
    assert line in store
    assert {**line, "frames": 2} not in store and {**line, "width": 100} not in store


def test_a_line_that_was_cut_off_is_measured_again(face, tmp_path):
    path = tmp_path / "rd.jsonl"
    run_all([codec_of("jpeg:q=20/40")], [face], Store(path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    tasks, _, _ = run_all([codec_of("jpeg:q=20/40")], [face], Store(path))
    assert [str(task) for task in tasks] == ["jpeg q=40 face.png"]
    assert len(read_lines(path)) == 2


def test_other_lines_are_refused_with_their_place(face, tmp_path):
    path = tmp_path / "rd.jsonl"
    run_all([codec_of("jpeg:q=20")], [face], Store(path))
    good = path.read_text()
    for bad, told in (("{}", "line 2: codec, .* missing"), (good.replace('"bpp": ', '"bpp": -'), "line 2: bpp is -")):
        path.write_text(good + bad + "\n")
        with pytest.raises(InputError, match=rf"rd.jsonl, {told}"):
            Store(path)
    path.write_text("no json\n")
    with pytest.raises(InputError, match=r"rd.jsonl, line 1: no JSON"):
        read_lines(path)
    with pytest.raises(InputError, match="nothing.jsonl: No such file"):
        read_lines(tmp_path / "nothing.jsonl")


class Failing(Codec):
    """Raises, or gives back too few frames."""

    NAME, SUFFIX, RATES = "failing", ".bin", {"q": (1, 2)}

    @classmethod
    def missing(cls):
        return None

    def refuses(self, info):
        return None

    def versions(self):
        return {}

    def encode(self, signal, value, path, threads):
        if value == 1:
            raise ZeroDivisionError("a library's own trouble")
        path.write_bytes(b"")

    def decode(self, path, info, threads):
        return iter(())


def test_a_failure_leaves_the_other_results_standing(face, tmp_path):
    store = Store(tmp_path / "rd.jsonl")
    _, faults, _ = run_all([Failing.of({}), codec_of("jpeg:q=20")], [face], store)
    assert faults == [
        "failing q=1 face.png: ZeroDivisionError: a library's own trouble",
        "failing q=2 face.png: failed: 0 frames can be compared, the file announces 1",
    ]
    assert [line["codec"] for line in store.lines] == ["jpeg"]


def test_codecs_of_pictures_pass_videos_by(face, clip, tmp_path):
    store = Store(tmp_path / "rd.jsonl")
    faults = []
    tasks = plan([codec_of("jpeg:q=20"), codec_of("x264:crf=30")], [face, clip], store, faults.append)
    assert ([str(task) for task in tasks], faults) == (["jpeg q=20 face.png", "x264 medium crf=30 clip.mkv"], [])
    assert plan([codec_of("jpeg")], [clip], store, faults.append) == []
    assert faults == ["jpeg: codes pictures, and none is given"]


def test_a_signal_that_a_codec_refuses_is_said(folder, tmp_path):
    np.save(tmp_path / "deep.npy", np.zeros((8, 8, 3), np.uint16))
    signals = [open_signal(path) for path in (folder / "face.png", tmp_path / "deep.npy")]
    faults = []
    tasks = plan([codec_of("jpeg:q=20")], signals, Store(tmp_path / "rd.jsonl"), faults.append)
    assert [str(task) for task in tasks] == ["jpeg q=20 face.png"]
    assert faults == ["jpeg deep.npy: is compared on rgb and gray with 8 bits, this is rgb with 16"]


def test_time_left_goes_by_pixels_and_by_codec(face, tmp_path):
    slow, fast = Failing.of({"q": "1/2"}), codec_of("jpeg:q=20/40")
    tasks = plan([slow, fast], [face], Store(tmp_path / "rd.jsonl"), [].append)
    clock = TimeLeft(tasks)
    assert clock.left_s is None
    clock.done(tasks[0], 10.0)
    assert clock.left_s is None  # nothing is known of the other codec
    clock.done(tasks[2], 1.0)
    assert clock.left_s == pytest.approx(10 + 1)
    clock.failed(tasks[1])
    assert clock.left_s == pytest.approx(1)


def test_folders_hold_pictures_and_names_differ(folder, tmp_path):
    assert [path.name for path in find_files([folder])] == ["face.png", "gray.png"]
    assert find_files([folder / "clip.mkv"]) == [folder / "clip.mkv"]
    with pytest.raises(InputError, match="holds no picture"):
        find_files([tmp_path])
    with pytest.raises(InputError, match="nothing.png: is not there"):
        find_files([tmp_path / "nothing.png"])
    with pytest.raises(UsageError, match="2 files are called face.png"):
        find_files([folder, folder / "face.png"])


# -- published curves ---------------------------------------------------------------------------------------------------


def test_published_curves_are_marked(tmp_path):
    one = {"name": "VTM", "results": {"bpp": [0.1, 0.2], "psnr-rgb": [30, 33.5], "ms-ssim-rgb": [0.9, 0.95]}}
    several = {"COIN": {"dataset": "Kodak (24)", "bpp": [0.3], "psnr": [25]}, "note": "by hand"}
    table = "lmbda\tseq_name\tpsnr_db\trate_bpp\n0.0010\tkodim01\t32.5\t0.75\n"
    video = "seq_name\tlmbda\trate_bpp\th\tw\tn_frames\tpsnr_db\nC_yuv420_8b\t0.002\t0.06\t480\t832\t300\t30.5\n"
    (tmp_path / "one.json").write_text(json.dumps(one))
    (tmp_path / "several.json").write_text(json.dumps(several))
    (tmp_path / "cool.tsv").write_text(table)
    (tmp_path / "video.tsv").write_text(video)
    lines = [
        line
        for name in ("one.json", "several.json", "cool.tsv", "video.tsv")
        for line in read_published(tmp_path / name)
    ]
    wanted = ("codec", "setting", "file", "frames", "bpp", "psnr_db", "ms_ssim", "over", "mean")
    assert [tuple(line[key] for key in wanted) for line in lines] == [
        ("VTM (published)", "point 1", "mean of one", 1, 0.1, 30.0, 0.9, "RGB", True),
        ("VTM (published)", "point 2", "mean of one", 1, 0.2, 33.5, 0.95, "RGB", True),
        ("COIN (published)", "point 1", "mean of Kodak (24)", 1, 0.3, 25.0, None, "RGB", True),
        ("cool (published)", "lambda=0.001", "kodim01", 1, 0.75, 32.5, None, "RGB", False),
        ("video (published)", "lambda=0.002", "C_yuv420_8b", 300, 0.06, 30.5, None, "4:2:0", False),
    ]
    assert all(line["published"] for line in lines)
    assert (lines[-1]["width"], lines[-1]["height"]) == (832, 480)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"params_M": [1], "NeRV": [30]}', "holds no curve of bits per pixel"),
        ("a.json", '{"results": {"bpp": [1]}}', "KeyError"),
        ("a.json", '{"A": {"bpp": [1, 2], "psnr": [30]}}', "ValueError"),
        ("a.json", "[", "JSONDecodeError"),
        ("a.json", "[1]", "holds a list"),
        ("a.tsv", "seq_name\trate_bpp\n", "has no column lmbda, psnr_db"),
        ("a.tsv", "seq_name\tlmbda\trate_bpp\tpsnr_db\nk\t1\tx\t30\n", "could not convert"),
    ],
)
def test_other_files_are_no_published_curves(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_published(tmp_path / name)
