"""Symbols in as few bytes as they take, and their checksum, against zlib's and NumPy's."""

import zlib

import numpy as np
import pytest

from inrcodec.segment.symbols import narrow


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 128, 5000, 64 * 64 * 3 + 17])
@pytest.mark.parametrize("density", [0, 1e-3, 0.05, 1])
@pytest.mark.parametrize("largest, kind", [(1, np.int8), (127, np.int8), (128, np.int16), (40000, np.int32)])
def test_numbers_and_checksum(path, count, density, largest, kind):
    random = np.random.default_rng(count)
    symbols = random.integers(-largest, largest + 1, count) * (random.random(count) < density)
    if density:
        symbols[count // 2] = largest
    found, checksum = narrow(symbols.astype(np.int32).reshape(1, -1), 12345)
    np.testing.assert_array_equal(found, symbols[None])
    assert checksum == zlib.crc32(symbols.astype("<i4").tobytes(), 12345)
    if density:
        assert found.dtype == kind
    else:
        assert not any(found.strides)  # zeros take no memory


@pytest.mark.parametrize("value, kind", [(-1, np.int8), (-(1 << 20), np.int32)])
def test_negative_numbers(path, value, kind):
    """All bits of -1 are set."""
    found, checksum = narrow(np.full(130, value, np.int32))
    assert found.dtype == kind and (found == value).all()
    assert checksum == zlib.crc32(np.full(130, value, "<i4").tobytes())


def test_the_checksum_goes_on_over_parts(path):
    symbols = np.zeros(64 * 1000, np.int32)
    symbols[[70, 40_000]] = 3, -5
    checksum = 0
    for part in np.split(symbols, [1, 66, 39_000]):
        checksum = narrow(part, checksum)[1]
    assert checksum == zlib.crc32(symbols.astype("<i4").tobytes())
