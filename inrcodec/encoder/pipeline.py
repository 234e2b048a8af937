"""From a media source to a stream: segments of frames, a field fitted to each, every segment parsed and decoded again."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np
import torch

from inrcodec.bitstream import RawSegment, pack_segment, pack_stream, unpack_segment
from inrcodec.device import memory_errors, pick_device
from inrcodec.encoder.batches import Batch, Samples, aligned_patches, sub_lattices, whole_frames
from inrcodec.encoder.clock import Clock, iterations_of
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.decoded import decoded_frames
from inrcodec.encoder.film.control import LambdaSearch
from inrcodec.encoder.film.fit import fit_film, iterations_of_film
from inrcodec.encoder.importance import ImportantLattices
from inrcodec.encoder.options import EncodeOptions, EncodeResult, Progress
from inrcodec.encoder.probe import probed_lambda
from inrcodec.encoder.shots import ShotDetector
from inrcodec.encoder.sizing import (
    THOROUGH_EFFORT,
    expected_bpp,
    make_field,
    may_be_single,
    network_shape,
    start_lambda,
    target_bytes,
)
from inrcodec.encoder.start import COLORS, Colors, start
from inrcodec.encoder.targets import SegmentTarget
from inrcodec.encoder.training import Report, Training
from inrcodec.encoder.training_pyramid import PyramidTraining
from inrcodec.encoder.trainings import training_of
from inrcodec.errors import InputError, UsageError
from inrcodec.fields import Field, Pyramid
from inrcodec.kernels import native
from inrcodec.kernels.allocator import keep_large_blocks
from inrcodec.metrics import Quality
from inrcodec.segment import CodedField, decode_segment
from inrcodec.signal.info import SignalInfo
from inrcodec.signal.read import open_source

SEGMENT_BYTES = 256 << 20
"""Samples of a segment in memory."""
SEGMENT_FRAMES = 160
ITERATIONS_OF_BEGINNING, BEGUN_AGAIN_FROM = 200, 4000
"""How far all COLORS are tried, by fits of so many iterations and more: ends differ by percents, and what is ahead by then is
mostly ahead in the end; after 100 iterations it may only be faster (docs/research.md, "Colors of single planes")."""
QUICKEST = 1
"""Effort whose start is looked at to choose rate_lambda, or the planes of a pyramid."""
BATCH = {"hashgrid": (1 << 16, 4), "coordx": (1 << 14, 4), "asmr": (1 << 15, 4), "siren": (1 << 14, 4)}
"""Pixels and frames of a mini-batch."""

Stop = Callable[[], bool]


@dataclass
class _Run:
    """What the segments of one encode share."""

    options: EncodeOptions
    info: SignalInfo
    family: str
    device: torch.device
    segments: int
    frames: int
    progress: Callable[[Progress], None] | None
    stop: Stop | None
    iterations: int = 0
    stopped: bool = False


def encode(
    source,
    options: EncodeOptions = EncodeOptions(),
    progress: Callable[[Progress], None] | None = None,
    stop: Stop | None = None,
) -> EncodeResult:
    """Encodes a file, a stream or an array (see `signal.read.open_source`).

    progress: called after each iteration. stop: polled; once it says True, the fit ends with the best parameters so
    far, and a video ends with the current segment.

    Raises InputError, UsageError or DeviceError; a missed target is told by `EncodeResult.missed`.
    """
    began = time.monotonic()
    _prepare(options)
    with open_source(source, options.frames) as opened:
        length = _segment_length(opened.info, opened.expected_frames)
        family = _family(options, opened.info)
        device = _device(options, family)
        run = _Run(
            options,
            opened.info,
            family,
            device,
            math.ceil(opened.expected_frames / length),
            opened.expected_frames,
            progress,
            stop,
        )
        packed, first, quality, rate_lambda, crc = [], 0, Quality(opened.info, with_ms_ssim=False), 0.0, 0
        for frames, ticks in _segments(opened, length, by_shots=run.family == "film"):
            with memory_errors(device, f"encoding segment {len(packed)}"):
                raw, rate_lambda = _encode_segment(run, frames, ticks, first, len(packed))
            packed.append(raw)
            first += len(frames)
            info = replace(opened.info, frames=first)
            crc = _measure(raw, frames, info, device, quality, crc)
            if run.stopped:
                break
    if not packed:
        raise InputError("the source holds no frame")
    data = pack_stream(info, [pack_segment(raw) for raw in packed])
    summary = quality.summary()
    psnr_db = math.inf if summary["psnr_db"] is None else summary["psnr_db"]
    return EncodeResult(
        data=data,
        info=info,
        family=run.family,
        effort=options.effort,
        rate_lambda=rate_lambda,
        iterations=run.iterations,
        encode_s=time.monotonic() - began,
        psnr_db=psnr_db,
        psnr_over=summary["over"],
        samples_crc32=crc,
        stopped=run.stopped,
        missed=_missed(options, data, info, psnr_db),
    )


def _family(options: EncodeOptions, info: SignalInfo) -> str:
    """The asked family, or the one of best rate–distortion (README, table)."""
    picture = info.frames == 1 and info.pixel_format != "yuv420"
    if options.family == "pyramid" and not picture:
        raise UsageError(
            "family pyramid codes pictures (gray, RGB, with or without alpha), this is a video: take hashgrid"
        )
    if options.family == "film" and not native.available():
        raise UsageError(
            "family film needs the compiled loops, and no compiler was there at installation: take hashgrid"
        )
    if options.family != "auto":
        return options.family
    if picture:
        return "pyramid"
    return "film" if native.available() else "hashgrid"


def _prepare(options: EncodeOptions) -> None:
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    keep_large_blocks()


def _device(options: EncodeOptions, family: str) -> torch.device:
    """Where to fit. Pyramids are fitted faster by the compiled loops than by PyTorch on a GPU, films by those alone."""
    by_loops = family == "film" or (family == "pyramid" and native.available() and options.device == "auto")
    asked = pick_device("cpu" if by_loops and options.device == "auto" else options.device)
    return torch.device("cpu") if by_loops else asked


def _segment_length(info: SignalInfo, frames: int) -> int:
    """Frames of a segment: few enough for memory, all segments of about the same length."""
    frame_bytes = info.width * info.height * info.channels * (1 if info.bit_depth <= 8 else 4)
    longest = min(SEGMENT_FRAMES, max(1, SEGMENT_BYTES // frame_bytes))
    return math.ceil(frames / math.ceil(frames / longest))


def _segments(opened, length: int, by_shots: bool) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Stacks of up to `length` frames (T, H, W, C), with their times in ticks; by_shots: of one shot each."""
    frames, ticks = [], []
    detector = ShotDetector(opened.info.peak)
    for samples, tick in opened:
        if len(frames) == length or (by_shots and detector.begins(samples) and frames):
            yield np.stack(frames), ticks
            frames, ticks = [], []
        frames.append(samples)
        ticks.append(tick)
    if frames:
        yield np.stack(frames), ticks


