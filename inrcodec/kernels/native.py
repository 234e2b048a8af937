"""The compiled loops of `native/`, over torch tensors in memory: pointers, buffers and threads.

Where the extension was not built (no compiler at installation) `available()` is False, and callers take their PyTorch
counterparts. Calls release the interpreter's lock; work is split over as many threads as PyTorch uses.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import POINTER, Structure, c_float, c_int, c_long, c_uint, c_void_p
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from inrcodec.passes import KINDS, Neighborhood, PlaneShape

MAX_INPUTS, MAX_WIDTH, MAX_CHANNELS, MAX_NEAR = 48, 48, 4, 16
LANES = 16
"""Partial sums of each parameter's gradient, at most."""
ROUND_CHUNK = 1 << 16


class _Level(Structure):
    _fields_ = [(name, c_void_p) for name in ("map", "gradient", "index", "weight")]
    _fields_ += [(name, c_int) for name in ("features", "height", "taps")]


class _Head(Structure):
    _fields_ = [("levels", POINTER(_Level))]
    _fields_ += [(name, c_void_p) for name in ("parameters", "target", "weight", "values", "gradient", "sums", "error")]
    _fields_ += [(name, c_int) for name in ("level_count", "features", "width", "channels", "rows", "columns")]


class _Plane(Structure):
    _fields_ = [("bias", c_void_p), ("bias_sums", c_void_p)]
    _fields_ += [(name, c_int) for name in ("base", "stride", "height", "width", "parent", "parent_stride", "previous")]


class _Kind(Structure):
    _fields_ = [(name, c_void_p) for name in ("entry", "entry_transposed", "bias", "entry_sums", "bias_sums")]
    _fields_ += [("weight", c_float * MAX_NEAR), ("dy", c_int * MAX_NEAR), ("dx", c_int * MAX_NEAR), ("near", c_int)]


class _Context(Structure):
    _fields_ = [(name, c_void_p) for name in ("plain", "split", "plain_gradient", "split_gradient", "second")]
    _fields_ += [(name, c_void_p) for name in ("second_transposed", "second_bias", "last", "last_transposed")]
    _fields_ += [(name, c_void_p) for name in ("second_sums", "second_bias_sums", "last_sums", "bits")]
    _fields_ += [("kinds", _Kind * KINDS), ("ninths", c_float * 9)]
    _fields_ += [(name, c_int) for name in ("width", "nothing", "part", "parts")]


@cache
def _library() -> ctypes.CDLL | None:
    spec = importlib.util.find_spec("inrcodec.kernels._native")
    if spec is None:
        return None
    library = ctypes.CDLL(spec.origin)
    library.inrcodec_head.argtypes = [POINTER(_Head), c_int, c_int]
    library.inrcodec_interpolate.argtypes = [
        c_void_p, c_void_p, c_long, c_int, c_int, c_void_p, c_void_p, c_int, c_int,
    ]  # fmt: skip
    library.inrcodec_noisy_round.argtypes = [
        c_void_p, c_void_p, c_void_p, c_long, c_long, c_float, c_float, c_uint,
    ]  # fmt: skip
    library.inrcodec_context.argtypes = [POINTER(_Context), POINTER(_Plane), c_int]
    library.inrcodec_lanes.restype = c_int
    for name in ("head", "interpolate", "noisy_round", "context"):
        getattr(library, f"inrcodec_{name}").restype = None
    return library


def available() -> bool:
    """Whether the compiled loops are there."""
    return _library() is not None


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="inrcodec")


def _in_parts(call: Callable[[int], None], parts: int) -> None:
    """call(0) … call(parts - 1), side by side."""
    if parts == 1:
        call(0)
        return
    waiting = [_pool(parts).submit(call, part) for part in range(1, parts)]
    call(0)
    for one in waiting:
        one.result()


def _threads() -> int:
    return torch.get_num_threads()


