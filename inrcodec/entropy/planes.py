"""The exact coder of a pyramid's symbols: an integer network predicts all symbols of a pass at once, Laplace tables code them.

Before each plane is said which of its tiles are coded (`tiles`); the symbols of the others are zeros, for the network too. Order,
passes and neighborhoods are those of `passes`. The network is evaluated in whole numbers held in float32. Per pass its inputs
are, in this order: the signed neighbors, the logarithm of their weighted mean magnitude, the 9 samples of the parent around the
symbol's place, the logarithms of the middle one's and of their mean magnitude, the symbol at the same place of the previous
channel, the logarithm of its magnitude; samples that do not exist are 0, all are clipped to ±SYMBOL_CLIP.
With [v] = floor(v / WEIGHT_UNIT), for a pass of kind k in a plane of role r:

    e = entry_k x + UNIT (kind_bias_k + plane_bias_r),   h1 = [e without its last two], at least 0, at most ACTIVATION_LIMIT
    h2 = [second h1 + UNIT second_bias], likewise,       mean, log2 scale = [last h2 + last two of e], within ±ACTIVATION_LIMIT

No sum that is rounded to float32 exceeds 2^24, whatever its order: with at most 26 signed inputs of 2048 and 4 logarithms of
243, |entry x| <= 255 (26 · 2048 + 4 · 243) = 13 826 100, and biases add 32 · 2 · 2047 = 131 008; over at most 32 activations
|second h1| and |last h2| <= 255 · 32 · 2047 = 16 703 520, and second_bias adds 32 · 2047 = 65 504: 16 769 024 < 16 777 216.
The final sum of last h2 and e is one addition of two exact numbers; where it passes 2^24 it may be rounded, but to no less
than 2^24, and is clipped to 64 · 2047 all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inrcodec.entropy.adaptive import Counts, Listed
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.fixed import UNIT, check_range, log_table
from inrcodec.entropy.graded import TABLES, choose
from inrcodec.entropy.tables import MAX_SYMBOL
from inrcodec.entropy.tiles import TileCoder, spread, tiles_of
from inrcodec.errors import StreamError
from inrcodec.kernels import native
from inrcodec.kernels.prediction import CompiledPrediction, ExactNetwork
from inrcodec.passes import (
    PARENT_OFFSETS,
    SYMBOL_CLIP,
    Neighborhood,
    Order,
    Pass,
    PlaneShape,
    bias_rows,
    passes_of,
)

WEIGHT_UNIT = 64
"""One, in the fixed-point numbers of weights and biases; activations have UNIT."""
WEIGHT_LIMIT, BIAS_LIMIT, ACTIVATION_LIMIT = 255, 2047, 2047
MAX_WIDTH = 32
MAGNITUDE_UNIT = 288
"""Mean magnitudes are whole numbers in units of 1 / 288, whatever the neighborhood."""
MARGIN = 16
"""Of zeros around every plane: more than the distance of any neighbor."""
CHUNK = 1 << 13
"""Symbols that are predicted at a time, about, so that activations stay in the cache."""


def network_tensors(order: Order, width: int, roles: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a network `width` wide (1 … MAX_WIDTH) for planes of so many roles, in coding order: weights,
    then biases."""
    if not 1 <= width <= MAX_WIDTH:
        raise StreamError(f"pyramid network: width {width}, allowed are 1 … {MAX_WIDTH}")
    entries = {f"entry{kind}": (width + 2, near.inputs) for kind, near in enumerate(order.neighborhoods)}
    biases = {"kind_bias": (order.kinds, width + 2), "plane_bias": (roles, width + 2), "second_bias": (width,)}
    return entries | {"second": (width, width), "last": (2, width)} | biases


