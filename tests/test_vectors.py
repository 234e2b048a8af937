"""The conformance vectors decode as they did when they were published, and the runner notices when they do not."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from check_vectors import check_faulty, check_valid, vectors  # noqa: E402

FOUND = vectors(ROOT / "bitstreams")


@pytest.mark.parametrize("path, check", FOUND, ids=[f"{path.parent.name}-{path.stem}" for path, _ in FOUND])
def test_vector(path, check):
    assert check(path) is None


def test_every_family_has_an_image_and_a_video():
    names = {path.stem for path, _ in FOUND if path.parent.name == "conforming"}
    assert {
        f"{family}-{kind}" for family in ("siren", "coordx", "asmr", "hashgrid") for kind in ("image", "video")
    } <= names


@pytest.fixture
def copy(tmp_path):
    for suffix in (".inr", ".json", ".npy"):
        shutil.copy(ROOT / "bitstreams/conforming/hashgrid-image.inr", tmp_path) if suffix == ".inr" else shutil.copy(
            (ROOT / "bitstreams/conforming/hashgrid-image").with_suffix(suffix), tmp_path
        )
    return tmp_path / "hashgrid-image.inr"


def test_runner_notices_a_pixel_that_is_off_by_two(copy):
    samples = np.load(copy.with_suffix(".npy"))
    samples[0, 3, 4, 1] += 2 if samples[0, 3, 4, 1] < 100 else -2
    np.save(copy.with_suffix(".npy"), samples)
    assert "peak error" in check_valid(copy)


def test_runner_notices_other_symbols_and_other_bytes(copy):
    facts = json.loads(copy.with_suffix(".json").read_text())
    copy.with_suffix(".json").write_text(json.dumps(facts | {"symbols_sha256": "0" * 64}))
    assert check_valid(copy) == "symbols differ"
    copy.with_suffix(".json").write_text(json.dumps(facts | {"sha256": "0" * 64}))
    assert "bytes were changed" in check_valid(copy)


def test_runner_notices_a_faulty_stream_that_decodes(copy):
    copy.with_suffix(".json").write_text(json.dumps({"message": "anything"}))
    assert check_faulty(copy) == "it was decoded"
