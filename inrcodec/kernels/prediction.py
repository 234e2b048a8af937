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
    "plain", "split", "logs", "entry", "bias", "second", "second_bias", "last", "weights", "offsets", "whole", "table",
)  # fmt: skip
_INTEGERS = (
    "near", "width", "base", "stride", "parent", "parent_stride", "previous", "nothing",
    "first_y", "first_x", "step", "columns",
)  # fmt: skip


class _Prediction(Structure):
    _fields_ = [(name, c_void_p) for name in _POINTERS] + [(name, c_int) for name in _INTEGERS]


@cache
def _predict():
    function = library().inrcodec_predict
    function.argtypes, function.restype = [POINTER(_Prediction), c_int, c_int], None
    return function


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
    """Predicts the symbols of one pass after the other from those that were stored."""

    def __init__(self, shapes: tuple[PlaneShape, ...], network: ExactNetwork) -> None:
        self._network = network
        self._planes = PaddedPlanes(shapes)
        self._plain = np.zeros(self._planes.size, dtype=np.float32)
        self._split = np.zeros_like(self._plain)

    def store(self, index: int, step: Pass, symbols: np.ndarray) -> None:
        """`symbols` (rows, columns) of a pass of plane `index`, as they are coded."""
        stride = self._planes.strides[index]
        plain = self._planes.plain_position(index) + step.first_y * stride + step.first_x
        split = self._planes.split_position(index) + step.first_y * stride
        split += step.first_x // 2 + step.first_x % 2 * (stride // 2)
        for buffer, first, spacing in ((self._plain, plain, step.step), (self._split, split, step.step // 2)):
            strides = 4 * step.step * stride, 4 * spacing
            np.lib.stride_tricks.as_strided(buffer[first:], symbols.shape, strides)[:] = symbols

    def predict(self, index: int, step: Pass) -> tuple[np.ndarray, np.ndarray]:
        """Whole part of the mean, and number of the table, of all symbols of a pass, row by row: (n,) int32, uint8."""
        shape = self._planes.shapes[index]
        rows, columns = step.size(shape.height, shape.width)
        whole, table = np.empty(rows * columns, dtype=np.int32), np.empty(rows * columns, dtype=np.uint8)
        offsets = self._network.offsets[step.kind] * np.int32(step.distance)
        arguments = self._arguments(index, step, columns, offsets, whole, table)
        parts = min(threads(), rows) if rows * columns >= THREADED_FROM else 1
        borders = shares(rows, parts)
        in_parts(lambda part: _predict()(ctypes.byref(arguments), borders[part], borders[part + 1]), parts)
        return whole, table

    def _arguments(self, index: int, step: Pass, columns: int, offsets, whole, table) -> _Prediction:
        network, planes = self._network, self._planes
        shape = planes.shapes[index]
        arrays = (
            self._plain, self._split, network.logs, network.entries[step.kind], network.biases[index, step.kind],
            network.second, network.second_bias, network.last, network.weights[step.kind], offsets, whole, table,
        )  # fmt: skip
        parent_stride = 0 if shape.parent is None else planes.strides[shape.parent]
        return _Prediction(
            *(array.ctypes.data for array in arrays),
            len(offsets), len(network.second), planes.split_position(index), planes.strides[index],
            planes.plain_position(shape.parent), parent_stride, planes.split_position(shape.previous), planes.zeros,
            step.first_y, step.first_x, step.step, columns,
        )  # fmt: skip
