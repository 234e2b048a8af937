"""What part of a frame is wanted, and at what size: a field has no resolution, so both are only other lattices."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from inrcodec.errors import UsageError
from inrcodec.fields.base import Arrays, Field, Numbers, Parameters, Plan, ShowingPlan
from inrcodec.lattice import Lattice, window
from inrcodec.render import rgb_colors, rgb_integers
from inrcodec.signal.info import MAX_SIDE, SignalInfo

BAND_POINTS = 1 << 20
"""Points of a region or a scaled frame that are evaluated at a time."""

Finish = Callable[[Numbers, SignalInfo], Numbers]
"""From centered values to whole numbers, see `render`."""

Region = tuple[int, int, int, int]
"""x, y, width, height, in samples of the frame."""


@dataclass(frozen=True)
class View:
    """The region x, y, width, height of a frame, given as `columns` times `rows` samples."""

    x: int
    y: int
    width: int
    height: int
    columns: int
    rows: int

    @classmethod
    def of(cls, info: SignalInfo, region: Region | None = None, scale: float = 1.0) -> View:
        """`region` (None: the whole frame), its sides scaled by `scale` > 0 and rounded (half to even), at least 1.

        Raises UsageError for a region that is not inside of the frame and for a result larger than MAX_SIDE.
        """
        x, y, width, height = _checked_region(info, region)
        fine = isinstance(scale, (int, float)) and math.isfinite(scale) and scale > 0
        if not fine:
            raise UsageError(f"scale is {scale!r}, allowed are numbers above 0")
        if max(width, height) * scale > MAX_SIDE:
            raise UsageError(f"scale {scale} of {width}x{height} gives a side above {MAX_SIDE}")
        return cls(x, y, width, height, max(1, round(width * scale)), max(1, round(height * scale)))

    def is_whole(self, info: SignalInfo) -> bool:
        """Whether this is the frame as it was coded."""
        return (self.columns, self.rows, self.width, self.height) == 2 * (info.width, info.height)

    @property
    def points(self) -> tuple[int, int]:
        """Points along y and x that are averaged for one output sample: enough to miss none when it gets smaller."""
        return -(-self.height // self.rows), -(-self.width // self.columns)

    def lattice(self, shape: tuple[int, int, int, int]) -> Lattice:
        """All frames, and the points of all output samples, of a field of `shape`."""
        frames, height, width, _ = shape
        down, across = self.points
        return Lattice(
            window(0, frames, frames),
            window(self.y, self.height, height, self.rows * down),
            window(self.x, self.width, width, self.columns * across),
        )


def _checked_region(info: SignalInfo, region: Region | None) -> Region:
    if region is None:
        return 0, 0, info.width, info.height
    allowed = f"allowed are x, y, width, height (width and height at least 1) inside of {info.width}x{info.height}"
    try:
        x, y, width, height = (operator.index(value) for value in region)
    except (TypeError, ValueError):
        raise UsageError(f"region is {region!r}, {allowed}") from None
    inside = x >= 0 and y >= 0 and x + width <= info.width and y + height <= info.height
    if not inside or width < 1 or height < 1:
        raise UsageError(f"region is {x},{y},{width},{height}, {allowed}")
    return x, y, width, height


class ViewPlan:
    """A field's plans for a view: one for a whole frame (as the encoder's), bands of rows otherwise.

    Bands are kept from frame to frame as far as they fit into `keep_bytes`; the values are the same either way.
    """

    def __init__(self, field: Field, parameters: Parameters | Arrays, view: View, whole: bool, keep_bytes: int) -> None:
        self._field, self._parameters, self._view, self._keep_bytes = field, parameters, view, keep_bytes
        self._lattice = view.lattice(field.shape)
        down, across = view.points
        self._band = view.rows if whole else max(1, BAND_POINTS // (view.columns * across * down))
        self._kept: dict[int, Plan] = {}
        self.plan(0)

    def plan(self, start: int) -> Plan:
        """Of the band that begins at row `start`."""
        if start in self._kept:
            return self._kept[start]
        down = self._view.points[0]
        lattice = self._lattice.rows(start * down, min(start + self._band, self._view.rows) * down)
        plan = self._field.plan(self._parameters, lattice, self._keep_bytes)
        if not self._kept or self.kept_bytes + plan.kept_bytes <= self._keep_bytes:
            self._kept[start] = plan
        return plan

    def fill(self, index: int, info: SignalInfo, finish: Finish, samples: Numbers) -> None:
        """Frame `index` to `samples` (rows, columns, C), from the top, band by band. `finish`: makes whole numbers of centered
        values, where these are not just quantized (`Plan.samples`)."""
        down, across = self._view.points
        for start in range(0, self._view.rows, self._band):
            plan, band = self.plan(start), samples[start : start + self._band]
            if down == across == 1 and info.pixel_format != "yuv420":
                band[:] = plan.samples(index, info.peak)
            elif down == across == 1 and finish is rgb_integers and isinstance(plan, ShowingPlan):
                plan.show(index, rgb_colors(info), band)
            else:
                band[:] = finish(self._averaged(plan.frame(index)), info)

    def _averaged(self, values: Numbers) -> Numbers:
        """Over the points of each output sample."""
        down, across = self._view.points
        if down == across == 1:
            return values
        rows, columns, channels = values.shape
        return values.reshape(rows // down, down, columns // across, across, channels).mean((1, 3))

    @property
    def kept_bytes(self) -> int:
        return sum(plan.kept_bytes for plan in self._kept.values())
