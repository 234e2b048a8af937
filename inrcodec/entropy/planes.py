"""The exact coder of a pyramid's symbols: an integer network predicts all symbols of a pass, or of a diagonal, at once; Laplace
tables code them, in runs of the same table (`coder`).

Before each plane is said which of its tiles are coded (`tiles`); the symbols of the others are zeros, for the network too. Order,
passes, diagonals and neighborhoods are those of `passes`. The network is evaluated in whole numbers held in float32. Its inputs
are, in this order: the signed neighbors, the logarithm of their weighted mean magnitude, the 9 samples of the parent around the
symbol's place, the logarithms of the middle one's and of their mean magnitude, the symbol at the same place of the previous
channel, the logarithm of its magnitude; samples that do not exist are 0, all are clipped to ±SYMBOL_CLIP. In SUMMARIZED order
they are the signed neighbors, then the summaries, which lie at the parent's places: [UNIT Σ_k weight_k symbol_k], within
±ACTIVATION_LIMIT, of the symbols of all coarser planes, the nearest first. With [v] = floor(v / WEIGHT_UNIT), for a symbol of
kind k in a plane of role r:

    e = entry_k x + UNIT (kind_bias_k + plane_bias_r),   h1 = [e without its last two], at least 0, at most ACTIVATION_LIMIT
    h2 = [second h1 + UNIT second_bias], likewise,       mean, log2 scale = [last h2 + last two of e], within ±ACTIVATION_LIMIT

No sum that is rounded to float32 exceeds 2^24, whatever its order: with at most 26 signed inputs of 2048 and 4 logarithms of
243, |entry x| <= 255 (26 · 2048 + 4 · 243) = 13 826 100, and biases add 32 · 2 · 2047 = 131 008 (14 neighbors and 6 summaries
are less, and summaries themselves at most 255 · 32 · 64 · 7); over at most 32 activations
|second h1| and |last h2| <= 255 · 32 · 2047 = 16 703 520, and second_bias adds 32 · 2047 = 65 504: 16 769 024 < 16 777 216.
The final sum of last h2 and e is one addition of two exact numbers; where it passes 2^24 it may be rounded, but to no less
than 2^24, and is clipped to 64 · 2047 all the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Protocol

import numpy as np

from inrcodec.entropy.adaptive import Counts, Listed
from inrcodec.entropy.coder import Runs, SymbolDecoder, SymbolEncoder
from inrcodec.entropy.fixed import UNIT, check_range, log_table
from inrcodec.entropy.graded import TABLE_COUNT, TABLES, choose
from inrcodec.entropy.summaries import Summaries
from inrcodec.entropy.tables import MAX_SYMBOL, Table
from inrcodec.entropy.tiles import TileCoder, tiles_of
from inrcodec.errors import StreamError
from inrcodec.kernels import native
from inrcodec.kernels.lengths import code_lengths
from inrcodec.kernels.prediction import CompiledDiagonals, CompiledPasses, ExactNetwork, Residuals, SharedDesk
from inrcodec.passes import (
    MAX_LEVELS,
    PARENT_OFFSETS,
    SLOPE,
    SYMBOL_CLIP,
    Neighborhood,
    Order,
    Pass,
    PlaneShape,
    bias_rows,
    passes_of,
    spread,
)

WEIGHT_UNIT = 64
"""One, in the fixed-point numbers of weights and biases; activations have UNIT."""
WEIGHT_LIMIT, BIAS_LIMIT, ACTIVATION_LIMIT = 255, 2047, 2047
MAX_WIDTH = 32
MAGNITUDE_UNIT = 288
"""Mean magnitudes are whole numbers in units of 1 / 288, whatever the neighborhood."""
MARGIN = 16
"""Of zeros around every plane: more than the distance of any neighbor."""
SUMMARY = "summary"
"""Name of the weights of summaries, (roles, summaries · coarser levels, the nearest first), among a network's tensors."""
BY_ROLE = (SUMMARY, "plane_bias")
"""Names of the tensors that have a row for each role."""
NEAR = 64
"""Distance from the predicted whole parts up to which code lengths are looked up."""
CHUNK = 1 << 13
"""Symbols that are predicted at a time, about, so that activations stay in the cache."""


