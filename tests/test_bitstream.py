"""The container: every damage is noticed, every limit holds, the layout is the specified one."""

import dataclasses
import io
import zlib

import pytest
import torch
from streams import image_info, random_coded, random_stream, video_info

from inrcodec.bitstream import (
    MAX_SEGMENTS,
    SegmentHeader,
    StreamReader,
    pack_segment,
    pack_stream,
    unpack_segment,
)
from inrcodec.bytestream import Reader, Writer
from inrcodec.decode import Decoder
from inrcodec.errors import StreamError, UsageError, VersionError
from inrcodec.segment import encode_segment
from inrcodec.signal.info import SignalInfo

IMAGE = random_stream("hashgrid", image_info(5, 6), ancillary=[(130, b"note")])
VIDEO = random_stream("siren", video_info(5, 4, 5), segments=3, ticks=(0, 1, 5, 300, 301), ancillary=[(255, b"audio")])


def decoded(data: bytes):
    """All that a stream says."""
    with Decoder(data, device="cpu") as decoder:
        decoder.verify()
        return decoder.metadata, decoder[:], decoder.get_frames_in_range(0, len(decoder)).pts_seconds


def varint(value: int) -> bytes:
    """LEB128 as Wikipedia's encoder writes it."""
    out = []
    while True:
        byte, value = value & 0x7F, value >> 7
        if not value:
            return bytes([*out, byte])
        out.append(byte | 0x80)


def chunk(kind: int, payload: bytes) -> bytes:
    body = bytes([kind]) + varint(len(payload)) + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def header(info: SignalInfo, segments: int) -> bytes:
    """By hand, from the specification: varints, formats by their index, flags as 0 and 1."""
    formats = ["gray", "graya", "rgb", "rgba", "yuv420"]
    numbers = [segments, info.width, info.height, info.frames]
    numbers += [formats.index(info.pixel_format), info.bit_depth, info.primaries, info.transfer, info.matrix]
    numbers += [int(info.full_range), info.time_base_num, info.time_base_den, info.frame_ticks]
    return chunk(1, b"".join(map(varint, numbers)))


def payload(info: SignalInfo, first: int = 0, frames: int = 1, ticks=None) -> bytes:
    coded = random_coded("siren", (frames, info.height, info.width, info.channels), seed=first)
    return pack_segment(encode_segment(coded, first, ticks))


START = b"\x89INR\x01"
INFO = image_info(4, 5)
SEGMENT = chunk(2, payload(INFO))


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [IMAGE, VIDEO], ids=["image", "video"])
def test_a_stream_cut_anywhere_is_refused(data):
    decoded(data)
    for length in range(len(data)):
        with pytest.raises(StreamError):
            decoded(data[:length])


@pytest.mark.parametrize("data", [IMAGE, VIDEO], ids=["image", "video"])
def test_a_flipped_bit_anywhere_is_refused(data):
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(StreamError):
            decoded(bytes(damaged))


def test_a_flipped_bit_in_a_video_never_shows_another_picture():
    """Opened without `verify`: what can still be decoded is right."""
    expected = decoded(VIDEO)[1]
    for position in range(len(VIDEO)):
        damaged = bytearray(VIDEO)
        damaged[position] ^= 0x10
        try:
            decoder = Decoder(bytes(damaged), device="cpu")
        except StreamError:
            continue
        for index in range(5):
            try:
                assert torch.equal(decoder[index], expected[index])
            except StreamError:
                continue


@pytest.mark.parametrize("data", [IMAGE, VIDEO], ids=["image", "video"])
def test_bytes_after_the_end_are_refused(data):
    for more in (b"\0", data):
        with pytest.raises(StreamError):
            decoded(data + more)


@pytest.mark.parametrize("data", [b"", b"\x89IN", b"\x89PNG\r\n\x1a\n", b"\x89INR"])
def test_what_is_no_stream_is_refused(data):
    with pytest.raises(StreamError):
        StreamReader(data)


def test_versions():
    with pytest.raises(VersionError, match="version 2.*up to 1"):
        StreamReader(b"\x89INR\x02")
    with pytest.raises(StreamError, match="version 0"):
        StreamReader(b"\x89INR\x00")


