"""The exact coder of a pyramid's symbols: an integer network (`planes_network`) predicts all symbols of a pass, or of a diagonal,
at once (`planes_prediction`); Laplace tables code them, in runs of the same table (`coder`).

Before each plane is said which of its tiles are coded (`tiles`); the symbols of the others are zeros, for the network too. Order,
passes, diagonals and neighborhoods are those of `passes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from inrcodec.entropy.adaptive import Counts, Listed
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.graded import TABLE_COUNT, TABLES
from inrcodec.entropy.planes_network import PlaneNetwork
from inrcodec.entropy.planes_prediction import prediction_of
from inrcodec.entropy.tiles import TileCoder, tiles_of
from inrcodec.kernels import native
from inrcodec.kernels.lengths import code_lengths
from inrcodec.kernels.prediction import Residuals, SharedDesk
from inrcodec.passes import PlaneShape

NEAR = 64
"""Distance from the predicted whole parts up to which code lengths are looked up."""


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
        self._shapes, self._prediction = network.shapes, prediction_of(network, desk or SharedDesk())
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
