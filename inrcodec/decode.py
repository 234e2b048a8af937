"""The decoder: a stream as a sequence of frames, shaped like torchcodec's VideoDecoder.

Frames are decoded when asked for, in any order, with the same values whatever the order. A region or another size
costs what its own pixels cost.

Families that take arrays (`Field.takes_arrays`: pyramids, where the compiled loops are there) are decoded in NumPy, others in
PyTorch, which is loaded for them, for tensors that are asked for, and for devices other than the CPU.
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from inrcodec.ahead import Errands, after_fork, computed_ahead
from inrcodec.device import memory_errors, pick_device
from inrcodec.errors import StreamError, UsageError
from inrcodec.fields import Arrays, Parameters
from inrcodec.fields.base import PLAN_BYTES, Coded, Numbers
from inrcodec.frames import Frame, FrameBatch
from inrcodec.kernels.allocator import keep_large_blocks
from inrcodec.kernels.native import one_thread, sample_type, threads
from inrcodec.metadata import Metadata, metadata_of
from inrcodec.render import integers, rgb_integers
from inrcodec.segment import CodedField, LazySymbols, SegmentReader, decode_segment
from inrcodec.signal.info import CHANNELS, SignalInfo
from inrcodec.source import Source
from inrcodec.view import Finish, Region, View, ViewPlan

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DIMENSION_ORDERS = ("NCHW", "NHWC")
ON_CPU = ("auto", "cpu")
"""Devices with which arrays will do."""
AHEAD = 8
"""Frames for each thread: chains that hold one of so many next ones are decoded in the background while frames are asked for in
sequence."""


@dataclass
class _Segment:
    """A segment and its plans: that of the whole frame, and that of the last other view. in_arrays: whether it is computed in
    NumPy."""

    reader: SegmentReader
    parameters: Parameters | Mapping[str, np.ndarray] | Coded
    in_arrays: bool
    first_frame: int
    plans: dict[View, ViewPlan] = dataclass_field(default_factory=dict)
    errands: Errands = dataclass_field(default_factory=Errands)

    @property
    def kept_bytes(self) -> int:
        parameters = 0 if isinstance(self.parameters, Coded) else _bytes_of(self.parameters)
        return parameters + self.reader.kept_bytes + sum(plan.kept_bytes for plan in self.plans.values())

    def read_ahead(self, first: int, stop: int, after: int | None = None) -> None:
        """Symbols of chains that hold these frames of the stream, `first` in the segment or at its end. after: a frame whose
        chain is left out, since who asks for it decodes that right now."""
        if self.reader.field.unfolds:
            chains = self.reader.chains_of_frames
            for chain in dict.fromkeys(chains[first - self.first_frame : stop - self.first_frame]):
                if after is None or chain != chains[after - self.first_frame]:
                    self.errands.send(chain, partial(self._read, chain), threads() - 1)

    def _read(self, chain: int) -> None:
        with one_thread():
            for _ in self.reader.read_chain(chain):
                pass

    def close(self) -> None:
        """Nobody will ask for it any more."""
        self.errands.cancel()


def _bytes_of(parameters: Parameters | Arrays) -> int:
    return sum(values.nbytes for values in parameters.values())


class Decoder:
    """A `.inr` stream as a sequence of frames.

    source: a path, bytes, or a binary file object (which is read to its end at once).
    device: where to compute and where frames lie: "auto" (a GPU if there is one; pyramids and films are computed by the
    compiled loops all the same), "cpu", "cuda", "cuda:1" …
    dimension_order: of tensors, "NCHW" or "NHWC".
    cache_bytes: what decoded segments and their plans may keep; the segment in use is kept whatever it takes.

    Frames are samples to look at: RGB for a 4:2:0 stream, the stream's own channels (`info.pixel_format`) otherwise;
    uint8 up to 8 bits a sample, else uint16, in [0, 2^bit_depth - 1]. `samples` gives the stream's own format.

    Frames that follow one another are decoded ahead, where there is more than one thread: symbols of the next ones always,
    the next one itself in an iteration (not on a GPU, which works beside who asks anyway). Decoders can be pickled (for the
    workers of a data loader, where they open their source anew); several threads may ask for frames, and wait for each
    other. Raises StreamError, InputError (unreadable source),
    DeviceError, UsageError; IndexError for frames.
    """

    def __init__(
        self,
        source: str | Path | bytes | BinaryIO,
        device: str | torch.device = "auto",
        dimension_order: str = "NCHW",
        cache_bytes: int = PLAN_BYTES,
    ) -> None:
        if dimension_order not in DIMENSION_ORDERS:
            raise UsageError(f"dimension_order is {dimension_order!r}, allowed are {', '.join(DIMENSION_ORDERS)}")
        if cache_bytes < 0:
            raise UsageError(f"cache_bytes is {cache_bytes}, allowed are 0 and more")
        self.__setstate__((Source(source), str(device), dimension_order, cache_bytes))
        self._source.reader  # noqa: B018 (opens it: a bad source is told at once)

    # -- life ----------------------------------------------------------------------------------------------------------

    def __getstate__(self) -> tuple[Source, str, str, int]:
        return self._source, self._device_name, self._order, self._cache_bytes

    def __setstate__(self, state: tuple[Source, str, str, int]) -> None:
        self._source, self._device_name, self._order, self._cache_bytes = state
        if self._device_name not in ON_CPU:
            self.device  # noqa: B018 (tries it: a bad device is told at once)
        self._start()
        _decoders.add(self)

    def _start(self) -> None:
        """With nothing decoded."""
        self._segments: OrderedDict[int, _Segment] = OrderedDict()
        self._lock, self._last = threading.RLock(), -1  # the frame that was asked for last

    def close(self) -> None:
        """Closes the file and forgets what was decoded."""
        with self._lock:
            for number in list(self._segments):
                self._drop(number)
            self._source.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @cached_property
    def device(self) -> torch.device:
        """Where frames lie."""
        return pick_device(self._device_name)

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def info(self) -> SignalInfo:
        """The stream's header."""
        return self._source.reader.info

    @property
    def metadata(self) -> Metadata:
        """Facts about the stream; nothing is decoded for them."""
        return metadata_of(self._source.reader)

    @property
    def parameters(self) -> int:
        """Parameters of the first segment's field."""
        return self._source.reader.segment(0).header.parameters

    @property
    def macs_per_point(self) -> float:
        """Multiply–accumulates of one pixel of the first segment, each pixel computed for itself."""
        with self._in_memory():
            return self._segment(0).reader.field.macs_per_point

    @property
    def macs_per_pixel(self) -> float:
        """The same for frames in sequence with all that frames and pixels share computed once, as decoding does it."""
        with self._in_memory():
            return self._plan(self._segment(0), View.of(self.info)).plan(0).macs_per_pixel

    def coded_segment(self, index: int) -> CodedField:
        """The symbols of a segment, decoded."""
        segments = self._source.reader.segment_count
        if not 0 <= index < segments:
            raise IndexError(f"segment {index} of a stream of {segments}")
        with self._in_memory():
            return self._segment(index).reader.coded()

    def verify(self) -> None:
        """Checks the whole stream: every checksum, all symbols and times, no pixels. Raises StreamError."""
        reader = self._source.reader
        reader.check_ancillary()
        for index, first in enumerate(reader.first_frames):
            with self._in_memory():
                coded = decode_segment(reader.segment(index), reader.info, f"segment {index}")
            self._source.times.duration(first + coded.field.shape[0] - 1)

    # -- frames --------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.info.frames

    def __getitem__(self, key: int | slice) -> Tensor:
        """d[i]: (C, H, W); d[a:b:c]: (N, C, H, W); see the class for samples and dimension order."""
        if isinstance(key, slice):
            return self._stack(range(len(self))[key])
        return self._one(self._picture(self._index(key), planar=self._planar))

    def __iter__(self) -> Iterator[Tensor]:
        works_beside_us = self._device_name not in ON_CPU and self.device.type != "cpu"
        if threads() == 1 or works_beside_us:
            return (self[index] for index in range(len(self)))
        return computed_ahead(self.__getitem__, range(len(self)))

    def get_frame_at(self, index: int, region: Region | None = None, scale: float = 1.0) -> Frame:
        """One frame, or its `region` (x, y, width, height), with its times.

        scale: of both sides of the result, max(1, round(side * scale)). Above 1 the field is evaluated between the
        coded samples; below 1 it is averaged over each output sample.
        """
        index = self._index(index)
        data, times = self._one(self._picture(index, region, scale, self._planar)), self._source.times
        return Frame(data, index, times.seconds(index), times.duration(index))

    def get_frames_at(self, indices: Sequence[int] | Tensor) -> FrameBatch:
        """Frames in the order asked for; they may repeat."""
        import torch

        indices = [self._index(index) for index in indices]
        times = self._source.times
        seconds = torch.tensor([times.seconds(index) for index in indices], dtype=torch.float64)
        durations = torch.tensor([times.duration(index) for index in indices], dtype=torch.float64)
        return FrameBatch(self._stack(indices), seconds, durations)

    def get_frames_in_range(self, start: int, stop: int, step: int = 1) -> FrameBatch:
        """The frames start, start + step … before stop."""
        if not 0 <= start <= stop <= len(self) or step < 1:
            allowed = f"allowed are 0 <= start <= stop <= {len(self)} and step >= 1"
            raise IndexError(f"frames {start} to {stop} by {step}; {allowed}")
        return self.get_frames_at(range(start, stop, step))

    def numpy(self, index: int, region: Region | None = None, scale: float = 1.0) -> np.ndarray:
        """The samples of `get_frame_at` as an array (H, W, C), uint8 or uint16."""
        return _array(self._picture(self._index(index), region, scale))

    def samples(self, index: int) -> np.ndarray:
        """A frame in the stream's own sample format, (H, W, C) uint8 or uint16; for 4:2:0 see `SignalInfo`."""
        return _array(self._render(self._index(index), View.of(self.info), integers, self.info.channels))

    # -- decoding ------------------------------------------------------------------------------------------------------

    def _index(self, index: int) -> int:
        index, count = operator.index(index), len(self)
        if not -count <= index < count:
            raise IndexError(f"frame {index} of a stream of {count}")
        return index % count

    def _ordered(self, frames: Tensor) -> Tensor:
        """(…, H, W, C) → the dimension order asked for."""
        return frames.movedim(-1, -3).contiguous() if self._order == "NCHW" else frames

    def _one(self, frame: Numbers) -> Tensor:
        """A frame (H, W, C) where frames lie, in the dimension order asked for: NumPy turns arrays in half of PyTorch's time."""
        if isinstance(frame, np.ndarray) and self._planar:
            return self._tensor(np.ascontiguousarray(frame.transpose(2, 0, 1)))
        return self._ordered(self._tensor(frame))

    def _tensor(self, frame: Numbers) -> Tensor:
        """A frame where frames lie."""
        if not isinstance(frame, np.ndarray):
            return frame
        import torch

        return torch.from_numpy(frame).to(self.device)

    def _stack(self, indices: Sequence[int]) -> Tensor:
        """Decodes in ascending order, whatever the order of `indices`, so that no segment is decoded twice."""
        info = self.info
        shape = len(indices), info.height, info.width, CHANNELS[_shown_format(info)]
        frames = self._empty(*shape)
        for position in sorted(range(len(indices)), key=indices.__getitem__):
            frames[position] = self._tensor(self._picture(indices[position]))
        return self._ordered(frames)

    @property
    def _planar(self) -> bool:
        return self._order == "NCHW"

    def _picture(self, index: int, region: Region | None = None, scale: float = 1.0, planar: bool = False) -> Numbers:
        """Samples to look at, (H, W, C); planar: channels are planes in memory."""
        view = View.of(self.info, region, scale)
        return self._render(index, view, rgb_integers, CHANNELS[_shown_format(self.info)], planar)

    def _room(self, shape: tuple[int, int, int], planar: bool, in_arrays: bool) -> Numbers:
        """(H, W, C); planar: channels are planes in memory."""
        height, width, channels = shape
        layout = (channels, height, width) if planar else shape
        if not in_arrays:
            found = self._empty(*layout)
            return found.permute(1, 2, 0) if planar else found
        found = np.empty(layout, sample_type(self.info.peak))
        return found.transpose(1, 2, 0) if planar else found

    def _empty(self, *shape: int) -> Tensor:
        import torch

        dtype = torch.uint8 if self.info.bit_depth <= 8 else torch.uint16
        with self._in_memory():
            return torch.empty(shape, dtype=dtype, device=self.device)

    def _render(self, index: int, view: View, finish: Finish, channels: int, planar: bool = False) -> Numbers:
        with self._in_memory(), self._lock:
            number = self._source.times.segment_of(index)
            segment = self._segment(number)
            in_sequence, self._last = index == self._last + 1 and threads() > 1, index
            ahead = min(index + 1 + AHEAD * threads(), len(self))
            if in_sequence:
                segment.read_ahead(index + 1, ahead, index)
            shape = view.rows, view.columns, channels
            samples = self._room(shape, planar, segment.in_arrays)
            self._plan(segment, view).fill(index - segment.first_frame, self.info, finish, samples)
            if in_sequence:
                segment.read_ahead(index, index + 1)  # the rest of its own chain
                self._read_later_segments(number, ahead)
            self._trim()
        return samples

    def _read_later_segments(self, number: int, stop: int) -> None:
        """Symbols of frames before `stop` in segments behind this one, as far as there is room for them."""
        starts = self._source.reader.first_frames
        for later in range(number + 1, len(starts)):
            room = self._cache_bytes // 2 - sum(one.kept_bytes for one in self._segments.values())
            if starts[later] >= stop or (later not in self._segments and room < 0):
                break
            with suppress(StreamError):  # who asks for its frames will be told
                self._segment(later).read_ahead(starts[later], stop)
        self._segments.move_to_end(number)

    def _in_memory(self):
        device = self.__dict__.get("device", "cpu")  # picked, or never needed
        return memory_errors(device, "decoding; a smaller region or cache_bytes takes less")

    def _plan(self, segment: _Segment, view: View) -> ViewPlan:
        if view not in segment.plans:
            info = self.info
            segment.plans = {kept: plan for kept, plan in segment.plans.items() if kept.is_whole(info)}
            arguments = (segment.reader.field, segment.parameters, view, view.is_whole(info), self._cache_bytes // 2)
            segment.plans[view] = ViewPlan(*arguments)
        return segment.plans[view]

    def _segment(self, index: int) -> _Segment:
        if index not in self._segments:
            keep_large_blocks()  # memory that is new for every frame can cost more than what is computed there
            reader = self._source.reader
            opened = SegmentReader(reader.segment(index), reader.info, f"segment {index}")
            in_arrays = opened.field.takes_arrays and self._device_name in ON_CPU
            if in_arrays:
                parameters = LazySymbols(opened) if opened.field.unfolds else opened.coded().arrays()
            elif opened.field.takes_coded(self.device):
                parameters = LazySymbols(opened, self.device)
            else:
                parameters = opened.coded().parameters(self.device)
            self._segments[index] = _Segment(opened, parameters, in_arrays, reader.first_frames[index])
        self._segments.move_to_end(index)
        return self._segments[index]

    def _trim(self) -> None:
        """Forgets the plans, then the symbols, of the segments that were not used for longest, down to `cache_bytes`."""
        *others, _ = self._segments
        for forget in (lambda number: self._segments[number].plans.clear(), self._drop):
            for number in others:
                if sum(one.kept_bytes for one in self._segments.values()) <= self._cache_bytes:
                    return
                forget(number)

    def _drop(self, number: int) -> None:
        self._segments.pop(number).close()


_decoders: weakref.WeakSet[Decoder] = weakref.WeakSet()


def _start_anew() -> None:
    for decoder in _decoders:
        decoder._start()


after_fork(_start_anew)


def _array(frame: Numbers) -> np.ndarray:
    return frame if isinstance(frame, np.ndarray) else frame.cpu().numpy()


def _shown_format(info: SignalInfo) -> str:
    return "rgb" if info.pixel_format == "yuv420" else info.pixel_format