# -- layout ------------------------------------------------------------------------------------------------------------


def test_an_image_is_laid_out_as_specified():
    data = pack_stream(INFO, [payload(INFO)])
    assert data == START + header(INFO, 1) + SEGMENT
    reader = StreamReader(io.BytesIO(data))
    assert (reader.info, reader.segment_count, reader.first_frames, reader.size) == (INFO, 1, [0], len(data))


def test_a_video_ends_with_its_index():
    info = video_info(5, 4, 5)
    payloads = [payload(info, 0, 2), payload(info, 2, 2), payload(info, 4, 1)]
    chunks = [chunk(2, one) for one in payloads]
    start = START + header(info, 3) + chunk(200, b"x" * 300)
    entries = varint(len(start)) + b"".join(varint(n) + varint(len(c)) for n, c in zip((2, 2, 1), chunks, strict=True))
    size = len(chunk(3, entries + bytes(4)))
    index = chunk(3, entries + size.to_bytes(4, "little"))
    data = pack_stream(info, payloads, [(200, b"x" * 300)])
    assert data == start + b"".join(chunks) + index
    reader = StreamReader(data)
    assert reader.first_frames == [0, 2, 4]
    assert [reader.segment(k).header.frames for k in (2, 0, 1)] == [1, 2, 2]


def test_an_index_of_more_than_127_bytes_is_found():
    info = video_info(60, 1, 1)
    data = pack_stream(info, [payload(info, first) for first in range(60)])
    reader = StreamReader(data)
    assert reader.first_frames == list(range(60))
    assert reader.segment(59).header.first_frame == 59


def test_unknown_ancillary_chunks_change_nothing():
    more = chunk(128, b"") + chunk(255, bytes(1000))
    plain, noted = START + header(INFO, 1) + SEGMENT, START + header(INFO, 1) + more + SEGMENT
    assert torch.equal(decoded(plain)[1], decoded(noted)[1])


@pytest.mark.parametrize(
    "ticks", [(0, 1), (7, 7), (3, 1 << 40), (0, 127 + 128)], ids=["steps", "equal", "far", "two bytes"]
)
def test_irregular_times_are_kept(ticks):
    info = video_info(2, 4, 5)
    raw = unpack_segment(payload(info, 0, 2, ticks), info, "segment")
    assert raw.ticks == ticks
    assert raw.header.irregular
    assert not unpack_segment(payload(info, 0, 2), info, "segment").header.irregular


# -- hostile streams: checksums are right, contents are not ------------------------------------------------------------

VIDEO_INFO = video_info(4, 4, 5)
PARTS = [chunk(2, payload(VIDEO_INFO, 0, 2)), chunk(2, payload(VIDEO_INFO, 2, 2))]


def indexed(entries: list[int], parts=PARTS, before: bytes = b"") -> bytes:
    """A stream of two segments with an index of our own; entries[0] counts from the end of the header."""
    start = START + header(VIDEO_INFO, 2) + before
    body = varint(len(start) + entries[0]) + b"".join(map(varint, entries[1:]))
    size = len(chunk(3, body + bytes(4)))
    return start + b"".join(parts) + chunk(3, body + size.to_bytes(4, "little"))


def test_the_index_made_by_hand_is_valid():
    sizes = [len(part) for part in PARTS]
    decoded(indexed([0, 2, sizes[0], 2, sizes[1]]))


A, B = (len(part) for part in PARTS)


@pytest.mark.parametrize(
    "entries",
    [
        [0, 2, A, 2, B + 1],  # into the index
        [0, 2, A - 1, 2, B + 1],  # between chunks
        [0, 1, A, 3, B],  # other frames than the segments say
        [0, 2, A, 3, B],  # more frames than the header says
        [0, 2, A, 0, B],
        [0, 2, A],  # too short
        [0, 2, A, 2, B, 1],  # too long
        [A, 2, B, 2, 0],
        [0, 2, 1 << 62, 2, B],
    ],
)
def test_an_index_that_lies_is_refused(entries):
    with pytest.raises(StreamError):
        decoded(indexed(entries))


