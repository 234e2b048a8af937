"""Any bytes whatever are decoded or refused with a StreamError: nothing else is raised, little time and memory are taken.

Damage alone would only ever test the checksums, so here a hostile author puts all of them right: those of the chunks,
the index, the lengths of sections, the number of parameters, and (patched, as it is checked last) that of the symbols.
"""

from __future__ import annotations

import dataclasses
import resource
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streams import image_info, random_coded, random_stream, video_info, with_section

from inrcodec.bitstream import StreamReader, pack_segment, pack_stream
from inrcodec.bytestream import Reader, Writer, crc32
from inrcodec.decode import Decoder
from inrcodec.errors import StreamError, UsageError
from inrcodec.fields import FAMILIES
from inrcodec.fields.asmr import AsmrConfig
from inrcodec.fields.coordx import CoordXConfig
from inrcodec.fields.film import FilmConfig
from inrcodec.fields.hashgrid import HashGridConfig
from inrcodec.fields.pyramid import PyramidConfig
from inrcodec.fields.siren import SirenConfig
from inrcodec.segment import encode_segment
from inrcodec.signal.info import CHANNELS, SignalInfo

VECTORS = [
    path.read_bytes()
    for folder in ("conforming", "uncommon")
    for path in sorted((Path(__file__).parent.parent / "bitstreams" / folder).glob("*.inr"))
]
VECTORS += [
    random_stream("pyramid", image_info(13, 17)),
    random_stream("film", video_info(7, 12, 16), segments=2),
]
"""Their formats have no published vectors yet."""
SMALL_PIXELS = 1 << 14
"""Of all frames: larger pictures, which a few bytes may rightly claim to be, are verified but not rendered."""
MAX_GROWTH_BYTES = 600 << 20
"""A segment may have 2^20 parameters whatever its size: 100 MB of neighborhoods, and copies of them, if they are grids."""


def bounded(examples: int):
    """The same examples in every run; each within 10 s, on a busy machine."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=examples, derandomize=True, deadline=10_000, database=None, suppress_health_check=checks
    )


@pytest.fixture(autouse=True, scope="module")
def little_memory():
    """Peak memory of the process, in kilobytes, grows but little."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown << 10 < MAX_GROWTH_BYTES, f"{grown >> 10} MB more than before"


def survives(data: bytes) -> bool:
    """Whether `data` is decoded; False if it is refused as it should be."""
    try:
        with Decoder(data, device="cpu") as decoder:
            decoder.verify()
            assert decoder.metadata.bytes == len(data)
            if decoder.info.pixels <= SMALL_PIXELS:
                for index in (len(decoder) - 1, 0):
                    decoder.samples(index)
                    shown(decoder, index)
    except StreamError as error:
        assert str(error)
        return False
    return True


def shown(decoder: Decoder, index: int) -> None:
    """A color description is carried whatever it says; only of known ones RGB can be made, and that is told."""
    try:
        decoder.get_frame_at(index)
    except UsageError as error:
        assert "cannot be turned into RGB" in str(error)


# -- changes -----------------------------------------------------------------------------------------------------------

places = st.integers(0, 1 << 16)
changes = st.one_of(
    st.tuples(st.just("flip"), places, st.integers(0, 7)),
    st.tuples(st.just("set"), places, st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])),
    st.tuples(st.just("delete"), places, st.integers(1, 40)),
    st.tuples(st.just("insert"), places, st.binary(min_size=1, max_size=12)),
    st.tuples(st.just("splice"), places, st.tuples(places, st.integers(1, 60))),
)
"""Kind, place (modulo the length), and what is needed for it."""


