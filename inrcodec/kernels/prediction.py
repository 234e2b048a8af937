"""Compiled predictions of a pyramid's symbols, and the decoding of whole planes: the counterpart of the plain ones of
`inrcodec.entropy.planes`, bit for bit."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_int, c_long, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np

from inrcodec.errors import StreamError
from inrcodec.kernels.native import in_parts, library, shares, threads
from inrcodec.kernels.padding import PaddedPlanes
from inrcodec.kernels.ranges import FAILURES, MAX_TABLES, CompiledRuns, HasLookup, Ranges
from inrcodec.passes import Order, Pass, PlaneShape, passes_of

THREADED_FROM = 1 << 14
"""Symbols of a pass; fewer are predicted by one thread."""
NO_LOOKUP = 4

_POINTERS = (
    "bias", "plain", "split", "logs", "entry", "second", "last", "second_bias", "weights", "offsets", "tiles", "whole", "table",
)  # fmt: skip
_INTEGERS = (
    "near", "width", "plain_base", "base", "stride", "parent", "parent_stride", "previous", "nothing",
    "first_y", "first_x", "step", "distance", "rows", "columns", "tiles_across",
)  # fmt: skip


class _Prediction(Structure):
    _fields_ = [(name, c_void_p) for name in _POINTERS] + [(name, c_int) for name in _INTEGERS]


class _Decoding(Structure):
    _fields_ = [
        ("passes", POINTER(_Prediction)),
        ("ranges", POINTER(Ranges)),
        ("lookups", c_void_p),
        ("missing", c_void_p),
        ("order", c_void_p),
        ("symbols", c_void_p),
        ("width", c_int),
        ("stopped", c_int),
    ]


@cache
def _loops():
    """Predicts rows of a pass; stores the symbols of a pass; counts its coded symbols; decodes passes."""
    names = "predict", "store", "coded", "decode_passes"
    predict, store, coded, decode = (getattr(library(), f"inrcodec_{name}") for name in names)
    predict.argtypes, predict.restype = [POINTER(_Prediction), c_int, c_int], None
    store.argtypes, store.restype = [POINTER(_Prediction), c_void_p], None
    coded.argtypes, coded.restype = [POINTER(_Prediction)], c_long
    decode.argtypes, decode.restype = [POINTER(_Decoding), c_int, c_int, c_int], c_int
    return predict, store, coded, decode


@dataclass(frozen=True)
class ExactNetwork:
    """A network of whole numbers, all but `logs` and `offsets` contiguous float32; see `inrcodec.entropy.planes`.

    entries: by kind of pass, (width + 2, inputs), symbols before logarithms. biases: (planes, kinds, width + 2).
    second: (width, width), second_bias: (width, 1), last: (2, width). weights: by kind, (4, symbols), of the magnitudes.
    offsets: by kind, (neighbors, 2) int32, y and x in units of the pass's distance. logs: uint8, by weighted magnitude.
    """

    entries: tuple[np.ndarray, ...]
    biases: np.ndarray
    second: np.ndarray
    second_bias: np.ndarray
    last: np.ndarray
    weights: tuple[np.ndarray, ...]
    offsets: tuple[np.ndarray, ...]
    logs: np.ndarray


class CompiledPrediction:
    """Predicts the symbols of one pass after the other from those that were stored. Its numbers have 16 bits."""

    def __init__(self, shapes: tuple[PlaneShape, ...], order: Order, network: ExactNetwork) -> None:
        self._planes, self._order_of_symbols = PaddedPlanes(shapes), order
        self._biases = network.biases.astype(np.int32)
        self._width, self._near = len(network.second), [len(offsets) for offsets in network.offsets]
        self._buffers = [np.zeros(self._planes.size, dtype=np.int16) for _ in range(2)]
        self._written: list[int] = []  # planes with symbols
        layers = _in_pairs(network.second), _in_pairs(network.last)
        second_bias = network.second_bias.astype(np.int32)
        self._arrays = [  # by kind, in the order of _POINTERS, without the biases and what belongs to a plane
            (*self._buffers, network.logs, _in_pairs(entry), *layers, second_bias, weights.astype(np.int16), offsets)
            for entry, weights, offsets in zip(network.entries, network.weights, network.offsets)
        ]
        room = max(rows * columns for shape in shapes for _, (rows, columns) in passes_of(order, shape.height, shape.width))
        self._whole, self._order = np.empty(room, np.int32), np.empty(room, np.int32)
        self._table, self._missing = np.empty(room, np.uint8), np.zeros(MAX_TABLES, np.uint8)
        self._addresses = [[array.ctypes.data for array in arrays] for arrays in self._arrays]
        self._results = self._whole.ctypes.data, self._table.ctypes.data
        self._tiles: dict[int, np.ndarray] = {}
        self._passes: dict[int, ctypes.Array] = {}

    def clear(self) -> None:
        """Forgets all symbols."""
        for index in self._written:
            start, stop = self._planes.extent(index)
            for buffer in self._buffers:
                buffer[start:stop] = 0
        self._written = []

    def begin(self, index: int, tiles: np.ndarray) -> None:
        """A plane, and which of its tiles are coded: (down, across) uint8."""
        if index not in self._passes:
            self._tiles[index] = np.empty_like(tiles)
            shape = self._planes.shapes[index]
            steps = passes_of(self._order_of_symbols, shape.height, shape.width)
            self._passes[index] = (_Prediction * len(steps))(*(self._new_pass(index, *step) for step in steps))
        self._tiles[index][:] = tiles
        self._current = self._passes[index]
        self._written.append(index)

    def store(self, number: int, symbols: np.ndarray) -> None:
        """`symbols` (rows, columns) of a pass of the plane."""
        symbols = np.ascontiguousarray(symbols, dtype=np.int32)
        _loops()[1](ctypes.byref(self._current[number]), symbols.ctypes.data)

    def predict(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Whole part of the mean, and number of the table, of the coded symbols of a pass, row by row: (n,) int32, uint8."""
        one = self._current[number]
        count = _loops()[2](ctypes.byref(one))
        self._predict(one, count)
        return self._whole[:count].copy(), self._table[:count].copy()

    def _predict(self, one: _Prediction, count: int) -> None:
        parts = min(threads(), one.rows) if count >= THREADED_FROM else 1
        borders = shares(one.rows, parts)
        in_parts(lambda part: _loops()[0](ctypes.byref(one), borders[part], borders[part + 1]), parts)

    def decode(self, runs: CompiledRuns, tables: Sequence[HasLookup], plane: np.ndarray) -> None:
        """All passes of the plane to `plane` (height, width) int32, which holds zeros; StreamError on damage."""
        assert plane.dtype == np.int32 and plane.flags.c_contiguous
        lookups = runs.lookups(tables, np.zeros(MAX_TABLES, bool))
        arrays = (array.ctypes.data for array in (lookups, self._missing, self._order, plane))
        decoding = _Decoding(self._current, ctypes.pointer(runs.state), *arrays, plane.shape[1], 0)
        first, count, decode = 0, len(self._current), _loops()[3]
        while first < count:
            last, predicted = self._together(first)
            failure = decode(ctypes.byref(decoding), first, last, predicted)
            if failure == NO_LOOKUP:
                runs.lookups(tables, self._missing > 0)
                self._missing[:] = 0
                first = decoding.stopped
                continue
            if failure:
                raise StreamError(f"{runs.place}: {FAILURES[failure]}")
            first = last

    def _together(self, first: int) -> tuple[int, bool]:
        """Up to which pass one call decodes; and whether it is a large one, which was predicted by all threads."""
        if threads() == 1:
            return len(self._current), False
        for number in range(first, len(self._current)):
            coded = _loops()[2](ctypes.byref(self._current[number]))
            if coded >= THREADED_FROM:
                if number > first:
                    return number, False
                self._predict(self._current[number], coded)
                return number + 1, True
        return len(self._current), False

    def _new_pass(self, index: int, step: Pass, size: tuple[int, int]) -> _Prediction:
        planes, shape = self._planes, self._planes.shapes[index]
        bias = self._biases.ctypes.data + 4 * (index * self._order_of_symbols.kinds + step.kind) * (self._width + 2)
        parent_stride = 0 if shape.parent is None else planes.strides[shape.parent]
        return _Prediction(
            bias, *self._addresses[step.kind], self._tiles[index].ctypes.data, *self._results,
            self._near[step.kind], self._width, planes.plain_position(index), planes.split_position(index),
            planes.strides[index], planes.plain_position(shape.parent), parent_stride,
            planes.split_position(shape.previous), planes.zeros,
            step.first_y, step.first_x, step.step, step.distance, *size, self._tiles[index].shape[1],
        )  # fmt: skip


def _in_pairs(matrix: np.ndarray) -> np.ndarray:
    """(m, k) whole numbers of 16 bits → (m, k / 2) int32, two neighbors in one, the first one low; an odd k gets a zero."""
    rows, columns = matrix.shape
    even = np.zeros((rows, columns + columns % 2), dtype="<i2")
    even[:, :columns] = matrix
    return even.view("<i4").astype(np.int32)
