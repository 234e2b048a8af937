"""How long commands take from nothing: processes of their own, with all that they load."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from inrcodec.bitstream import StreamReader
from inrcodec.errors import InrError
from inrcodec.evaluation.speed.timing import Conditions, spread
from inrcodec.metadata import metadata_of

VERBS = ("info", "verify", "decode")


def cold_speed(path: Path, conditions: Conditions = Conditions()) -> dict:
    """The line of a stream: wall seconds of `inrcodec info`, `verify` and `decode` (a picture to .png, a video to .npy), the
    verbs in turn. Raises InputError and StreamError for a bad stream, InrError if a command fails."""
    with path.open("rb") as file:
        metadata = metadata_of(StreamReader(file))
    info = metadata.info
    seconds: dict[str, list[float]] = {verb: [] for verb in VERBS}
    with TemporaryDirectory() as folder:
        output = Path(folder) / ("decoded.npy" if info.is_video else "decoded.png")
        for repetition in range(conditions.warmup + conditions.repetitions):
            for verb in VERBS:
                words = ["-o", str(output), "-y", "--quiet", "--device", conditions.device] if verb == "decode" else []
                took = _seconds([verb, str(path), *words], conditions.threads)
                if repetition >= conditions.warmup:
                    seconds[verb].append(took)
    return {
        "kind": "cold",
        "file": path.name,
        "family": metadata.family,
        **{"frames": info.frames, "width": info.width, "height": info.height, "bytes": metadata.bytes},
        **{f"{verb}_s": spread(found) for verb, found in seconds.items()},
        **conditions.facts(),
    }


def _seconds(words: list[str], threads: int) -> float:
    """Of the command line `inrcodec` + words."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-m", "inrcodec", *words], env=environment, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if ran.returncode:
        raise InrError(f"inrcodec {words[0]} failed: {(ran.stderr.strip().splitlines() or [ran.returncode])[-1]}")
    return took