def _shares(count: int, parts: int) -> list[int]:
    return [count * part // parts for part in range(parts + 1)]


def _contiguous(tensor: Tensor) -> Tensor:
    assert tensor.device.type == "cpu" and tensor.dtype == torch.float32
    return tensor.detach().contiguous()


# -- rounding ----------------------------------------------------------------------------------------------------------


def noisy_round(values: Tensor, temperature: float, deviation: float, seed: int) -> tuple[Tensor, Tensor]:
    """Softly rounded values with noise in between, and the derivatives; both like values.

    The counterpart of `quantize.noisy_round`, whose normal noise is here a sum of four uniform variables.
    """
    values = _contiguous(values)
    symbols, slopes = torch.empty_like(values), torch.empty_like(values)
    parts = _threads() if values.numel() > ROUND_CHUNK else 1
    shares = _shares(values.numel() // LANES, parts)
    borders = [share * LANES for share in shares[:-1]] + [values.numel()]

    def part(index: int) -> None:
        _library().inrcodec_noisy_round(
            values.data_ptr(), symbols.data_ptr(), slopes.data_ptr(), borders[index], borders[index + 1],
            temperature, deviation, seed & 0xFFFFFFFF,
        )  # fmt: skip

    _in_parts(part, parts)
    return symbols, slopes


# -- interpolation and head --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taps:
    """Sparse interpolation along one axis: index (n, K) int32 of vertices, weight (n, K) float32."""

    index: Tensor
    weight: Tensor

    @property
    def count(self) -> int:
        return self.index.shape[1]


def interpolate(grid: Tensor, taps: Taps) -> Tensor:
    """(..., vertices) → (..., n) along the last axis."""
    grid = _contiguous(grid)
    out = grid.new_empty(*grid.shape[:-1], len(taps.index))
    _interpolate(grid, out, taps, 0)
    return out


def interpolate_back(gradient: Tensor, taps: Taps, vertices: int) -> Tensor:
    """The transpose of `interpolate`: (..., n) → (..., vertices)."""
    gradient = _contiguous(gradient)
    grid = gradient.new_zeros(*gradient.shape[:-1], vertices)
    _interpolate(grid, gradient, taps, 1)
    return grid


def _interpolate(grid: Tensor, out: Tensor, taps: Taps, backward: int) -> None:
    rows = grid.numel() // grid.shape[-1]
    parts = min(_threads(), rows)
    borders = _shares(rows, parts)

    def part(index: int) -> None:
        first, last = borders[index], borders[index + 1]
        _library().inrcodec_interpolate(
            grid.data_ptr() + 4 * first * grid.shape[-1], out.data_ptr() + 4 * first * out.shape[-1], last - first,
            grid.shape[-1], out.shape[-1], taps.index.data_ptr(), taps.weight.data_ptr(), taps.count, backward,
        )  # fmt: skip

    _in_parts(part, parts)


@dataclass
class HeadGradients:
    """Of weight · squared errors: by each map, and by the parameters; errors (C,) float64 are unweighted sums."""

    errors: Tensor
    maps: list[Tensor]
    parameters: Tensor


def head_values(maps: list[Tensor], taps: list[Taps], parameters: Tensor, width: int, channels: int) -> Tensor:
    """Values (C, H, W) of the head on features maps[l] (F, h, W), interpolated along y by taps[l]. parameters: flat,
    first layer and bypass (width + C, F), their biases, second layer (width, width), its bias, last layer (C, width)."""
    values = maps[0].new_empty(channels, len(taps[0].index), maps[0].shape[-1])
    _head(maps, taps, parameters, width, channels, values=values)
    return values


def head_gradients(
    maps: list[Tensor], taps: list[Taps], parameters: Tensor, width: int, target: Tensor, weight: Tensor
) -> HeadGradients:
    """The same against a target (C, H, W): squared errors by channel, and gradients of Σ weight[c] · error[c]."""
    return _head(maps, taps, parameters, width, len(target), target=_contiguous(target), weight=weight)


def _head(maps, taps, parameters, width, channels, values=None, target=None, weight=None) -> HeadGradients | None:
    maps = [_contiguous(one) for one in maps]
    parameters = _contiguous(parameters)
    rows, columns = len(taps[0].index), maps[0].shape[-1]
    features = sum(len(one) for one in maps)
    assert features <= MAX_INPUTS and width <= MAX_WIDTH and channels <= MAX_CHANNELS
    parts = min(_threads(), rows)
    gradients = []
    weight = None if weight is None else weight.float().contiguous()
    for _ in range(parts):
        by_map = [torch.zeros_like(one) for one in maps] if target is not None else []
        gradients.append(
            HeadGradients(torch.zeros(channels, dtype=torch.float64), by_map, torch.zeros_like(parameters))
        )
    borders = _shares(rows, parts)

    def part(index: int) -> None:
        mine = gradients[index]
        levels = (_Level * len(maps))()
        for position, (one, tap) in enumerate(zip(maps, taps)):
            gradient = mine.maps[position].data_ptr() if mine.maps else None
            levels[position] = _Level(
                one.data_ptr(), gradient, tap.index.data_ptr(), tap.weight.data_ptr(), len(one), one.shape[1], tap.count
            )
        sums = torch.zeros(parameters.numel() * LANES)
        head = _Head(
            levels, parameters.data_ptr(), target.data_ptr() if target is not None else None,
            weight.data_ptr() if weight is not None else None, values.data_ptr() if values is not None else None,
            mine.parameters.data_ptr(), sums.data_ptr(), mine.errors.data_ptr(),
            len(maps), features, width, channels, rows, columns,
        )  # fmt: skip
        _library().inrcodec_head(ctypes.byref(head), borders[index], borders[index + 1])

    _in_parts(part, parts)
    total = gradients[0]
    for other in gradients[1:]:
        total.errors += other.errors
        total.parameters += other.parameters
        for one, more in zip(total.maps, other.maps):
            one += more
    return total


# -- context model -----------------------------------------------------------------------------------------------------

MARGIN = 16
"""Around every plane: neighbors are up to 16 samples away."""


class PaddedPlanes:
    """Where planes lie in one buffer with margins of zeros; flat symbols are their concatenation in raster order.

    Two buffers hold the same samples: "plain", and "split", in which the even columns of a row come before the odd ones,
    so that the symbols of the finest passes lie side by side.
    """

    def __init__(self, shapes: tuple[PlaneShape, ...]) -> None:
        self.shapes = shapes
        self.strides = [shape.width + shape.width % 2 + 2 * MARGIN for shape in shapes]
        self.zeros = MARGIN  # first of a row of zeros that stands for a missing plane
        self.starts = []
        end = 2 * MARGIN + max(self.strides)
        for shape, stride in zip(shapes, self.strides):
            self.starts.append(end)
            end += stride * (shape.height + 2 * MARGIN)
        self.size = end + MARGIN
        assert self.size < 1 << 31, "planes are addressed by 32 bits"

    def _plain(self, buffer: Tensor, index: int) -> Tensor:
        shape = self.shapes[index]
        return self._rows(buffer, index)[:, MARGIN : MARGIN + shape.width]

    def _split(self, buffer: Tensor, index: int, odd: int) -> Tensor:
        """The even or odd columns."""
        shape, half = self.shapes[index], MARGIN // 2
        columns = (shape.width + 1 - odd) // 2
        return self._rows(buffer, index).view(shape.height, 2, -1)[:, odd, half : half + columns]

    def _rows(self, buffer: Tensor, index: int) -> Tensor:
        shape, stride = self.shapes[index], self.strides[index]
        first = self.starts[index] + MARGIN * stride
        return buffer[first : first + stride * shape.height].view(shape.height, stride)

    def padded(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """The plain and the split buffer."""
        plain, split, start = flat.new_zeros(self.size), flat.new_zeros(self.size), 0
        for index, shape in enumerate(self.shapes):
            plane = flat[start : start + shape.height * shape.width].view(shape.height, shape.width)
            self._plain(plain, index).copy_(plane)
            for odd in (0, 1):
                self._split(split, index, odd).copy_(plane[:, odd::2])
            start += plane.numel()
        return plain, split

    def flat(self, plain: Tensor, split: Tensor) -> Tensor:
        """The sum of both buffers, without margins."""
        flat, start = plain.new_empty(sum(shape.height * shape.width for shape in self.shapes)), 0
        for index, shape in enumerate(self.shapes):
            plane = flat[start : start + shape.height * shape.width].view(shape.height, shape.width)
            plane.copy_(self._plain(plain, index))
            for odd in (0, 1):
                plane[:, odd::2] += self._split(split, index, odd)
            start += plane.numel()
        return flat

    def plain_position(self, index: int | None) -> int:
        """Of a plane's first sample in the plain buffer; -1 for none."""
        return -1 if index is None else self.starts[index] + MARGIN * self.strides[index] + MARGIN

    def split_position(self, index: int | None) -> int:
        """The same in the split buffer."""
        return -1 if index is None else self.starts[index] + MARGIN * self.strides[index] + MARGIN // 2


def context_gradients(
    planes: PaddedPlanes, kinds: tuple[Neighborhood, ...], symbols: Tensor, network: dict[str, Tensor]
) -> tuple[float, Tensor, dict[str, Tensor]]:
    """Bits of flat `symbols` (N,), and their gradients by the symbols and by the network's tensors.

    network: entry0 … entry6 (width + 2, inputs of the kind), kind_bias (7, width + 2), plane_bias (planes, width + 2),
    second (width, width), second_bias (width,), last (2, width).
    """
    network = {name: _contiguous(value) for name, value in network.items()}
    plain, split = planes.padded(_contiguous(symbols))
    parts = _threads()
    bits = torch.zeros(parts, dtype=torch.float64)
    gradients = [(torch.zeros_like(plain), torch.zeros_like(split)) for _ in range(parts)]
    sums = [{name: value.new_zeros(*value.shape, LANES) for name, value in network.items()} for _ in range(parts)]
    turned = {name: value.T.contiguous() for name, value in network.items() if value.dim() == 2}

    def part(index: int) -> None:
        context = _context(kinds, network, turned, sums[index])
        context.plain, context.split = plain.data_ptr(), split.data_ptr()
        context.plain_gradient, context.split_gradient = (one.data_ptr() for one in gradients[index])
        context.nothing = planes.zeros
        context.bits = bits.data_ptr() + 8 * index
        context.part, context.parts = index, parts
        table = _planes(planes, network["plane_bias"], sums[index]["plane_bias"])
        _library().inrcodec_context(ctypes.byref(context), table, len(planes.shapes))

    _in_parts(part, parts)
    lanes = _library().inrcodec_lanes()
    totals = {
        name: sum(one[name].reshape(-1)[: value.numel() * lanes].view(*value.shape, lanes).sum(-1) for one in sums)
        for name, value in network.items()
    }
    for other in gradients[1:]:
        for total, more in zip(gradients[0], other):
            total += more
    return float(bits.sum()), planes.flat(*gradients[0]), totals


def _planes(planes: PaddedPlanes, bias: Tensor, sums: Tensor):
    table = (_Plane * len(planes.shapes))()
    lanes, row = _library().inrcodec_lanes(), bias.shape[1]
    for index, shape in enumerate(planes.shapes):
        parent_stride = 0 if shape.parent is None else planes.strides[shape.parent]
        table[index] = _Plane(
            bias.data_ptr() + 4 * row * index, sums.data_ptr() + 4 * row * index * lanes, planes.split_position(index),
            planes.strides[index], shape.height, shape.width, planes.plain_position(shape.parent), parent_stride,
            planes.split_position(shape.previous),
        )  # fmt: skip
    return table


def _context(kinds, network, turned, sums) -> _Context:
    context = _Context()
    for name in ("second", "second_bias", "last"):
        setattr(context, name, network[name].data_ptr())
        setattr(context, f"{name}_sums", sums[name].data_ptr())
    context.second_transposed, context.last_transposed = turned["second"].data_ptr(), turned["last"].data_ptr()
    context.width = len(network["second"])
    context.ninths[:] = [1 / 9] * 9
    lanes, row = _library().inrcodec_lanes(), network["kind_bias"].shape[1]
    for index, kind in enumerate(kinds):
        one = context.kinds[index]
        one.entry, one.entry_sums = network[f"entry{index}"].data_ptr(), sums[f"entry{index}"].data_ptr()
        one.entry_transposed = turned[f"entry{index}"].data_ptr()
        one.bias = network["kind_bias"].data_ptr() + 4 * row * index
        one.bias_sums = sums["kind_bias"].data_ptr() + 4 * row * index * lanes
        one.near = len(kind.offsets)
        for position, ((dy, dx), weight) in enumerate(zip(kind.offsets, kind.shares)):
            one.dy[position], one.dx[position], one.weight[position] = dy, dx, weight
    return context