def changed(data: bytes, edits, other: bytes = b"") -> bytes:
    """`data` after some edits; "splice" copies bytes of `other` over it."""
    out = bytearray(data)
    for kind, place, value in edits:
        at = place % (len(out) + 1)
        if kind == "insert":
            out[at:at] = value
        elif kind == "delete":
            del out[at : at + value]
        elif kind == "splice" and other:
            piece = other[value[0] % len(other) :][: value[1]]
            out[at : at + len(piece)] = piece
        elif kind == "flip" and at < len(out):
            out[at] ^= 1 << value
        elif kind == "set" and at < len(out):
            out[at] = value
    return bytes(out)


edits = st.lists(changes, min_size=1, max_size=4)
vectors = st.sampled_from(VECTORS)


def varint(value: int) -> bytes:
    writer = Writer()
    writer.uvarint(value)
    return writer.getvalue()


def chunk(kind: int, payload: bytes) -> bytes:
    body = bytes([kind]) + varint(len(payload)) + payload
    return body + crc32(body).to_bytes(4, "little")


def payloads(data: bytes) -> list[tuple[int, bytes]]:
    """Kind and payload of every chunk of a valid stream."""
    found, reader = [], Reader(data)
    reader.bytes(5)
    while reader.remaining:
        found.append((reader.u8(), reader.bytes(reader.uvarint())))
        reader.u32()
    return found


def assembled(data: bytes, parts: list[tuple[int, bytes]]) -> bytes:
    """A stream of these chunks with right checksums; the index of `data` is put right too, if it has one."""
    out, sizes = [data[:5]], []
    for kind, payload in parts:
        if kind == 3:
            break
        out.append(chunk(kind, payload))
        sizes += [len(out[-1])] if kind == 2 else []
    if any(kind == 3 for kind, _ in payloads(data)):
        first = StreamReader(data).first_frames + [StreamReader(data).info.frames]
        entries = b"".join(varint(b - a) + varint(size) for a, b, size in zip(first, first[1:], sizes))
        entries = varint(sum(map(len, out)) - sum(sizes)) + entries
        length = len(chunk(3, entries + bytes(4)))
        out.append(chunk(3, entries + length.to_bytes(4, "little")))
    return b"".join(out)


def right_symbols_crc():
    """Any checksum of symbols is right, as if it had been computed of whatever is decoded."""
    return mock.patch("inrcodec.segment.SegmentReader._check")


def test_the_vectors_survive_being_taken_apart_and_assembled():
    assert all(assembled(data, payloads(data)) == data and survives(data) for data in VECTORS)


# -- bytes -------------------------------------------------------------------------------------------------------------


@bounded(60)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    survives(data)
    survives(b"\x89INR\x01" + data)
    survives(b"\x89INR\x01" + chunk(1, data))


@bounded(60)
@given(vectors, vectors, edits)
def test_damage(data, other, edits):
    """A changed stream is refused, unless the change changed nothing."""
    damaged = changed(data, edits, other)
    assert not survives(damaged) or damaged in VECTORS


@bounded(150)
@given(vectors, vectors, places, edits)
def test_any_chunk_with_a_right_checksum(data, other, which, edits):
    parts = payloads(data)
    which %= len(parts)
    kind, payload = parts[which]
    parts[which] = kind, changed(payload, edits, other)
    with right_symbols_crc():
        survives(assembled(data, parts))


@bounded(60)
@given(vectors, st.lists(places, min_size=1, max_size=3), st.lists(places, max_size=2))
def test_chunks_left_out_repeated_and_out_of_order(data, taken, dropped):
    parts = payloads(data)
    for place in dropped:
        if parts:
            parts.pop(place % len(parts))
    for place in taken:
        if parts:
            parts.insert(place % 7 % (len(parts) + 1), parts[place % len(parts)])
    survives(data[:5] + b"".join(chunk(*part) for part in parts))


# -- segments ----------------------------------------------------------------------------------------------------------


def honest_count(raw, info: SignalInfo):
    """The segment with the number of parameters that follows from its config, where there is such a thing."""
    family = FAMILIES[raw.header.family]
    try:
        reader = Reader(raw.config)
        shape = (raw.header.frames, info.height, info.width, info.channels)
        count = family(family.Config.read(reader), shape).parameter_count
        return dataclasses.replace(raw, header=dataclasses.replace(raw.header, parameters=count))
    except (StreamError, UsageError):
        return raw