def test_segments_in_another_order_are_refused():
    with pytest.raises(StreamError, match="due 0 to 2"):
        decoded(indexed([0, 2, B, 2, A], PARTS[::-1]))


def test_a_hole_between_header_and_first_segment_is_refused():
    with pytest.raises(StreamError):
        decoded(indexed([0, 2, A, 2, B], before=b"hole"))
    with pytest.raises(StreamError, match="kind 3, due is a segment"):
        decoded(indexed([0, 2, A, 2, B], before=chunk(3, b"")))


def test_a_hole_between_segments_is_refused():
    with pytest.raises(StreamError, match="due is a segment up to"):
        decoded(indexed([0, 2, A + 3, 2, B], [PARTS[0] + b"abc", PARTS[1]]))


def test_an_index_that_points_into_the_header_is_refused_at_once():
    size = len(START + header(VIDEO_INFO, 2))
    with pytest.raises(StreamError, match="index covers"):
        StreamReader(indexed([-size, 2, size + A, 2, B]))


def test_header_and_index_are_known_by_their_kind():
    data = START + header(INFO, 1) + SEGMENT
    body = header(INFO, 1)[2:-4]
    assert data == START + chunk(1, body) + SEGMENT
    with pytest.raises(StreamError, match="kind 130, due is 1"):
        StreamReader(START + chunk(130, body) + SEGMENT)
    whole = indexed([0, 2, A, 2, B])
    index = len(START + header(VIDEO_INFO, 2)) + A + B
    with pytest.raises(StreamError, match="does not end with its index"):
        StreamReader(whole[:index] + chunk(200, whole[index + 2 : -4]))


@pytest.mark.parametrize(
    "body",
    [
        SEGMENT + SEGMENT,
        chunk(2, b""),
        chunk(1, b"") + SEGMENT,
        chunk(4, b"") + SEGMENT,
        chunk(127, b"") + SEGMENT,
        b"",
        b"\x02" + varint(1 << 62) + b"0000",  # a chunk longer than the stream
        b"\x02" + b"\xff" * 12,
        chunk(2, payload(INFO) + b"\0"),
        chunk(2, payload(INFO)[:-1]),
    ],
)
def test_chunks_out_of_place_are_refused(body):
    with pytest.raises(StreamError):
        decoded(START + header(INFO, 1) + body)


@pytest.mark.parametrize(
    "fields, place",
    [
        ([1, 0, 4, 1, 2, 8, 2, 2, 2, 1, 0, 0, 0], "width"),
        ([1, (1 << 16) + 1, 4, 1, 2, 8, 2, 2, 2, 1, 0, 0, 0], "width"),
        ([1, 5, 1 << 62, 1, 2, 8, 2, 2, 2, 1, 0, 0, 0], "height"),
        ([1, 5, 4, (1 << 24) + 1, 2, 8, 2, 2, 2, 1, 1, 50, 2], "frames"),
        ([1, 5, 4, 1, 5, 8, 2, 2, 2, 1, 0, 0, 0], "pixel_format"),
        ([1, 5, 4, 1, 2, 17, 2, 2, 2, 1, 0, 0, 0], "bit_depth"),
        ([1, 5, 4, 1, 2, 8, 256, 2, 2, 1, 0, 0, 0], "primaries"),
        ([1, 5, 4, 1, 2, 8, 2, 2, 2, 2, 0, 0, 0], "full_range"),
        ([1, 5, 4, 2, 2, 8, 2, 2, 2, 1, 0, 0, 0], "time base"),
        ([1, 5, 4, 1, 2, 8, 2, 2, 2, 1, 1, 0, 0], "time base"),
        ([0, 5, 4, 1, 2, 8, 2, 2, 2, 1, 0, 0, 0], "number of segments"),
        ([MAX_SEGMENTS + 1, 5, 4, 1, 2, 8, 2, 2, 2, 1, 0, 0, 0], "number of segments"),
        ([1, 5, 4, 1, 2, 8, 2, 2, 2, 1, 0, 0, 0, 0], "left over"),
        ([1, 5, 4, 1, 2, 8, 2, 2, 2, 1, 0, 0], "wanted"),
    ],
)
def test_headers_out_of_range_are_refused(fields, place):
    with pytest.raises(StreamError, match=place):
        StreamReader(START + chunk(1, b"".join(map(varint, fields))) + SEGMENT)


