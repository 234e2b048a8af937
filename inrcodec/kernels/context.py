"""The compiled context model of training: code length of a pyramid's symbols, with all gradients, in one sweep."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from ctypes import Structure, c_float, c_int, c_void_p
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from inrcodec.kernels.helping import helper
from inrcodec.kernels.native import ALL, LANES, Sample, contiguous, in_parts, lanes, loop, threads
from inrcodec.kernels.padding import PaddedPlanes
from inrcodec.kernels.summaries import PlaneSummaries
from inrcodec.passes import MAX_KINDS, Order, bias_rows

MAX_NEAR = 16
SHARES, OWN, OWN_OF_WIDE, WIDE, WIDE_PAIRS = 32, 26, 21, 17, 12
"""Of a sweep, and how many of them a thread does itself, if the network is narrower than WIDE (a mirrored one: has fewer pairs
than WIDE_PAIRS) or not; the others a helper may do, which comes when it is through with the head's loop. All it has to do for the
distortion takes about as long as three quarters of what is to be done for the bits of a network 14 wide, three fifths where it is
20 wide or has 12 pairs."""


class _Plane(Structure):
    _fields_ = [(name, c_void_p) for name in ("bias", "bias_sums", "tiles")]
    _fields_ += [(name, c_int) for name in ("base", "stride", "height", "width", "parent", "parent_stride", "previous")]
    _fields_ += [("tiles_across", c_int), ("summaries", c_void_p), ("summaries_gradient", c_void_p)]
    _fields_ += [("summary_size", c_int), ("summary_stride", c_int)]


class _Kind(Structure):
    _fields_ = [(name, c_void_p) for name in ("entry", "entry_transposed", "bias", "entry_sums", "bias_sums")]
    _fields_ += [("weight", c_float * MAX_NEAR), ("dy", c_int * MAX_NEAR), ("dx", c_int * MAX_NEAR), ("near", c_int)]


class _Context(Structure):
    _fields_ = [(name, c_void_p) for name in ("plain", "split", "plain_gradient", "split_gradient", "second")]
    _fields_ += [(name, c_void_p) for name in ("second_transposed", "second_bias", "last", "last_transposed")]
    _fields_ += [(name, c_void_p) for name in ("second_sums", "second_bias_sums", "last_sums", "bits", "tiles_done")]
    _fields_ += [("kinds", _Kind * MAX_KINDS), ("ninths", c_float * 9)]
    _fields_ += [(name, c_int) for name in ("width", "nothing", "wavefront", "mirrored", "summaries")]
    _fields_ += [(name, c_int) for name in ("start", "stop", "parts", "every", "first")]


@cache
def _sweep():
    return loop("context", _Context, _Plane, c_int, filled=[_Kind])


class ContextGradients(NamedTuple):
    """bits, and their gradients by the symbols, (N,), and by the network's tensors."""

    bits: float
    symbols: np.ndarray
    network: dict[str, np.ndarray]


def context_gradients(
    planes: PaddedPlanes,
    order: Order,
    symbols: np.ndarray,
    network: dict[str, np.ndarray],
    tiles: Sequence[np.ndarray] = (),
    sample: Sample = ALL,
) -> ContextGradients:
    """Bits of flat `symbols` (N,), with gradients.

    network: entry0 … of each kind (width + 2, its inputs), kind_bias (kinds, width + 2), plane_bias (roles, width + 2),
    second (width, width), second_bias (width,), last (2, width); where the order has summaries, summary (roles, summaries ·
    coarser planes), and these may be the halves of a mirrored network (`entropy.mirroring`). tiles: of each plane, which are
    coded (`entropy.tiles`), uint8; none: all are. sample: what gradients of matrices are taken from.
    """
    mirrored = "even" in network
    network = {name: contiguous(value) for name, value in (_stacked(network) if mirrored else network).items()}
    symbols = contiguous(symbols)
    summary = network.pop("summary", None)
    summaries = None if summary is None else PlaneSummaries(planes.shapes, symbols, summary)
    plain, split = None if summaries else planes.plain(symbols), planes.split(symbols)
    run, borders = _shared_out(summaries is not None, network["second"].shape[-1] >= (WIDE_PAIRS if mirrored else WIDE))
    parts = [_Part(network, plain, split) for _ in borders[1:]]
    seen = [summaries.of(index) for index in range(len(planes.shapes))] if summaries else []
    by_summaries = [None if one is None else np.zeros_like(one) for one in seen]  # parts have rows of their own
    turned = {name: contiguous(value.swapaxes(-1, -2)) for name, value in network.items() if value.ndim >= 2}

    def sweep(index: int) -> None:
        part = parts[index]
        context = _context(order, network, turned, part.network)
        part.tell(context)
        context.mirrored, context.nothing = mirrored, planes.zeros
        context.split, context.plain = split.ctypes.data, None if plain is None else plain.ctypes.data
        context.start, context.stop, context.parts = borders[index], borders[index + 1], borders[-1]
        context.every, context.first = sample.every, sample.first
        table = _planes(planes, network["plane_bias"], part.network["plane_bias"], tiles)
        for plane, values, gradient in zip(table, seen, by_summaries):
            _tell_summaries(plane, values, gradient)
        _sweep()(ctypes.byref(context), table, len(planes.shapes))

    run(sweep)
    totals = {name: _total(name, [part.network[name] for part in parts], sample) for name in network}
    by_symbols = planes.flat(_sum([part.by_plain for part in parts]), _sum([part.by_split for part in parts]))
    if summaries:
        totals["summary"] = summaries.back(by_summaries, by_symbols)
    if mirrored:
        totals["even"], totals["odd"] = totals.pop("second")
    return ContextGradients(float(sum(part.bits[0] for part in parts)), by_symbols, totals)


