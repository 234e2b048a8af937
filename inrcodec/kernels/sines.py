"""CoordX's pixels in one compiled sweep: fusion of two axes' features by products, sine layers, a linear one, squared
errors and all gradients, tile by tile. Defined by its counterpart in PyTorch, `fields.coordx.fused_errors`.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_int, c_long, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np

from inrcodec.kernels.native import LANES, TILE, contiguous, in_parts, loop, shares, threads


class _Sines(Structure):
    _fields_ = [(name, c_void_p) for name in ("first", "second", "parameters", "target")]
    _fields_ += [(name, c_void_p) for name in ("weight", "row_weight", "column_weight")]
    _fields_ += [
        (name, c_void_p) for name in ("first_gradient", "second_gradient", "gradient", "sums", "work", "error")
    ]
    _fields_ += [(name, c_int) for name in ("width", "rank", "layers", "channels", "rows", "columns")]


@cache
def _loop():
    return loop("sines", _Sines, c_long, c_long)


@dataclass
class SineGradients:
    """Of weight · errors, like what was given; errors (C,) float64 are sums over rows and columns, as those weigh."""

    errors: np.ndarray
    first: np.ndarray
    second: np.ndarray
    parameters: np.ndarray


def sine_errors(
    first: np.ndarray,
    second: np.ndarray,
    parameters: np.ndarray,
    layers: int,
    target: np.ndarray,
    importance: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray | None,
) -> SineGradients:
    """Squared errors by channel of `layers` sine layers and a linear one on the products of first (width, R, n) and
    second (width, R, m), summed over R, against target (C, n, m), times the importance of rows (n,) and of columns (m,);
    gradients of Σ weight[c] · error[c], unless weight is None. All float32; parameters: flat, of each layer its weights
    (width, width) and bias, last (C, width) and its bias."""
    first, second, parameters, target, *importance = map(contiguous, (first, second, parameters, target, *importance))
    weight = None if weight is None else contiguous(weight)
    (width, rank, rows), columns, channels = first.shape, second.shape[-1], len(target)
    assert parameters.size == layers * width * (width + 1) + channels * (width + 1)
    tiles = rows * -(-columns // TILE)
    parts = min(threads(), tiles)
    borders = shares(tiles, parts)
    found = [
        SineGradients(np.zeros(channels), *(np.zeros_like(one) for one in (first, second, parameters)))
        for _ in range(parts)
    ]
    buffers = (2 * layers + 3) * width + channels

    def part(index: int) -> None:
        mine = found[index]
        sums = np.zeros(parameters.size * LANES if weight is not None else 0, dtype=np.float32)
        work = np.empty(buffers * TILE + layers * width * width + channels * width, dtype=np.float32)
        weights = np.ones(channels, np.float32) if weight is None else weight, *importance
        given = first, second, parameters, target, *weights
        sweep = _Sines(
            *(one.ctypes.data for one in given),
            mine.first.ctypes.data, mine.second.ctypes.data, None if weight is None else mine.parameters.ctypes.data,
            sums.ctypes.data, work.ctypes.data, mine.errors.ctypes.data, width, rank, layers, channels, rows, columns,
        )  # fmt: skip
        _loop()(ctypes.byref(sweep), borders[index], borders[index + 1])

    in_parts(part, parts)
    total = found[0]
    for other in found[1:]:
        for one, more in zip(vars(total).values(), vars(other).values()):
            one += more
    return total
