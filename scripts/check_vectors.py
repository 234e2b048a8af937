"""Runs the conformance vectors: symbols exactly, pixels within the stated errors, faulty streams refused.

    python scripts/check_vectors.py [FOLDER] [--device cpu|cuda]

One line a vector; exit status 1 if any failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch

import inrcodec


def symbols_sha256(decoder: inrcodec.Decoder) -> str:
    """Of all decoded symbols: segments in order, a segment's tensors in the order of its specs, int32 little-endian."""
    digest = hashlib.sha256()
    for index in range(decoder.metadata.segments):
        coded = decoder.coded_segment(index)
        for spec in coded.field.specs():
            digest.update(coded.symbols[spec.name].astype("<i4").tobytes())
    return digest.hexdigest()


def check_valid(path: Path, device: str = "cpu") -> str | None:
    """What is wrong with how this package decodes a valid vector, or None."""
    facts = json.loads(path.with_suffix(".json").read_text())
    stream = path.read_bytes()
    if hashlib.sha256(stream).hexdigest() != facts["sha256"]:
        return "the vector's bytes were changed"
    with inrcodec.open(stream, device=device) as decoder:
        info = decoder.info
        for name in ("width", "height", "frames", "pixel_format", "bit_depth"):
            if getattr(info, name) != facts[name]:
                return f"{name} is {getattr(info, name)}, due is {facts[name]}"
        if symbols_sha256(decoder) != facts["symbols_sha256"]:
            return "symbols differ"
        times = [decoder.get_frame_at(index).pts_seconds for index in facts["chosen_frames"]]
        if times != facts.get("pts_seconds", times):
            return f"frames are shown at {times} s, due are {facts['pts_seconds']}"
        decoded = np.stack([decoder.samples(index) for index in facts["chosen_frames"]])
    error = decoded.astype(np.float64) - np.load(path.with_suffix(".npy"), allow_pickle=False)
    peak, rms = np.abs(error).max(), np.sqrt(np.mean(error**2))
    if peak > facts["peak_error"] or rms > facts["rms_error"]:
        return f"peak error {peak}, RMS {rms:.3f}; allowed are {facts['peak_error']} and {facts['rms_error']}"
    return None


def check_faulty(path: Path, device: str = "cpu") -> str | None:
    """What is wrong with how this package refuses a faulty vector, or None."""
    facts = json.loads(path.with_suffix(".json").read_text())
    stream = path.read_bytes()
    if hashlib.sha256(stream).hexdigest() != facts["sha256"]:
        return "the vector's bytes were changed"
    try:
        with inrcodec.open(stream, device=device) as decoder:
            decoder.verify()
            decoder.samples(0)
    except inrcodec.InrError as error:
        kind, message = type(error).__name__, str(error)
        fine = kind == facts["error"] and facts["message"] in message
        return None if fine else f"{kind} {message!r}, due is {facts['error']} with {facts['message']!r}"
    return "it was decoded"


def vectors(folder: Path) -> list[tuple[Path, object]]:
    """All vectors with the check that applies."""
    found = []
    for kind, check in (("conforming", check_valid), ("uncommon", check_valid), ("faulty", check_faulty)):
        found += [(path, check) for path in sorted((folder / kind).glob("*.inr"))]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("bitstreams"))
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failures = 0
    found = vectors(arguments.folder)
    for path, check in found:
        problem = check(path, arguments.device)
        failures += problem is not None
        print(f"{path.parent.name}/{path.name}: {problem or 'ok'}")
    print(f"{len(found) - failures} of {len(found)} vectors passed")
    return int(failures > 0 or not found)


if __name__ == "__main__":
    sys.exit(main())
