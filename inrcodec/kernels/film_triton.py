"""A film's frames on a GPU, by Triton: a kernel for motion at its vertices, one for what grids give along rows, one for all that
follows up to samples.

`fields.film_tensors` has the definition; `kernels.warp` and `kernels.native` are the counterparts on a CPU. Arguments and
results are tensors on one device, float32 where nothing else is said. Kernels read tables that a plan makes once, so that a
frame takes three launches, whatever its levels are. Where the variable TRITON_INTERPRET is 1 when this is imported, tensors on
the CPU will do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from inrcodec.kernels.color import Colors
from inrcodec.kernels.warp import WEIGHT_UNIT

ROWS, COLUMNS = 8, 128
"""Of a plane, that a program takes at a time along rows."""
TILE_ROWS, TILE_COLUMNS, TILE_WARPS = 2, 128, 4
"""Of a frame, that a program takes at a time; few for a thread, each of which has 16 weights."""
VERTICES = 1024
"""Of motion, that a program takes."""
_WEIGHT_UNIT = tl.constexpr(WEIGHT_UNIT)
_HALF_TO_EVEN = tl.constexpr(8388608.0)
"""Added to a float32 in [0, 2^22] and taken away again, it rounds."""


@dataclass(frozen=True)
class Taps:
    """Sparse interpolation along one axis for several levels: index (levels, K, n) int32 of vertices, weight likewise; levels
    with fewer than K taps have weights of zero."""

    index: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Packed:
    """How the symbols of planes lie one after the other, and what they stand for.

    blocks: (blocks, 4) int32, of up to ROWS rows of a plane each: first symbol, rows, a row's symbols, level. steps: (blocks,),
    what one symbol is. planes: (planes, 2) int32: first block, level. matrix: (planes, 4), what a plane's sum adds to each
    channel.
    """

    blocks: Tensor
    steps: Tensor
    planes: Tensor
    matrix: Tensor


@dataclass(frozen=True)
class Motion:
    """grids: (2, height, width) at vertices, displacement (y, x) in samples, for two references (5, height, width): that of the
    second, and the first one's weight. along_y, along_x: of the points, one level of two taps. y (h,), x (w,): the points, in
    samples."""

    grids: Tensor
    along_y: Taps
    along_x: Taps
    y: Tensor
    x: Tensor


@dataclass(frozen=True)
class Picture:
    """samples: (h, w, 3) uint8 or uint16 of any strides, to which `colors` go."""

    colors: Colors
    samples: Tensor

    def arguments(self) -> tuple:
        """Of kernels."""
        numbers = [*self.colors.matrix.ravel().tolist(), *self.colors.offset.ravel().tolist()]
        return self.samples, *self.samples.stride(), float(self.colors.peak), *numbers


NO_PICTURE = 0, 0, 0, 0, 1.0, *[0.0] * 12


def along_rows(symbols: Tensor, packed: Packed, along_x: Taps) -> Tensor:
    """Packed symbols (N,), int8 to int32, interpolated along x: (blocks · ROWS, w); rows that a block lacks may hold anything."""
    blocks, columns = len(packed.blocks), along_x.index.shape[2]
    out = torch.empty(blocks * ROWS, columns, device=symbols.device)
    grid = blocks, triton.cdiv(columns, COLUMNS)
    _along_rows[grid](
        symbols, packed.blocks, packed.steps, along_x.index, along_x.weight, out, columns,
        TAPS=along_x.index.shape[1], ROWS=ROWS, COLUMNS=COLUMNS,
    )  # fmt: skip
    return out


def displacements(
    symbols: Tensor, step: float, parent: Tensor | None, of_parent: float | None, of_first: float | None
) -> Tensor:
    """Motion's grids from symbols of 2 or 5 channels, (2 or 5, height, width), as `Film.displacements` has them: displacement
    towards the first reference, towards the second, the first one's weight. parent: of the frame's parent, towards its first
    reference, (2, height, width); of_parent, of_first: as `Film.motion_scales` gives them."""
    out = torch.empty(symbols.shape, device=symbols.device)
    count = out[0].numel()
    _displacements[(triton.cdiv(count, VERTICES),)](
        symbols, float(step), parent, float(of_parent or 0), float(of_first or 0), out, count,
        PARENT=parent is not None, FIELDS=len(out), VERTICES=VERTICES,
    )  # fmt: skip
    return out


def frame(
    shape: tuple[int, int, int],
    own: tuple[Tensor, Packed, Taps] | None,
    references: list[Tensor],
    motion: Motion | None,
    device: torch.device,
    picture: Picture | None = None,
    kept: bool = True,
) -> Tensor | None:
    """`shape` (C, h, w) of a film's frame, within ±1/2; and samples made of it (C = 3), if there is a `picture`. Without values
    that are `kept` it is nothing but those.

    own: of `along_rows`, how it was packed, and taps along y. references: up to two, whole frames (C, H, W), which `motion`
    displaces.
    """
    channels, rows, columns = shape
    assert (motion is None) == (not references) and channels <= 4 and (picture is None or channels == 3)
    out = torch.empty(shape, device=device) if kept else None
    own_arguments, taps_along_y = (None, None, None, None, None, 0), 1
    if own is not None:
        maps, packed, along_y = own
        own_arguments = maps, packed.planes, packed.matrix, along_y.index, along_y.weight, len(packed.planes)
        taps_along_y = along_y.index.shape[1]
    moved = (None,) * 9 + (0,) * 4
    if motion is not None:
        first, second = references[0], references[-1]
        assert first.is_contiguous() and second.is_contiguous() and motion.grids.is_contiguous()
        taps = motion.along_y.index, motion.along_y.weight, motion.along_x.index, motion.along_x.weight
        moved = first, second, motion.grids, *taps, motion.y, motion.x, *first.shape[1:], *motion.grids.shape[1:]
    _frame[triton.cdiv(columns, TILE_COLUMNS), triton.cdiv(rows, TILE_ROWS)](
        *own_arguments, *moved, out, rows, columns, *(NO_PICTURE if picture is None else picture.arguments()),
        CHANNELS=channels, OWN=own is not None, TAPS=taps_along_y, REFERENCES=len(references),
        KEPT=kept, SHOWN=picture is not None, PLANE_ROWS=ROWS, ROWS=TILE_ROWS, COLUMNS=TILE_COLUMNS, num_warps=TILE_WARPS,
    )  # fmt: skip
    return out


def rgb(values: Tensor, picture: Picture) -> None:
    """Samples of values (3, h, w)."""
    _, rows, columns = values.shape
    assert values.is_contiguous()
    grid = triton.cdiv(columns, COLUMNS), triton.cdiv(rows, ROWS)
    _rgb[grid](values, rows, columns, *picture.arguments(), ROWS=ROWS, COLUMNS=COLUMNS)


# -- kernels -----------------------------------------------------------------------------------------------------------


@triton.jit
def _along_rows(
    symbols, blocks, steps, index, weight, out, columns, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    block = tl.program_id(0)
    first, rows = tl.load(blocks + 4 * block), tl.load(blocks + 4 * block + 1)
    width, level = tl.load(blocks + 4 * block + 2), tl.load(blocks + 4 * block + 3)
    row = tl.arange(0, ROWS)[:, None]
    x = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (row < rows) & (x < columns)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for tap in tl.static_range(TAPS):
        at = (level * TAPS + tap) * columns + x
        vertex, share = tl.load(index + at, x < columns, 0), tl.load(weight + at, x < columns, 0.0)
        total += share * tl.load(symbols + first + row * width + vertex, inside, 0).to(tl.float32)
    tl.store(out + (block * ROWS + row) * columns + x, total * tl.load(steps + block), inside)


@triton.jit
def _displacements(
    symbols, step, parent, of_parent, of_first, out, count,
    PARENT: tl.constexpr, FIELDS: tl.constexpr, VERTICES: tl.constexpr,
):  # fmt: skip
    vertex = tl.program_id(0) * VERTICES + tl.arange(0, VERTICES)
    inside = vertex < count
    for axis in tl.static_range(2):
        first = tl.load(symbols + axis * count + vertex, inside, 0).to(tl.float32) * step
        if PARENT:
            first += tl.load(parent + axis * count + vertex, inside, 0.0) * of_parent
        tl.store(out + axis * count + vertex, first, inside)
        if FIELDS == 5:
            second = tl.load(symbols + (2 + axis) * count + vertex, inside, 0).to(tl.float32) * step
            tl.store(out + (2 + axis) * count + vertex, first * of_first + second, inside)
    if FIELDS == 5:
        weight = tl.load(symbols + 4 * count + vertex, inside, 0).to(tl.float32) * step * _WEIGHT_UNIT + 0.5
        tl.store(out + 4 * count + vertex, tl.minimum(tl.maximum(weight, 0.0), 1.0), inside)


@triton.jit
def _weights(f):
    """Keys' cubic kernel, a = -1/2: of the 4 samples around a place that is f behind the second one."""
    g = 1 - f
    half = -0.5 * f * g
    before, after = half * g, half * f
    third = f + before - 2 * after
    return before, 1 - before - after - third, third, after


