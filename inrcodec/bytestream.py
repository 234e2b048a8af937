"""Bounds-checked bytes, and dataclasses that are their own wire layout.

A header is a frozen dataclass whose fields are declared with `uint`, `choice`, `flag` or `uints`. The declaration gives
the allowed values, which are checked when an object is made as well as when it is parsed, so that no invalid header
exists on either side. All integers are unsigned LEB128 (seven bits a byte, least significant first, shortest form).
"""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any

from inrcodec.errors import StreamError, UsageError

MAX_VARINT_BYTES = 9  # 63 bits: what fits a signed 64-bit integer


class Writer:
    """Appends fields to a growing buffer."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def u8(self, value: int) -> None:
        self.buffer.append(value)

    def u32(self, value: int) -> None:
        self.buffer += value.to_bytes(4, "little")

    def uvarint(self, value: int) -> None:
        while value >= 0x80:
            self.buffer.append(value & 0x7F | 0x80)
            value >>= 7
        self.buffer.append(value)

    def bytes(self, data: bytes) -> None:
        self.buffer += data

    def getvalue(self) -> bytes:
        return bytes(self.buffer)


class Reader:
    """Reads fields of `data`; `place` names what is being read in errors (for instance "segment 3")."""

    def __init__(self, data: bytes | memoryview, place: str = "stream") -> None:
        self.data = memoryview(data)
        self.place = place
        self.position = 0

    @property
    def remaining(self) -> int:
        return len(self.data) - self.position

    def bytes(self, count: int) -> bytes:
        if count > self.remaining:
            raise StreamError(
                f"{self.place}: {count} bytes wanted at offset {self.position}, {self.remaining} are left"
            )
        self.position += count
        return bytes(self.data[self.position - count : self.position])

    def u8(self) -> int:
        return self.bytes(1)[0]

    def u32(self) -> int:
        return int.from_bytes(self.bytes(4), "little")

    def uvarint(self) -> int:
        value = 0
        for index in range(MAX_VARINT_BYTES):
            byte = self.u8()
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if byte == 0 and index:
                    raise StreamError(
                        f"{self.place}: integer at offset {self.position - index - 1} is not in shortest form"
                    )
                return value
        raise StreamError(
            f"{self.place}: integer before offset {self.position} is longer than {MAX_VARINT_BYTES} bytes"
        )

    def bounded(self, name: str, low: int, high: int) -> int:
        """An unsigned integer that must lie in [low, high]."""
        value = self.uvarint()
        if not low <= value <= high:
            raise StreamError(f"{self.place}: {name} is {value}, allowed are {low} to {high}")
        return value

    def end(self) -> None:
        if self.remaining:
            raise StreamError(f"{self.place}: {self.remaining} bytes left over after offset {self.position}")


def crc32(data: bytes | memoryview, before: int = 0) -> int:
    """Of `data`, or of what had the checksum `before` and then `data`."""
    return zlib.crc32(data, before)


@dataclasses.dataclass(frozen=True)
class _Uint:
    low: int
    high: int

    def problem(self, value: Any) -> str | None:
        fine = isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high
        return None if fine else f"allowed are {self.low} to {self.high}"

    def write(self, writer: Writer, value: int) -> None:
        writer.uvarint(value)

    def read(self, reader: Reader, name: str) -> int:
        return reader.bounded(name, self.low, self.high)


@dataclasses.dataclass(frozen=True)
class _Choice:
    names: tuple[str, ...]

    def problem(self, value: Any) -> str | None:
        return None if value in self.names else f"allowed are {', '.join(self.names)}"

    def write(self, writer: Writer, value: str) -> None:
        writer.u8(self.names.index(value))

    def read(self, reader: Reader, name: str) -> str:
        return self.names[reader.bounded(name, 0, len(self.names) - 1)]


@dataclasses.dataclass(frozen=True)
class _Flag:
    def problem(self, value: Any) -> str | None:
        return None if isinstance(value, bool) else "allowed are True and False"

    def write(self, writer: Writer, value: bool) -> None:
        writer.u8(int(value))

    def read(self, reader: Reader, name: str) -> bool:
        return bool(reader.bounded(name, 0, 1))


@dataclasses.dataclass(frozen=True)
class _Uints:
    """A tuple of integers, its length first."""

    min_count: int
    max_count: int
    low: int
    high: int

    def problem(self, value: Any) -> str | None:
        if not isinstance(value, tuple) or not self.min_count <= len(value) <= self.max_count:
            return f"allowed are tuples of {self.min_count} to {self.max_count} integers"
        problems = [_Uint(self.low, self.high).problem(item) for item in value]
        return next((problem for problem in problems if problem), None)

    def write(self, writer: Writer, value: tuple[int, ...]) -> None:
        writer.uvarint(len(value))
        for item in value:
            writer.uvarint(item)

    def read(self, reader: Reader, name: str) -> tuple[int, ...]:
        count = reader.bounded(f"length of {name}", self.min_count, self.max_count)
        return tuple(reader.bounded(name, self.low, self.high) for _ in range(count))


@dataclasses.dataclass(frozen=True)
class _Digits:
    """A tuple of `count` integers below `base`, as the digits of one number, the first one worth least."""

    count: int
    base: int

    def problem(self, value: Any) -> str | None:
        return _Uints(self.count, self.count, 0, self.base - 1).problem(value)

    def write(self, writer: Writer, value: tuple[int, ...]) -> None:
        writer.uvarint(sum(digit * self.base**place for place, digit in enumerate(value)))

    def read(self, reader: Reader, name: str) -> tuple[int, ...]:
        number = reader.bounded(name, 0, self.base**self.count - 1)
        return tuple(number // self.base**place % self.base for place in range(self.count))


def _wire(kind: Any, default: Any) -> Any:
    if default is None:
        return dataclasses.field(metadata={"wire": kind})
    return dataclasses.field(default=default, metadata={"wire": kind})


def uint(low: int, high: int, default: int | None = None) -> Any:
    """A field that holds an integer in [low, high]."""
    return _wire(_Uint(low, high), default)


def choice(*names: str, default: str | None = None) -> Any:
    """A field that holds one of `names`; its wire form is the index, so names are only ever appended."""
    return _wire(_Choice(names), default)


def flag(default: bool | None = None) -> Any:
    """A field that holds True or False."""
    return _wire(_Flag(), default)


def uints(min_count: int, max_count: int, low: int, high: int, default: tuple[int, ...] | None = None) -> Any:
    """A field that holds a tuple of `min_count` to `max_count` integers in [low, high]."""
    return _wire(_Uints(min_count, max_count, low, high), default)


def digits(count: int, base: int, default: tuple[int, ...] | None = None) -> Any:
    """A field that holds a tuple of `count` integers in [0, base), in as few bytes as all of them together take."""
    return _wire(_Digits(count, base), default)


class Wired:
    """Base of the frozen dataclasses that are headers: checked when made, written and read field by field."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            problem = field.metadata["wire"].problem(value)
            if problem:
                raise UsageError(f"{type(self).__name__}.{field.name} is {value!r}, {problem}")

    def write(self, writer: Writer) -> None:
        for field in dataclasses.fields(self):
            field.metadata["wire"].write(writer, getattr(self, field.name))

    @classmethod
    def read(cls, reader: Reader):
        values = {
            field.name: field.metadata["wire"].read(reader, f"{cls.__name__}.{field.name}")
            for field in dataclasses.fields(cls)
        }
        try:
            return cls(**values)
        except UsageError as error:  # a rule between fields, checked by the class itself
            raise StreamError(f"{reader.place}: {error}") from None
