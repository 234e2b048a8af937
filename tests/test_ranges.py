"""The compiled decoder of range-coded runs does what constriction does, on sound data and on any other."""

import constriction
import numpy as np
import pytest

from inrcodec.entropy.coder import PlainRuns, SymbolDecoder, SymbolEncoder
from inrcodec.entropy.tables import MAX_SYMBOL, Table, gauss, laplace
from inrcodec.errors import StreamError
from inrcodec.kernels import native
from inrcodec.kernels.ranges import MAX_TABLES, CompiledRuns

pytestmark = pytest.mark.skipif(not native.available(), reason="nothing is compiled")


def random_table(random: np.random.Generator) -> Table:
    """Flat, steep, full of zeros, or one of the codec's own."""
    if random.random() < 0.2:
        return random.choice([laplace(0), laplace(47, 1), gauss(30)])
    reach = int(random.choice([1, 2, 10, 300, 2050]))
    masses = random.integers(0, 1 << int(random.integers(1, 31)), 2 * reach + 1) ** int(random.integers(1, 3))
    masses[random.random(len(masses)) < random.choice([0, 0.5, 0.99])] = 0
    masses[reach] += 1
    return Table(masses.tolist(), reach)


def random_symbols(random: np.random.Generator, count: int) -> np.ndarray:
    spread = float(random.choice([0.2, 3, 100, 3000]))
    return np.rint(random.laplace(0, spread, count)).clip(-MAX_SYMBOL, MAX_SYMBOL).astype(np.int32)


def random_parts(random: np.random.Generator) -> list[tuple]:
    """What is coded one after the other: (symbols, choices or None, tables)."""
    parts = []
    for _ in range(random.integers(1, 6)):
        tables = [random_table(random) for _ in range(random.integers(1, 6))]
        symbols = random_symbols(random, int(random.choice([0, 1, 30, 200])))
        kind = random.choice([np.uint8, np.int64])
        choices = random.integers(0, len(tables), len(symbols)).astype(kind) if random.random() < 0.7 else None
        parts.append((symbols, choices, tables))
    return parts


def encoded(parts) -> bytes:
    encoder = SymbolEncoder()
    for symbols, choices, tables in parts:
        encoder.run(symbols, tables[0]) if choices is None else encoder.mixed(symbols, choices, tables)
    return encoder.getvalue()


def decoded_part(decoder, symbols, choices, tables) -> np.ndarray:
    """A part's symbols; those of several tables are added to what was there."""
    if choices is None:
        return decoder.run(len(symbols), tables[0])
    onto = np.arange(len(symbols), dtype=np.int32)
    decoder.mixed(choices, tables, onto)
    return onto - np.arange(len(symbols), dtype=np.int32)


def decoded(decoder, parts) -> list:
    """The symbols of each part, and after each whether it may be the end; an error's text is the last."""
    results = []
    try:
        for symbols, choices, tables in parts:
            run = decoded_part(decoder, symbols, choices, tables)
            assert run.dtype == np.int32
            results += [run.tolist(), decoder.maybe_exhausted()]
    except StreamError as error:
        results.append(str(error))
    return results


def both(payload: bytes, parts) -> list:
    """By the compiled decoder, which constriction agrees with; further symbols tell that the states agree as well."""
    words = np.frombuffer(payload, dtype="<u4").astype(np.uint32)
    parts = [*parts, (np.zeros(50), None, [laplace(30)])]
    compiled, plain = (decoded(runs(words, "box"), parts) for runs in (CompiledRuns, PlainRuns))
    assert compiled == plain
    return compiled


def test_sound_payloads_come_back():
    random = np.random.default_rng(1)
    for _ in range(150):
        parts = random_parts(random)
        results = both(encoded(parts), parts)
        assert results[: 2 * len(parts) : 2] == [symbols.tolist() for symbols, _, _ in parts]
        assert results[2 * len(parts) - 1], "not at its end"


