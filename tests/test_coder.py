"""Symbols come back in order, whatever their size; damage is told, never hung on."""

from itertools import pairwise

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.tables import MAX_SYMBOL, gauss, laplace
from inrcodec.errors import StreamError

NARROW, MIDDLE, WIDE = laplace(4), laplace(21, 1), gauss(40)
TABLES = (NARROW, MIDDLE, WIDE)


def ints(*values) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def there_and_back(symbols: np.ndarray, table) -> np.ndarray:
    encoder = SymbolEncoder()
    encoder.run(symbols, table)
    decoder = SymbolDecoder(encoder.getvalue(), "here")
    back = decoder.run(len(symbols), table)
    decoder.end()
    return back


@pytest.mark.parametrize("table", TABLES)
def test_the_borders_of_a_table_come_back(table):
    reach = table.reach
    around = ints(0, reach, -reach, reach + 1, -reach - 1, reach + 2, -reach - 4, MAX_SYMBOL, -MAX_SYMBOL, 0)
    back = there_and_back(around, table)
    assert np.array_equal(back, around) and back.dtype == np.int32


@settings(max_examples=60, deadline=None)
@given(
    symbols=st.lists(st.one_of(st.integers(-3, 3), st.integers(-MAX_SYMBOL, MAX_SYMBOL)), max_size=40),
    table=st.sampled_from(TABLES),
)
def test_any_symbols_come_back(symbols, table):
    assert there_and_back(ints(*symbols), table).tolist() == symbols


def test_runs_follow_one_another():
    runs = [(ints(5, -90, 0), NARROW), (ints(), MIDDLE), (ints(100_000), WIDE), (ints(-1, 1), MIDDLE)]
    encoder = SymbolEncoder()
    for symbols, table in runs:
        encoder.run(symbols, table)
    decoder = SymbolDecoder(encoder.getvalue(), "here")
    for symbols, table in runs:
        assert np.array_equal(decoder.run(len(symbols), table), symbols)
    decoder.end()


def test_mixed_tables_are_runs_by_ascending_choice():
    """The same bytes as the runs one after the other."""
    random = np.random.default_rng(1)
    symbols = np.rint(random.laplace(0, 3, 200)).astype(np.int32)
    choices = random.integers(0, 3, 200)
    mixed, runs = SymbolEncoder(), SymbolEncoder()
    mixed.mixed(symbols, choices, TABLES)
    for choice, table in enumerate(TABLES):
        runs.run(symbols[choices == choice], table)
    assert mixed.getvalue() == runs.getvalue()
    decoder = SymbolDecoder(mixed.getvalue(), "here")
    assert np.array_equal(decoder.mixed(choices, TABLES), symbols)
    decoder.end()


@pytest.mark.parametrize("sizes", [[200], [1, 150, 49], [0, 70, 0, 0, 130, 0], [1] * 200])
@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_parts_of_mixed_tables_follow_one_another(sizes, kind):
    """The same bytes as one call after the other; escapes follow the run that they belong to."""
    random = np.random.default_rng(2)
    symbols = np.rint(random.laplace(0, 9, 200)).astype(np.int32)
    choices = random.choice([0, 1, 2, 255], 200).astype(kind)
    tables = [*TABLES, *[None] * 252, NARROW]
    at_once, parts = SymbolEncoder(), SymbolEncoder()
    at_once.mixed(symbols, choices, tables, sizes)
    start = 0
    for size in sizes:
        parts.mixed(symbols[start : start + size], choices[start : start + size], tables)
        start += size
    assert (np.abs(symbols) > NARROW.reach).any()
    assert at_once.getvalue() == parts.getvalue()


def test_tables_in_order_are_one_run_after_the_other():
    """The same bytes; escapes follow the run that they belong to, also where a choice comes again later."""
    symbols, choices = ints(0, 90, -7, 1, -80, 2, 3, 0), np.array([0, 0, 0, 2, 0, 1, 1, 0], np.uint8)
    in_order, runs = SymbolEncoder(), SymbolEncoder()
    in_order.in_order(symbols, choices, TABLES)
    for start, stop in pairwise([0, 3, 4, 5, 7, 8]):
        runs.run(symbols[start:stop], TABLES[choices[start]])
    assert (np.abs(symbols) > TABLES[0].reach).any()
    assert in_order.getvalue() == runs.getvalue()


