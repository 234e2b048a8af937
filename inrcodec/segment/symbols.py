"""Symbols of whole tensors: flat and cut again, their checksum, and groups of them coded with the table that suits them best."""

from __future__ import annotations

from functools import cache

import numpy as np

from inrcodec.bytestream import Reader, Writer, crc32
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.tables import MAX_SYMBOL, SCALES, Table, gauss, laplace
from inrcodec.errors import StreamError
from inrcodec.kernels import narrowing

ZERO_MODEL = 0
_MODELS = range(1, 2 * SCALES + 1)
"""Those with a table."""
_COMMON = 128
"""Magnitudes of nearly all symbols of weights."""


def table_of(model: int) -> Table | None:
    """The table that a model number names; None for the model of zeros."""
    if model == ZERO_MODEL:
        return None
    return laplace(model - 1) if model <= SCALES else gauss(model - 1 - SCALES)


def choose_model(symbols: np.ndarray) -> int:
    """The model with the shortest code for integer `symbols`, of all there are."""
    values, counts = np.unique(symbols, return_counts=True)
    if not values.any():
        return ZERO_MODEL
    common = np.abs(values) <= _COMMON
    bits = _common_bits()[:, values[common] + _COMMON] @ counts[common]
    if not common.all():
        bits += [counts[~common] @ table_of(model).symbol_bits(values[~common]) for model in _MODELS]
    return _MODELS[int(bits.argmin())]


@cache
def _common_bits() -> np.ndarray:
    """(models, 2 _COMMON + 1): what the symbols from -_COMMON to _COMMON take. Refinement chooses models some hundred times."""
    values = np.arange(-_COMMON, _COMMON + 1)
    return np.stack([table_of(model).symbol_bits(values) for model in _MODELS])


def write_group(encoder: SymbolEncoder, coding: Writer, tensors: list[np.ndarray]) -> np.ndarray:
    """Symbols go to `encoder`, the number of their model to `coding`; gives the symbols, flat."""
    symbols = joined(tensors)
    model = choose_model(symbols)
    coding.uvarint(model)
    if model != ZERO_MODEL:
        encoder.run(symbols, table_of(model))
    return symbols


def read_group(decoder: SymbolDecoder, coding: Reader, shapes: list[tuple[int, ...]]) -> np.ndarray:
    """What `write_group` gave, from what it wrote."""
    count = sum(map(_size, shapes))
    model = coding.bounded("model", 0, 2 * SCALES)
    if model == ZERO_MODEL:
        return np.zeros(count, dtype=np.int32)
    symbols = decoder.run(count, table_of(model))
    if count and np.abs(symbols).max() > MAX_SYMBOL:
        raise StreamError(f"{decoder.place}: a symbol is {np.abs(symbols).max()}, allowed are ±{MAX_SYMBOL}")
    return symbols


def joined(tensors: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([tensor.ravel() for tensor in tensors])


def cut(symbols: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Undoes `joined`."""
    ends = np.cumsum([_size(shape) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(symbols, ends), shapes)]


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def narrow(symbols: np.ndarray, checksum: int = 0) -> tuple[np.ndarray, int]:
    """The same numbers in as few bytes as they take, zeros with strides of 0; and their checksum as `symbols_crc` has it.

    symbols: int32, contiguous."""
    if narrowing.available():
        found, checksum = narrowing.narrow(symbols, checksum)
        return symbols.astype(_smallest(symbols)) if found is None else found, checksum
    checksum = symbols_crc([symbols], checksum)
    kind = _smallest(symbols)
    return np.broadcast_to(np.int8(0), symbols.shape) if kind is None else symbols.astype(kind), checksum


def _smallest(symbols: np.ndarray) -> type[np.integer] | None:
    """Type of integers that take them; None if all are zeros."""
    largest = max(int(symbols.max(initial=0)), -int(symbols.min(initial=0)))
    return next(kind for kind in (np.int8, np.int16, np.int32) if largest <= np.iinfo(kind).max) if largest else None


def symbols_crc(parts: list[np.ndarray], checksum: int = 0) -> int:
    """Part by part: the symbols of a large segment are not copied for it. checksum: of those before."""
    for part in parts:
        checksum = crc32(part.astype("<i4", copy=False).data, checksum)
    return checksum
