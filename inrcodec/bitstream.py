"""The `.inr` stream, format version 1: this text is the specification, and the code below and in `segment` follows it.

All integers are unsigned LEB128 in shortest form ("varint") unless a size is given; u32 is little-endian.

    stream  = magic, version, chunk …            magic = 89 49 4E 52 ("\\x89INR"), version = 01
    chunk   = kind (1 byte), length (varint), payload (length bytes), CRC-32 (u32, of kind, length and payload)

    kind 1  header     exactly one, first: number of segments (varint), then SignalInfo field by field
    kind 2  segment    one for each run of frames, in order, one after the other
    kind 3  index      last chunk, if and only if there are two segments or more: offset of the first segment's chunk,
                       then for each segment its frames and the bytes of its chunk (varints), then, as u32, the bytes
                       of the index chunk itself, so that it is found from the end of the stream
    kind ≥ 128         ancillary (metadata, audio …), between the header and the first segment: a reader skips what it
                       does not know; it can never change the picture. Any other kind is an error.

The stream ends with its last chunk; bytes after it are an error. The frames of all segments add up to the header's.

    segment = SegmentHeader, times, symbols' CRC-32 (u32), sections: config, coding, weights, grids

SegmentHeader gives the length of each section. times: present if SegmentHeader.irregular, one varint a frame: ticks since
the frame before (of the first one: since 0). Otherwise frame i is shown at (first_frame + i) * frame_ticks. What the
sections hold is specified in `segment`; a segment needs nothing but the header chunk to be decoded.

Family "pyramid" is provisional: there are no conformance vectors of it yet, and what its sections hold may change.

Limits, checked before anything is allocated: sides up to 65 536, 2^24 frames, 65 536 segments, MAX_PARAMETERS parameters
a segment and no more than eight for every sample of it plus 2^20; a chunk lies within the stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from inrcodec.bytestream import Reader, Wired, Writer, choice, crc32, flag, uint
from inrcodec.errors import StreamError, VersionError
from inrcodec.signal.info import MAX_FRAMES, SignalInfo

MAGIC = b"\x89INR"
VERSION = 1
HEADER, SEGMENT, INDEX, ANCILLARY = 1, 2, 3, 128
MAX_SEGMENTS = 1 << 16
MAX_PARAMETERS = 1 << 27
MAX_SECTION_BYTES = 1 << 31
CRC_BYTES = 4
FAMILY_NAMES = ("siren", "coordx", "asmr", "hashgrid", "pyramid", "film")


@dataclass(frozen=True)
class SegmentHeader(Wired):
    """What can be said of a segment without decoding it. `first_frame`: of the whole stream."""

    first_frame: int = uint(0, MAX_FRAMES)
    frames: int = uint(1, MAX_FRAMES)
    irregular: bool = flag()
    family: str = choice(*FAMILY_NAMES)
    parameters: int = uint(0, MAX_PARAMETERS)
    config_bytes: int = uint(0, 1 << 12)
    coding_bytes: int = uint(0, 1 << 16)
    weights_bytes: int = uint(0, MAX_SECTION_BYTES)
    grids_bytes: int = uint(0, MAX_SECTION_BYTES)


@dataclass(frozen=True)
class RawSegment:
    """A segment whose checksum held and whose header was parsed, its sections still undecoded."""

    header: SegmentHeader
    ticks: tuple[int, ...] | None  # of each frame, if irregular
    symbols_crc: int
    config: bytes
    coding: bytes
    weights: bytes
    grids: bytes


def _chunk(kind: int, payload: bytes) -> bytes:
    writer = Writer()
    writer.u8(kind)
    writer.uvarint(len(payload))
    writer.bytes(payload)
    return writer.getvalue() + crc32(writer.getvalue()).to_bytes(CRC_BYTES, "little")


def pack_segment(segment: RawSegment) -> bytes:
    """Payload of a segment chunk."""
    writer = Writer()
    segment.header.write(writer)
    previous = 0
    for tick in segment.ticks or ():
        writer.uvarint(tick - previous)
        previous = tick
    writer.u32(segment.symbols_crc)
    for section in (segment.config, segment.coding, segment.weights, segment.grids):
        writer.bytes(section)
    return writer.getvalue()


def unpack_segment(payload: bytes, info: SignalInfo, place: str) -> RawSegment:
    """Parses the payload of a segment chunk and checks it against the stream's header."""
    reader = Reader(payload, place)
    header = SegmentHeader.read(reader)
    samples = header.frames * info.width * info.height * info.channels
    if header.first_frame + header.frames > info.frames:
        raise StreamError(f"{place}: frames {header.first_frame} + {header.frames} of a stream of {info.frames}")
    if header.parameters > 8 * samples + (1 << 20):
        raise StreamError(f"{place}: {header.parameters} parameters for {samples} samples")
    ticks = None
    if header.irregular:
        if header.frames > reader.remaining:
            raise StreamError(f"{place}: times of {header.frames} frames in {reader.remaining} bytes")
        ticks, tick = [], 0
        for _ in range(header.frames):
            tick += reader.uvarint()
            ticks.append(tick)
        ticks = tuple(ticks)
    crc = reader.u32()
    lengths = (header.config_bytes, header.coding_bytes, header.weights_bytes, header.grids_bytes)
    sections = [reader.bytes(length) for length in lengths]
    reader.end()
    return RawSegment(header, ticks, crc, *sections)


