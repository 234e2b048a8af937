"""`inrcodec encode`: media files to streams."""

from __future__ import annotations

import signal
import threading
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from inrcodec.cli.failures import Interrupted, report
from inrcodec.cli.files import STANDARD, check_standard_output, publish, reserved, send
from inrcodec.cli.terminal import Words, decibels, duration, print_json
from inrcodec.errors import OutputError, TargetMissed, UsageError

if TYPE_CHECKING:
    from inrcodec.encoder import EncodeOptions, EncodeResult, Progress


def run(arguments: Namespace) -> int:
    """Encodes every input, the ones after a failure too; the status is that of the first failure."""
    pairs = _pairs(arguments.inputs, arguments.output)
    if arguments.output == STANDARD:
        check_standard_output(arguments.json)
    work = _Work(_options(arguments), Words(arguments.quiet), arguments.overwrite, arguments.json)
    statuses = []
    with Interruption(work.words) as interruption:
        for source, target in pairs:
            try:
                work.encode(source, target, interruption)
                statuses.append(0)
            except Exception as error:
                statuses.append(report(error, about=source if len(pairs) > 1 else ""))
            if interruption.asked:
                break
    return next(filter(None, statuses), 0)


def _options(arguments: Namespace) -> EncodeOptions:
    from inrcodec.encoder import EncodeOptions

    return EncodeOptions(
        family=arguments.family,
        effort=arguments.effort,
        quality=arguments.quality,
        rate_lambda=arguments.rate_lambda,
        target_bpp=arguments.target_bpp,
        target_bytes=arguments.target_size,
        target_psnr_db=arguments.target_psnr,
        time_limit_s=arguments.time_limit,
        frames=arguments.frames,
        device=arguments.device,
        threads=arguments.threads,
        seed=arguments.seed,
    )


def _pairs(inputs: list[str], output: str) -> list[tuple[str, str]]:
    """(source, target) of each input. A folder as output takes one stream for each, named after it."""
    if output == STANDARD and len(inputs) > 1:
        raise UsageError(f"{len(inputs)} inputs cannot go to one output; -o wants a folder")
    into_folder = output != STANDARD and (len(inputs) > 1 or output.endswith("/") or Path(output).is_dir())
    if not into_folder:
        return [(inputs[0], output)]
    if STANDARD in inputs:
        raise UsageError("standard input has no name to be kept in a folder; -o wants a file")
    targets = [str(Path(output) / f"{Path(source).stem}.inr") for source in inputs]
    target, count = Counter(targets).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{count} inputs would all become {target}; encode them one by one")
    try:
        Path(output).mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: cannot be made a folder: {error.strerror}") from error
    return list(zip(inputs, targets, strict=True))


class Interruption:
    """Ctrl-C once: `interruption()` is True from then on, and the encoder ends in an orderly way. Twice: an abort."""

    def __init__(self, words: Words) -> None:
        self.asked = False
        self._told = False
        self._words = words

    def __enter__(self) -> Self:
        self._mine = threading.current_thread() is threading.main_thread()  # no other thread may have a handler
        if self._mine:
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, self._previous)

    def _on_signal(self, *_) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __call__(self) -> bool:
        """Whether to stop. Says so itself: a signal handler, which may run in the midst of a print, must not print."""
        if self.asked and not self._told:
            self._told = True
            self._words.say("Ctrl-C: finishing with the best parameters so far; a second one aborts")
        return self.asked


@dataclass
class _Work:
    """What all inputs have in common."""

    options: EncodeOptions
    words: Words
    overwrite: bool
    json: bool

    def encode(self, source: str, target: str, interruption: Interruption) -> None:
        """Encodes one input. TargetMissed and Interrupted are raised after the file was written."""
        if target == STANDARD:
            result = self._fit(source, interruption)
            send(result.data)
        else:
            with reserved(Path(target), self.overwrite) as hidden:
                result = self._fit(source, interruption)
                publish(result.data, hidden, Path(target), self.overwrite)
        self.words.say(_summary(source, target, result))
        if self.json:
            print_json(_facts(source, target, result))
        if interruption.asked:
            cut = f", {result.info.frames} frames" if result.stopped and result.info.is_video else ""
            raise Interrupted(f"interrupted; {target} is valid{cut}")
        if result.missed:
            raise TargetMissed(f"target missed: {result.missed}", result)

    def _fit(self, source: str, interruption: Interruption) -> EncodeResult:
        from inrcodec.device import memory_errors, pick_device
        from inrcodec.encoder import encode

        def progress(now: Progress) -> None:
            self.words.now(_live_line(source, now))

        in_memory = memory_errors(pick_device(self.options.device), "encoding")
        with self.words.live(), in_memory:
            return encode(source, self.options, progress, interruption)


def _live_line(source: str, now: Progress) -> str:
    segment = f"segment {now.segment + 1}/{now.segments}, " if now.segments > 1 else ""
    others = now.segments - 1 - now.segment
    left_s = now.left_s + others * (now.elapsed_s + now.left_s)
    return (
        f"{Path(source).name}: {segment}iteration {now.iteration}, {now.fraction:.0%}, {now.psnr_db:.2f} dB, "
        f"{now.bpp:.4f} bpp, {duration(left_s)} left"
    )


def _summary(source: str, target: str, result: EncodeResult) -> str:
    quality = f"{decibels(result.psnr_db)} ({result.psnr_over})"
    work = f"{result.family}, {result.iterations} iterations, {duration(result.encode_s)}"
    return f"{source} -> {target}: {result.bytes} bytes, {result.bpp:.4f} bpp, {quality}, {work}"


def _facts(source: str, target: str, result: EncodeResult) -> dict:
    return {
        "input": source,
        "output": target,
        "bytes": result.bytes,
        "bpp": result.bpp,
        "psnr_db": result.psnr_db,
        "psnr_over": result.psnr_over,
        "iterations": result.iterations,
        "encode_s": result.encode_s,
        "family": result.family,
        "effort": result.effort,
        "rate_lambda": result.rate_lambda,
        "width": result.info.width,
        "height": result.info.height,
        "frames": result.info.frames,
        "stopped": result.stopped,
        "missed": result.missed,
    }