def test_a_header_in_longer_form_than_needed_is_refused():
    fields = [1, 5, 4, 1, 2, 8, 2, 2, 2, 1, 0, 0, 0]
    parts = [varint(field) for field in fields]
    StreamReader(START + chunk(1, b"".join(parts)) + SEGMENT)
    parts[1] = b"\x85\x00"  # five
    with pytest.raises(StreamError, match="shortest form"):
        StreamReader(START + chunk(1, b"".join(parts)) + SEGMENT)


def test_huge_sizes_are_refused_before_anything_is_allocated():
    """The largest picture, and a segment that claims what would fit it: only the bytes that are there may count."""
    info = image_info(1 << 16, 1 << 16)
    with pytest.raises(StreamError):
        decoded(START + header(info, 1) + b"\x02" + varint(1 << 31) + b"0000")
    small = unpack_segment(payload(INFO), INFO, "segment")
    for changes in ({"weights_bytes": 1 << 31}, {"grids_bytes": 1 << 31}, {"config_bytes": 1 << 12}):
        claimed = dataclasses.replace(small, header=dataclasses.replace(small.header, **changes))
        with pytest.raises(StreamError, match="wanted at offset"):
            decoded(START + header(INFO, 1) + chunk(2, pack_segment(claimed)))
    claimed = dataclasses.replace(small, header=dataclasses.replace(small.header, parameters=1 << 27))
    with pytest.raises(StreamError, match="parameters for 60 samples"):
        decoded(START + header(INFO, 1) + chunk(2, pack_segment(claimed)))
    with pytest.raises(StreamError, match="parameters said"):
        decoded(START + header(info, 1) + chunk(2, pack_segment(claimed)))


def test_times_of_more_frames_than_bytes_are_refused():
    info = video_info(1 << 24, 4, 5)
    raw = unpack_segment(payload(VIDEO_INFO, 0, 2), VIDEO_INFO, "segment")
    lie = dataclasses.replace(raw.header, frames=1 << 24, irregular=True)
    with pytest.raises(StreamError, match="times of 16777216 frames"):
        unpack_segment(pack_segment(dataclasses.replace(raw, header=lie)), info, "segment")


@pytest.mark.parametrize("first, frames", [(1, 2), (0, 3), (4, 1)])
def test_segments_beyond_the_stream_are_refused(first, frames):
    info = video_info(2, 4, 5)
    with pytest.raises(StreamError, match=f"frames {first} . {frames} of a stream of 2"):
        unpack_segment(payload(info, first, frames), info, "segment")


def test_a_segment_header_that_says_too_much_is_never_made():
    with pytest.raises(UsageError, match="config_bytes"):
        SegmentHeader(0, 1, False, "siren", 1, 5000, 0, 0, 0)
    with pytest.raises(UsageError, match="family is 'nerf'"):
        SegmentHeader(0, 1, False, "nerf", 1, 1, 0, 0, 0)


# -- integers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, data", [(0, "00"), (127, "7f"), (128, "8001"), (624485, "e58e26"), ((1 << 63) - 1, "ffffffffffffffff7f")]
)
def test_leb128(value, data):
    """624485 = e5 8e 26 is the example of the DWARF standard's description."""
    writer = Writer()
    writer.uvarint(value)
    assert writer.getvalue().hex() == data
    assert Reader(bytes.fromhex(data)).uvarint() == value


@pytest.mark.parametrize("data", ["8000", "ff8000", "ffffffffffffffffff01", "80808080808080808001", "80", ""])
def test_leb128_has_one_form_of_each_value(data):
    with pytest.raises(StreamError):
        Reader(bytes.fromhex(data)).uvarint()