@triton.jit
def _samples_around(place, count):
    """The 4 samples around places, the border repeated, and their weights."""
    place = tl.minimum(tl.maximum(place, -4.0), count + 3.0)
    base = (place + 8).to(tl.int32) - 8
    w0, w1, w2, w3 = _weights(place - base.to(tl.float32))
    last = count - 1
    i0, i1 = tl.minimum(tl.maximum(base - 1, 0), last), tl.minimum(tl.maximum(base, 0), last)
    i2, i3 = tl.minimum(tl.maximum(base + 1, 0), last), tl.minimum(tl.maximum(base + 2, 0), last)
    return i0, i1, i2, i3, w0, w1, w2, w3


@triton.jit
def _across(row, x0, x1, x2, x3, v0, v1, v2, v3):
    return v0 * tl.load(row + x0) + v1 * tl.load(row + x1) + (v2 * tl.load(row + x2) + v3 * tl.load(row + x3))


@triton.jit
def _displaced(plane, width, y0, y1, y2, y3, u0, u1, u2, u3, x0, x1, x2, x3, v0, v1, v2, v3):
    """A channel of a reference."""
    return (
        u0 * _across(plane + y0 * width, x0, x1, x2, x3, v0, v1, v2, v3)
        + u1 * _across(plane + y1 * width, x0, x1, x2, x3, v0, v1, v2, v3)
        + u2 * _across(plane + y2 * width, x0, x1, x2, x3, v0, v1, v2, v3)
        + u3 * _across(plane + y3 * width, x0, x1, x2, x3, v0, v1, v2, v3)
    )


