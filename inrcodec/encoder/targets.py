"""An asked size or quality of one segment: what rate control aims at, and how the trained field lands there."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from inrcodec.bitstream import RawSegment, pack_segment, pack_stream
from inrcodec.encoder.batches import Samples
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.decoded import decoded_frames
from inrcodec.encoder.landing import landed
from inrcodec.encoder.options import EncodeOptions
from inrcodec.encoder.refine import MOST_MOVES, fit_bytes, ideal_bits
from inrcodec.encoder.sizing import target_bytes
from inrcodec.encoder.training import Training
from inrcodec.encoder.trim import trimmed
from inrcodec.fields import Pyramid
from inrcodec.metrics import Quality
from inrcodec.segment import CodedField, encode_segment, grid_groups
from inrcodec.signal.info import SignalInfo
from inrcodec.steps import MAX_STEP_INDEX, STEPS_PER_OCTAVE

CONTAINER_BYTES, SEGMENT_BYTES_FIXED = 48, 40
"""What the header, the index and a chunk's framing take of each of several segments; what a segment takes beside symbols."""
LEAST_SHARE = 0.985
"""Of an asked size, that a trimmed field takes."""
COARSER_THRESHOLDS = -0.2, 0.0
"""After steps grew by an index too many."""
TRIED = 6
"""Steps of weights, at the most, for an asked quality."""
MOST_EXCESS_DB = 0.05
"""Above an asked quality, that a trimmed field keeps."""