def pack_stream(info: SignalInfo, segments: list[bytes], ancillary: list[tuple[int, bytes]] = ()) -> bytes:
    """A whole stream from the payloads of its segments; `ancillary`: (kind ≥ 128, payload)."""
    header = Writer()
    header.uvarint(len(segments))
    info.write(header)
    parts = [MAGIC, bytes([VERSION]), _chunk(HEADER, header.getvalue())]
    parts += [_chunk(kind, payload) for kind, payload in ancillary]
    chunks = [_chunk(SEGMENT, payload) for payload in segments]
    if len(segments) > 1:
        frames = [unpack_segment(payload, info, "segment").header.frames for payload in segments]
        first = sum(len(part) for part in parts)
        chunks.append(_index_chunk(first, frames, [len(chunk) for chunk in chunks]))
    return b"".join(parts + chunks)


def _index_chunk(first: int, frames: list[int], sizes: list[int]) -> bytes:
    writer = Writer()
    for value in (first, *(value for pair in zip(frames, sizes) for value in pair)):
        writer.uvarint(value)
    bare = len(writer.buffer) + 4
    framing = len(_chunk(INDEX, bytes(bare))) - bare
    writer.u32(bare + framing)
    return _chunk(INDEX, writer.getvalue())


class StreamReader:
    """Opens a stream: parses header and index at once, segments when asked. Not thread-safe (it seeks its file)."""

    def __init__(self, source: bytes | BinaryIO) -> None:
        self._file = BytesIO(source) if isinstance(source, (bytes, bytearray, memoryview)) else source
        self.size = self._file.seek(0, 2)
        self._file.seek(0)
        start = self._file.read(len(MAGIC) + 1)
        if start[: len(MAGIC)] != MAGIC:
            raise StreamError(
                f"not an .inr stream: it starts with {start[:4].hex(' ') or 'nothing'}, due is 89 49 4e 52"
            )
        if len(start) <= len(MAGIC):
            raise StreamError("stream ends before its version")
        self.version = start[-1]
        if self.version > VERSION:
            raise VersionError(f"stream has format version {self.version}, this package reads up to {VERSION}")
        if self.version < 1:
            raise StreamError(f"stream has format version {self.version}, allowed are 1 to {VERSION}")
        self.info, self.segment_count = self._header()
        self._chunks = self._locate()
        self.first_frames = [first for _, _, first in self._chunks]
        """First frame of each segment."""

    def _chunk_at(self, offset: int) -> tuple[int, bytes, int]:
        """Kind, payload and end of the chunk at `offset`."""
        place = f"chunk at offset {offset}"
        self._file.seek(offset)
        head = Reader(self._file.read(11), place)
        kind, length = head.u8(), head.uvarint()
        end = offset + head.position + length + CRC_BYTES
        if end > self.size:
            raise StreamError(f"{place}: it would end at {end}, the stream is {self.size} bytes long")
        self._file.seek(offset)
        data = self._file.read(end - offset)
        if len(data) != end - offset or crc32(data[:-CRC_BYTES]) != int.from_bytes(data[-CRC_BYTES:], "little"):
            raise StreamError(f"{place}: checksum does not match, the stream is damaged")
        return kind, data[head.position : -CRC_BYTES], end

    def _header(self) -> tuple[SignalInfo, int]:
        kind, payload, self._after_header = self._chunk_at(len(MAGIC) + 1)
        if kind != HEADER:
            raise StreamError(f"first chunk has kind {kind}, due is {HEADER}")
        reader = Reader(payload, "header")
        count = reader.bounded("number of segments", 1, MAX_SEGMENTS)
        info = SignalInfo.read(reader)
        reader.end()
        return info, count

    def _locate(self) -> list[tuple[int, int, int]]:
        """(offset, end, first frame) of each segment's chunk."""
        if self.segment_count > 1:
            return self._read_index()
        offset = self._skip_ancillary()
        _, _, end = self._chunk_at(offset)
        if end != self.size:
            raise StreamError(f"{self.size - end} bytes left over after the only segment")
        return [(offset, end, 0)]

    def _skip_ancillary(self) -> int:
        """Offset of the first chunk that is not ancillary."""
        offset = self._after_header
        while True:
            kind, _, end = self._chunk_at(offset)
            if kind == SEGMENT:
                return offset
            if kind < ANCILLARY:
                raise StreamError(f"chunk at offset {offset} has kind {kind}, due is a segment ({SEGMENT})")
            offset = end

    def check_ancillary(self) -> None:
        """Reads and checks the chunks between header and first segment, which nothing else may need."""
        first = self._skip_ancillary()
        if first != self._chunks[0][0]:
            raise StreamError(f"first segment lies at offset {first}, the index says {self._chunks[0][0]}")

    def _read_index(self) -> list[tuple[int, int, int]]:
        if self.size < CRC_BYTES + 4:
            raise StreamError("stream ends before its index")
        self._file.seek(self.size - CRC_BYTES - 4)
        length = int.from_bytes(self._file.read(4), "little")
        if not self._after_header <= self.size - length < self.size:
            raise StreamError(f"index of {length} bytes does not fit a stream of {self.size} bytes; it is truncated")
        kind, payload, end = self._chunk_at(self.size - length)
        if kind != INDEX or end != self.size:
            raise StreamError("stream does not end with its index; it is truncated")
        reader = Reader(payload, "index")
        offset, frame, located = reader.uvarint(), 0, []
        for _ in range(self.segment_count):
            frames, size = reader.bounded("frames", 1, MAX_FRAMES), reader.uvarint()
            located.append((offset, offset + size, frame))
            offset, frame = offset + size, frame + frames
        reader.u32()
        reader.end()
        if frame != self.info.frames or offset != self.size - length or located[0][0] < self._after_header:
            due = f"due are {self.info.frames} frames from {self._after_header} or later to {self.size - length}"
            raise StreamError(f"index covers {frame} frames at offsets {located[0][0]} to {offset}, {due}")
        return located

    def segment(self, index: int) -> RawSegment:
        """Reads, checks and parses one segment."""
        offset, due, first = self._chunks[index]
        place = f"segment {index} at offset {offset}"
        kind, payload, end = self._chunk_at(offset)
        if kind != SEGMENT or end != due:
            raise StreamError(f"{place}: a chunk of kind {kind} that ends at {end}, due is a segment up to {due}")
        segment = unpack_segment(payload, self.info, place)
        after = self.info.frames if index + 1 == self.segment_count else self.first_frames[index + 1]
        if segment.header.first_frame != first or first + segment.header.frames != after:
            raise StreamError(
                f"{place}: frames {segment.header.first_frame} + {segment.header.frames}, due {first} to {after}"
            )
        return segment
