"""Bytes by hand: LEB128 as DWARF and protocol buffers have it, and headers that check themselves on both sides."""

from dataclasses import dataclass

import pytest

from inrcodec.bytestream import Reader, Wired, Writer, choice, crc32, digits, flag, uint, uints
from inrcodec.errors import StreamError, UsageError

LEB128 = {
    0: "00",
    1: "01",
    127: "7f",
    128: "80 01",
    300: "ac 02",
    16_383: "ff 7f",
    16_384: "80 80 01",
    624_485: "e5 8e 26",  # the example of DWARF's and Wikipedia's text
    2**63 - 1: "ff ff ff ff ff ff ff ff 7f",
}


@pytest.mark.parametrize("value", LEB128)
def test_integers_are_leb128(value):
    writer = Writer()
    writer.uvarint(value)
    assert writer.getvalue() == bytes.fromhex(LEB128[value])
    reader = Reader(writer.getvalue())
    assert reader.uvarint() == value
    reader.end()


@pytest.mark.parametrize(
    "data, message",
    [
        ("", "here: 1 bytes wanted at offset 0, 0 are left"),
        ("80", "1 bytes wanted at offset 1, 0 are left"),
        ("80 00", "integer at offset 0 is not in shortest form"),
        ("ff 80 00", "integer at offset 0 is not in shortest form"),
        ("ff ff ff ff ff ff ff ff ff 01", "longer than 9 bytes"),
        ("80 80 80 80 80 80 80 80 80 80 80", "longer than 9 bytes"),
    ],
)
def test_integers_that_nobody_writes_are_refused(data, message):
    with pytest.raises(StreamError, match=message):
        Reader(bytes.fromhex(data), "here").uvarint()


def test_a_writer_appends_and_a_reader_walks():
    writer = Writer()
    writer.u8(255)
    writer.u32(0x01020304)
    writer.bytes(b"xyz")
    writer.uvarint(7)
    assert writer.getvalue() == bytes.fromhex("ff 04 03 02 01 78 79 7a 07")
    reader = Reader(memoryview(writer.getvalue()), "box")
    assert (reader.u8(), reader.u32(), reader.remaining) == (255, 0x01020304, 4)
    with pytest.raises(StreamError, match="box: 5 bytes wanted at offset 5, 4 are left"):
        reader.bytes(5)
    assert reader.bytes(3) == b"xyz" and isinstance(reader.bytes(0), bytes)
    with pytest.raises(StreamError, match="box: 1 bytes left over after offset 8"):
        reader.end()
    assert reader.u8() == 7
    reader.end()


@pytest.mark.parametrize("value, fine", [(2, False), (3, True), (200, True), (201, False)])
def test_bounds_belong_to_the_range(value, fine):
    writer = Writer()
    writer.uvarint(value)
    reader = Reader(writer.getvalue(), "box")
    if fine:
        assert reader.bounded("size", 3, 200) == value
    else:
        with pytest.raises(StreamError, match=f"box: size is {value}, allowed are 3 to 200"):
            reader.bounded("size", 3, 200)


def test_the_checksum_is_that_of_zip_files():
    assert crc32(b"123456789") == 0xCBF43926  # the check value of CRC-32/ISO-HDLC


@dataclass(frozen=True)
class Header(Wired):
    size: int = uint(1, 300)
    kind: str = choice("soft", "hard")
    loud: bool = flag()
    steps: tuple[int, ...] = uints(1, 3, 2, 500)
    rest: int = uint(0, 5, default=4)
    moves: tuple[int, ...] = digits(3, 10, default=(0, 0, 0))


@dataclass(frozen=True)
class Ordered(Wired):
    low: int = uint(0, 9)
    high: int = uint(0, 9)

    def __post_init__(self):
        super().__post_init__()
        if self.low > self.high:
            raise UsageError(f"low {self.low} is above high {self.high}")


GOOD = {"size": 300, "kind": "hard", "loud": True, "steps": (2, 500), "rest": 5, "moves": (2, 5, 1)}
WIRE = bytes.fromhex("ac 02  01  01  02 02 f4 03  05  98 01")  # the last one is 152


def test_a_header_is_its_fields_in_order():
    writer = Writer()
    Header(**GOOD).write(writer)
    assert writer.getvalue() == WIRE
    reader = Reader(WIRE)
    assert Header.read(reader) == Header(**GOOD)
    reader.end()
    assert Header(1, "soft", False, (2,)).rest == 4


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"size": 301},
        {"size": True},
        {"size": 7.0},
        {"kind": "odd"},
        {"kind": 0},
        {"loud": 1},
        {"steps": ()},
        {"steps": (2, 2, 2, 2)},
        {"steps": [2]},
        {"steps": (2, 1)},
        {"steps": (2, 501)},
        {"rest": 6},
        {"moves": (1, 2)},
        {"moves": (1, 2, 10)},
        {"moves": (1, -1, 0)},
    ],
)
def test_no_invalid_header_can_be_made(change):
    [(name, value)] = change.items()
    with pytest.raises(UsageError) as caught:
        Header(**GOOD | change)
    assert f"Header.{name} is {value!r}, allowed are" in str(caught.value)


@pytest.mark.parametrize(
    "data, name",
    [
        ("ad 02  01  01  01 02  05", "Header.size is 301, allowed are 1 to 300"),
        ("01  02  01  01 02  05", "Header.kind is 2"),
        ("01  01  02  01 02  05", "Header.loud is 2"),
        ("01  01  01  00  05", "length of Header.steps is 0"),
        ("01  01  01  04 02 02 02 02  05", "length of Header.steps is 4"),
        ("01  01  01  02 02 01  05", "Header.steps is 1, allowed are 2 to 500"),
        ("01  01  01  01 02  06", "Header.rest is 6"),
        ("01  01  01  01 02", "1 bytes wanted"),
        ("01  01  01  01 02  05  e8 07", "Header.moves is 1000, allowed are 0 to 999"),
    ],
)
def test_no_invalid_header_can_be_read(data, name):
    with pytest.raises(StreamError) as caught:
        Header.read(Reader(bytes.fromhex(data), "box"))
    assert str(caught.value).startswith("box: ") and name in str(caught.value)


def test_rules_between_fields_hold_for_streams_too():
    assert Ordered.read(Reader(b"\x03\x03")) == Ordered(3, 3)
    with pytest.raises(StreamError, match="box: low 4 is above high 3"):
        Ordered.read(Reader(b"\x04\x03", "box"))
