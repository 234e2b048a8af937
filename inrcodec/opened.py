"""Segments of a stream that are opened: their symbols and plans, how much of them is kept, and what is read ahead.

Families that take arrays (`Field.takes_arrays`: pyramids, where the compiled loops are there) are computed in NumPy where that
will do, others in PyTorch, which is loaded for them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.ahead import Errands
from inrcodec.device import memory_errors, pick_device
from inrcodec.errors import StreamError
from inrcodec.fields import Arrays, Parameters
from inrcodec.fields.base import Coded
from inrcodec.kernels.allocator import keep_large_blocks
from inrcodec.kernels.native import one_thread, threads
from inrcodec.segment import LazySymbols, SegmentReader
from inrcodec.signal.info import SignalInfo
from inrcodec.source import Source
from inrcodec.view import View, ViewPlan

if TYPE_CHECKING:
    import torch

ON_CPU = ("auto", "cpu")
"""Devices with which arrays will do."""
AHEAD = 8
"""Frames for each thread: chains that hold one of so many next ones are decoded in the background while frames are asked for in
sequence."""


class Place:
    """Where a decoder computes: a device by its name ("auto", "cpu", "cuda:1" …). It is picked when it is needed, which loads
    PyTorch; at once if it is not a CPU. Raises DeviceError if it cannot be used."""

    def __init__(self, name: str) -> None:
        self.name = name
        if not self.arrays_will_do:
            self.device  # noqa: B018 (tries it: a bad device is told at once)

    @property
    def arrays_will_do(self) -> bool:
        """Whether what can be computed in NumPy may be."""
        return self.name in ON_CPU

    @property
    def works_beside_us(self) -> bool:
        """Whether it computes while this thread does other things."""
        return not self.arrays_will_do and self.device.type != "cpu"

    @cached_property
    def device(self) -> torch.device:
        """Where frames lie."""
        return pick_device(self.name)

    def memory_errors(self) -> AbstractContextManager[None]:
        device = self.__dict__.get("device", "cpu")  # picked, or never needed
        return memory_errors(device, "decoding; a smaller region or cache_bytes takes less")


@dataclass
class OpenedSegment:
    """A segment and its plans: that of the whole frame, and that of the last other view. in_arrays: whether it is computed in
    NumPy. plan_bytes: what a plan may keep."""

    reader: SegmentReader
    parameters: Parameters | Mapping[str, np.ndarray] | Coded
    in_arrays: bool
    info: SignalInfo
    first_frame: int
    plan_bytes: int
    plans: dict[View, ViewPlan] = dataclass_field(default_factory=dict)
    errands: Errands = dataclass_field(default_factory=Errands)

    @property
    def kept_bytes(self) -> int:
        parameters = 0 if isinstance(self.parameters, Coded) else _bytes_of(self.parameters)
        return parameters + self.reader.kept_bytes + sum(plan.kept_bytes for plan in self.plans.values())

    def plan(self, view: View) -> ViewPlan:
        if view not in self.plans:
            self.plans = {kept: plan for kept, plan in self.plans.items() if kept.is_whole(self.info)}
            whole = view.is_whole(self.info)
            self.plans[view] = ViewPlan(self.reader.field, self.parameters, view, whole, self.plan_bytes)
        return self.plans[view]

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


class OpenedSegments:
    """The segments of `source` that are kept, by their numbers, the one that was used last at the end. `cache_bytes`: what they
    may keep, but for the one in use. Calls must not overlap in time."""

    def __init__(self, source: Source, place: Place, cache_bytes: int) -> None:
        self._source, self._place, self._cache_bytes = source, place, cache_bytes
        self._last = -1  # the frame that was asked for last
        self.kept: OrderedDict[int, OpenedSegment] = OrderedDict()

    def __getitem__(self, number: int) -> OpenedSegment:
        """Opened, if it is not yet. Raises StreamError."""
        if number not in self.kept:
            self.kept[number] = self._opened(number)
        self.kept.move_to_end(number)
        return self.kept[number]

    def _opened(self, number: int) -> OpenedSegment:
        keep_large_blocks()  # memory that is new for every frame can cost more than what is computed there
        reader = self._source.reader
        opened = SegmentReader(reader.segment(number), reader.info, f"segment {number}")
        in_arrays = opened.field.takes_arrays and self._place.arrays_will_do
        parameters = self._arrays(opened) if in_arrays else self._tensors(opened)
        first = reader.first_frames[number]
        return OpenedSegment(opened, parameters, in_arrays, reader.info, first, self._cache_bytes // 2)

    @staticmethod
    def _arrays(opened: SegmentReader) -> Mapping[str, np.ndarray] | Coded:
        return LazySymbols(opened) if opened.field.unfolds else opened.coded().arrays()

    def _tensors(self, opened: SegmentReader) -> Parameters | Coded:
        device = self._place.device
        return LazySymbols(opened, device) if opened.field.takes_coded(device) else opened.coded().parameters(device)

    @contextmanager
    def of(self, index: int) -> Iterator[OpenedSegment]:
        """The segment of frame `index`, while that is decoded. If frames are asked for in sequence, symbols of the next ones are
        read in the background meanwhile and afterwards."""
        number = self._source.times.segment_of(index)
        segment = self[number]
        in_sequence, self._last = index == self._last + 1 and threads() > 1, index
        stop = min(index + 1 + AHEAD * threads(), self._source.reader.info.frames)
        if in_sequence:
            segment.read_ahead(index + 1, stop, index)
        yield segment
        if in_sequence:
            segment.read_ahead(index, index + 1)  # the rest of its own chain
            self._read_later(number, stop)
        self._trim()

    def _read_later(self, number: int, stop: int) -> None:
        """Symbols of frames before `stop` in segments behind this one, as far as there is room for them."""
        starts = self._source.reader.first_frames
        for later in range(number + 1, len(starts)):
            full = self._kept_bytes > self._cache_bytes // 2
            if starts[later] >= stop or (later not in self.kept and full):
                break
            with suppress(StreamError):  # who asks for its frames will be told
                self[later].read_ahead(starts[later], stop)
        self.kept.move_to_end(number)

    def _trim(self) -> None:
        """Forgets the plans, then the symbols, of the segments that were not used for longest, down to `cache_bytes`."""
        *others, _ = self.kept
        for forget in (lambda number: self.kept[number].plans.clear(), self._drop):
            for number in others:
                if self._kept_bytes <= self._cache_bytes:
                    return
                forget(number)

    @property
    def _kept_bytes(self) -> int:
        return sum(one.kept_bytes for one in self.kept.values())

    def _drop(self, number: int) -> None:
        self.kept.pop(number).close()

    def close(self) -> None:
        """Forgets all of them."""
        for number in list(self.kept):
            self._drop(number)
