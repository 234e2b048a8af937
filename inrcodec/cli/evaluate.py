"""`inrcodec evaluate`: how far a stream is from its source."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import TYPE_CHECKING

from inrcodec.cli.files import stream_source
from inrcodec.cli.terminal import Words, decibels, print_json, print_table
from inrcodec.errors import UsageError

if TYPE_CHECKING:
    from inrcodec.decode import Decoder
    from inrcodec.metrics import Quality
    from inrcodec.signal.info import SignalInfo
    from inrcodec.signal.read import Source

COMPARED = ("width", "height", "frames", "pixel_format", "bit_depth", "full_range")
"""Facts of a SignalInfo that both signals must share."""


def run(arguments: Namespace) -> int:
    """Compares frame by frame, in the samples that the stream codes."""
    from inrcodec.decode import Decoder
    from inrcodec.metrics import Quality
    from inrcodec.signal.read import open_source

    with (
        open_source(arguments.reference, arguments.frames) as source,
        Decoder(stream_source(arguments.input)) as decoder,
    ):
        _check_same(source.info, decoder.info)
        quality = Quality(decoder.info)
        decode_s = _compare(source, decoder, quality, Words(quiet=arguments.json))
        metadata = decoder.metadata
    summary = quality.summary()
    facts = {
        "bytes": metadata.bytes,
        "bpp": metadata.bpp,
        "psnr_over": summary.pop("over"),
        **summary,
        "decode_s": decode_s,
    }
    if arguments.json:
        print_json(facts)
    else:
        print_table(_rows(facts))
    return 0


def _check_same(reference: SignalInfo, coded: SignalInfo) -> None:
    for name in COMPARED:
        theirs, ours = getattr(reference, name), getattr(coded, name)
        if theirs != ours:
            hint = " (--frames A:B selects some of the reference)" if name == "frames" else ""
            raise UsageError(f"{name} of the reference is {theirs}, that of the stream is {ours}{hint}")


def _compare(source: Source, decoder: Decoder, quality: Quality, words: Words) -> float:
    """Adds every frame to `quality`; seconds of decoding."""
    decode_s, count = 0.0, 0
    with words.live():
        for reference, _ in source:
            began = time.perf_counter()
            decoded = decoder.samples(count)
            decode_s += time.perf_counter() - began
            quality.add(reference, decoded)
            count += 1
            words.now(f"frame {count} of {len(decoder)}")
    if count != len(decoder):
        raise UsageError(f"the reference has {count} readable frames, the stream {len(decoder)}")
    return decode_s


def _rows(facts: dict) -> dict[str, str]:
    rows = {"size": f"{facts['bytes']} bytes, {facts['bpp']:.4f} bpp", "frames": str(facts["frames"])}
    rows["PSNR"] = f"{decibels(facts['psnr_db'])} over {facts['psnr_over']}" + (
        ", mean over frames" if facts["frames"] > 1 else ""
    )
    for name in ("y", "u", "v", "611"):
        if f"psnr_{name}_db" in facts:
            rows[f"PSNR {name.upper()}"] = decibels(facts[f"psnr_{name}_db"])
    rows["MS-SSIM"] = "none (a side is below 161)" if facts["ms_ssim"] is None else f"{facts['ms_ssim']:.5f}"
    return {
        **rows,
        "decoding": f"{facts['decode_s']:.3f} s, {facts['frames'] / facts['decode_s']:.1f} frames per second",
    }