def _magnitudes(near: Neighborhood) -> np.ndarray:
    """(4, signed inputs) float32: the inputs' four mean magnitudes from the magnitudes of neighbors, parent's 9, previous."""
    count = len(near.offsets)
    rows = np.zeros((4, count + len(PARENT_OFFSETS) + 1), dtype=np.float32)
    if count:
        rows[0, :count] = np.array(near.weights) * (MAGNITUDE_UNIT // sum(near.weights))
    rows[1, count + PARENT_OFFSETS.index((0, 0))] = MAGNITUDE_UNIT
    rows[2, count:-1] = MAGNITUDE_UNIT // len(PARENT_OFFSETS)
    rows[3, -1] = MAGNITUDE_UNIT
    return rows


def _offsets(near: Neighborhood) -> np.ndarray:
    return np.array(near.offsets, dtype=np.int32).reshape(-1, 2)


def _signed_first(near: Neighborhood) -> list[int]:
    """The order of inputs in which the signed symbols come before the logarithms."""
    count = len(near.offsets)
    logs = [count, count + 10, count + 11, count + 13]
    return [place for place in range(near.inputs) if place not in logs] + logs


LOGS = log_table(MAGNITUDE_UNIT, MAGNITUDE_UNIT * SYMBOL_CLIP).astype(np.uint8)


class PlaneNetwork:
    """The exact network of the planes `shapes`. `tensors`: as `network_tensors` gives them, whole numbers in units of
    1 / WEIGHT_UNIT, weights within ±WEIGHT_LIMIT and biases within ±BIAS_LIMIT, else StreamError."""

    def __init__(self, shapes: tuple[PlaneShape, ...], order: Order, tensors: dict[str, np.ndarray]) -> None:
        self.shapes, self.order = shapes, order
        self.width = len(tensors["second"])
        rows = bias_rows(shapes)
        for name, size in network_tensors(order, self.width, max(rows) + 1).items():
            assert tensors[name].shape == size
            limit = BIAS_LIMIT if name.endswith("bias") else WEIGHT_LIMIT
            check_range("pyramid network", name, tensors[name], limit)
        exact = {name: np.array(value, dtype=np.float32, order="C") for name, value in tensors.items()}
        entries = []
        for kind, near in enumerate(order.neighborhoods):
            entry = np.ascontiguousarray(exact[f"entry{kind}"][:, _signed_first(near)])
            entry[:, :-4] *= UNIT  # instead of the symbols
            entries.append(entry)
        biases = (exact["plane_bias"][rows, None] + exact["kind_bias"]) * UNIT
        second_bias = exact["second_bias"][:, None] * UNIT
        self.exact = ExactNetwork(
            tuple(entries), biases, exact["second"], second_bias, exact["last"],
            tuple(map(_magnitudes, order.neighborhoods)), tuple(map(_offsets, order.neighborhoods)), LOGS,
        )

    def prediction(self) -> _Prediction | CompiledPrediction:
        """With no symbol stored yet."""
        return (CompiledPrediction if native.available() else _Prediction)(self.shapes, self.order, self.exact)


class _Prediction:
    """Predicts the symbols of one pass after the other from those that were stored, where nothing is compiled."""

    def __init__(self, shapes: tuple[PlaneShape, ...], order: Order, network: ExactNetwork) -> None:
        self._shapes, self._order, self._network = shapes, order, network
        self.clear()

    def clear(self) -> None:
        """Forgets all symbols."""
        self._planes = [
            np.zeros((shape.height + 2 * MARGIN, shape.width + 2 * MARGIN), dtype=np.float32) for shape in self._shapes
        ]

    def begin(self, index: int, tiles: np.ndarray) -> None:
        """A plane, and which of its tiles are coded: (down, across) uint8."""
        self._index, self._tiles = index, tiles
        self._passes = passes_of(self._order, self._shapes[index].height, self._shapes[index].width)

    def store(self, number: int, symbols: np.ndarray) -> None:
        """`symbols` (rows, columns) of a pass of the plane."""
        step, size = self._passes[number]
        place = _window(self._planes[self._index], step.first_y, step.first_x, step.step, *size)
        np.clip(symbols, -SYMBOL_CLIP, SYMBOL_CLIP, out=place, casting="unsafe")

    def predict(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Whole part of the mean, and number of the table, of the coded symbols of a pass, row by row: (n,) int32, uint8."""
        step, (rows, columns) = self._passes[number]
        band = max(1, CHUNK // columns)
        parts = [self._predict_rows(step, y, min(band, rows - y), columns) for y in range(0, rows, band)]
        coded = _coded(self._tiles, step, (rows, columns)).ravel()
        return tuple(np.concatenate(part)[coded] for part in zip(*parts))

    def _predict_rows(self, step: Pass, start: int, rows: int, columns: int):
        network = self._network
        inputs = self._inputs(step, start, rows, columns)
        entry = network.entries[step.kind] @ inputs
        entry += network.biases[self._index, step.kind][:, None]
        hidden = _activate(network.second @ _activate(entry[:-2]) + network.second_bias)
        outputs = np.floor((network.last @ hidden + entry[-2:]) / WEIGHT_UNIT)
        return choose(*outputs.clip(-ACTIVATION_LIMIT, ACTIVATION_LIMIT))

    def _inputs(self, step: Pass, start: int, rows: int, columns: int) -> np.ndarray:
        """(inputs, rows * columns) float32: symbols, then logarithms, of the rows from `start` on."""
        shape, near = self._shapes[self._index], self._order.neighborhoods[step.kind]
        y, x, half = step.first_y + start * step.step, step.first_x, step.step // 2
        inputs = np.zeros((near.inputs, rows, columns), dtype=np.float32)
        for row, (dy, dx) in enumerate(near.offsets):
            at = y + dy * step.distance, x + dx * step.distance
            inputs[row] = _window(self._planes[self._index], *at, step.step, rows, columns)
        if shape.parent is not None:
            for row, (dy, dx) in enumerate(PARENT_OFFSETS, len(near.offsets)):
                at = (y >> 1) + dy, (x >> 1) + dx
                inputs[row] = _window(self._planes[shape.parent], *at, half, rows, columns)
        if shape.previous is not None:
            inputs[-5] = _window(self._planes[shape.previous], y, x, step.step, rows, columns)
        inputs = inputs.reshape(near.inputs, -1)
        magnitudes = self._network.weights[step.kind] @ np.abs(inputs[:-4])
        inputs[-4:] = self._network.logs[magnitudes.astype(np.int32)]
        return inputs


def _activate(sums: np.ndarray) -> np.ndarray:
    return np.floor(sums / WEIGHT_UNIT).clip(0, ACTIVATION_LIMIT)


def _window(plane: np.ndarray, y: int, x: int, spacing: int, rows: int, columns: int) -> np.ndarray:
    """A view of every `spacing`-th sample of a padded plane, from (y, x) of the plane within on."""
    y, x = y + MARGIN, x + MARGIN
    return plane[y : y + spacing * (rows - 1) + 1 : spacing, x : x + spacing * (columns - 1) + 1 : spacing]


def _coded(tiles: np.ndarray, step: Pass, size: tuple[int, int]) -> np.ndarray:
    """(rows, columns) bool, of a pass."""
    return spread(tiles, step.first_y, step.first_x, step.step, *size)


def _planes(shapes: tuple[PlaneShape, ...], symbols: np.ndarray) -> Iterator[tuple[int, PlaneShape, np.ndarray]]:
    """Index, shape, and (height, width) of flat `symbols` as a view."""
    start = 0
    for index, shape in enumerate(shapes):
        stop = start + shape.height * shape.width
        yield index, shape, symbols[start:stop].reshape(shape.height, shape.width)
        start = stop


def _passes(order: Order, shape: PlaneShape, plane: np.ndarray) -> Iterator[tuple[int, Pass, np.ndarray]]:
    """Number, pass, and its (rows, columns) of `plane` as a view."""
    for number, (step, _) in enumerate(passes_of(order, shape.height, shape.width)):
        yield number, step, plane[step.first_y :: step.step, step.first_x :: step.step]


class PlanesCoder:
    """Codes one set of planes of a network's shapes after the other; `tiles`: counts, which go on from set to set, also where
    several coders share them."""

    def __init__(self, network: PlaneNetwork, tiles: Counts) -> None:
        self._shapes, self._order = network.shapes, network.order
        self._prediction, self._tiles = network.prediction(), TileCoder(tiles)
        self.size = sum(shape.height * shape.width for shape in network.shapes)

    def _start(self) -> None:
        self._prediction.clear()
        self._tiles.start()

    def parts(self, symbols: np.ndarray) -> Iterator[Listed | tuple[np.ndarray, np.ndarray]]:
        """What is coded of `symbols`, (N,) int32 of the concatenated planes, in raster order, within ±MAX_SYMBOL: decisions of
        tiles; of each pass, what is added to the predicted whole part, (n,) int32, and the numbers of the tables, (n,) uint8."""
        self._start()
        for index, shape, plane in _planes(self._shapes, symbols):
            tiles = tiles_of(plane)
            yield self._tiles.listed(shape, tiles)
            if not tiles.any():
                continue
            self._prediction.begin(index, tiles)
            for number, step, own in _passes(self._order, shape, plane):
                whole, tables = self._prediction.predict(number)
                yield own[_coded(tiles, step, own.shape)] - whole, tables
                self._prediction.store(number, own)

    def encode(self, encoder: SymbolEncoder, symbols: np.ndarray) -> None:
        for part in self.parts(symbols):
            if isinstance(part, Listed):
                part.write(encoder)
            else:
                encoder.mixed(*part, TABLES)

    def decode(self, decoder: SymbolDecoder, symbols: np.ndarray) -> None:
        """To `symbols`, (N,) int32 of zeros, the concatenated planes, in raster order; StreamError if one exceeds ±MAX_SYMBOL."""
        self._start()
        for index, shape, plane in _planes(self._shapes, symbols):
            tiles = self._tiles.decode(shape, decoder)
            if not tiles.any():
                continue
            self._prediction.begin(index, tiles)
            if isinstance(self._prediction, CompiledPrediction):
                self._prediction.decode(decoder.runs, TABLES, plane)
                continue
            for number, step, own in _passes(self._order, shape, plane):
                coded, tables = self._prediction.predict(number)
                decoder.mixed(tables, TABLES, coded)
                if np.abs(coded).max(initial=0) > MAX_SYMBOL:
                    raise StreamError(f"{decoder.place}: a symbol of a plane exceeds ±{MAX_SYMBOL}")
                own[_coded(tiles, step, own.shape)] = coded
                self._prediction.store(number, own)

    def cost_bits(self, symbols: np.ndarray) -> float:
        """Ideal length of what `encode` writes."""
        bits, passes = 0.0, []
        for part in self.parts(symbols):
            if isinstance(part, Listed):
                bits += part.bits()
            else:
                passes.append(part)
        return bits + _runs_bits(*(np.concatenate(parts) for parts in zip(*passes))) if passes else bits


def _runs_bits(rest: np.ndarray, tables: np.ndarray) -> float:
    order = np.argsort(tables, kind="stable")
    borders = np.cumsum(np.bincount(tables))
    runs = np.split(rest[order], borders[:-1])
    return sum(TABLES[number].cost_bits(run) for number, run in enumerate(runs) if run.size)
