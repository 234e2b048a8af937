"""`inrcodec decode`: a stream, or a part of it, to a media file."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from inrcodec.cli.files import STANDARD, check_standard_output, stream_source
from inrcodec.cli.terminal import Words, print_json

if TYPE_CHECKING:
    import numpy as np

    from inrcodec.decode import Decoder
    from inrcodec.signal.info import SignalInfo
    from inrcodec.source import Source


def run(arguments: Namespace) -> int:
    """Decodes to a sink, ahead of what is written; seconds and frames a second are of decoding alone."""
    if arguments.output == STANDARD:
        check_standard_output(arguments.json)
    from inrcodec.decode import Decoder
    from inrcodec.signal.read import selection
    from inrcodec.source import Source

    stream = stream_source(arguments.input)
    source, words = Source(stream), Words(arguments.quiet)
    with Decoder(stream, device=arguments.device) as decoder:
        chosen = range(*selection(arguments.frames, len(decoder), arguments.input))
        width, height, decode_s = _decode(decoder, source, chosen, arguments, words)
    source.close()
    fps = len(chosen) / decode_s
    words.say(
        f"{arguments.input} -> {arguments.output}: {len(chosen)} frame{'s' * (len(chosen) > 1)} of {width}x{height} "
        f"in {decode_s:.3f} s, {fps:.1f} frames per second"
    )
    if arguments.json:
        facts = {"input": arguments.input, "output": arguments.output, "frames": len(chosen), "decode_s": decode_s}
        print_json({**facts, "fps": fps, "width": width, "height": height})
    return 0


def _decode(
    decoder: Decoder, source: Source, chosen: range, arguments: Namespace, words: Words
) -> tuple[int, int, float]:
    """Writes the chosen frames; width, height and seconds of decoding."""
    from inrcodec.ahead import computed_ahead
    from inrcodec.signal.write import open_sink

    pictures = _Pictures(decoder, arguments)
    info = replace(pictures.info, frames=len(chosen))
    decode_s = 0.0

    def timed(index: int) -> tuple[np.ndarray, float]:
        began = time.perf_counter()
        return pictures.frame(index), time.perf_counter() - began

    with open_sink(arguments.output, info, arguments.overwrite, arguments.format) as sink, words.live():
        frames = computed_ahead(timed, chosen)
        for tick, index, (samples, seconds) in zip(_ticks(source, decoder.info, chosen), chosen, frames, strict=True):
            decode_s += seconds
            sink.write(samples, tick)
            words.now(
                f"{arguments.input}: frame {index}, {(index - chosen.start + 1) / decode_s:.1f} frames per second"
            )
    return info.width, info.height, decode_s


def _ticks(source: Source, info: SignalInfo, chosen: range) -> Iterator[int | None]:
    """Times of the chosen frames in the stream's time base, the first at 0."""
    for index in chosen:
        seconds = source.times.seconds(index) - source.times.seconds(chosen.start)
        yield round(seconds * info.time_base_den / info.time_base_num) if info.is_video else None


class _Pictures:
    """Frames in the representation that the sink wants. info: of them, but for the number of frames."""

    def __init__(self, decoder: Decoder, arguments: Namespace) -> None:
        from inrcodec.signal.color import rgb_info
        from inrcodec.signal.write import sink_wants
        from inrcodec.view import View

        self._decoder, self._region, self._scale = decoder, arguments.region, arguments.scale
        view = View.of(decoder.info, self._region, self._scale)
        self._whole = view.is_whole(decoder.info)
        native = replace(decoder.info, width=view.columns, height=view.rows)
        self._native = sink_wants(arguments.output, native, arguments.format) == "native"
        self.info = native if self._native else rgb_info(native)

    def frame(self, index: int) -> np.ndarray:
        """(H, W, C) integers. Parts and other sizes of 4:2:0 are made from their RGB pictures."""
        if self._native and self._whole:
            return self._decoder.samples(index)
        picture = self._decoder.numpy(index, self._region, self._scale)
        if self._native and self.info.pixel_format == "yuv420":
            from inrcodec.signal.color import from_rgb

            return from_rgb(picture, self.info)
        return picture
