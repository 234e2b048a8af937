"""Predictions of a pyramid's symbols by the exact network (`planes_network`), one pass or diagonal after the other: by the
compiled loops, or by NumPy where nothing is compiled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from inrcodec.entropy.coder import Runs
from inrcodec.entropy.fixed import UNIT
from inrcodec.entropy.graded import choose
from inrcodec.entropy.planes_network import ACTIVATION_LIMIT, LOGARITHMS, WEIGHT_UNIT, PlaneNetwork
from inrcodec.entropy.summaries import Summaries
from inrcodec.entropy.tables import MAX_SYMBOL, Table
from inrcodec.errors import StreamError
from inrcodec.kernels import native
from inrcodec.kernels.prediction import CompiledDiagonals, CompiledPasses, ExactNetwork, Residuals, SharedDesk
from inrcodec.passes import PARENT_OFFSETS, SLOPE, SYMBOL_CLIP, Order, Pass, PlaneShape, passes_of, spread

MARGIN = 16
"""Of zeros around every plane: more than the distance of any neighbor."""
CHUNK = 1 << 13
"""Symbols that are predicted at a time, about, so that activations stay in the cache."""


def prediction_of(network: PlaneNetwork, desk: SharedDesk) -> Prediction:
    """With no symbol stored yet."""
    compiled, plain = (CompiledDiagonals, _Diagonals) if network.order.by_diagonals else (CompiledPasses, _Passes)
    if native.available():
        prediction = compiled(network.shapes, network.order, network.exact, desk)
    else:
        prediction = plain(network.shapes, network.order, network.exact)
    if network.summaries:
        return Summarizing(prediction, Summaries(network.shapes, network.summaries))
    return prediction


class Prediction(Protocol):
    """Predicts symbols from those that were coded before."""

    def clear(self) -> None:
        """Forgets all symbols."""

    def residuals(self, index: int, tiles: np.ndarray, plane: np.ndarray) -> Residuals:
        """Of plane `index` (height, width) int32, which is kept. tiles: which of it are coded, (down, across) uint8."""

    def decode(self, index: int, tiles: np.ndarray, plane: np.ndarray, runs: Runs, tables: Sequence[Table]) -> None:
        """To `plane` (height, width) int32, which holds zeros, and is kept; StreamError on damage."""


class Summarizing:
    """A prediction that is shown the summaries of each plane before."""

    def __init__(self, prediction: CompiledDiagonals | _Diagonals, summaries: Summaries) -> None:
        self._prediction, self._summaries = prediction, summaries

    def clear(self) -> None:
        self._prediction.clear()
        self._summaries.clear()

    def _see(self, index: int) -> None:
        sums = self._summaries.of(index)
        if sums is not None:
            sums = np.floor(sums * UNIT / WEIGHT_UNIT).clip(-ACTIVATION_LIMIT, ACTIVATION_LIMIT).astype(np.int16)
        self._prediction.see(sums)

    def residuals(self, index: int, tiles: np.ndarray, plane: np.ndarray) -> Residuals:
        self._see(index)
        found = self._prediction.residuals(index, tiles, plane)
        self._summaries.keep(index, plane)
        return found

    def decode(self, index: int, tiles: np.ndarray, plane: np.ndarray, runs: Runs, tables: Sequence[Table]) -> None:
        self._see(index)
        self._prediction.decode(index, tiles, plane, runs, tables)
        self._summaries.keep(index, plane)


class _Prediction(ABC):
    """Where nothing is compiled: part after part of a plane is predicted and stored."""

    def __init__(self, shapes: tuple[PlaneShape, ...], order: Order, network: ExactNetwork) -> None:
        self._shapes, self._order, self._network = shapes, order, network
        self.clear()

    def clear(self) -> None:
        self._planes = [
            np.zeros((shape.height + 2 * MARGIN, shape.width + 2 * MARGIN), dtype=np.float32) for shape in self._shapes
        ]

    @abstractmethod
    def _parts(self, index: int, tiles: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of each part of the plane: flat places of its coded symbols, (n,), whole parts of their means, (n,) int32, and numbers
        of their tables, (n,) uint8. What was predicted is stored before the next part is asked for."""

    def residuals(self, index: int, tiles: np.ndarray, plane: np.ndarray) -> Residuals:
        found, symbols = [], plane.ravel()
        for places, whole, tables in self._parts(index, tiles):
            found.append((symbols[places] - whole, tables, places))
            self._store(index, places, symbols[places])
        rest, tables, places = (np.concatenate(part) for part in zip(*found))
        return Residuals(rest, tables, places, [len(part) for part, *_ in found])

    def decode(self, index: int, tiles: np.ndarray, plane: np.ndarray, runs: Runs, tables: Sequence[Table]) -> None:
        symbols = plane.reshape(-1)
        for places, coded, choices in self._parts(index, tiles):
            runs.mixed(choices, tables, coded)
            if np.abs(coded).max(initial=0) > MAX_SYMBOL:
                raise StreamError(f"{runs.place}: a symbol of a plane exceeds ±{MAX_SYMBOL}")
            symbols[places] = coded
            self._store(index, places, coded)

    def _store(self, index: int, places: np.ndarray, symbols: np.ndarray) -> None:
        y, x = np.divmod(places, self._shapes[index].width)
        self._planes[index][y + MARGIN, x + MARGIN] = symbols.clip(-SYMBOL_CLIP, SYMBOL_CLIP)

    def _evaluate(self, index: int, kind: int, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whole parts and numbers of tables; the last four rows of `inputs` (inputs, n) float32 are set to the logarithms, where
        no summaries are seen."""
        network = self._network
        if not self._order.summaries:
            magnitudes = network.weights[kind] @ np.abs(inputs[:-LOGARITHMS])
            inputs[-LOGARITHMS:] = network.logs[magnitudes.astype(np.int32)]
        entry = network.entries[kind] @ inputs
        entry += network.biases[index, kind][:, None]
        hidden = _activate(network.second @ _activate(entry[:-2]) + network.second_bias)
        outputs = np.floor((network.last @ hidden + entry[-2:]) / WEIGHT_UNIT)
        return choose(*outputs.clip(-ACTIVATION_LIMIT, ACTIVATION_LIMIT))


class _Passes(_Prediction):
    """INTERLACED."""

    def _parts(self, index, tiles):
        shape = self._shapes[index]
        for step, (rows, columns) in passes_of(self._order, shape.height, shape.width):
            band = max(1, CHUNK // columns)
            parts = [self._rows(index, step, y, min(band, rows - y), columns) for y in range(0, rows, band)]
            coded = spread(tiles, step.first_y, step.first_x, step.step, rows, columns)
            y, x = np.nonzero(coded)
            whole, tables = (np.concatenate(part)[coded.ravel()] for part in zip(*parts))
            yield (step.first_y + step.step * y) * shape.width + step.first_x + step.step * x, whole, tables

    def _rows(self, index: int, step: Pass, start: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Predictions of all symbols of so many rows of a pass, from the row `start` on."""
        shape, near = self._shapes[index], self._order.neighborhoods[step.kind]
        y, x, half = step.first_y + start * step.step, step.first_x, step.step // 2
        inputs = np.zeros((near.inputs, rows, columns), dtype=np.float32)
        for row, (dy, dx) in enumerate(near.offsets):
            at = y + dy * step.distance, x + dx * step.distance
            inputs[row] = _window(self._planes[index], *at, step.step, rows, columns)
        if shape.parent is not None:
            for row, (dy, dx) in enumerate(PARENT_OFFSETS, len(near.offsets)):
                at = (y >> 1) + dy, (x >> 1) + dx
                inputs[row] = _window(self._planes[shape.parent], *at, half, rows, columns)
        if shape.previous is not None:
            inputs[-5] = _window(self._planes[shape.previous], y, x, step.step, rows, columns)
        return self._evaluate(index, step.kind, inputs.reshape(near.inputs, -1))


class _Diagonals(_Prediction):
    """WAVEFRONT and SUMMARIZED."""

    _summaries: np.ndarray | None = None

    def see(self, summaries: np.ndarray | None) -> None:
        """What the symbols of the next plane see of coarser levels, (summaries, height and width of its parent)."""
        self._summaries = summaries

    def _parts(self, index, tiles):
        shape = self._shapes[index]
        y, x, sizes = diagonals(tiles, shape.height, shape.width)
        for stop, size in zip(np.cumsum(sizes), sizes):
            part = slice(stop - size, stop)
            yield y[part] * shape.width + x[part], *self._diagonal(index, y[part], x[part])

    def _diagonal(self, index: int, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape, (near, *_) = self._shapes[index], self._order.neighborhoods
        inputs = np.zeros((near.inputs, len(y)), dtype=np.float32)
        count = len(near.offsets)
        inputs[:count] = _around(self._planes[index], y, x, near.offsets)
        if self._order.summaries:
            if self._summaries is not None:
                inputs[count:] = self._summaries[:, y >> 1, x >> 1]
            return self._evaluate(index, 0, inputs)
        if shape.parent is not None:
            inputs[count : count + 9] = _around(self._planes[shape.parent], y >> 1, x >> 1, PARENT_OFFSETS)
        if shape.previous is not None:
            inputs[-5] = _around(self._planes[shape.previous], y, x, ((0, 0),))
        whole, tables = np.empty(len(y), np.int32), np.empty(len(y), np.uint8)
        kinds = 2 * (y & 1) + (x & 1)
        for kind in np.unique(kinds):
            own = kinds == kind
            whole[own], tables[own] = self._evaluate(index, kind, inputs[:, own])
        return whole, tables


def diagonals(tiles: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of the coded symbols of a plane, (n,) each, diagonal by diagonal, each from the top, and how many each
    diagonal has that has any."""
    y, x = np.nonzero(spread(tiles, 0, 0, 1, height, width))
    along = x + SLOPE * y
    order = np.argsort(along, kind="stable")
    sizes = np.bincount(along)
    return y[order], x[order], sizes[sizes > 0]


def _around(plane: np.ndarray, y: np.ndarray, x: np.ndarray, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """(offsets, n): of a padded plane."""
    dy, dx = np.array(offsets).T[..., None]
    return plane[y + dy + MARGIN, x + dx + MARGIN]


def _activate(sums: np.ndarray) -> np.ndarray:
    return np.floor(sums / WEIGHT_UNIT).clip(0, ACTIVATION_LIMIT)


def _window(plane: np.ndarray, y: int, x: int, spacing: int, rows: int, columns: int) -> np.ndarray:
    """A view of every `spacing`-th sample of a padded plane, from (y, x) of the plane within on."""
    y, x = y + MARGIN, x + MARGIN
    return plane[y : y + spacing * (rows - 1) + 1 : spacing, x : x + spacing * (columns - 1) + 1 : spacing]