def _encode_segment(run: _Run, frames: np.ndarray, ticks: list[int], first: int, index: int):
    """Fits a field to the frames of one segment and codes it."""
    generator = torch.Generator().manual_seed(run.options.seed + index)
    samples = Samples(frames, run.info, run.device)
    target = SegmentTarget.of(run.options, run.info, samples, run.family != "film" and run.segments == 1)
    fit = _fit_frames if run.family == "film" else _fit_field
    coded, rate_lambda = fit(run, index, samples, target, generator)
    regular = all(tick == (first + position) * run.info.frame_ticks for position, tick in enumerate(ticks))
    return target.written(coded, first, None if regular else tuple(ticks)), rate_lambda


def _fit_frames(run: _Run, index: int, samples: Samples, target: SegmentTarget, generator: torch.Generator):
    """A film, frame by frame; again with another rate_lambda while it misses a target."""
    search = LambdaSearch(start_lambda(run.options, run.info), of_bits=target.limit is not None)
    while True:
        rate_lambda = search.rate_lambda
        coded = _fit_film(run, index, samples, rate_lambda, generator)
        if search.observe(target.missed(coded)):
            best = coded, rate_lambda
        if search.done or run.stopped or run.options.time_limit_s or not run.options.has_target:
            return best


def _fit_film(run: _Run, index: int, samples: Samples, rate_lambda: float, generator: torch.Generator) -> CodedField:
    bpp = expected_bpp(run.family, run.options, run.info)
    field = make_field(run.family, samples.shape, run.info, bpp, rate_lambda, run.options.effort)
    clock = _clock(run, samples, iterations_of_film(field, _iterations(run, samples)))
    coded = fit_film(field, samples, rate_lambda, clock, generator, _reporter(run, index, clock))
    _count(run, clock)
    return coded


def _fit_field(run: _Run, index: int, samples: Samples, target: SegmentTarget, generator: torch.Generator):
    """Any other family: all frames at once."""
    control = target.control(_first_lambda(run, samples, target))
    bpp = _expected_bpp(run, samples, control)
    begun = partial(_training, run, samples, control, run.options.effort, generator, bpp)
    training = begun()
    field = training.field
    single = isinstance(field, Pyramid) and field.single
    iterations = _iterations(run, samples, single)
    others = COLORS[1:] if single and iterations >= BEGUN_AGAIN_FROM else ()
    clock = _clock(run, samples, iterations + len(others) * ITERATIONS_OF_BEGINNING)
    batches, report = _batches(field, samples, generator), _reporter(run, index, clock)
    if others:
        rivals = (begun(colors) for colors in others)
        training = _best_begun(chain([training], rivals), iterations, batches, clock, report)
    training.run(batches, clock, report)
    _count(run, clock)
    return target.landed(training, lambda: not clock.in_time()), control.rate_lambda


