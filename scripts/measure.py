"""Measures families on files: one JSON line for each (file, family), from real encodes to real streams.

    python scripts/measure.py --families hashgrid coordx --effort 5 --rate-lambda 1e-3 FILE … >> results/table.jsonl
    python scripts/measure.py --families hashgrid --jpeg --target-bpp 0.45 kodim23.png
    python scripts/measure.py --table results/table.jsonl          the lines as a Markdown table

Distortion is that of the decoded stream; --jpeg adds Pillow's JPEG (4:2:0, optimized) at the largest quality that is no
larger than the stream.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import inrcodec
from inrcodec.encoder import EncodeOptions, encode
from inrcodec.metrics import Quality
from inrcodec.signal.read import open_source

RATES = ("quality", "rate_lambda", "target_bpp", "target_psnr_db")


def measure(path: Path, options: EncodeOptions) -> dict:
    """One encode and one decode, in this process; times in wall seconds."""
    result = encode(path, options)
    began = time.monotonic()
    with inrcodec.open(result.data, device=options.device) as decoder, open_source(path, options.frames) as source:
        frames = [decoder.samples(index) for index in range(len(decoder))]
        decode_s = time.monotonic() - began
        quality = Quality(result.info, with_ms_ssim=True)
        for (reference, _), frame in zip(source, frames, strict=True):
            quality.add(reference, frame)
        macs = {"macs_per_point": decoder.macs_per_point, "macs_per_pixel": decoder.macs_per_pixel}
    rates = {name: getattr(options, name) for name in RATES if getattr(options, name) is not None}
    return {
        "file": path.name,
        "frames": result.info.frames,
        "family": result.family,
        "effort": result.effort,
        **rates,
        "time_limit_s": options.time_limit_s,
        "bytes": result.bytes,
        "bpp": round(result.bpp, 5),
        **quality.summary(),
        "iterations": result.iterations,
        "encode_s": round(result.encode_s, 1),
        "decode_s": round(decode_s, 3),
        **macs,
        "missed": result.missed,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {options.device}, torch {torch.__version__}",
    }


def jpeg_of_size(path: Path, limit: int) -> dict:
    """Pillow's JPEG at the largest quality of up to `limit` bytes."""
    image = Image.open(path).convert("RGB")
    best = None
    for quality in range(1, 96):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)
        if buffer.tell() > limit:
            break
        best = quality, buffer
    if best is None:
        return {"jpeg_bytes": None, "jpeg_psnr_db": None}
    difference = np.asarray(Image.open(best[1]).convert("RGB"), dtype=np.float64) - np.asarray(image)
    psnr = 10 * np.log10(255**2 / np.mean(difference**2))
    return {"jpeg_bytes": best[1].tell(), "jpeg_psnr_db": round(float(psnr), 3)}


def table(lines: list[dict]) -> str:
    """Markdown, one row a line."""
    rows = [
        "| file | family | effort | bytes | bpp | PSNR dB | over | encode s | decode s | MAC/px direct | MAC/px cached |"
    ]
    rows.append("|---|---|---|---:|---:|---:|---|---:|---:|---:|---:|")
    for line in lines:
        rows.append(
            f"| {line['file']}{'' if line['frames'] == 1 else ' ×' + str(line['frames'])} | {line['family']} "
            f"| {line['effort']} | {line['bytes']} | {line['bpp']:.4f} | {line['psnr_db']:.2f} | {line['over']} "
            f"| {line['encode_s']:.0f} | {line['decode_s']:.2f} | {line['macs_per_point']:.0f} | {line['macs_per_pixel']:.0f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--families", nargs="+", default=["hashgrid"])
    parser.add_argument("--effort", type=int, default=5)
    parser.add_argument("--frames", type=int, help="only the first N frames")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--time-limit", type=float, help="of the optimization, in seconds")
    parser.add_argument("--jpeg", action="store_true")
    parser.add_argument("--table", type=Path)
    for name in RATES:
        parser.add_argument("--" + name.replace("_", "-"), type=float)
    arguments = parser.parse_args()
    if arguments.table:
        print(table([json.loads(line) for line in arguments.table.read_text().splitlines()]))
        return
    rates = {name: getattr(arguments, name) for name in RATES}
    for path in arguments.files:
        for family in arguments.families:
            frames = (0, arguments.frames) if arguments.frames else None
            options = EncodeOptions(
                family=family,
                effort=arguments.effort,
                frames=frames,
                threads=arguments.threads,
                device=arguments.device,
                time_limit_s=arguments.time_limit,
                **rates,
            )
            line = measure(path, options)
            if arguments.jpeg:
                line |= jpeg_of_size(path, line["bytes"])
            print(json.dumps(line), flush=True)
            print(f"{path.name} {family}: {line['bpp']} bpp, {line['psnr_db']} dB", file=sys.stderr)


if __name__ == "__main__":
    main()