class _Part:
    """Where some of the rows are summed up, by one thread. Sums of the network are (…, LANES), lanes side by side."""

    def __init__(self, network: dict[str, np.ndarray], plain: np.ndarray | None, split: np.ndarray) -> None:
        self.bits, self.tiles_done = np.zeros(1), np.zeros(1, np.int64)
        self.by_plain = None if plain is None else np.zeros_like(plain)
        self.by_split = np.zeros_like(split)
        self.network = {name: np.zeros((*value.shape, LANES), np.float32) for name, value in network.items()}

    def tell(self, context: _Context) -> None:
        context.bits, context.tiles_done = self.bits.ctypes.data, self.tiles_done.ctypes.data
        context.split_gradient = self.by_split.ctypes.data
        context.plain_gradient = None if self.by_plain is None else self.by_plain.ctypes.data


def _total(name: str, parts: Sequence[np.ndarray], sample: Sample) -> np.ndarray:
    """Over parts and lanes; matrices were summed over a sample of the tiles only."""
    shape = parts[0].shape[:-1]
    used = math.prod(shape) * lanes()
    total = sum(part.reshape(-1)[:used].reshape(*shape, lanes()).sum(-1) for part in parts)
    return total if name.endswith("bias") else total * sample.every


def _stacked(network: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Halves of a mirrored network, as the loop takes them: even and odd are second (2, pairs, pairs)."""
    second = np.stack([network["even"], network["odd"]])
    return {name: value for name, value in network.items() if name not in ("even", "odd")} | {"second": second}


def _shared_out(summarized: bool, wide: bool) -> tuple[Callable[[Callable[[int], None]], None], list[int]]:
    """How parts are done, and their borders: by all threads, or by this one and, if it comes in time, its helper. Each part has
    sums of its own, so that it does not matter who does it."""
    helping = helper() if summarized and threads() == 1 else None
    if helping is None:
        parts = threads()
        return (lambda part: in_parts(part, parts)), list(range(parts + 1))
    own = OWN_OF_WIDE if wide else OWN
    return (lambda part: helping.both(partial(part, 0), partial(part, 1))), [0, own, SHARES]


def _tell_summaries(plane: _Plane, values: np.ndarray | None, gradient: np.ndarray | None) -> None:
    if values is not None:
        plane.summaries, plane.summaries_gradient = values.ctypes.data, gradient.ctypes.data
        plane.summary_size, plane.summary_stride = values[0].size, values.shape[2]


def _sum(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """In place of the first."""
    for more in parts[1:]:
        if more is not None:
            parts[0].__iadd__(more)
    return parts[0]


def _planes(planes: PaddedPlanes, bias: np.ndarray, sums: np.ndarray, tiles: Sequence[np.ndarray]):
    table = (_Plane * len(planes.shapes))()
    row = bias.shape[1]
    for index, (shape, bias_row) in enumerate(zip(planes.shapes, bias_rows(planes.shapes))):
        parent_stride = 0 if shape.parent is None else planes.strides[shape.parent]
        table[index] = _Plane(
            bias.ctypes.data + 4 * row * bias_row, sums.ctypes.data + 4 * row * bias_row * lanes(),
            tiles[index].ctypes.data if tiles else None,
            planes.split_position(index), planes.strides[index], shape.height, shape.width,
            planes.plain_position(shape.parent), parent_stride, planes.split_position(shape.previous),
            tiles[index].shape[1] if tiles else 0,
        )  # fmt: skip
    return table


def _context(order: Order, network, turned, sums) -> _Context:
    context = _Context()
    context.wavefront, context.summaries = order.by_diagonals, order.summaries
    for name in ("second", "second_bias", "last"):
        setattr(context, name, network[name].ctypes.data)
        setattr(context, f"{name}_sums", sums[name].ctypes.data)
    context.second_transposed, context.last_transposed = turned["second"].ctypes.data, turned["last"].ctypes.data
    context.width = network["second"].shape[-1]
    context.ninths[:] = [1 / 9] * 9
    row = network["kind_bias"].shape[1]
    for index, kind in enumerate(order.neighborhoods):
        one = context.kinds[index]
        one.entry, one.entry_sums = network[f"entry{index}"].ctypes.data, sums[f"entry{index}"].ctypes.data
        one.entry_transposed = turned[f"entry{index}"].ctypes.data
        one.bias = network["kind_bias"].ctypes.data + 4 * row * index
        one.bias_sums = sums["kind_bias"].ctypes.data + 4 * row * index * lanes()
        one.near = len(kind.offsets)
        for position, ((dy, dx), weight) in enumerate(zip(kind.offsets, kind.shares)):
            one.dy[position], one.dx[position], one.weight[position] = dy, dx, weight
    return context