@triton.jit
def _linear(grid, across, i0, i1, u0, u1, j0, j1, v0, v1):
    """Motion between its vertices."""
    above = v0 * tl.load(grid + i0 * across + j0) + v1 * tl.load(grid + i0 * across + j1)
    return u0 * above + u1 * (v0 * tl.load(grid + i1 * across + j0) + v1 * tl.load(grid + i1 * across + j1))


@triton.jit
def _looked_up(
    reference, height, width, share, grids, down, across, i0, i1, u0, u1, j0, j1, v0, v1, y, x, a0, a1, a2, a3,
    CHANNELS: tl.constexpr,
):  # fmt: skip
    """`share` of a reference at the places that two grids displace, added to the channels."""
    by_y = _linear(grids, across, i0, i1, u0, u1, j0, j1, v0, v1)
    by_x = _linear(grids + down * across, across, i0, i1, u0, u1, j0, j1, v0, v1)
    y0, y1, y2, y3, s0, s1, s2, s3 = _samples_around(y + by_y, height)
    x0, x1, x2, x3, t0, t1, t2, t3 = _samples_around(x + by_x, width)
    plane = height * width
    a0 += share * _displaced(reference, width, y0, y1, y2, y3, s0, s1, s2, s3, x0, x1, x2, x3, t0, t1, t2, t3)
    if CHANNELS > 1:
        a1 += share * _displaced(
            reference + plane, width, y0, y1, y2, y3, s0, s1, s2, s3, x0, x1, x2, x3, t0, t1, t2, t3
        )
    if CHANNELS > 2:
        a2 += share * _displaced(
            reference + 2 * plane, width, y0, y1, y2, y3, s0, s1, s2, s3, x0, x1, x2, x3, t0, t1, t2, t3
        )
    if CHANNELS > 3:
        a3 += share * _displaced(
            reference + 3 * plane, width, y0, y1, y2, y3, s0, s1, s2, s3, x0, x1, x2, x3, t0, t1, t2, t3
        )
    return a0, a1, a2, a3


