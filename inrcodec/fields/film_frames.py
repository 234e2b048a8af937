"""Which frames of a film are rendered when, and which of them are kept: wherever they are rendered."""

from __future__ import annotations

import math
import weakref
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Generic

import numpy as np

from inrcodec.fields.base import Numbers, ShowingPlan
from inrcodec.fields.film import Film
from inrcodec.fields.hierarchy import Link, built_on
from inrcodec.kernels.color import Colors
from inrcodec.lattice import Lattice

KEPT_BYTES = 160 << 20
"""Of whole frames that are kept for others to refer to: about, and never fewer than a frame may build on."""


class Rendering(ABC, Generic[Numbers]):
    """What a lattice sees of frames."""

    @abstractmethod
    def frame(
        self,
        grids: dict[int, Any],
        references: list[Numbers],
        motion: Any,
        shown: tuple[Colors, Numbers] | None = None,
        kept: bool = True,
    ) -> Numbers | None:
        """(C, h, w) of a frame: grids by level (those of zeros cost nothing), whole references and motion, if there are any.
        shown: colors, and samples (h, w, 3) made of the values; without values that are `kept` nothing else is made."""

    @abstractmethod
    def recolor(self, values: Numbers, colors: Colors, samples: Numbers) -> None:
        """Samples (h, w, 3) of values that were kept."""


class Frames(ABC, Generic[Numbers]):
    """Frames of one set of parameters, which are asked for when a frame needs them; whole ones are kept for others to refer to,
    the last ones that were asked for."""

    def __init__(self, field: Film, parameters: Mapping[str, Any], keep_bytes: int) -> None:
        self._field, self.parameters = field, parameters
        self._towards: dict[int, Numbers] = {}
        self._whole = self.rendering(Lattice.full(1, *field.shape[1:3]))
        self._kept: OrderedDict[int, Numbers] = OrderedDict()
        self._frame_bytes = 4 * math.prod(field.shape[1:])
        self._capacity = max(field.deepest + 2, min(keep_bytes, KEPT_BYTES) // self._frame_bytes)

    @abstractmethod
    def rendering(self, lattice: Lattice) -> Rendering[Numbers]: ...

    @abstractmethod
    def _grids(self, frame: int) -> dict[int, Any]:
        """By level, as renderings take them."""

    @abstractmethod
    def _motion(self, link: Link) -> Any:
        """Of a frame whose references were asked for before, as renderings take it."""

    def whole(self, frame: int) -> Numbers:
        """(C, H, W)."""
        self._build(frame)
        return self._one(frame)

    def show(self, frame: int, colors: Colors, samples: Numbers) -> None:
        """The samples (H, W, 3) of a whole frame."""
        self._build(frame)
        if frame in self._kept:
            self._whole.recolor(self._one(frame), colors, samples)
            return
        kept = frame in self._field.referred_to
        values = self.seen(frame, self._whole, (colors, samples), kept)
        if kept:
            self._keep(frame, values)

    def _build(self, frame: int) -> None:
        """What a frame builds on."""
        for other in built_on(frame, self._field.link_of, self._kept):  # one after the other: chains are long
            self._one(other)

    def _one(self, frame: int) -> Numbers:
        """A whole frame whose references are kept, as a rule."""
        if frame in self._kept:
            self._kept.move_to_end(frame)
            return self._kept[frame]
        found = self.seen(frame, self._whole)
        if frame in self._field.referred_to:
            self._keep(frame, found)
        return found

    def _keep(self, frame: int, values: Numbers) -> None:
        self._kept[frame] = values
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def seen(
        self, frame: int, rendering: Rendering, shown: tuple[Colors, Numbers] | None = None, kept: bool = True
    ) -> Numbers | None:
        """(C, h, w); shown and kept as in `Rendering.frame`."""
        link = self._field.link_of[frame]
        references = [self.whole(reference) for reference in link.references]
        motion = self._motion(link) if references else None
        return rendering.frame(self._grids(frame), references, motion, shown, kept)

    @property
    def kept_bytes(self) -> int:
        return len(self._kept) * self._frame_bytes


class FramesPlan(ShowingPlan):
    """Frames that others refer to are whole ones and are kept. frames: of the field's parameters, see `frames_of`."""

    def __init__(self, field: Film, frames: Frames, lattice: Lattice) -> None:
        self.field, self.lattice, self._frames = field, lattice, frames
        full = Lattice.full(*field.shape[:3])
        self._whole = np.array_equal(lattice.y, full.y) and np.array_equal(lattice.x, full.x)
        self._rendering = None if self._whole else frames.rendering(lattice)

    def planes(self, index: int) -> Numbers:
        """(C, H, W)."""
        frame = self.field.frame_at(self.lattice.t[index])
        return self._frames.whole(frame) if self._whole else self._frames.seen(frame, self._rendering)

    def show(self, index: int, colors: Colors, samples: Numbers) -> None:
        frame = self.field.frame_at(self.lattice.t[index])
        if self._whole:
            self._frames.show(frame, colors, samples)
        else:
            self._frames.seen(frame, self._rendering, (colors, samples), kept=False)

    @property
    def kept_bytes(self) -> int:
        return self._frames.kept_bytes

    @property
    def macs_per_pixel(self) -> float:
        return self.field.macs_per_pixel


def frames_of(kind: type[Frames], field: Film, parameters: Mapping[str, Any], keep_bytes: int) -> Frames:
    """Whole frames of these parameters, shared by all plans of them (views of several regions, bands)."""
    frames = field.shared and field.shared()
    if frames is None or frames.parameters is not parameters:
        frames = kind(field, parameters, keep_bytes)
        field.shared = weakref.ref(frames)  # plans keep them; a field that did would never be given up
    return frames
