"""Compiled predictions of a pyramid's symbols: the counterpart of the plain ones of `inrcodec.entropy.planes`, bit for bit."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_int, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np

from inrcodec.kernels.native import in_parts, library, shares, threads
from inrcodec.kernels.padding import PaddedPlanes
from inrcodec.passes import Pass, PlaneShape

THREADED_FROM = 1 << 13
"""Symbols of a pass; fewer are predicted by one thread."""

_POINTERS = (
    "plain", "split", "logs", "entry", "second", "last", "bias", "second_bias", "weights", "offsets", "whole", "table",
)  # fmt: skip
_INTEGERS = (
    "near", "width", "plain_base", "base", "stride", "parent", "parent_stride", "previous", "nothing",
    "first_y", "first_x", "step", "distance", "columns",
)  # fmt: skip


class _Prediction(Structure):
    _fields_ = [(name, c_void_p) for name in _POINTERS] + [(name, c_int) for name in _INTEGERS]


@cache
def _loops():
    """Predicts rows of a pass; stores the symbols of a pass."""
    predict, store = library().inrcodec_predict, library().inrcodec_store
    predict.argtypes, predict.restype = [POINTER(_Prediction), c_int, c_int], None
    store.argtypes, store.restype = [POINTER(_Prediction), c_void_p, c_int], None
    return predict, store


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

    def __init__(self, shapes: tuple[PlaneShape, ...], network: ExactNetwork) -> None:
        self._planes = PaddedPlanes(shapes)
        self._buffers = [np.zeros(self._planes.size, dtype=np.int16) for _ in range(2)]
        self._biases = network.biases.astype(np.int32)
        matrices = *network.entries, network.second, network.last
        self._pairs = [_in_pairs(matrix) for matrix in matrices]
        self._weights = [weights.astype(np.int16) for weights in network.weights]
        self._offsets, self._logs = network.offsets, network.logs
        self._second_bias = network.second_bias.astype(np.int32)
        self._width = len(network.second)

    def store(self, index: int, step: Pass, symbols: np.ndarray) -> None:
        """`symbols` (rows, columns) of a pass of plane `index`, as they are coded."""
        symbols = np.ascontiguousarray(symbols, dtype=np.int32)
        one = self._pass(index, step, symbols.shape[1])
        _loops()[1](ctypes.byref(one), symbols.ctypes.data, len(symbols))

    def predict(self, index: int, step: Pass) -> tuple[np.ndarray, np.ndarray]:
        """Whole part of the mean, and number of the table, of all symbols of a pass, row by row: (n,) int32, uint8."""
        shape = self._planes.shapes[index]
        rows, columns = step.size(shape.height, shape.width)
        whole, table = np.empty(rows * columns, dtype=np.int32), np.empty(rows * columns, dtype=np.uint8)
        one = self._pass(index, step, columns)
        one.whole, one.table = whole.ctypes.data, table.ctypes.data
        parts = min(threads(), rows) if rows * columns >= THREADED_FROM else 1
        borders = shares(rows, parts)
        in_parts(lambda part: _loops()[0](ctypes.byref(one), borders[part], borders[part + 1]), parts)
        return whole, table

    def _pass(self, index: int, step: Pass, columns: int) -> _Prediction:
        """All of a pass but for what is predicted."""
        planes, kind = self._planes, step.kind
        shape = planes.shapes[index]
        *entries, second, last = self._pairs
        arrays = (
            *self._buffers, self._logs, entries[kind], second, last, self._biases[index, kind], self._second_bias,
            self._weights[kind], self._offsets[kind],
        )  # fmt: skip
        parent_stride = 0 if shape.parent is None else planes.strides[shape.parent]
        return _Prediction(
            *(array.ctypes.data for array in arrays), None, None,
            len(self._offsets[kind]), self._width, planes.plain_position(index), planes.split_position(index),
            planes.strides[index], planes.plain_position(shape.parent), parent_stride,
            planes.split_position(shape.previous), planes.zeros,
            step.first_y, step.first_x, step.step, step.distance, columns,
        )  # fmt: skip


def _in_pairs(matrix: np.ndarray) -> np.ndarray:
    """(m, k) whole numbers of 16 bits → (m, k / 2) int32, two neighbors in one, the first one low; an odd k gets a zero."""
    rows, columns = matrix.shape
    even = np.zeros((rows, columns + columns % 2), dtype="<i2")
    even[:, :columns] = matrix
    return even.view("<i4").astype(np.int32)
