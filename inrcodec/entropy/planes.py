"""The exact coder of a pyramid's symbols: an integer network predicts all symbols of a pass at once, Laplace tables code them.

Order, passes and neighborhoods are those of `passes`. The network is evaluated in whole numbers held in float32. Per
pass its inputs are, in this order: the signed neighbors, the logarithm of their weighted mean magnitude, the 9 samples of the
parent around the symbol's place, the logarithms of the middle one's and of their mean magnitude, the symbol at the same place
of the previous channel, the logarithm of its magnitude; samples that do not exist are 0, all are clipped to ±SYMBOL_CLIP.
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

from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.fixed import UNIT, check_range, log_table
from inrcodec.entropy.graded import TABLES, choose
from inrcodec.entropy.tables import MAX_SYMBOL
from inrcodec.errors import StreamError
from inrcodec.kernels import native
from inrcodec.kernels.prediction import CompiledPrediction, ExactNetwork
from inrcodec.passes import (
    KINDS,
    NEIGHBORHOODS,
    PARENT_OFFSETS,
    SYMBOL_CLIP,
    Neighborhood,
    Pass,
    PlaneShape,
    bias_rows,
    passes,
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


def network_tensors(width: int, roles: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a network `width` wide (1 … MAX_WIDTH) for planes of so many roles, in coding order: weights,
    then biases."""
    if not 1 <= width <= MAX_WIDTH:
        raise StreamError(f"pyramid network: width {width}, allowed are 1 … {MAX_WIDTH}")
    entries = {f"entry{kind}": (width + 2, near.inputs) for kind, near in enumerate(NEIGHBORHOODS)}
    biases = {"kind_bias": (KINDS, width + 2), "plane_bias": (roles, width + 2), "second_bias": (width,)}
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


def _signed_first(near: Neighborhood) -> list[int]:
    """The order of inputs in which the signed symbols come before the logarithms."""
    count = len(near.offsets)
    logs = [count, count + 10, count + 11, count + 13]
    return [place for place in range(near.inputs) if place not in logs] + logs


MAGNITUDES = tuple(_magnitudes(near) for near in NEIGHBORHOODS)
LOGS = log_table(MAGNITUDE_UNIT, MAGNITUDE_UNIT * SYMBOL_CLIP).astype(np.uint8)


OFFSETS = tuple(np.array(near.offsets, dtype=np.int32).reshape(-1, 2) for near in NEIGHBORHOODS)


class PlaneNetwork:
    """The exact network of the planes `shapes`. `tensors`: as `network_tensors` gives them, whole numbers in units of
    1 / WEIGHT_UNIT, weights within ±WEIGHT_LIMIT and biases within ±BIAS_LIMIT, else StreamError."""

    def __init__(self, shapes: tuple[PlaneShape, ...], tensors: dict[str, np.ndarray]) -> None:
        self.shapes = shapes
        self.width = len(tensors["second"])
        rows = bias_rows(shapes)
        for name, size in network_tensors(self.width, max(rows) + 1).items():
            assert tensors[name].shape == size
            limit = BIAS_LIMIT if name.endswith("bias") else WEIGHT_LIMIT
            check_range("pyramid network", name, tensors[name], limit)
        exact = {name: np.array(value, dtype=np.float32, order="C") for name, value in tensors.items()}
        entries = []
        for kind, near in enumerate(NEIGHBORHOODS):
            entry = np.ascontiguousarray(exact[f"entry{kind}"][:, _signed_first(near)])
            entry[:, :-4] *= UNIT  # instead of the symbols
            entries.append(entry)
        biases = (exact["plane_bias"][rows, None] + exact["kind_bias"]) * UNIT
        second_bias = exact["second_bias"][:, None] * UNIT
        self.exact = ExactNetwork(
            tuple(entries), biases, exact["second"], second_bias, exact["last"], MAGNITUDES, OFFSETS, LOGS
        )

    def prediction(self) -> _Prediction | CompiledPrediction:
        """With no symbol stored yet."""
        return (CompiledPrediction if native.available() else _Prediction)(self.shapes, self.exact)


