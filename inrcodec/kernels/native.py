"""The compiled loops of `native/`, over arrays in memory: pointers, buffers and threads; then those of heads and of rounding.

Where the extension was not built (no compiler at installation) `available()` is False, and callers take their PyTorch
counterparts. Calls release the interpreter's lock; work is split over `threads()`. Nothing here loads PyTorch: autograd
functions hand over what their tensors hold (`np.ndarray.numpy`), and make tensors of what they get.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import POINTER, Structure, c_float, c_int, c_long, c_uint, c_void_p
from dataclasses import dataclass
from functools import cache
from itertools import cycle

import numpy as np

from inrcodec.ahead import after_fork
from inrcodec.errors import InrError

MAX_INPUTS, MAX_WIDTH, MAX_CHANNELS, MAX_TAPS = 48, 48, 4, 16
LANES = 16
"""Partial sums of each parameter's gradient, at most."""
ROUND_CHUNK = 1 << 16
TILE = 128
"""Columns that the loops take at a time."""


class _Level(Structure):
    _fields_ = [(name, c_void_p) for name in ("map", "gradient", "index", "weight", "busy")]
    _fields_ += [(name, c_int) for name in ("features", "height", "taps")]


class _Head(Structure):
    _fields_ = [("levels", POINTER(_Level))]
    _fields_ += [(name, c_void_p) for name in ("parameters", "target", "weight", "values", "samples")]
    _fields_ += [(name, c_void_p) for name in ("gradient", "sums", "error")]
    _fields_ += [(name, c_int) for name in ("level_count", "features", "width", "layers", "channels")]
    _fields_ += [(name, c_int) for name in ("rows", "columns", "peak", "every", "first")]


LAYOUT = TILE, MAX_INPUTS, MAX_WIDTH, MAX_CHANNELS, MAX_TAPS, ctypes.sizeof(_Level), ctypes.sizeof(_Head)
"""What the extension must have been built with: in a checkout it may be older than the sources beside it."""


def check_layout(found: tuple[int, ...]) -> None:
    """Raises InrError for the layout of another version."""
    if found != LAYOUT:
        raise InrError(
            f"the compiled loops have layout {found}, this version {LAYOUT}: build them again (pip install -e .)"
        )


def layout_of(library: ctypes.CDLL) -> tuple[int, ...]:
    """Zeros if it is so old that it does not tell."""
    found = (c_long * len(LAYOUT))()
    if hasattr(library, "inrcodec_layout"):
        library.inrcodec_layout(found)
    return tuple(found)


@cache
def library() -> ctypes.CDLL | None:
    """The extension; None where it was not built. Raises InrError if it was built for another version."""
    spec = importlib.util.find_spec("inrcodec.kernels._native")
    if spec is None:
        return None
    library = ctypes.CDLL(spec.origin)
    check_layout(layout_of(library))
    library.inrcodec_head.argtypes = [POINTER(_Head), c_int, c_int]
    library.inrcodec_interpolate.argtypes = [
        c_void_p, c_float, c_void_p, c_long, c_int, c_int, c_void_p, c_void_p, c_int, c_int, c_void_p,
    ]  # fmt: skip
    library.inrcodec_noisy_round.argtypes = [
        c_void_p, c_void_p, c_void_p, c_long, c_long, c_float, c_float, c_uint,
    ]  # fmt: skip
    library.inrcodec_busy.argtypes = [c_void_p, c_long, c_int, c_void_p]
    library.inrcodec_sines.argtypes = [c_void_p, c_long, c_long]
    library.inrcodec_lanes.restype = c_int
    for name in ("head", "sines", "busy", "interpolate", "noisy_round"):
        getattr(library, f"inrcodec_{name}").restype = None
    return library


def available() -> bool:
    """Whether the compiled loops are there."""
    return library() is not None


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="inrcodec")


after_fork(_pool.cache_clear)


def in_parts(call: Callable[[int], None], parts: int) -> None:
    """call(0) … call(parts - 1), side by side."""
    if parts == 1:
        call(0)
        return
    waiting = [_pool(parts).submit(call, part) for part in range(1, parts)]
    call(0)
    for one in waiting:
        one.result()


_here = threading.local()


@contextmanager
def one_thread() -> Iterator[None]:
    """What the calling thread asks for is done by it alone: others are at work beside it."""
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = False


def threads() -> int:
    """As many as PyTorch uses where it is loaded; otherwise OMP_NUM_THREADS, or the processors that there are."""
    if getattr(_here, "alone", False):
        return 1
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):  # loaded to its end
        return torch.get_num_threads()
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else _processors()


