"""`inrcodec verify`: whether a stream is intact."""

from __future__ import annotations

from argparse import Namespace

from inrcodec.cli.files import stream_source
from inrcodec.cli.terminal import Words


def run(arguments: Namespace) -> int:
    """Decodes all symbols, no pixels. A fault is raised as StreamError."""
    from inrcodec.decode import Decoder

    with Decoder(stream_source(arguments.input), device="cpu") as decoder:
        decoder.verify()
        facts = decoder.metadata
    frames, segments = (
        f"{n} {name}{'s' * (n > 1)}" for n, name in ((facts.num_frames, "frame"), (facts.segments, "segment"))
    )
    Words().say(f"{arguments.input}: ok, {frames} in {segments}, {facts.bytes} bytes")
    return 0