def test_truncated_payloads_are_read_alike():
    random = np.random.default_rng(2)
    for _ in range(100):
        parts = random_parts(random)
        payload = encoded(parts)
        both(payload[: 4 * random.integers(0, len(payload) // 4 + 1)], parts)


def test_flipped_bits_are_read_alike():
    random = np.random.default_rng(3)
    for _ in range(150):
        parts = random_parts(random)
        payload = bytearray(encoded(parts) or bytes(4))
        payload[random.integers(0, len(payload))] ^= 1 << int(random.integers(0, 8))
        both(bytes(payload), parts)


def test_random_payloads_are_read_alike_or_are_damage_to_both():
    """Words of ones only lie beyond the last quantile."""
    random = np.random.default_rng(4)
    errors = set()
    for index in range(300):
        payload = random.bytes(4 * int(random.integers(0, 60)))
        if index % 3 == 0:
            payload = b"\xff" * random.integers(4, 9) + payload
            payload = payload[: len(payload) // 4 * 4]
        results = both(payload, random_parts(random))
        errors.add(results[-1] if isinstance(results[-1], str) else None)
    assert errors == {None, "box: entropy-coded data is damaged"}


def test_prefixes_of_escapes_end_alike():
    """At 20 zeros, the length of the largest symbol there is."""
    table, bits = laplace(4), constriction.stream.model.Uniform(2)
    for zeros, symbol in ((20, table.reach + MAX_SYMBOL), (21, None), (60, None)):
        coder = constriction.stream.queue.RangeEncoder()
        coder.encode(np.array([2 * table.reach + 1], dtype=np.int32), table.model)
        coder.encode(np.array([0, *[0] * zeros, 1, *[0] * zeros], dtype=np.int32), bits)
        payload = coder.get_compressed().astype("<u4").tobytes()
        first = both(payload, [(np.zeros(1), None, [table])])[0]
        assert first == ("box: an escaped symbol is longer than 21 bits" if symbol is None else [symbol])


def test_what_is_read_beyond_the_end_is_zeros():
    """Of nothing: the lowest entry, again and again."""
    table = laplace(20)
    assert both(b"", [(np.zeros(5), None, [table])])[0] == [-table.reach] * 5


def test_a_hundred_tables_and_more():
    """The highest choice is 255."""
    random = np.random.default_rng(5)
    tables = [laplace(index % 48, index // 48 % 4 - 2) for index in range(256)]
    choices = random.permutation(np.arange(256).repeat(3)).astype(np.uint8)
    symbols = random_symbols(random, len(choices))
    parts = [(symbols, choices, tables)]
    assert both(encoded(parts), parts)[:2] == [symbols.tolist(), True]


def test_the_decoder_of_payloads_is_compiled_where_it_can_be(monkeypatch):
    """And constriction's reads the same where it cannot."""
    parts = random_parts(np.random.default_rng(6))
    payload = encoded(parts)
    for available in (True, False):
        monkeypatch.setattr(native, "available", lambda available=available: available)
        decoder = SymbolDecoder(payload, "box")
        assert isinstance(decoder.runs, CompiledRuns if available else PlainRuns)
        for symbols, choices, tables in parts:
            run = decoder.run(len(symbols), tables[0]) if choices is None else decoder.mixed(choices, tables)
            assert np.array_equal(run, symbols)
        decoder.end()


def test_lookups_of_the_same_tables_are_found_once():
    tables = [random_table(np.random.default_rng(9)) for _ in range(3)]
    one, other = (CompiledRuns(np.zeros(2, np.uint32), "here") for _ in range(2))
    needed = np.arange(MAX_TABLES) == 1
    found = one.lookups(tables, needed)
    assert found[1] == tables[1].lookup.address and not found[[0, 2]].any()
    assert other.lookups(tables, ~needed & needed) is found
    assert other.lookups(list(tables), needed) is not found
