"""Compiled predictions of a pyramid's symbols: the counterpart of the plain ones of `inrcodec.entropy.planes`, bit for bit."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_int, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np

from inrcodec.kernels.native import in_parts, library, shares, threads
from inrcodec.kernels.padding import PaddedPlanes
from inrcodec.passes import KINDS, Pass, PlaneShape

THREADED_FROM = 1 << 14
"""Symbols of a pass; fewer are predicted by one thread."""

_POINTERS = (
    "bias", "plain", "split", "logs", "entry", "second", "last", "second_bias", "weights", "offsets", "whole", "table",
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
        self._biases = network.biases.astype(np.int32)
        self._near = [len(offsets) for offsets in network.offsets]
        self._width = len(network.second)
        buffers = [np.zeros(self._planes.size, dtype=np.int16) for _ in range(2)]
        layers = _in_pairs(network.second), _in_pairs(network.last)
        second_bias = network.second_bias.astype(np.int32)
        self._kept, self._addresses = [], []  # by kind: arrays in the order of _POINTERS, without the biases
        for entry, weights, offsets in zip(network.entries, network.weights, network.offsets):
            arrays = *buffers, network.logs, _in_pairs(entry), *layers, second_bias, weights.astype(np.int16), offsets
            self._kept.append(arrays)
            self._addresses.append([array.ctypes.data for array in arrays])
        self._current: tuple[int, Pass, _Prediction] | None = None

    def store(self, index: int, step: Pass, symbols: np.ndarray) -> None:
        """`symbols` (rows, columns) of a pass of plane `index`, as they are coded."""
        symbols = np.ascontiguousarray(symbols, dtype=np.int32)
        _loops()[1](ctypes.byref(self._pass(index, step)), symbols.ctypes.data, len(symbols))

    def predict(self, index: int, step: Pass) -> tuple[np.ndarray, np.ndarray]:
        """Whole part of the mean, and number of the table, of all symbols of a pass, row by row: (n,) int32, uint8."""
        one, shape = self._pass(index, step), self._planes.shapes[index]
        rows = step.size(shape.height, shape.width)[0]
        whole, table = np.empty(rows * one.columns, dtype=np.int32), np.empty(rows * one.columns, dtype=np.uint8)
        one.whole, one.table = whole.ctypes.data, table.ctypes.data
        parts = min(threads(), rows) if len(whole) >= THREADED_FROM else 1
        borders = shares(rows, parts)
        in_parts(lambda part: _loops()[0](ctypes.byref(one), borders[part], borders[part + 1]), parts)
        return whole, table

    def _pass(self, index: int, step: Pass) -> _Prediction:
        """All of a pass but for where its predictions go; the last one is kept, since it is predicted and then stored."""
        if self._current is None or self._current[0] != index or self._current[1] is not step:
            self._current = index, step, self._new_pass(index, step)
        return self._current[2]

    def _new_pass(self, index: int, step: Pass) -> _Prediction:
        planes, shape = self._planes, self._planes.shapes[index]
        bias = self._biases.ctypes.data + 4 * (index * KINDS + step.kind) * (self._width + 2)
        parent_stride = 0 if shape.parent is None else planes.strides[shape.parent]
        return _Prediction(
            bias, *self._addresses[step.kind], None, None,
            self._near[step.kind], self._width, planes.plain_position(index), planes.split_position(index),
            planes.strides[index], planes.plain_position(shape.parent), parent_stride,
            planes.split_position(shape.previous), planes.zeros,
            step.first_y, step.first_x, step.step, step.distance, step.size(shape.height, shape.width)[1],
        )  # fmt: skip


def _in_pairs(matrix: np.ndarray) -> np.ndarray:
    """(m, k) whole numbers of 16 bits → (m, k / 2) int32, two neighbors in one, the first one low; an odd k gets a zero."""
    rows, columns = matrix.shape
    even = np.zeros((rows, columns + columns % 2), dtype="<i2")
    even[:, :columns] = matrix
    return even.view("<i4").astype(np.int32)
