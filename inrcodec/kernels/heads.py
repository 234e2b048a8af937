"""Heads of pyramids over features of all levels, compiled: interpolation along x, then along y as the head goes, values, samples,
and squared errors with their gradients. Its counterpart in PyTorch is `fields.pyramid_tensors`."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_float, c_int, c_long, c_void_p
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np

from inrcodec.kernels.helping import lend_a_hand
from inrcodec.kernels.native import (
    ALL,
    LANES,
    MAX_CHANNELS,
    MAX_INPUTS,
    MAX_TAPS,
    MAX_WIDTH,
    TILE,
    Sample,
    contiguous,
    in_parts,
    loop,
    sample_type,
    shares,
    threads,
)


class _Level(Structure):
    _fields_ = [(name, c_void_p) for name in ("map", "gradient", "index", "weight", "busy")]
    _fields_ += [(name, c_int) for name in ("features", "height", "taps")]


class Head(Structure):
    _fields_ = [("levels", POINTER(_Level))]
    _fields_ += [(name, c_void_p) for name in ("parameters", "target", "weight", "values", "samples")]
    _fields_ += [(name, c_void_p) for name in ("gradient", "sums", "error")]
    _fields_ += [(name, c_int) for name in ("level_count", "features", "width", "layers", "channels")]
    _fields_ += [(name, c_int) for name in ("rows", "columns", "peak", "every", "first")]


@cache
def _interpolate_loop():
    grid, taps = (c_void_p, c_float, c_void_p, c_long, c_int, c_int), (c_void_p, c_void_p, c_int)
    return loop("interpolate", *grid, *taps, c_void_p)


@cache
def _busy_loop():
    return loop("busy", c_void_p, c_long, c_int, c_void_p)


@cache
def _head_loop():
    return loop("head", Head, c_int, c_int, filled=[_Level])


@dataclass(frozen=True)
class Taps:
    """Sparse interpolation along one axis: index (n, K) int32 of vertices, weight (n, K) float32."""

    index: np.ndarray
    weight: np.ndarray
    _transposed: Taps | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def count(self) -> int:
        return self.index.shape[1]

    @cached_property
    def addresses(self) -> tuple[int, int]:
        return self.index.ctypes.data, self.weight.ctypes.data

    @cached_property
    def copies(self) -> bool:
        """Whether outputs are vertices as they are, the first n of them."""
        in_order = self.count == 1 and np.array_equal(self.index[:, 0], np.arange(len(self.index)))
        return in_order and bool((self.weight == 1).all())

    def transposed(self, vertices: int) -> Taps:
        """From n outputs back to so many vertices. Made once: there is one number of vertices."""
        if self._transposed is None:
            object.__setattr__(self, "_transposed", _transposed(self, vertices))
        assert len(self._transposed.index) == vertices
        return self._transposed


def _transposed(taps: Taps, vertices: int) -> Taps:
    """Each vertex takes from the outputs that took from it. Where these are fewer than those of other vertices, the first of them
    stands in for others, without weight; where there are none, one of a vertex nearby does."""
    outputs = len(taps.index)
    pairs, which = np.unique(taps.index.astype(np.int64) * outputs + np.arange(outputs)[:, None], return_inverse=True)
    vertex, output = np.divmod(pairs, outputs)
    counts = np.bincount(vertex, minlength=vertices)
    firsts = np.cumsum(counts) - counts
    index = np.tile(output[firsts.clip(max=len(output) - 1)][:, None], counts.max())
    weight = np.zeros(index.shape, np.float32)
    place = vertex, np.arange(len(vertex)) - firsts[vertex]
    index[place], weight[place] = output, np.bincount(which.ravel(), taps.weight.ravel())
    return Taps(index.astype(np.int32), weight)


def interpolate(grid: np.ndarray, taps: Taps) -> np.ndarray:
    """(..., vertices) → (..., n) along the last axis; the grid itself, where all vertices are copied."""
    grid = contiguous(grid)
    if taps.copies and len(taps.index) == grid.shape[-1]:
        return grid
    out = np.empty((*grid.shape[:-1], len(taps.index)), dtype=np.float32)
    _interpolate(grid, out, taps)
    return out


@dataclass(frozen=True)
class SparseMap:
    """Features (F, h, W) of which tiles of a row that are zeros may hold anything; busy: (F, h, tiles) uint8, which are not."""

    values: np.ndarray
    busy: np.ndarray


def interpolate_sparse(grid: np.ndarray, taps: Taps, step: float = 0.0) -> SparseMap:
    """`interpolate` of (F, h, vertices), float32, or int8 in units of a `step`; tiles of zeros cost nothing."""
    assert grid.dtype == (np.int8 if step else np.float32)
    grid = np.ascontiguousarray(grid)
    shape = *grid.shape[:-1], len(taps.index)
    found = SparseMap(np.empty(shape, np.float32), np.empty((*shape[:2], -(-shape[2] // TILE)), np.uint8))
    _interpolate(grid, found.values, taps, found.busy, step)
    return found


def interpolate_back(gradient: np.ndarray, taps: Taps, vertices: int) -> np.ndarray:
    """The transpose of `interpolate`: (..., n) → (..., vertices)."""
    if taps.copies and len(taps.index) == vertices:
        return contiguous(gradient)
    return interpolate(gradient, taps.transposed(vertices))


def _interpolate(
    grid: np.ndarray, out: np.ndarray, taps: Taps, busy: np.ndarray | None = None, step: float = 0.0
) -> None:
    rows = grid.size // grid.shape[-1]
    parts = min(threads(), rows)
    borders = shares(rows, parts)

    def part(index: int) -> None:
        first, last = borders[index], borders[index + 1]
        _interpolate_loop()(
            grid.ctypes.data + first * grid.shape[-1] * grid.itemsize, step,
            out.ctypes.data + 4 * first * out.shape[-1], last - first,
            grid.shape[-1], out.shape[-1], *taps.addresses, taps.count,
            None if busy is None else busy.ctypes.data + first * busy.shape[-1],
        )  # fmt: skip

    in_parts(part, parts)


class Sums:
    """A head without hidden units on maps that are mostly zeros, for a loop that adds its values (C, H, W) to others: weighted
    sums, by matrix (C, features), of maps[l] (F, h, W), interpolated along y by taps[l]."""

    def __init__(self, maps: list[SparseMap], taps: list[Taps], matrix: np.ndarray) -> None:
        channels, features = matrix.shape
        assert features == sum(len(one.values) for one in maps) <= MAX_INPUTS
        assert channels <= MAX_CHANNELS and all(tap.count <= MAX_TAPS for tap in taps)
        self.shape = channels, len(taps[0].index), maps[0].values.shape[2]
        parameters = np.concatenate([contiguous(matrix).ravel(), np.zeros(channels, np.float32)])
        levels = (_Level * len(maps))(*(_level(one.values, tap, one.busy) for one, tap in zip(maps, taps)))
        self.head = Head(levels, parameters.ctypes.data)
        self.head.level_count, self.head.features = len(maps), features
        self.head.channels, self.head.rows, self.head.columns = self.shape
        self._kept = maps, taps, parameters


def _level(maps: np.ndarray, taps: Taps, busy: np.ndarray | None, gradient: np.ndarray | None = None) -> _Level:
    pointers = maps, gradient, taps.index, taps.weight, busy
    addresses = (None if one is None else one.ctypes.data for one in pointers)
    return _Level(*addresses, len(maps), maps.shape[1], taps.count)


@dataclass
class HeadGradients:
    """Of weight · squared errors: by each map, and by the parameters; errors (C,) float64 are unweighted sums."""

    errors: np.ndarray
    maps: list[np.ndarray]
    parameters: np.ndarray


def head_values(
    maps: list[np.ndarray], taps: list[Taps], parameters: np.ndarray, width: int, channels: int
) -> np.ndarray:
    """Values (C, H, W) of the head on features maps[l] (F, h, W), interpolated along y by taps[l]. parameters: flat,
    first layer and bypass (width + C, F), their biases, if there is one a second layer (width, width) and its bias, last layer
    (C, width)."""
    values = np.empty((channels, len(taps[0].index), maps[0].shape[-1]), dtype=np.float32)
    _head(maps, taps, parameters, width, channels, values=values)
    return values


def head_samples(
    maps: list[np.ndarray], taps: list[Taps], parameters: np.ndarray, width: int, channels: int, peak: int
) -> np.ndarray:
    """round(clip(value + 1/2) · peak) of the same values, half to even: (H, W, C) uint8, or uint16 above a peak of 255."""
    shape = len(taps[0].index), maps[0].shape[-1], channels
    samples = np.empty(shape, dtype=sample_type(peak))
    _head(maps, taps, parameters, width, channels, samples=samples, peak=peak)
    return samples


def head_gradients(
    maps: list[np.ndarray],
    taps: list[Taps],
    parameters: np.ndarray,
    width: int,
    target: np.ndarray,
    weight: np.ndarray,
    sample: Sample = ALL,
) -> HeadGradients:
    """The same against a target (C, H, W): squared errors by channel, and gradients of Σ weight[c] · error[c]; those by
    matrices from a sample of the tiles."""
    found = _head(maps, taps, parameters, width, len(target), target=contiguous(target), weight=weight, sample=sample)
    lend_a_hand()
    return found


def _busy(maps: np.ndarray) -> np.ndarray:
    """Which tiles of a row of maps (F, h, W) hold anything but zeros: (F, h, tiles) uint8."""
    busy = np.empty((*maps.shape[:2], -(-maps.shape[2] // TILE)), np.uint8)
    _busy_loop()(maps.ctypes.data, maps.shape[0] * maps.shape[1], maps.shape[2], busy.ctypes.data)
    return busy


def _hidden_layers(parameters: int, features: int, width: int, channels: int) -> int:
    """Of a head of so many parameters."""
    second = parameters - (width + channels) * (features + 1) - channels * width
    assert second in (0, width * (width + 1))
    return 2 if second else 1


def _head(
    maps,
    taps,
    parameters,
    width,
    channels,
    values=None,
    samples=None,
    peak=0,
    target=None,
    weight=None,
    sample=ALL,
) -> HeadGradients | None:
    maps = [contiguous(one) for one in maps]
    parameters = contiguous(parameters)
    rows, columns = len(taps[0].index), maps[0].shape[-1]
    features = sum(len(one) for one in maps)
    assert features <= MAX_INPUTS and width <= MAX_WIDTH and channels <= MAX_CHANNELS
    assert all(tap.count <= MAX_TAPS for tap in taps)
    layers = _hidden_layers(parameters.size, features, width, channels)
    parts = min(threads(), rows)
    gradients = []
    weight = None if weight is None else contiguous(weight)
    for _ in range(parts):
        by_map = [np.zeros_like(one) for one in maps] if target is not None else []
        gradients.append(HeadGradients(np.zeros(channels), by_map, np.zeros_like(parameters)))
    borders = shares(rows, parts)
    busy = [_busy(one) for one in maps] if target is None else []

    def part(index: int) -> None:
        mine = gradients[index]
        levels = (_Level * len(maps))()
        for position, (one, tap) in enumerate(zip(maps, taps)):
            gradient, used = (its[position] if its else None for its in (mine.maps, busy))
            levels[position] = _level(one, tap, used, gradient)
        sums = np.zeros(parameters.size * LANES, dtype=np.float32)
        given = target, weight, values, samples
        head = Head(
            levels, parameters.ctypes.data, *(None if one is None else one.ctypes.data for one in given),
            mine.parameters.ctypes.data, sums.ctypes.data, mine.errors.ctypes.data,
            len(maps), features, width, layers, channels, rows, columns, peak, sample.every, sample.first,
        )  # fmt: skip
        _head_loop()(ctypes.byref(head), borders[index], borders[index + 1])

    in_parts(part, parts)
    total = gradients[0]
    for other in gradients[1:]:
        total.errors += other.errors
        total.parameters += other.parameters
        for one, more in zip(total.maps, other.maps):
            one += more
    return total
