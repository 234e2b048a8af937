"""The decoder: a stream as a sequence of frames, shaped like torchcodec's VideoDecoder.

Frames are decoded when asked for, in any order, with the same values whatever the order. A region or another size
costs what its own pixels cost.

PyTorch is loaded for tensors that are asked for, for devices other than the CPU, and for families that need it (`opened`).
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from inrcodec.ahead import after_fork, computed_ahead
from inrcodec.errors import UsageError
from inrcodec.fields.base import PLAN_BYTES, Numbers
from inrcodec.frames import Frame, FrameBatch
from inrcodec.kernels.native import sample_type, threads
from inrcodec.metadata import Metadata, metadata_of
from inrcodec.opened import OpenedSegments, Place
from inrcodec.render import integers, rgb_integers
from inrcodec.segment import CodedField, decode_segment
from inrcodec.signal.info import CHANNELS, SignalInfo
from inrcodec.source import Source
from inrcodec.view import Finish, Region, View

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DIMENSION_ORDERS = ("NCHW", "NHWC")


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
        return self._source, self._place.name, self._order, self._cache_bytes

    def __setstate__(self, state: tuple[Source, str, str, int]) -> None:
        self._source, device_name, self._order, self._cache_bytes = state
        self._place = Place(device_name)
        self._start()
        _decoders.add(self)

    def _start(self) -> None:
        """With nothing decoded."""
        self._segments = OpenedSegments(self._source, self._place, self._cache_bytes)
        self._lock = threading.RLock()

    def close(self) -> None:
        """Closes the file and forgets what was decoded."""
        with self._lock:
            self._segments.close()
            self._source.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @property
    def device(self) -> torch.device:
        """Where frames lie."""
        return self._place.device

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
        with self._place.memory_errors():
            return self._segments[0].reader.field.macs_per_point

    @property
    def macs_per_pixel(self) -> float:
        """The same for frames in sequence with all that frames and pixels share computed once, as decoding does it."""
        with self._place.memory_errors():
            return self._segments[0].plan(View.of(self.info)).plan(0).macs_per_pixel

    def coded_segment(self, index: int) -> CodedField:
        """The symbols of a segment, decoded."""
        segments = self._source.reader.segment_count
        if not 0 <= index < segments:
            raise IndexError(f"segment {index} of a stream of {segments}")
        with self._place.memory_errors():
            return self._segments[index].reader.coded()

    def verify(self) -> None:
        """Checks the whole stream: every checksum, all symbols and times, no pixels. Raises StreamError."""
        reader = self._source.reader
        reader.check_ancillary()
        for index, first in enumerate(reader.first_frames):
            with self._place.memory_errors():
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
        if threads() == 1 or self._place.works_beside_us:
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
        with self._place.memory_errors():
            return torch.empty(shape, dtype=dtype, device=self.device)

    def _render(self, index: int, view: View, finish: Finish, channels: int, planar: bool = False) -> Numbers:
        with self._place.memory_errors(), self._lock, self._segments.of(index) as segment:
            samples = self._room((view.rows, view.columns, channels), planar, segment.in_arrays)
            segment.plan(view).fill(index - segment.first_frame, self.info, finish, samples)
        return samples


_decoders: weakref.WeakSet[Decoder] = weakref.WeakSet()


def _start_anew() -> None:
    for decoder in _decoders:
        decoder._start()


after_fork(_start_anew)


def _array(frame: Numbers) -> np.ndarray:
    return frame if isinstance(frame, np.ndarray) else frame.cpu().numpy()


def _shown_format(info: SignalInfo) -> str:
    return "rgb" if info.pixel_format == "yuv420" else info.pixel_format