def network_tensors(order: Order, width: int, roles: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a network `width` wide (1 … MAX_WIDTH) for planes of so many roles, in coding order: weights,
    then biases."""
    if not 1 <= width <= MAX_WIDTH:
        raise StreamError(f"pyramid network: width {width}, allowed are 1 … {MAX_WIDTH}")
    entries = {f"entry{kind}": (width + 2, near.inputs) for kind, near in enumerate(order.neighborhoods)}
    if order.summaries:
        entries |= {SUMMARY: (roles, order.summaries * (MAX_LEVELS - 1))}
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


LOGARITHMS = 4
"""Inputs."""
_NO_MAGNITUDES = np.zeros((0, 0), np.float32)
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
            columns = list(range(near.inputs)) if order.summaries else _signed_first(near)
            entry = np.ascontiguousarray(exact[f"entry{kind}"][:, columns])
            entry[:, : -(order.summaries or LOGARITHMS)] *= UNIT  # instead of the symbols
            entries.append(entry)
        biases = (exact["plane_bias"][rows, None] + exact["kind_bias"]) * UNIT
        second_bias = exact["second_bias"][:, None] * UNIT
        self.exact = ExactNetwork(
            tuple(entries),
            biases,
            exact["second"],
            second_bias,
            exact["last"],
            tuple(_NO_MAGNITUDES if order.summaries else _magnitudes(near) for near in order.neighborhoods),
            tuple(map(_offsets, order.neighborhoods)),
            LOGS,
        )
        self.summaries = [exact[SUMMARY][row].reshape(order.summaries, -1) for row in rows] if order.summaries else []

    def prediction(self, desk: SharedDesk) -> Prediction:
        """With no symbol stored yet."""
        compiled, plain = (CompiledDiagonals, _Diagonals) if self.order.by_diagonals else (CompiledPasses, _Passes)
        if native.available():
            prediction = compiled(self.shapes, self.order, self.exact, desk)
        else:
            prediction = plain(self.shapes, self.order, self.exact)
        return Summarizing(prediction, Summaries(self.shapes, self.summaries)) if self.summaries else prediction


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


def _planes(shapes: tuple[PlaneShape, ...], symbols: np.ndarray) -> Iterator[tuple[int, PlaneShape, np.ndarray]]:
    """Index, shape, and (height, width) of flat `symbols` as a view."""
    start = 0
    for index, shape in enumerate(shapes):
        stop = start + shape.height * shape.width
        yield index, shape, symbols[start:stop].reshape(shape.height, shape.width)
        start = stop


class PlanesCoder:
    """Codes one set of planes of a network's shapes after the other; `tiles`: counts, which go on from set to set, also where
    several coders share them, as they may share a desk if they are used one after the other."""

    def __init__(self, network: PlaneNetwork, tiles: Counts, desk: SharedDesk | None = None) -> None:
        self._shapes, self._prediction = network.shapes, network.prediction(desk or SharedDesk())
        self._tiles = TileCoder(tiles)
        self.size = sum(shape.height * shape.width for shape in network.shapes)

    def _start(self) -> None:
        self._prediction.clear()
        self._tiles.start()

    def parts(self, symbols: np.ndarray) -> Iterator[Listed | Residuals]:
        """What is coded of `symbols`, (N,) int32 of the concatenated planes, in raster order, within ±MAX_SYMBOL: of each plane,
        decisions of tiles, and the symbols of those that are coded."""
        self._start()
        for index, shape, plane in _planes(self._shapes, symbols):
            tiles = tiles_of(plane)
            yield self._tiles.listed(shape, tiles)
            if tiles.any():
                yield self._prediction.residuals(index, tiles, plane)

    def encode(self, encoder: SymbolEncoder, symbols: np.ndarray) -> None:
        for part in self.parts(symbols):
            if isinstance(part, Listed):
                part.write(encoder)
            else:
                encoder.mixed(part.rest, part.tables, TABLES, part.sizes)

    def decode(self, decoder: SymbolDecoder, symbols: np.ndarray) -> None:
        """To `symbols`, (N,) int32 of zeros, the concatenated planes, in raster order; StreamError if one exceeds ±MAX_SYMBOL."""
        self._start()
        for index, shape, plane in _planes(self._shapes, symbols):
            tiles = self._tiles.decode(shape, decoder)
            if tiles.any():
                self._prediction.decode(index, tiles, plane, decoder.runs, TABLES)

    def cost_bits(self, symbols: np.ndarray) -> float:
        """Ideal length of what `encode` writes."""
        bits, found = 0.0, []
        for part in self.parts(symbols):
            if isinstance(part, Listed):
                bits += part.bits()
            else:
                found.append((part.rest, part.tables))
        return bits + _runs_bits(*(np.concatenate(parts) for parts in zip(*found))) if found else bits

    def lengths(self, symbols: np.ndarray) -> np.ndarray:
        """Ideal code lengths of all symbols (N,) if each of them, and no symbol that others are predicted from, were one less,
        what it is, one more: (3, N) float32, in bits. Those of tiles that are not coded are 0."""
        self._start()
        found = np.zeros((3, self.size), np.float32)
        for (index, _, plane), start in zip(_planes(self._shapes, symbols), _starts(self._shapes)):
            tiles = tiles_of(plane)
            if tiles.any():
                coded = self._prediction.residuals(index, tiles, plane)
                own = found[:, start : start + plane.size]
                if native.available() and code_lengths(coded, _bits_near(), own):
                    continue
                for row, move in zip(own, (-1, 0, 1)):
                    row[coded.places] = symbol_bits(coded.rest + move, coded.tables)
        return found


def _starts(shapes: tuple[PlaneShape, ...]) -> list[int]:
    return np.cumsum([0, *(shape.height * shape.width for shape in shapes)]).tolist()


def symbol_bits(rest: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Ideal code length of each symbol, by what is added to the predicted whole parts and by the numbers of the tables: (n,)."""
    known, near = _bits_near(), np.clip(rest, -NEAR, NEAR)
    bits = known[tables, near + NEAR]
    for index in np.flatnonzero(rest != near):
        bits[index] = TABLES[tables[index]].symbol_bits(rest[index : index + 1])[0]
    return bits


@cache
def _bits_near() -> np.ndarray:
    """(tables, 2 NEAR + 1) float32."""
    return np.stack(
        [table.symbol_bits(np.arange(-NEAR, NEAR + 1)) for table in map(TABLES.__getitem__, range(TABLE_COUNT))]
    ).astype(np.float32)


def _runs_bits(rest: np.ndarray, tables: np.ndarray) -> float:
    order = np.argsort(tables, kind="stable")
    borders = np.cumsum(np.bincount(tables))
    runs = np.split(rest[order], borders[:-1])
    return sum(TABLES[number].cost_bits(run) for number, run in enumerate(runs) if run.size)