def test_nothing_takes_no_bytes():
    encoder = SymbolEncoder()
    encoder.run(ints(), NARROW)
    encoder.mixed(ints(), ints(), TABLES)
    encoder.mixed(ints(), ints(), TABLES, [0, 0])
    encoder.in_order(ints(), ints(), TABLES)
    assert encoder.getvalue() == b""
    decoder = SymbolDecoder(b"", "here")
    assert decoder.run(0, NARROW).tolist() == [] and decoder.mixed(ints(), TABLES).tolist() == []
    decoder.end()


def test_the_payload_is_the_range_coders_words_in_little_endian():
    """By constriction alone: 1 of reach 2, an escape, then sign, Exp-Golomb zeros and the excess 5 = 101b."""
    table = laplace(4)
    assert table.reach == 3
    coder = constriction.stream.queue.RangeEncoder()
    coder.encode(ints(1 + 3, 2 * 3 + 1), table.model)
    coder.encode(ints(1, 0, 0, 1, 0, 1), constriction.stream.model.Uniform(2))
    encoder = SymbolEncoder()
    encoder.run(ints(1, -8), table)
    assert encoder.getvalue() == b"".join(int(word).to_bytes(4, "little") for word in coder.get_compressed())


# -- damage ------------------------------------------------------------------------------------------------------------


def payload(symbols, table) -> bytes:
    encoder = SymbolEncoder()
    encoder.run(symbols, table)
    return encoder.getvalue()


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_payloads_are_whole_words(length):
    with pytest.raises(StreamError, match=f"box: payload of {length} bytes, a multiple of 4"):
        SymbolDecoder(bytes(length), "box")


def test_damage_is_never_read_as_the_same_symbols():
    random = np.random.default_rng(3)
    symbols = np.rint(random.laplace(0, 3, 60)).astype(np.int32)
    whole = payload(symbols, MIDDLE)
    for bit in range(8 * len(whole) - 32):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            back = SymbolDecoder(bytes(damaged), "box").run(len(symbols), MIDDLE)
        except StreamError as error:
            assert str(error).startswith("box: ")
        else:
            assert not np.array_equal(back, symbols)


def test_impossible_words_are_damage():
    with pytest.raises(StreamError, match="box: entropy-coded data is damaged"):
        SymbolDecoder(b"\xff" * 64, "box").run(500, MIDDLE)


def test_what_is_left_over_is_told():
    whole = payload(np.arange(-50, 50, dtype=np.int32), WIDE)
    decoder = SymbolDecoder(whole, "box")
    decoder.run(10, WIDE)
    with pytest.raises(StreamError, match="box: entropy-coded data is left over"):
        decoder.end()
    decoder = SymbolDecoder(whole + b"\x01\x02\x03\x04\x05\x06\x07\x08", "box")
    assert decoder.run(100, WIDE).tolist() == list(range(-50, 50))
    with pytest.raises(StreamError, match="left over"):
        decoder.end()


def test_endless_escapes_end():
    """A length prefix of more zeros than any symbol needs; of just as many, the largest symbol still reads."""
    for zeros, fine in ((20, True), (21, False), (60, False)):
        coder = constriction.stream.queue.RangeEncoder()
        coder.encode(ints(2 * NARROW.reach + 1), NARROW.model)
        coder.encode(ints(0, *[0] * zeros, 1, *[0] * zeros), constriction.stream.model.Uniform(2))
        decoder = SymbolDecoder(coder.get_compressed().astype("<u4").tobytes(), "box")
        if fine:
            assert decoder.run(1, NARROW).tolist() == [NARROW.reach + (1 << 20)]
        else:
            with pytest.raises(StreamError, match="box: an escaped symbol is longer than 21 bits"):
                decoder.run(1, NARROW)