@triton.jit
def _rounded(sample, peak):
    sample = tl.minimum(tl.maximum(sample, 0.0), peak)
    return sample + _HALF_TO_EVEN - _HALF_TO_EVEN


@triton.jit
def _put(
    a0, a1, a2, row, x, inside, samples, by_row, by_column, by_channel, peak,
    m0, m1, m2, m3, m4, m5, m6, m7, m8, b0, b1, b2,
):  # fmt: skip
    """Luma and chroma as RGB."""
    at = samples + row * by_row + x * by_column
    kind = samples.dtype.element_ty
    tl.store(at, _rounded(peak * (m0 * a0 + m1 * a1 + (m2 * a2 + b0)), peak).to(kind), inside)
    tl.store(at + by_channel, _rounded(peak * (m3 * a0 + m4 * a1 + (m5 * a2 + b1)), peak).to(kind), inside)
    tl.store(at + 2 * by_channel, _rounded(peak * (m6 * a0 + m7 * a1 + (m8 * a2 + b2)), peak).to(kind), inside)


@triton.jit
def _rgb(
    values, rows, columns, samples, by_row, by_column, by_channel, peak,
    m0, m1, m2, m3, m4, m5, m6, m7, m8, b0, b1, b2, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (row < rows) & (x < columns)
    at, plane = values + row * columns + x, rows * columns
    a0, a1, a2 = tl.load(at, inside), tl.load(at + plane, inside), tl.load(at + 2 * plane, inside)
    _put(
        a0, a1, a2, row, x, inside, samples, by_row, by_column, by_channel, peak,
        m0, m1, m2, m3, m4, m5, m6, m7, m8, b0, b1, b2,
    )  # fmt: skip


@triton.jit
def _own_sums(
    maps, planes, matrix, row_index, row_weight, plane_count, row, x, rows, columns, inside,
    CHANNELS: tl.constexpr, OWN: tl.constexpr, TAPS: tl.constexpr,
    PLANE_ROWS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """What a frame's own grids add to the channels, interpolated along y."""
    a0 = tl.zeros((ROWS, COLUMNS), tl.float32)
    a1 = tl.zeros((ROWS, COLUMNS), tl.float32)
    a2 = tl.zeros((ROWS, COLUMNS), tl.float32)
    a3 = tl.zeros((ROWS, COLUMNS), tl.float32)
    if OWN:
        for plane in range(plane_count):
            block, level = tl.load(planes + 2 * plane), tl.load(planes + 2 * plane + 1)
            total = tl.zeros((ROWS, COLUMNS), tl.float32)
            for tap in tl.static_range(TAPS):
                at = (level * TAPS + tap) * rows + row
                vertex, share = tl.load(row_index + at, row < rows, 0), tl.load(row_weight + at, row < rows, 0.0)
                total += share * tl.load(maps + (block * PLANE_ROWS + vertex) * columns + x, inside, 0.0)
            a0 += tl.load(matrix + 4 * plane) * total
            if CHANNELS > 1:
                a1 += tl.load(matrix + 4 * plane + 1) * total
            if CHANNELS > 2:
                a2 += tl.load(matrix + 4 * plane + 2) * total
            if CHANNELS > 3:
                a3 += tl.load(matrix + 4 * plane + 3) * total
    return a0, a1, a2, a3


@triton.jit
def _keep(a0, a1, a2, a3, out, row, x, rows, columns, inside, CHANNELS: tl.constexpr):
    """Values to (CHANNELS, rows, columns)."""
    at, plane = out + row * columns + x, rows * columns
    tl.store(at, a0, inside)
    if CHANNELS > 1:
        tl.store(at + plane, a1, inside)
    if CHANNELS > 2:
        tl.store(at + 2 * plane, a2, inside)
    if CHANNELS > 3:
        tl.store(at + 3 * plane, a3, inside)


@triton.jit(do_not_specialize=["plane_count"])
def _frame(
    maps, planes, matrix, row_index, row_weight, plane_count,
    first, second, grids, y_index, y_weight, x_index, x_weight, ys, xs, height, width, down, across,
    out, rows, columns, samples, by_row, by_column, by_channel, peak, m0, m1, m2, m3, m4, m5, m6, m7, m8, b0, b1, b2,
    CHANNELS: tl.constexpr, OWN: tl.constexpr, TAPS: tl.constexpr, REFERENCES: tl.constexpr,
    KEPT: tl.constexpr, SHOWN: tl.constexpr, PLANE_ROWS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (row < rows) & (x < columns)
    a0, a1, a2, a3 = _own_sums(
        maps, planes, matrix, row_index, row_weight, plane_count, row, x, rows, columns, inside,
        CHANNELS, OWN, TAPS, PLANE_ROWS, ROWS, COLUMNS,
    )  # fmt: skip
    if REFERENCES > 0:
        i0, i1 = tl.load(y_index + row, row < rows, 0), tl.load(y_index + rows + row, row < rows, 0)
        u0, u1 = tl.load(y_weight + row, row < rows, 0.0), tl.load(y_weight + rows + row, row < rows, 0.0)
        j0, j1 = tl.load(x_index + x, x < columns, 0), tl.load(x_index + columns + x, x < columns, 0)
        v0, v1 = tl.load(x_weight + x, x < columns, 0.0), tl.load(x_weight + columns + x, x < columns, 0.0)
        own_y, own_x = tl.load(ys + row, row < rows, 0.0), tl.load(xs + x, x < columns, 0.0)
        share = tl.full((ROWS, COLUMNS), 1.0, tl.float32)
        if REFERENCES > 1:
            share = _linear(grids + 4 * down * across, across, i0, i1, u0, u1, j0, j1, v0, v1)
        a0, a1, a2, a3 = _looked_up(
            first, height, width, share, grids, down, across, i0, i1, u0, u1, j0, j1, v0, v1, own_y, own_x,
            a0, a1, a2, a3, CHANNELS,
        )  # fmt: skip
        if REFERENCES > 1:
            a0, a1, a2, a3 = _looked_up(
                second, height, width, 1 - share, grids + 2 * down * across, down, across,
                i0, i1, u0, u1, j0, j1, v0, v1, own_y, own_x, a0, a1, a2, a3, CHANNELS,
            )  # fmt: skip
    a0, a1 = tl.minimum(tl.maximum(a0, -0.5), 0.5), tl.minimum(tl.maximum(a1, -0.5), 0.5)
    a2, a3 = tl.minimum(tl.maximum(a2, -0.5), 0.5), tl.minimum(tl.maximum(a3, -0.5), 0.5)
    if KEPT:
        _keep(a0, a1, a2, a3, out, row, x, rows, columns, inside, CHANNELS)
    if SHOWN:
        _put(
            a0, a1, a2, row, x, inside, samples, by_row, by_column, by_channel, peak,
            m0, m1, m2, m3, m4, m5, m6, m7, m8, b0, b1, b2,
        )  # fmt: skip