@bounded(250)
@given(vectors, vectors, st.sampled_from(["config", "coding", "weights", "grids"]), edits)
def test_any_section_with_right_lengths_counts_and_checksums(data, other, section, edits):
    reader = StreamReader(data)
    raws = [reader.segment(index) for index in range(reader.segment_count)]
    raw = with_section(raws[-1], **{section: changed(getattr(raws[-1], section), edits, other)[:4000]})
    raws[-1] = honest_count(raw, reader.info)
    with right_symbols_crc():
        survives(pack_stream(reader.info, [pack_segment(raw) for raw in raws]))


# -- structures that no encoder of ours makes, and yet are valid ----------------------------------------------------------


def infos():
    """Small pictures and clips of every format, of any color description."""
    sides, codes = st.integers(1, 40), st.integers(0, 255)
    formats = {"pixel_format": st.sampled_from(sorted(CHANNELS)), "bit_depth": st.integers(1, 16)}
    color = {"primaries": codes, "transfer": codes, "matrix": codes | st.integers(0, 14), "full_range": st.booleans()}
    image = st.builds(SignalInfo, sides, sides, st.just(1), **formats, **color)
    ticks = {name: st.integers(1, (1 << 31) - 1) for name in ("time_base_num", "time_base_den", "frame_ticks")}
    return image | st.builds(SignalInfo, sides, sides, st.integers(1, 9), **formats, **color, **ticks)


bases = st.lists(st.sampled_from([1, 1, 2, 3, 7, 40, 1 << 16]), min_size=2, max_size=2).map(tuple)
omegas, widths = st.sampled_from([1, 30, 255]), st.integers(1, 8)
spacings = st.lists(st.sampled_from([4, 7, 16, 100, 1 << 16]), min_size=3, max_size=3).map(tuple)
growths = st.lists(st.integers(16, 64), min_size=3, max_size=3).map(tuple)
configs = {
    "siren": st.builds(SirenConfig, widths, st.integers(1, 16), omegas, omegas),
    "coordx": st.builds(
        CoordXConfig,
        st.sampled_from(["t_yx", "t_y_x"]),
        st.integers(1, 16),
        st.integers(0, 16),
        widths,
        st.integers(1, 4),
        st.sampled_from(["product", "sum"]),
        omegas,
        omegas,
    ),
    "asmr": st.builds(AsmrConfig, bases | st.just((1, 1)), bases, bases, widths, omegas),
    "hashgrid": st.builds(
        HashGridConfig,
        st.sampled_from(["joint", "split"]),
        st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple),
        spacings,
        growths,
        st.integers(4, 12),
        st.sampled_from(["linear", "cubic"]),
        widths,
        st.integers(0, 4),
    ),
    "pyramid": st.builds(PyramidConfig, st.integers(1, 8), st.integers(1, 10)),
    "film": st.builds(
        FilmConfig,
        st.integers(1, 8),
        st.integers(1, 10),
        st.integers(1, 64),
        st.integers(2, 64),
        st.sampled_from(["own", "ycbcr"]),
        st.integers(1, 3),
        st.lists(st.integers(0, 8), min_size=1, max_size=9).map(tuple),
    ),
}


@bounded(120)
@given(st.sampled_from(sorted(configs)).flatmap(lambda name: st.tuples(st.just(name), configs[name])), infos())
def test_every_valid_structure_is_decoded(structure, info):
    """Or it is refused by the field itself, for what does not fit the signal (too few cells, a split image …)."""
    family, config = structure
    try:
        coded = random_coded(family, (info.frames, info.height, info.width, info.channels), config=config)
    except UsageError:
        return
    if coded.field.parameter_count < 20_000:
        assert survives(pack_stream(info, [pack_segment(encode_segment(coded))]))