class _Prediction:
    """Predicts the symbols of one pass after the other from those that were stored, where nothing is compiled."""

    def __init__(self, shapes: tuple[PlaneShape, ...], network: ExactNetwork) -> None:
        self._shapes, self._network = shapes, network
        self._planes = [
            np.zeros((shape.height + 2 * MARGIN, shape.width + 2 * MARGIN), dtype=np.float32) for shape in shapes
        ]

    def store(self, index: int, step: Pass, symbols: np.ndarray) -> None:
        """`symbols` (rows, columns) of a pass of plane `index`, as they are coded."""
        rows, columns = symbols.shape
        place = _window(self._planes[index], step.first_y, step.first_x, step.step, rows, columns)
        np.clip(symbols, -SYMBOL_CLIP, SYMBOL_CLIP, out=place, casting="unsafe")

    def predict(self, index: int, step: Pass) -> tuple[np.ndarray, np.ndarray]:
        """Whole part of the mean, and number of the table, of all symbols of a pass, row by row: (n,) int32, uint8."""
        shape = self._shapes[index]
        rows, columns = step.size(shape.height, shape.width)
        band = max(1, CHUNK // columns)
        parts = [self._predict_rows(index, step, y, min(band, rows - y), columns) for y in range(0, rows, band)]
        whole, tables = zip(*parts)
        return np.concatenate(whole), np.concatenate(tables)

    def _predict_rows(self, index: int, step: Pass, start: int, rows: int, columns: int):
        network = self._network
        inputs = self._inputs(index, step, start, rows, columns)
        entry = network.entries[step.kind] @ inputs
        entry += network.biases[index, step.kind][:, None]
        hidden = _activate(network.second @ _activate(entry[:-2]) + network.second_bias)
        outputs = np.floor((network.last @ hidden + entry[-2:]) / WEIGHT_UNIT)
        return choose(*outputs.clip(-ACTIVATION_LIMIT, ACTIVATION_LIMIT))

    def _inputs(self, index: int, step: Pass, start: int, rows: int, columns: int) -> np.ndarray:
        """(inputs, rows * columns) float32: symbols, then logarithms, of the rows from `start` on."""
        shape, near = self._shapes[index], NEIGHBORHOODS[step.kind]
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


def _in_order(network: PlaneNetwork, symbols: np.ndarray) -> Iterator[tuple[int, Pass, np.ndarray]]:
    """Index of the plane, pass, and the pass's (rows, columns) of flat `symbols` as a view, in coding order."""
    start = 0
    for index, shape in enumerate(network.shapes):
        stop = start + shape.height * shape.width
        plane = symbols[start:stop].reshape(shape.height, shape.width)
        start = stop
        for step in passes():
            own = plane[step.first_y :: step.step, step.first_x :: step.step]
            if own.size:
                yield index, step, own


def _residuals(network: PlaneNetwork, symbols: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each pass: what is coded, (n,) int32, and the numbers of the tables, (n,) uint8."""
    prediction = network.prediction()
    for index, step, own in _in_order(network, symbols):
        whole, tables = prediction.predict(index, step)
        yield own.ravel() - whole, tables
        prediction.store(index, step, own)


def encode_planes(encoder: SymbolEncoder, network: PlaneNetwork, symbols: np.ndarray) -> None:
    """`symbols`: (N,) int32 of the concatenated planes, in raster order, within ±MAX_SYMBOL."""
    for rest, tables in _residuals(network, symbols):
        encoder.mixed(rest, tables, TABLES)


def decode_planes(decoder: SymbolDecoder, network: PlaneNetwork) -> np.ndarray:
    """(N,) int32 of the concatenated planes, in raster order; StreamError if one exceeds ±MAX_SYMBOL."""
    symbols = np.empty(sum(shape.height * shape.width for shape in network.shapes), dtype=np.int32)
    prediction = network.prediction()
    for index, step, own in _in_order(network, symbols):
        coded, tables = prediction.predict(index, step)
        decoder.mixed(tables, TABLES, coded)
        if max(coded.max(), -coded.min()) > MAX_SYMBOL:
            raise StreamError(f"{decoder.place}: a symbol of a plane exceeds ±{MAX_SYMBOL}")
        own[:] = coded.reshape(own.shape)
        prediction.store(index, step, coded.reshape(own.shape))
    return symbols


def cost_bits(network: PlaneNetwork, symbols: np.ndarray) -> float:
    """Ideal length of what `encode_planes` writes."""
    rest, tables = (np.concatenate(parts) for parts in zip(*_residuals(network, symbols)))
    order = np.argsort(tables, kind="stable")
    borders = np.cumsum(np.bincount(tables))
    runs = np.split(rest[order], borders[:-1])
    return sum(TABLES[number].cost_bits(run) for number, run in enumerate(runs) if run.size)