@dataclass(frozen=True)
class SegmentTarget:
    """limit: bytes of the segment. psnr_db: of its frames. One of them, or neither."""

    info: SignalInfo
    samples: Samples
    limit: int | None = None
    psnr_db: float | None = None

    @classmethod
    def of(cls, options: EncodeOptions, info: SignalInfo, samples: Samples, alone: bool) -> SegmentTarget:
        """The part of a segment in what is asked of the file; `alone`: it is the only one."""
        total = target_bytes(options, info)
        if total is None:
            return cls(info, samples, psnr_db=options.target_psnr_db)
        if not alone:
            return cls(info, samples, total * math.prod(samples.shape[:3]) // info.pixels - CONTAINER_BYTES)
        return cls(info, samples, 2 * total - len(pack_stream(info, [bytes(total)])))

    @property
    def bpp(self) -> float | None:
        """Bits per pixel that the limit leaves for symbols."""
        if self.limit is None:
            return None
        return 8 * max(self.limit - SEGMENT_BYTES_FIXED, 1) / math.prod(self.samples.shape[:3])

    def control(self, rate_lambda: float) -> RateControl:
        return RateControl(rate_lambda, self.bpp, self.psnr_db)

    def written(self, coded: CodedField, first_frame: int, ticks: tuple[int, ...] | None) -> RawSegment:
        """Entropy-coded (see `encode_segment`), with coarser steps if that is what the limit takes."""
        raw = encode_segment(coded, first_frame, ticks)
        if self.limit is None or len(pack_segment(raw)) <= self.limit:
            return raw
        return encode_segment(fit_bytes(coded, self.limit), first_frame, ticks)

    def missed(self, coded: CodedField) -> float:
        """By how much a coded field misses: the natural logarithm of the excess of bytes, or of distortion; not at all if it is 0
        or less."""
        if self.limit is not None:
            return math.log(len(pack_segment(encode_segment(coded))) / self.limit)
        if self.psnr_db is not None:
            return (self.psnr_db - self._psnr_db(coded, self.samples.planar.device)) * math.log(10) / 10
        return 0.0

    def landed(self, training: Training, stopped: Callable[[], bool] = lambda: False) -> CodedField:
        """The trained field, trimmed to what is asked for as far as that pays; without grids it is rounded to other steps, one of
        single planes has other symbols. stopped: whether there is no time left for these.

        Videos that are better than asked stay so: to decode them again and again takes too long.
        """
        if not grid_groups(training.field):
            return self._at_steps(training)
        if isinstance(training.field, Pyramid) and training.field.single:
            return self._chosen(training, stopped)
        if self.limit is not None:
            return self._of_size(training)
        return (
            self._of_quality(training) if self.psnr_db is not None and len(self.samples.planar) == 1 else training.coded
        )

    def _at_steps(self, training: Training) -> CodedField:
        """As trained if that keeps a size, else with the finest steps that do; or with the coarsest that keep a quality."""
        if self.limit is not None:
            bits = 8 * (self.limit - SEGMENT_BYTES_FIXED)
            return training.coded if ideal_bits(training.coded) <= bits else training.of_size(bits)
        if self.psnr_db is not None and len(self.samples.planar) == 1:
            return self._coarsest(training)
        return training.coded

    def _coarsest(self, training: Training) -> CodedField:
        """With the coarsest steps that keep the quality, if any do. Weights settle anew at other steps, so that few are tried:
        what rounding adds to the distortion grows with the square of steps."""
        asked, exact = 10 ** (-self.psnr_db / 10), self._distortion(training.exact(), training.device)
        kept, lost, move = -MOST_MOVES - 1, MOST_MOVES + 1, 0
        for _ in range(TRIED):
            coded = training.coarser(move)
            found = self._distortion(coded, training.device)
            if found <= asked:
                kept, best = move, coded
            else:
                lost = move
            if lost - kept == 1:
                break
            room = max(asked - exact, 0.0) / max(found - exact, 1e-12)
            further = math.floor(STEPS_PER_OCTAVE / 2 * math.log2(max(room, 1e-12)))
            move = min(max(move + further, kept + 1), lost - 1)
        return best if kept >= -MOST_MOVES else coded

    def _chosen(self, training: Training, stopped: Callable[[], bool]) -> CodedField:
        """With symbols that are chosen for what is asked."""
        given = training.coded, self.samples, training.control.rate_lambda / training.pixels
        if self.limit is not None:
            bits = 8 * (self.limit - SEGMENT_BYTES_FIXED)
            return landed(*given, ideal_bits, (LEAST_SHARE * bits, bits), True, stopped)
        if self.psnr_db is not None:
            quality = partial(self._psnr_db, device=training.device)
            return landed(*given, quality, (self.psnr_db, self.psnr_db + MOST_EXCESS_DB), False, stopped)
        return training.coded

    def _of_size(self, training: Training) -> CodedField:
        bits = 8 * (self.limit - SEGMENT_BYTES_FIXED)
        start = training.coded, training.coded_cost * training.pixels
        window, thresholds = (LEAST_SHARE * bits, bits), training.control.reach.thresholds
        coded, found = trimmed(training.trimmed, start, ideal_bits, window, thresholds, below=True)
        if found <= bits:
            return coded
        moves = range(1, MAX_STEP_INDEX)  # sizes fall as steps grow
        move = 1 + bisect.bisect_left(moves, True, key=lambda one: ideal_bits(training.trimmed(0.0, one)) <= bits)
        coded = training.trimmed(0.0, move)
        start = coded, ideal_bits(coded)
        return trimmed(
            partial(training.trimmed, coarser=move), start, ideal_bits, window, COARSER_THRESHOLDS, below=True
        )[0]

    def _of_quality(self, training: Training) -> CodedField:
        def psnr_db(coded: CodedField) -> float:
            return self._psnr_db(coded, training.device)

        window = self.psnr_db, self.psnr_db + MOST_EXCESS_DB
        start = training.coded, psnr_db(training.coded)
        thresholds = training.control.reach.thresholds
        return trimmed(training.trimmed, start, psnr_db, window, thresholds, below=False)[0]

    def _distortion(self, coded: CodedField, device: torch.device) -> float:
        return 10 ** (-self._psnr_db(coded, device) / 10)

    def _psnr_db(self, coded: CodedField, device: torch.device) -> float:
        """Of what a decoder gives back, the mean over frames."""
        quality = Quality(self.info, with_ms_ssim=False)
        for reference, frame in zip(self.samples.planar, decoded_frames(coded, self.info, device)):
            reference = reference.permute(1, 2, 0).cpu().numpy()
            quality.add(reference, frame.astype(reference.dtype))
        found = quality.summary()["psnr_db"]
        return math.inf if found is None else found
