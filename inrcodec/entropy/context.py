"""Context coding of grids: the order of their symbols, what each may look at, and the integer network that predicts it.

Order. Grids are coded coarse to fine as their field lists them, channel by channel. Within a channel, frames follow in
dyadic order (0, then the middle, then the quarters …) and the samples of a frame in interlaced passes: first every
eighth row and column, then the passes at distances 4, 2 and 1, each adding the diagonal, the horizontal and the vertical
midpoints. All symbols of a pass are predicted at once from symbols coded before, so that decoding is a few dozen
vectorized passes, and yet three quarters of the symbols know neighbors at distance 1 on both sides.

Prediction. A small ReLU network with a linear bypass maps neighbors to the mean (in quarters) and the scale (in quarter
octaves) of a Laplace table. It is evaluated in whole numbers held in float32: every sum stays below 2^24, so any order of
summation on any machine gives the same value. `entropy.rate` holds its differentiable counterpart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from inrcodec.bytestream import Wired, uint
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.fixed import (
    ACTIVATION_LIMIT,
    TABLES,
    UNIT,
    WEIGHT_LIMIT,
    activate,
    check_range,
    choose_tables,
    log_table,
    outputs,
)
from inrcodec.entropy.tables import MAX_SYMBOL
from inrcodec.errors import StreamError

SYMBOL_CLIP = 64
"""Neighbors are clipped to ±64 before they enter the network."""
DEPTH = 3
"""The interlaced passes start with every 2^DEPTH-th row and column."""
CHUNK = 1 << 15
"""Symbols that are predicted at a time, so that activations stay in the cache."""
MAX_HIDDEN = 16

IN_PLANE = (
    *((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx),
    *((dy, dx) for dy in (-2, -1, 1, 2) for dx in (-2, -1, 1, 2) if abs(dy) != abs(dx)),
)
"""Offsets (y, x) of the 16 neighbors, in units of the pass's distance; the other places within ±2 are never known."""
IN_PLANE_WEIGHTS = tuple({1: 4, 2: 2, 5: 1}[dy * dy + dx * dx] for dy, dx in IN_PLANE)
CLASSES = 4
"""Of passes, by the neighbors they know: none, the 4 diagonal, the 4 direct and 8 far ones, all 16."""
CLASS_FACTORS = (0, 12, 4, 3)
"""Makes the weighted sum of known magnitudes 96 times their mean, whatever the class."""
MAGNITUDE_UNIT = 96
BIAS_UNIT = 8
"""The scale bias of a channel is a whole number of quarter octaves: 8 / UNIT octaves."""


