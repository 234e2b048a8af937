"""From a media source to a stream: segments of frames, a field fitted to each, every segment parsed and decoded again."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from inrcodec.bitstream import RawSegment, pack_segment, pack_stream, unpack_segment
from inrcodec.device import memory_errors, pick_device
from inrcodec.encoder.batches import Samples, aligned_patches, sub_lattices, whole_frames
from inrcodec.encoder.clock import Clock, iterations_of
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.film import fit_film, iterations_of_film
from inrcodec.encoder.film_control import FilmControl
from inrcodec.encoder.options import EncodeOptions, EncodeResult, Progress
from inrcodec.encoder.refine import fit_bytes
from inrcodec.encoder.shots import ShotDetector
from inrcodec.encoder.sizing import expected_bpp, make_field, network_shape, start_lambda, target_bytes
from inrcodec.encoder.start import start
from inrcodec.encoder.training import Training
from inrcodec.errors import InputError, UsageError
from inrcodec.fields import Field, Film
from inrcodec.kernels import native
from inrcodec.kernels.allocator import keep_large_blocks
from inrcodec.lattice import Lattice
from inrcodec.metrics import Quality
from inrcodec.render import integers
from inrcodec.segment import decode_segment, encode_segment
from inrcodec.signal.info import SignalInfo
from inrcodec.signal.read import open_source

SEGMENT_BYTES = 256 << 20
"""Samples of a segment in memory."""
SEGMENT_FRAMES = 160
CONTAINER_BYTES, SEGMENT_BYTES_FIXED = 48, 60
"""Of a target: what the stream's header and a chunk's framing take at the most; what a segment takes beside symbols."""
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
    device = _prepare(options)
    with open_source(source, options.frames) as opened:
        length = _segment_length(opened.info, opened.expected_frames)
        run = _Run(
            options,
            opened.info,
            _family(options, opened.info),
            device,
            math.ceil(opened.expected_frames / length),
            opened.expected_frames,
            progress,
            stop,
        )
        packed, first, quality, control, crc = [], 0, Quality(opened.info), None, 0
        for frames, ticks in _segments(opened, length, by_shots=run.family == "film"):
            with memory_errors(device, f"encoding segment {len(packed)}"):
                raw, control = _encode_segment(run, frames, ticks, first, len(packed))
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
        rate_lambda=control.rate_lambda,
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


def _prepare(options: EncodeOptions) -> torch.device:
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    keep_large_blocks()
    return pick_device(options.device)


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
    options, info = run.options, run.info
    generator = torch.Generator().manual_seed(options.seed + index)
    samples = Samples(frames, info, run.device)
    shape = samples.shape
    rate_lambda = start_lambda(options, info)
    pixels = math.prod(shape[:3])
    total = target_bytes(options, info)
    limit = None if total is None else total * pixels // info.pixels - CONTAINER_BYTES
    symbols_bpp = 8 * max(limit - SEGMENT_BYTES_FIXED, 1) / pixels if limit is not None else None
    bpp = expected_bpp(run.family, options, info)
    field = make_field(run.family, shape, info, bpp, rate_lambda, options.effort)
    iterations = iterations_of(run.family, options.effort, shape[0])
    if isinstance(field, Film):
        iterations = iterations_of_film(field, iterations)
    limit_s = options.time_limit_s * shape[0] / run.frames if options.time_limit_s else None
    clock = Clock(iterations, limit_s, run.stop)

    def report(psnr_db: float, bpp: float) -> None:
        if run.progress:
            now = (clock.iteration, clock.fraction, psnr_db, bpp, clock.elapsed_s, clock.left_s)
            run.progress(Progress(index, max(run.segments, index + 1), *now))

    targets = symbols_bpp, options.target_psnr_db
    if isinstance(field, Film):
        control = FilmControl(rate_lambda, field.links, *targets)
        coded = fit_film(field, samples, control, clock, generator, report)
    else:
        control = RateControl(rate_lambda, *targets)
        parameters, steps = start(field, samples, rate_lambda, generator)
        shape_of_network = network_shape(run.family, bpp, pixels)
        training = Training(field, samples, parameters, steps, shape_of_network, control, generator)
        training.run(_batches(field, samples, generator), clock, report)
        coded = training.coded
    run.iterations += clock.iteration
    run.stopped = clock.stopped
    if limit is not None:
        coded = fit_bytes(coded, limit)
    regular = all(tick == (first + position) * info.frame_ticks for position, tick in enumerate(ticks))
    return encode_segment(coded, first, None if regular else tuple(ticks)), control


def _batches(field: Field, samples: Samples, generator: torch.Generator):
    if field.family in ("hashgrid", "pyramid") and samples.shape[0] == 1:
        return whole_frames(samples)
    if field.family == "asmr":
        return aligned_patches(samples, field.patch, *BATCH["asmr"], generator)
    return sub_lattices(samples, *BATCH[field.family], generator)


@torch.no_grad()
def _measure(
    raw: RawSegment, frames: np.ndarray, info: SignalInfo, device: torch.device, quality: Quality, crc: int
) -> int:
    """Parses the segment's bytes, decodes them, compares them with the source; the CRC-32 of all samples so far."""
    coded = decode_segment(unpack_segment(pack_segment(raw), info, "new segment"), info)
    plan = coded.field.plan(coded.parameters(device), Lattice.full(*coded.field.shape[:3]))
    for index, reference in enumerate(frames):
        decoded = integers(plan.frame(index), info).cpu().numpy().astype(reference.dtype)
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