@cache
def _processors() -> int:
    """That this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shares(count: int, parts: int) -> list[int]:
    """Borders of `parts` parts of 0 … count."""
    return [count * part // parts for part in range(parts + 1)]


def contiguous(array: np.ndarray) -> np.ndarray:
    assert array.dtype == np.float32
    return np.ascontiguousarray(array)


def sample_type(peak: int) -> type[np.generic]:
    """Of samples in [0, peak]."""
    return np.uint8 if peak <= 255 else np.uint16


PLANE_SHIFT = 576 // 4
"""Floats: planes begin at different places of a page. Where they did not, as in frames of 1280x720 and 1920x1080, the same row of
all channels would take the same few sets of the cache, and a value that is written would hold up what is read elsewhere."""


def empty_planes(shape: tuple[int, int, int]) -> np.ndarray:
    """(C, h, w) float32, each plane contiguous, with room between them."""
    channels, height, width = shape
    apart = -(-height * width // 1024) * 1024 + PLANE_SHIFT
    return np.empty((channels, apart), np.float32)[:, : height * width].reshape(shape)


def planes(array: np.ndarray) -> np.ndarray:
    """(C, h, w) float32 whose planes are contiguous: itself, or a copy."""
    assert array.dtype == np.float32
    return array if array.strides[1:] == (4 * array.shape[2], 4) else np.ascontiguousarray(array)


def apart(array: np.ndarray) -> int:
    """Floats from one plane to the next."""
    return array.strides[0] // 4


@dataclass(frozen=True)
class Sample:
    """Tiles number first, first + every, … of a sweep, standing for all: gradients by matrices are `every` times the sums over
    them. In `every` sweeps that differ in `first` each tile has its turn."""

    every: int
    first: int


ALL = Sample(1, 0)
SAMPLED, SAMPLED_FROM = 4, 1 << 18
"""Large sweeps sum gradients by matrices over every fourth tile. They are a third of the work, and the moments of an
optimizer average over more than four steps."""


def turns(columns: int) -> Iterator[Sample]:
    """What one training's sweeps over so many columns sum gradients by matrices over."""
    return cycle([Sample(SAMPLED, first) for first in range(SAMPLED)] if columns >= SAMPLED_FROM else [ALL])


# -- rounding ----------------------------------------------------------------------------------------------------------


def noisy_round(values: np.ndarray, temperature: float, deviation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Softly rounded values with noise in between, and the derivatives; both like values.

    The counterpart of `quantize.noisy_round`, whose normal noise is here a sum of four uniform variables.
    """
    values = contiguous(values)
    symbols, slopes = np.empty_like(values), np.empty_like(values)
    parts = threads() if values.size > ROUND_CHUNK else 1
    borders = [share * LANES for share in shares(values.size // LANES, parts)[:-1]] + [values.size]

    def part(index: int) -> None:
        library().inrcodec_noisy_round(
            values.ctypes.data, symbols.ctypes.data, slopes.ctypes.data, borders[index], borders[index + 1],
            temperature, deviation, seed & 0xFFFFFFFF,
        )  # fmt: skip

    in_parts(part, parts)
    return symbols, slopes


# -- interpolation and head --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taps:
    """Sparse interpolation along one axis: index (n, K) int32 of vertices, weight (n, K) float32."""

    index: np.ndarray
    weight: np.ndarray

    @property
    def count(self) -> int:
        return self.index.shape[1]


def interpolate(grid: np.ndarray, taps: Taps) -> np.ndarray:
    """(..., vertices) → (..., n) along the last axis."""
    grid = contiguous(grid)
    out = np.empty((*grid.shape[:-1], len(taps.index)), dtype=np.float32)
    _interpolate(grid, out, taps, 0)
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
    _interpolate(grid, found.values, taps, 0, found.busy, step)
    return found


def interpolate_back(gradient: np.ndarray, taps: Taps, vertices: int) -> np.ndarray:
    """The transpose of `interpolate`: (..., n) → (..., vertices)."""
    gradient = contiguous(gradient)
    grid = np.zeros((*gradient.shape[:-1], vertices), dtype=np.float32)
    _interpolate(grid, gradient, taps, 1)
    return grid


def _interpolate(
    grid: np.ndarray, out: np.ndarray, taps: Taps, backward: int, busy: np.ndarray | None = None, step: float = 0.0
) -> None:
    rows = grid.size // grid.shape[-1]
    parts = min(threads(), rows)
    borders = shares(rows, parts)

    def part(index: int) -> None:
        first, last = borders[index], borders[index + 1]
        library().inrcodec_interpolate(
            grid.ctypes.data + first * grid.shape[-1] * grid.itemsize, step,
            out.ctypes.data + 4 * first * out.shape[-1], last - first,
            grid.shape[-1], out.shape[-1], taps.index.ctypes.data, taps.weight.ctypes.data, taps.count, backward,
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
        self.head = _Head(levels, parameters.ctypes.data)
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
    return _head(maps, taps, parameters, width, len(target), target=contiguous(target), weight=weight, sample=sample)


def _busy(maps: np.ndarray) -> np.ndarray:
    """Which tiles of a row of maps (F, h, W) hold anything but zeros: (F, h, tiles) uint8."""
    busy = np.empty((*maps.shape[:2], -(-maps.shape[2] // TILE)), np.uint8)
    library().inrcodec_busy(maps.ctypes.data, maps.shape[0] * maps.shape[1], maps.shape[2], busy.ctypes.data)
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
        head = _Head(
            levels, parameters.ctypes.data, *(None if one is None else one.ctypes.data for one in given),
            mine.parameters.ctypes.data, sums.ctypes.data, mine.errors.ctypes.data,
            len(maps), features, width, layers, channels, rows, columns, peak, sample.every, sample.first,
        )  # fmt: skip
        library().inrcodec_head(ctypes.byref(head), borders[index], borders[index + 1])

    in_parts(part, parts)
    total = gradients[0]
    for other in gradients[1:]:
        total.errors += other.errors
        total.parameters += other.parameters
        for one, more in zip(total.maps, other.maps):
            one += more
    return total
