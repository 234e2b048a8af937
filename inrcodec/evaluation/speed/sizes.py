"""Seconds and memory of encoding against the size of a picture; scripts/sizes.py is its command. Each encode has a process of its
own, whose peak of resident memory the system tells.

    python -m inrcodec.evaluation.speed.sizes PICTURE MEGAPIXELS EFFORT THREADS RATE_LAMBDA

encodes one and prints {"width": …, "peak_bytes": …, …}; MEGAPIXELS 0 leaves the picture as it is.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from inrcodec.encoder import EncodeOptions, encode
from inrcodec.errors import InrError
from inrcodec.evaluation.measure import commit, machine
from inrcodec.evaluation.ours import own_versions
from inrcodec.signal.read import open_source

MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes; of getrusage(2)."""


def size_line(path: Path, megapixels: float | None, effort: int, threads: int, rate_lambda: float) -> dict:
    """The line of a picture, made smaller to so many megapixels (Lanczos) where they are given.

    peak_bytes: of the whole process, Python and PyTorch included; base_bytes: before encoding, with the picture in memory.
    Raises InrError if the process fails.
    """
    words = [str(path), str(megapixels or 0), str(effort), str(threads), str(rate_lambda)]
    command = [sys.executable, "-m", "inrcodec.evaluation.speed.sizes", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
        raise InrError(f"{path}: the process that encodes failed: {last}")
    found = json.loads(ran.stdout)
    given = {"effort": effort, "rate_lambda": rate_lambda, "threads": threads}
    about = {"versions": own_versions("cpu"), "machine": machine(), "commit": commit()}
    return {"kind": "size", "file": path.name, **given, **found, **about}


def resized(picture: np.ndarray, megapixels: float) -> np.ndarray:
    """(H, W, C) of 8 bits at about so many megapixels, if that is fewer than it has."""
    share = math.sqrt(1e6 * megapixels / math.prod(picture.shape[:2]))
    if not 0 < share < 1:
        return picture
    height, width = (max(1, round(share * size)) for size in picture.shape[:2])
    small = Image.fromarray(picture.squeeze()).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(small).reshape(height, width, -1)


def size_table(lines: list[dict]) -> str:
    """Markdown, a row a line."""
    titles = "| picture | megapixels | effort | iterations | CPU s | CPU s a megapixel | peak MiB | bpp | PSNR dB |"
    rows = [titles, "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for line in lines:
        megapixels = line["width"] * line["height"] / 1e6
        rows.append(
            f"| {line['file']}, {line['width']}×{line['height']} | {megapixels:.2f} | {line['effort']} | {line['iterations']} "
            f"| {line['cpu_s']:.1f} | {line['cpu_s'] / megapixels:.1f} | {line['peak_bytes'] / (1 << 20):.0f} "
            f"| {line['bpp']:.3f} | {line['psnr_db']:.2f} |"
        )
    return "\n".join(rows)


def main(path: str, megapixels: str, effort: str, threads: str, rate_lambda: str) -> None:
    with open_source(path) as source:
        ((picture, _),) = source
    picture = resized(picture, float(megapixels))
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT
    began, began_cpu = time.perf_counter(), time.process_time()
    result = encode(picture, EncodeOptions(effort=int(effort), threads=int(threads), rate_lambda=float(rate_lambda)))
    seconds = {"encode_s": time.perf_counter() - began, "cpu_s": time.process_time() - began_cpu}
    found = {
        "width": result.info.width,
        "height": result.info.height,
        "iterations": result.iterations,
        "bytes": result.bytes,
        "bpp": result.bpp,
        "psnr_db": result.psnr_db if math.isfinite(result.psnr_db) else None,
        **{name: round(value, 3) for name, value in seconds.items()},
        "base_bytes": base,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
