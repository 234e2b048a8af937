"""A film's evaluation on a GPU: symbols as the stream has them are sent there, and Triton's kernels make frames of them."""

from __future__ import annotations

import math
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from inrcodec.errors import DeviceError
from inrcodec.fields.base import Coded, ScaledSymbols
from inrcodec.fields.film import Film
from inrcodec.fields.film_frames import Frames, FramesPlan, Rendering, frames_of
from inrcodec.fields.hierarchy import Link
from inrcodec.kernels import film_triton, heads
from inrcodec.kernels.color import Colors
from inrcodec.kernels.film_triton import ROWS, Packed, Picture, Taps
from inrcodec.lattice import Lattice

LARGEST = (1 << 31) - 1
"""Numbers of a frame, or of all its grids along rows: kernels count in 32 bits."""
Grids = dict[int, ScaledSymbols]
"""Of a frame, by level."""


class DeviceRendering(Rendering[Tensor]):
    """Tables of taps and places are on the device; so are those that say how a frame's symbols are packed, of every set of levels
    that a frame had."""

    def __init__(self, field: Film, lattice: Lattice, device: torch.device) -> None:
        self._field, self._device = field, device
        self._shape = field.channels, *lattice.shape[1:]
        self._check_size()
        along_y, along_x = zip(*field.pyramid.axis_taps(lattice))
        self._along_y, self._along_x = self._stacked(along_y), self._stacked(along_x)
        self._motion_taps = [self._stacked([heads.Taps(*taps)]) for taps in field.motion_taps(lattice)]
        self._places = [_sent([places], device) for places in field.places(lattice)]
        self._packed: dict[tuple[tuple[int, float], ...], Packed] = {}

    def _check_size(self) -> None:
        pyramid, (channels, _, columns) = self._field.pyramid, self._shape
        rows = sum(len(pyramid.kinds(age)) * (pyramid.vertices(age)[0] + ROWS) for age in pyramid.ages)
        largest = max(rows * columns, math.prod(self._shape), channels * math.prod(self._field.shape[1:3]))
        if largest > LARGEST:
            height, width = self._field.shape[1:3]
            what = f"{largest} numbers at once, allowed are {LARGEST}"
            raise DeviceError(f"frames of {width}x{height} are too large for {self._device}: {what}")

    def frame(
        self,
        grids: Grids,
        references: list[Tensor],
        motion: Tensor | None,
        shown: tuple[Colors, Tensor] | None = None,
        kept: bool = True,
    ) -> Tensor | None:
        picture = Picture(*shown) if shown else None
        moved = None if motion is None else film_triton.Motion(motion, *self._motion_taps, *self._places)
        return film_triton.frame(self._shape, self._own(grids), references, moved, self._device, picture, kept)

    def recolor(self, values: Tensor, colors: Colors, samples: Tensor) -> None:
        film_triton.rgb(values, Picture(colors, samples))

    def _own(self, grids: Grids) -> tuple[Tensor, Packed, Taps] | None:
        """What the grids give along rows, of levels that are not all zeros."""
        used = {age: grid for age, grid in grids.items() if not grid.all_zeros}
        if not used:
            return None
        key = tuple((age, grid.step) for age, grid in used.items())
        if key not in self._packed:
            self._packed[key] = self._pack(used)
        symbols = _sent([grid.symbols for grid in used.values()], self._device)
        return film_triton.along_rows(symbols, self._packed[key], self._along_x), self._packed[key], self._along_y

    def _pack(self, grids: Grids) -> Packed:
        blocks, steps, planes, columns = [], [], [], []
        first = block = column = 0
        for level, age in enumerate(self._field.pyramid.ages):
            kinds, (height, width) = len(self._field.pyramid.kinds(age)), self._field.pyramid.vertices(age)
            rows = np.arange(0, height, ROWS)
            for kind in range(kinds if age in grids else 0):
                facts = np.empty((len(rows), 4), np.int32)
                facts[:, 0], facts[:, 1] = first + rows * width, np.minimum(ROWS, height - rows)
                facts[:, 2:] = width, level
                blocks.append(facts)
                steps.append(np.full(len(rows), grids[age].step, np.float32))
                planes.append((block, level))
                columns.append(column + kind)
                first, block = first + height * width, block + len(rows)
            column += kinds
        matrix = np.zeros((len(planes), 4), np.float32)
        matrix[:, : self._field.channels] = self._field.samples_of_planes[:, columns].T
        tables = np.concatenate(blocks), np.concatenate(steps), np.array(planes, np.int32), matrix
        return Packed(*(_sent([table], self._device).view(table.shape) for table in tables))

    def _stacked(self, levels: list[heads.Taps]) -> Taps:
        most = max(one.count for one in levels)
        index = np.zeros((len(levels), most, len(levels[0].index)), np.int32)
        weight = np.zeros(index.shape, np.float32)
        for level, one in enumerate(levels):
            index[level, : one.count], weight[level, : one.count] = one.index.T, one.weight.T
        return Taps(*(_sent([table], self._device).view(table.shape) for table in (index, weight)))


def _sent(parts: list[np.ndarray], device: torch.device) -> Tensor:
    """Numbers of arrays one after the other, (N,), through memory that the device reads while the processor goes on."""
    kind = torch.from_numpy(np.empty(0, np.result_type(*parts))).dtype
    room = torch.empty(sum(part.size for part in parts), dtype=kind, pin_memory=device.type == "cuda")
    np.concatenate([part.ravel() for part in parts], out=room.numpy())
    return room.to(device, non_blocking=True)


class DeviceFrames(Frames[Tensor]):
    def rendering(self, lattice: Lattice) -> DeviceRendering:
        return DeviceRendering(self._field, lattice, self.parameters.device)

    def _grids(self, frame: int) -> Grids:
        return {age: self.parameters[f"grid{age}.{frame}"] for age in self._field.ages(frame)}

    def _motion(self, link: Link) -> Tensor:
        coded = self.parameters[f"motion{link.frame}"]
        symbols = _sent([coded.symbols], self.parameters.device).view(-1, *coded.symbols.shape[2:])
        of_parent, of_first = self._field.motion_scales(link)
        parent = None if of_parent is None else self._towards[link.parent]
        motion = film_triton.displacements(symbols, coded.step, parent, of_parent, of_first)
        self._towards[link.frame] = motion[:2]
        return motion


class DevicePlan(FramesPlan):
    def __init__(self, field: Film, parameters: Coded, lattice: Lattice, keep_bytes: int) -> None:
        with _current(parameters.device):
            super().__init__(field, frames_of(DeviceFrames, field, parameters, keep_bytes), lattice)
        self._device = parameters.device

    def frame(self, index: int) -> Tensor:
        with _current(self._device):
            return self.planes(index).permute(1, 2, 0)

    def show(self, index: int, colors: Colors, samples: Tensor) -> None:
        with _current(self._device):
            super().show(index, colors, samples)


def _current(device: torch.device):
    """Where Triton launches its kernels, whatever their arguments are on."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
