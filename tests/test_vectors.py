"""The conformance vectors decode as they did when they were published, and the runner notices when they do not."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from inrcodec.segment import SegmentReader

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from check_vectors import check_faulty, check_valid, vectors  # noqa: E402
from make_vectors import add_valid  # noqa: E402

FOUND = vectors(ROOT / "bitstreams")


@pytest.mark.parametrize("path, check", FOUND, ids=[f"{path.parent.name}-{path.stem}" for path, _ in FOUND])
def test_vector(path, check):
    assert check(path) is None


def test_every_family_has_an_image_and_a_video():
    names = {path.stem for path, _ in FOUND if path.parent.name == "conforming"}
    of_both = {f"{family}-{kind}" for family in ("siren", "coordx", "asmr", "hashgrid") for kind in ("image", "video")}
    assert of_both | {"film-video"} <= names


def duplicate(name: str, folder: Path) -> Path:
    """A vector with what lies beside it, to be spoiled."""
    for path in (ROOT / "bitstreams").glob(f"*/{name}.*"):
        shutil.copy(path, folder)
    return folder / f"{name}.inr"


def rewrite(path: Path, **facts) -> None:
    path = path.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


@pytest.fixture
def copy(tmp_path):
    return duplicate("hashgrid-image", tmp_path)


def test_runner_notices_a_pixel_that_is_off_by_two(copy):
    samples = np.load(copy.with_suffix(".npy"))
    samples[0, 3, 4, 1] += 2 if samples[0, 3, 4, 1] < 100 else -2
    np.save(copy.with_suffix(".npy"), samples)
    assert "peak error" in check_valid(copy)


def test_runner_notices_many_pixels_that_are_off_by_one(copy):
    samples = np.load(copy.with_suffix(".npy"))
    samples[:, ::8] ^= 1
    np.save(copy.with_suffix(".npy"), samples)
    assert "RMS 0." in check_valid(copy)


def test_runner_notices_other_symbols_and_other_bytes(copy):
    facts = json.loads(copy.with_suffix(".json").read_text())
    rewrite(copy, symbols_sha256="0" * 64)
    assert check_valid(copy) == "symbols differ"
    rewrite(copy, symbols_sha256=facts["symbols_sha256"], sha256="0" * 64)
    assert "bytes were changed" in check_valid(copy)


def test_runner_notices_one_changed_symbol(copy, monkeypatch):
    """Changed on its way out of the decoder: what a faulty entropy decoder would do."""

    coded = SegmentReader.coded

    def one_off(reader):
        found = coded(reader)
        next(iter(found.symbols.values())).flat[0] += 1
        return found

    monkeypatch.setattr(SegmentReader, "coded", one_off)
    assert check_valid(copy) == "symbols differ"


def test_runner_notices_other_times(tmp_path):
    path = duplicate("irregular-times", tmp_path)
    assert check_valid(path) is None
    rewrite(path, pts_seconds=[0.0, 0.12, 0.46])
    assert "0.44" in check_valid(path)


def test_runner_notices_a_faulty_stream_that_decodes(copy):
    rewrite(copy, error="StreamError", message="anything")
    assert check_faulty(copy) == "it was decoded"


@pytest.mark.parametrize("facts", [{"error": "StreamError"}, {"message": "another fault"}, {"sha256": "0" * 64}])
def test_runner_notices_another_fault_than_the_one_due(facts, tmp_path):
    path = duplicate("version-2", tmp_path)
    assert check_faulty(path) is None
    rewrite(path, **facts)
    assert check_faulty(path) is not None


def test_existing_vectors_are_left_alone(tmp_path):
    (tmp_path / "taken.inr").write_bytes(b"published")
    add_valid(tmp_path, {"taken": lambda: pytest.fail("made again")})
    assert [path.name for path in tmp_path.iterdir()] == ["taken.inr"]