def _best_begun(
    trainings: Iterable[PyramidTraining], iterations: int, batches: Iterator[list[Batch]], clock: Clock, report: Report
) -> PyramidTraining:
    """The training whose first iterations came to the least loss: they differ by percents, and so will their ends (Cool-Chic's
    warm-up does the same). One at a time is held beside the best of those before it."""

    def loss(training: PyramidTraining) -> float:
        return training.begin(batches, clock.part(iterations, iterations), report, ITERATIONS_OF_BEGINNING)

    return min(trainings, key=loss)


def _iterations(run: _Run, samples: Samples, single: bool = False) -> int:
    return iterations_of(run.family, run.options.effort, samples.shape[0], single)


def _clock(run: _Run, samples: Samples, iterations: int) -> Clock:
    limit_s = run.options.time_limit_s * samples.shape[0] / run.frames if run.options.time_limit_s else None
    return Clock(iterations, limit_s, run.stop)


def _reporter(run: _Run, index: int, clock: Clock) -> Callable[[float, float], None]:
    def report(psnr_db: float, bpp: float) -> None:
        if run.progress:
            now = (clock.iteration, clock.fraction, psnr_db, bpp, clock.elapsed_s, clock.left_s)
            run.progress(Progress(index, max(run.segments, index + 1), *now))

    return report


def _count(run: _Run, clock: Clock) -> None:
    run.iterations += clock.iteration
    run.stopped = clock.stopped


def _training(
    run: _Run,
    samples: Samples,
    control: RateControl,
    effort: int,
    generator: torch.Generator,
    bpp: float,
    colors: Colors = COLORS[0],
) -> Training:
    """A field of the size that the expected rate asks for, before its first iteration. colors: of its single planes."""
    info = run.info
    field = make_field(run.family, samples.shape, info, bpp, control.rate_lambda, effort, _bound(run))
    parameters, steps = start(field, samples, control.rate_lambda, generator, colors)
    shape = network_shape(field, bpp)
    return training_of(field, samples, parameters, steps, shape, control, generator)


def _bound(run: _Run) -> bool:
    """Whether a time is asked for."""
    return run.options.time_limit_s is not None


def _expected_bpp(run: _Run, samples: Samples, control: RateControl) -> float:
    """What is typical; where it decides what planes a pyramid has, what the start of a short fit of this picture takes."""
    if run.family != "pyramid" or not may_be_single(run.options.effort, _bound(run)):
        return expected_bpp(run.family, run.options, run.info)
    return _begun(run, samples, control).bits() / math.prod(samples.shape[:3])


def _begun(run: _Run, samples: Samples, control: RateControl) -> Training:
    """The start of a short fit."""
    bpp, generator = expected_bpp(run.family, run.options, run.info), torch.Generator().manual_seed(run.options.seed)
    return _training(run, samples, control, QUICKEST, generator, bpp)


def _first_lambda(run: _Run, samples: Samples, target: SegmentTarget) -> float:
    """As asked, typical, or what the start of a short fit of this picture lets expect."""
    rate_lambda = start_lambda(run.options, run.info)
    if run.family != "pyramid" or not run.options.has_target:
        return rate_lambda
    batch = next(whole_frames(samples))

    def cost_at(tried: float) -> float:
        return _begun(run, samples, target.control(tried)).cost(batch)

    return probed_lambda(cost_at, target.control(rate_lambda), run.options.effort >= THOROUGH_EFFORT)


def _batches(field: Field, samples: Samples, generator: torch.Generator):
    if field.family in ("hashgrid", "pyramid") and samples.shape[0] == 1:
        return whole_frames(samples)
    if field.family == "asmr":
        return aligned_patches(samples, field.patch, *BATCH["asmr"], generator)
    split = field.family == "coordx"
    lattices = ImportantLattices if split and samples.shape[0] == 1 else sub_lattices
    return lattices(samples, *BATCH[field.family], generator, native.TILE if split else 1)


def _measure(
    raw: RawSegment, frames: np.ndarray, info: SignalInfo, device: torch.device, quality: Quality, crc: int
) -> int:
    """Parses the segment's bytes, decodes them, compares them with the source; the CRC-32 of all samples so far."""
    coded = decode_segment(unpack_segment(pack_segment(raw), info, "new segment"), info)
    for reference, frame in zip(frames, decoded_frames(coded, info, device), strict=True):
        decoded = frame.astype(reference.dtype)
        quality.add(reference, decoded)
        crc = zlib.crc32(decoded.tobytes(), crc)
    return crc


def _missed(options: EncodeOptions, data: bytes, info: SignalInfo, psnr_db: float) -> str | None:
    limit = target_bytes(options, info)
    if limit is not None and len(data) > limit:
        return f"{len(data)} bytes, the limit is {limit}"
    if options.target_psnr_db is not None and psnr_db < options.target_psnr_db:
        return f"{psnr_db:.2f} dB, asked are {options.target_psnr_db:.2f} dB"
    return None
