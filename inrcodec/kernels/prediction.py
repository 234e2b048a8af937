"""Compiled predictions of a pyramid's symbols, and the decoding of whole planes: the counterpart of the plain ones of
`inrcodec.entropy.planes_prediction`, bit for bit."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from ctypes import POINTER, Structure, c_int, c_long, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from inrcodec.errors import StreamError
from inrcodec.kernels.native import in_parts, loop, shares, threads
from inrcodec.kernels.padding import PaddedPlanes, ShearedPlanes, diagonal_count
from inrcodec.kernels.ranges import FAILURES, MAX_TABLES, CompiledRuns, HasLookup, Ranges
from inrcodec.passes import Order, Pass, PlaneShape, passes_of, spread

THREADED_FROM = 1 << 14
"""Symbols of a pass; fewer are predicted by one thread."""
NO_LOOKUP = 4

_PASS_POINTERS = "plain", "split", "offsets", "tiles", "whole", "table"
_PASS_INTEGERS = (
    "plain_base", "base", "stride", "parent", "parent_stride", "previous", "nothing",
    "first_y", "first_x", "step", "distance", "rows", "columns", "tiles_across",
)  # fmt: skip
_KINDS = 4
"""Of WAVEFRONT."""
_NO_BORDER = 1 << 30
"""Columns of a plane that is not there."""


class _Network(Structure):
    _fields_ = [(name, c_void_p) for name in ("bias", "logs", "entry", "second", "last", "second_bias", "weights")]
    _fields_ += [(name, c_int) for name in ("near", "inputs", "width")]


class _Prediction(Structure):
    _fields_ = [("network", _Network)]
    _fields_ += [(name, c_void_p) for name in _PASS_POINTERS] + [(name, c_int) for name in _PASS_INTEGERS]


class _Sheared(Structure):
    _fields_ = [("base", c_long), ("stride", c_int), ("width", c_int)]


class _Diagonals(Structure):
    _fields_ = [("kinds", _Network * _KINDS)]
    _fields_ += [(name, c_void_p) for name in ("symbols", "offsets", "tiles", "whole", "table", "coded")]
    _fields_ += [("summaries", c_void_p), ("summary_size", c_long)]
    _fields_ += [(name, _Sheared) for name in ("own", "parent", "previous")]
    _fields_ += [(name, c_int) for name in ("rows", "columns", "tiles_across", "summary_count")]


class _Decoding(Structure):
    _fields_ = [
        ("ranges", POINTER(Ranges)),
        ("lookups", c_void_p),
        ("missing", c_void_p),
        ("order", c_void_p),
        ("symbols", c_void_p),
        ("width", c_int),
        ("stopped", c_int),
    ]


class _Loops(NamedTuple):
    """predict: rows of a pass. store: the symbols of a pass. coded: how many of a pass are. decode_passes, decode_diagonals: some
    of a plane. predict_diagonals: all of a plane whose symbols are given."""

    predict: Callable
    store: Callable
    coded: Callable
    decode_passes: Callable
    predict_diagonals: Callable
    decode_diagonals: Callable


@cache
def _loops() -> _Loops:
    return _Loops(
        predict=loop("predict", _Prediction, c_int, c_int, filled=[_Network]),
        store=loop("store", _Prediction, c_void_p),
        coded=loop("coded", _Prediction, result=c_long),
        decode_passes=loop("decode_passes", _Decoding, _Prediction, c_int, c_int, c_int, result=c_int),
        predict_diagonals=loop("predict_diagonals", _Diagonals, *[c_void_p] * 3, result=c_long, filled=[_Sheared]),
        decode_diagonals=loop("decode_diagonals", _Decoding, _Diagonals, c_int, c_int, result=c_int),
    )


@dataclass(frozen=True)
class ExactNetwork:
    """A network of whole numbers, all but `logs` and `offsets` contiguous float32; see `inrcodec.entropy.planes_network`.

    entries: by kind of pass, (width + 2, inputs), symbols before logarithms or summaries. biases: (planes, kinds, width + 2).
    second: (width, width), second_bias: (width, 1), last: (2, width). weights: by kind, (4, symbols), of the magnitudes; (0, …)
    where summaries are seen. offsets: by kind, (neighbors, 2) int32, y and x in units of the pass's distance. logs: uint8, by
    weighted magnitude.
    """

    entries: tuple[np.ndarray, ...]
    biases: np.ndarray
    second: np.ndarray
    second_bias: np.ndarray
    last: np.ndarray
    weights: tuple[np.ndarray, ...]
    offsets: tuple[np.ndarray, ...]
    logs: np.ndarray


@dataclass(frozen=True)
class Residuals:
    """Of the symbols of a plane that are coded, (n,), in coding order: what is added to the predicted whole parts, int32, the
    numbers of the tables, uint8, and where they are in the plane, flat. sizes: of the parts that were predicted at once."""

    rest: np.ndarray
    tables: np.ndarray
    places: np.ndarray
    sizes: Sequence[int]


class Desk:
    """Memory of compiled predictions: buffers of so many symbols, zeros where none is stored, and room for so many predictions at
    once."""

    def __init__(self, size: int, buffers: int, room: int) -> None:
        self.buffers = [np.zeros(size, dtype=np.int16) for _ in range(buffers)]
        self.written: list[tuple[int, int]] = []  # where there are symbols
        self.whole, self.places = np.empty(room, np.int32), np.empty(room, np.int32)
        self.table = np.empty(room, np.uint8)

    def fits(self, size: int, buffers: int, room: int) -> bool:
        return len(self.buffers) >= buffers and len(self.buffers[0]) >= size and len(self.table) >= room

    def clear(self) -> None:
        for start, stop in self.written:
            for buffer in self.buffers:
                buffer[start:stop] = 0
        self.written = []


class SharedDesk:
    """One desk for predictions that are used one after the other, as large as they need it."""

    def __init__(self) -> None:
        self._desk: Desk | None = None

    def fitting(self, size: int, buffers: int, room: int) -> Desk:
        if self._desk is None or not self._desk.fits(size, buffers, room):
            self._desk = Desk(size, buffers, room)
        return self._desk


class _Compiled(ABC):
    """Predicts symbols from those that were stored. Its numbers have 16 bits. layout: where they lie in each of `buffers`."""

    def __init__(
        self,
        shapes: tuple[PlaneShape, ...],
        order: Order,
        network: ExactNetwork,
        layout: PaddedPlanes | ShearedPlanes,
        buffers: int,
        shared: SharedDesk,
    ) -> None:
        self._shapes, self._order, self._planes = shapes, order, layout
        self._biases, self._offsets = network.biases.astype(np.int32), network.offsets
        self._width = len(network.second)
        self._desk = shared.fitting(layout.size, buffers, max(self._room(shape) for shape in shapes))
        layers = _in_pairs(network.second), _in_pairs(network.last), network.second_bias.astype(np.int32)
        self._arrays = [  # by kind, in the order of _Network, without the biases
            (network.logs, _in_pairs(entry), *layers, weights.astype(np.int16))
            for entry, weights in zip(network.entries, network.weights)
        ]
        self._addresses = [[array.ctypes.data if array.size else None for array in arrays] for arrays in self._arrays]
        self._inputs = [entry.shape[1] for entry in network.entries]
        self._first_bias = self._biases.ctypes.data
        self._missing = np.zeros(MAX_TABLES, np.uint8)
        self._tiles: dict[int, np.ndarray] = {}
        self._steps: dict[int, ctypes.Array] = {}

    @abstractmethod
    def _room(self, shape: PlaneShape) -> int:
        """Predictions of a plane that are asked for at once, at the most."""

    @abstractmethod
    def _new_steps(self, index: int) -> ctypes.Array:
        """What the compiled loops are told of a plane."""

    def clear(self) -> None:
        """Forgets all symbols."""
        self._desk.clear()

    def _begin(self, index: int, tiles: np.ndarray) -> ctypes.Array:
        if index not in self._steps:
            self._tiles[index] = np.empty_like(tiles)
            self._steps[index] = self._new_steps(index)
        self._tiles[index][:] = tiles
        self._desk.written.append(self._planes.extent(index))
        return self._steps[index]

    def _network_of(self, index: int, kind: int) -> _Network:
        bias = self._first_bias + self._biases[0, 0].nbytes * (index * self._order.kinds + kind)
        return _Network(bias, *self._addresses[kind], len(self._offsets[kind]), self._inputs[kind], self._width)

    def _decoding(self, plane: np.ndarray, runs: CompiledRuns, tables) -> _Decoding:
        assert plane.dtype == np.int32 and plane.flags.c_contiguous
        lookups = runs.lookups(tables, np.zeros(MAX_TABLES, bool))
        arrays = (array.ctypes.data for array in (lookups, self._missing, self._desk.places, plane))
        return _Decoding(ctypes.pointer(runs.state), *arrays, plane.shape[1], 0)

    def _goes_on(self, failure: int, runs: CompiledRuns, tables) -> bool:
        """Whether a call that ended so can be repeated from where it stopped; StreamError on damage."""
        if failure == NO_LOOKUP:
            runs.lookups(tables, self._missing > 0)
            self._missing[:] = 0
            return True
        if failure:
            raise StreamError(f"{runs.place}: {FAILURES[failure]}")
        return False


class CompiledPasses(_Compiled):
    """INTERLACED, pass by pass."""

    def __init__(self, shapes: tuple[PlaneShape, ...], order: Order, network: ExactNetwork, shared: SharedDesk) -> None:
        super().__init__(shapes, order, network, PaddedPlanes(shapes), 2, shared)

    def _room(self, shape: PlaneShape) -> int:
        return max(rows * columns for _, (rows, columns) in passes_of(self._order, shape.height, shape.width))

    def _new_steps(self, index: int) -> ctypes.Array:
        shape = self._shapes[index]
        steps = passes_of(self._order, shape.height, shape.width)
        return (_Prediction * len(steps))(*(self._new_step(index, *step) for step in steps))

    def _new_step(self, index: int, step: Pass, size: tuple[int, int]) -> _Prediction:
        planes, shape, tiles = self._planes, self._shapes[index], self._tiles[index]
        desk = self._desk
        arrays = *desk.buffers, self._offsets[step.kind], tiles, desk.whole, desk.table
        parent_stride = 0 if shape.parent is None else planes.strides[shape.parent]
        return _Prediction(
            self._network_of(index, step.kind), *(array.ctypes.data for array in arrays),
            planes.plain_position(index), planes.split_position(index), planes.strides[index],
            planes.plain_position(shape.parent), parent_stride, planes.split_position(shape.previous), planes.zeros,
            step.first_y, step.first_x, step.step, step.distance, *size, tiles.shape[1],
        )  # fmt: skip

    def residuals(self, index: int, tiles: np.ndarray, plane: np.ndarray) -> Residuals:
        """Of plane `index` (height, width) int32, which is kept. tiles: which of it are coded, (down, across) uint8."""
        steps, found = self._begin(index, tiles), []
        for (step, size), one in zip(passes_of(self._order, *plane.shape), steps):
            count = _loops().coded(ctypes.byref(one))
            self._predict(one, count)
            own = np.ascontiguousarray(plane[step.first_y :: step.step, step.first_x :: step.step], dtype=np.int32)
            coded = spread(tiles, step.first_y, step.first_x, step.step, *size)
            y, x = np.nonzero(coded)
            places = (step.first_y + step.step * y) * plane.shape[1] + step.first_x + step.step * x
            found.append((own[coded] - self._desk.whole[:count], self._desk.table[:count].copy(), places))
            _loops().store(ctypes.byref(one), own.ctypes.data)
        rest, tables, places = (np.concatenate(part) for part in zip(*found))
        return Residuals(rest, tables, places, [len(part) for part, *_ in found])

    def _predict(self, one: _Prediction, count: int) -> None:
        parts = min(threads(), one.rows) if count >= THREADED_FROM else 1
        borders = shares(one.rows, parts)
        in_parts(lambda part: _loops().predict(ctypes.byref(one), borders[part], borders[part + 1]), parts)

    def decode(
        self, index: int, tiles: np.ndarray, plane: np.ndarray, runs: CompiledRuns, tables: Sequence[HasLookup]
    ) -> None:
        """To `plane` (height, width) int32, which holds zeros, and is kept; StreamError on damage."""
        steps = self._begin(index, tiles)
        decoding, first = self._decoding(plane, runs, tables), 0
        while first < len(steps):
            last, predicted = self._together(steps, first)
            failure = _loops().decode_passes(ctypes.byref(decoding), steps, first, last, predicted)
            first = decoding.stopped if self._goes_on(failure, runs, tables) else last

    def _together(self, steps: ctypes.Array, first: int) -> tuple[int, bool]:
        """Up to which pass one call decodes; and whether it is a large one, which was predicted by all threads."""
        if threads() == 1:
            return len(steps), False
        for number in range(first, len(steps)):
            coded = _loops().coded(ctypes.byref(steps[number]))
            if coded >= THREADED_FROM:
                if number > first:
                    return number, False
                self._predict(steps[number], coded)
                return number + 1, True
        return len(steps), False


class CompiledDiagonals(_Compiled):
    """WAVEFRONT and SUMMARIZED, diagonal by diagonal."""

    def __init__(self, shapes: tuple[PlaneShape, ...], order: Order, network: ExactNetwork, shared: SharedDesk) -> None:
        self._coded = np.empty(max(shape.height for shape in shapes), np.int32)
        self._summaries: _ShearedSummaries | None = None
        super().__init__(shapes, order, network, ShearedPlanes(shapes), 1, shared)

    def _room(self, shape: PlaneShape) -> int:
        return shape.height * shape.width

    def _new_steps(self, index: int) -> ctypes.Array:
        shape, tiles = self._shapes[index], self._tiles[index]
        networks = (self._network_of(index, kind % self._order.kinds) for kind in range(_KINDS))
        desk = self._desk
        arrays = desk.buffers[0], self._offsets[0], tiles, desk.whole, desk.table, self._coded
        return (_Diagonals * 1)(
            _Diagonals(
                (_Network * _KINDS)(*networks), *(array.ctypes.data for array in arrays), None, 0,
                *map(self._sheared, (index, shape.parent, shape.previous)), shape.height, shape.width, tiles.shape[1], 0,
            )
        )  # fmt: skip

    def _sheared(self, index: int | None) -> _Sheared:
        planes = self._planes
        if index is None:
            return _Sheared(planes.zeros, 0, _NO_BORDER)
        return _Sheared(planes.position(index), planes.strides[index], self._shapes[index].width)

    def see(self, summaries: np.ndarray | None) -> None:
        """What the symbols of the next plane see of coarser levels: (summaries, height, width of its parent) whole numbers of 16
        bits, or None where there is none."""
        self._summaries = None if summaries is None else _ShearedSummaries(summaries)

    def _begin(self, index: int, tiles: np.ndarray) -> ctypes.Array:
        steps = super()._begin(index, tiles)
        if self._order.summaries:
            self._tell_summaries(steps[0])
        return steps

    def _tell_summaries(self, step: _Diagonals) -> None:
        step.summary_count = self._order.summaries
        step.previous = self._sheared(None)
        if self._summaries is None:
            step.summaries, step.summary_size = self._desk.buffers[0].ctypes.data, 0
            step.parent = self._sheared(None)
        else:
            step.summaries, step.summary_size = self._summaries.values.ctypes.data, self._summaries.size
            step.parent = self._summaries.sheared

    def residuals(self, index: int, tiles: np.ndarray, plane: np.ndarray) -> Residuals:
        """Of plane `index` (height, width) int32, which is kept. tiles: which of it are coded, (down, across) uint8."""
        steps = self._begin(index, tiles)
        sizes = np.empty(diagonal_count(*plane.shape), np.int32)
        symbols = np.ascontiguousarray(plane, dtype=np.int32)
        count = _loops().predict_diagonals(steps, symbols.ctypes.data, self._desk.places.ctypes.data, sizes.ctypes.data)
        places = self._desk.places[:count].copy()
        rest = symbols.ravel()[places] - self._desk.whole[:count]
        return Residuals(rest, self._desk.table[:count].copy(), places, sizes[sizes > 0])

    def decode(
        self, index: int, tiles: np.ndarray, plane: np.ndarray, runs: CompiledRuns, tables: Sequence[HasLookup]
    ) -> None:
        """To `plane` (height, width) int32, which holds zeros, and is kept; StreamError on damage."""
        steps, decoding = self._begin(index, tiles), self._decoding(plane, runs, tables)
        first, count = 0, diagonal_count(*plane.shape)
        while self._goes_on(_loops().decode_diagonals(ctypes.byref(decoding), steps, first, count), runs, tables):
            first = decoding.stopped


class _ShearedSummaries:
    """Summaries (count, height, width) by diagonals, one after the other: `values`, each taking `size` of them."""

    def __init__(self, summaries: np.ndarray) -> None:
        count, height, width = summaries.shape
        layout = ShearedPlanes((PlaneShape(height, width, None, None, 0),))
        self.size = layout.size
        self.sheared = _Sheared(layout.position(0), layout.strides[0], width)
        self.values = np.zeros((count, self.size), np.int16)
        self.values[:, layout.places(0)] = summaries.reshape(count, -1)


def _in_pairs(matrix: np.ndarray) -> np.ndarray:
    """(m, k) whole numbers of 16 bits → (m, k / 2) int32, two neighbors in one, the first one low; an odd k gets a zero."""
    rows, columns = matrix.shape
    even = np.zeros((rows, columns + columns % 2), dtype="<i2")
    even[:, :columns] = matrix
    return even.view("<i4").astype(np.int32)