@dataclass(frozen=True)
class Grid:
    """Geometry of one grid: (channels, frames, height, width), and the index of its parent grid or None."""

    shape: tuple[int, int, int, int]
    parent: int | None = None

    @property
    def count(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


def _interlace(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each sample of a frame: its pass, its class, the distance of its neighbors. Each (H, W) int32."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int32)
    passes = np.zeros((height, width), dtype=np.int32)
    classes = np.zeros_like(passes)
    distance = np.full_like(passes, 1 << DEPTH)
    for level in range(DEPTH):  # the coarser distances overwrite nothing: each sample has one level
        step = 1 << (DEPTH - 1 - level)
        odd_y, odd_x = y // step % 2, x // step % 2
        here = (y % step == 0) & (x % step == 0) & ((odd_y | odd_x) == 1)
        kind = np.select([odd_y & odd_x == 1, odd_x == 1], [1, 2], 3)
        passes[here] = 3 * level + kind[here]
        classes[here] = kind[here]
        distance[here] = step
    return passes, classes, distance


def _dyadic(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each frame: its stage in dyadic order and the distance to the frames it may look at. Each (T,) int32."""
    t = np.arange(frames)
    depth = max(frames - 1, 0).bit_length()
    stage = np.zeros(frames, dtype=np.int32)
    distance = np.zeros(frames, dtype=np.int32)
    for level in range(1, depth + 1):
        step = 1 << (depth - level)
        here = (t % step == 0) & (t // step % 2 == 1)
        stage[here], distance[here] = level, step
    return stage, distance


@dataclass(frozen=True)
class _Channel:
    """Order and neighborhood of the samples of one channel; positions and ranks are within the channel."""

    order: np.ndarray  # (n,) raster position of each symbol in coding order
    classes: np.ndarray  # (n,) uint8
    neighbors: np.ndarray  # (16 or 18, n) rank of each neighbor, or -1
    lengths: list[int]  # of the passes

    @cached_property
    def ranks(self) -> np.ndarray:
        ranks = np.empty_like(self.order)
        ranks[self.order] = np.arange(len(self.order), dtype=self.order.dtype)
        return ranks


@lru_cache(maxsize=32)
def _channel(frames: int, height: int, width: int, temporal: bool) -> _Channel:
    passes, classes, distance = _interlace(height, width)
    stage, gap = _dyadic(frames)
    key = (stage[:, None, None] * (3 * DEPTH + 1) + passes).ravel()
    order = np.argsort(key, kind="stable").astype(np.int32)
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    t, y, x = np.unravel_index(order, (frames, height, width))
    reach, known = distance[y, x], key[order]

    def neighbor(dt, dy, dx):
        nt, ny, nx = t + dt, y + dy, x + dx
        inside = (nt >= 0) & (nt < frames) & (ny >= 0) & (ny < height) & (nx >= 0) & (nx < width)
        position = np.where(inside, (nt * height + ny) * width + nx, 0)
        return np.where(inside & (key[position] < known), ranks[position], -1).astype(np.int32)

    rows = [neighbor(0, dy * reach, dx * reach) for dy, dx in IN_PLANE]
    if temporal:
        rows += [neighbor(-gap[t], 0, 0), neighbor(gap[t], 0, 0)]
    lengths = np.bincount(key)
    classes = np.broadcast_to(classes, (frames, height, width)).reshape(-1)[order].astype(np.uint8)
    return _Channel(order, classes, np.stack(rows), lengths[lengths > 0].tolist())


class Contexts:
    """Coding order and neighborhood of all grids of a segment.

    order: (N,) int64, position of each symbol (in coding order) in the concatenated grids.
    neighbors: (K, N) int32, rank of each neighbor in coding order; N stands for "none" (a symbol of zero).
        Rows: the 16 in the plane, [the frames before and after,] the parent, the previous channel.
    classes: (N,) uint8. channels: (N,) int32, index of the channel among all. passes: [start, stop) in coding order.
    """

    def __init__(self, grids: tuple[Grid, ...]) -> None:
        self.grids = grids
        self.temporal = any(grid.shape[1] > 1 for grid in grids)
        self.count = sum(grid.count for grid in grids)
        self.channel_count = sum(grid.shape[0] for grid in grids)
        order, classes, channels, self.passes = [], [], [], []
        rows = len(IN_PLANE) + (4 if self.temporal else 2)
        self.neighbors = np.empty((rows, self.count), dtype=np.int32)  # the bulk: filled in place, never copied
        starts: list[int] = []
        start = 0
        for grid in grids:
            starts.append(start)
            local = self._local(grid)
            size = len(local.order)
            for channel in range(grid.shape[0]):
                first = start + channel * size
                order.append(local.order.astype(np.int64) + first)
                classes.append(local.classes)
                channels.append(np.full(size, len(channels), dtype=np.int32))
                here = self.neighbors[:, first : first + size]
                here[:-2] = np.where(local.neighbors < 0, self.count, local.neighbors + np.int32(first))
                here[-2] = self._parents(grid, channel, starts)
                here[-1] = np.arange(first - size, first) if channel else self.count
                ends = first + np.cumsum([0, *local.lengths])
                self.passes += list(zip(ends[:-1].tolist(), ends[1:].tolist()))
            start += grid.count
        self.order = np.concatenate(order)
        self.classes = np.concatenate(classes)
        self.channels = np.concatenate(channels)

    def _local(self, grid: Grid) -> _Channel:
        return _channel(*grid.shape[1:], self.temporal)

    def _parents(self, grid: Grid, channel: int, starts: list[int]) -> np.ndarray:
        """Rank of the parent's sample whose cell holds the center of each sample."""
        local = self._local(grid)
        if grid.parent is None:
            return np.full(len(local.order), self.count, dtype=np.int32)
        parent = self.grids[grid.parent]
        above = self._local(parent)
        axes = np.unravel_index(local.order, grid.shape[1:])
        cells = [
            np.minimum((2 * axis + 1) * large // (2 * small), large - 1)
            for axis, small, large in zip(axes, grid.shape[1:], parent.shape[1:])
        ]
        position = np.ravel_multi_index(cells, parent.shape[1:])
        first = starts[grid.parent] + min(channel, parent.shape[0] - 1) * len(above.order)
        return (above.ranks[position] + first).astype(np.int32)


@lru_cache(maxsize=16)
def contexts_of(grids: tuple[Grid, ...]) -> Contexts:
    return Contexts(grids)


@dataclass(frozen=True)
class NetworkShape(Wired):
    """hidden: width of the two hidden layers; 0 leaves the linear bypass alone. shifts: of weights and biases:
    a coded whole number w stands for w * 2^shift / UNIT."""

    hidden: int = uint(0, MAX_HIDDEN)
    weight_shift: int = uint(0, 3, default=0)
    bias_shift: int = uint(0, 3, default=0)

    def tensors(self, contexts: Contexts) -> dict[str, tuple[int, ...]]:
        """Shapes of the network's tensors by name, in coding order; weights first, then biases."""
        inputs = input_count(contexts.temporal)
        shapes = {"bypass": (2, inputs)}
        if self.hidden:
            shapes |= {"first": (self.hidden, inputs), "second": (self.hidden, self.hidden), "last": (2, self.hidden)}
            shapes |= {"second_bias": (self.hidden,)}
        return shapes | {"scale_bias": (contexts.channel_count,)}


def input_count(temporal: bool) -> int:
    """Inputs of the network: signed neighbors, logarithms of magnitudes, one-hot class."""
    return len(IN_PLANE) + 2 + 3 + CLASSES + (3 if temporal else 0)


class Network:
    """The exact network: `tensors` are whole numbers in units of 1 / UNIT (scale_bias: of BIAS_UNIT / UNIT)."""

    def __init__(self, contexts: Contexts, tensors: dict[str, np.ndarray]) -> None:
        self.contexts = contexts
        self.tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
        for name, value in tensors.items():
            check_range("context network", name, value, WEIGHT_LIMIT)

    def _inputs(self, symbols: np.ndarray, start: int, stop: int) -> np.ndarray:
        """(inputs, n) float32 of whole numbers; `symbols` (N + 1,) in coding order, the last one zero."""
        contexts = self.contexts
        near = np.take(symbols, contexts.neighbors[:, start:stop]).clip(-SYMBOL_CLIP, SYMBOL_CLIP)
        size = np.abs(near)
        classes = contexts.classes[start:stop]
        factor = np.array(CLASS_FACTORS, dtype=np.int32)[classes]
        plane = np.tensordot(np.array(IN_PLANE_WEIGHTS, dtype=np.int32), size[: len(IN_PLANE)], axes=1) * factor
        sums = [plane, MAGNITUDE_UNIT * size[-2], MAGNITUDE_UNIT * size[-1]]
        if contexts.temporal:
            sums.append(MAGNITUDE_UNIT // 2 * (size[len(IN_PLANE)] + size[len(IN_PLANE) + 1]))
        logs = log_table(MAGNITUDE_UNIT, ACTIVATION_LIMIT)[np.minimum(np.stack(sums), ACTIVATION_LIMIT)]
        one_hot = (classes == np.arange(CLASSES, dtype=np.uint8)[:, None]) * np.float32(UNIT)
        return np.concatenate([(near * UNIT).astype(np.float32), logs, one_hot])

    def predict(self, symbols: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Of the symbols [start, stop): whole part of the mean, (n,) int32, and number of the table, (n,) uint8."""
        tensors = self.tensors
        inputs = self._inputs(symbols, start, stop)
        sums = tensors["bypass"] @ inputs
        if "first" in tensors:
            hidden = activate(tensors["first"] @ inputs)
            second = tensors["second"] @ hidden + (tensors["second_bias"][:, None] + hidden) * UNIT
            sums += tensors["last"] @ activate(second)
        mean, scale = outputs(sums)
        return choose_tables(mean, scale + tensors["scale_bias"][self.contexts.channels[start:stop]] * BIAS_UNIT)


def _chunks(start: int, stop: int):
    return ((first, min(first + CHUNK, stop)) for first in range(start, stop, CHUNK))


def _predict_pass(network: Network, symbols: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    parts = [network.predict(symbols, *chunk) for chunk in _chunks(start, stop)]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def encode_grids(encoder: SymbolEncoder, network: Network, symbols: np.ndarray) -> None:
    """`symbols`: (N,) int32 of the concatenated grids, in raster order."""
    ordered = np.append(symbols[network.contexts.order], 0).astype(np.int32)
    for start, stop in network.contexts.passes:
        mean, tables = _predict_pass(network, ordered, start, stop)
        encoder.mixed(ordered[start:stop] - mean, tables, TABLES)


def decode_grids(decoder: SymbolDecoder, network: Network) -> np.ndarray:
    """(N,) int32 of the concatenated grids, in raster order."""
    contexts = network.contexts
    ordered = np.zeros(contexts.count + 1, dtype=np.int32)
    for start, stop in contexts.passes:
        mean, tables = _predict_pass(network, ordered, start, stop)
        ordered[start:stop] = decoder.mixed(tables, TABLES) + mean
        if np.abs(ordered[start:stop]).max() > MAX_SYMBOL:
            raise StreamError(f"{decoder.place}: a symbol of a grid exceeds ±{MAX_SYMBOL}")
    symbols = np.empty(contexts.count, dtype=np.int32)
    symbols[contexts.order] = ordered[:-1]
    return symbols


def cost_bits(network: Network, symbols: np.ndarray) -> float:
    """Ideal length of what `encode_grids` writes."""
    ordered = np.append(symbols[network.contexts.order], 0).astype(np.int32)
    total = 0.0
    for start, stop in _chunks(0, network.contexts.count):
        mean, tables = network.predict(ordered, start, stop)
        rest = ordered[start:stop] - mean
        for index in np.unique(tables):
            total += TABLES[index].cost_bits(rest[tables == index])
    return total
