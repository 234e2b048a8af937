"""Work in the background: order, errors, what is under way at the same time; frames and symbols ahead of those who ask."""

import dataclasses
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from streams import random_coded, random_stream, video_info

import inrcodec
import inrcodec.decode
import inrcodec.opened
from inrcodec.ahead import Errands, computed_ahead
from inrcodec.errors import StreamError
from inrcodec.kernels import native
from inrcodec.segment import SegmentReader, encode_segment


def test_results_come_in_order():
    assert list(computed_ahead(lambda value: value * value, range(7))) == [0, 1, 4, 9, 16, 25, 36]
    assert list(computed_ahead(str, [])) == []


def test_the_next_one_is_computed_while_one_is_used():
    """Its end is awaited before the one before is given back: a serial loop would never reach it."""
    started = [threading.Event() for _ in range(3)]

    def call(index):
        started[index].set()
        return index

    for index in computed_ahead(call, range(3)):
        assert index == 2 or started[index + 1].wait(timeout=10)


def test_an_error_comes_in_its_place():
    found = []
    with pytest.raises(ZeroDivisionError):
        for value in computed_ahead(lambda divisor: 12 // divisor, [3, 4, 0, 6]):
            found.append(value)
    assert found == [4, 3]


def test_errands_run_side_by_side_and_once_each():
    """Each waits for the other: one after the other they would never end."""
    meeting, errands, done = threading.Barrier(2, timeout=10), Errands(), []

    def call(name):
        meeting.wait()
        done.append(name)

    for name in "abab":
        errands.send(name, lambda name=name: call(name), workers=2)
    for one in errands.sent.values():
        one.result(timeout=10)
    assert sorted(done) == ["a", "b"]


def test_cancelled_errands_do_not_begin():
    gate, errands, done = threading.Event(), Errands(), []
    errands.send("first", lambda: gate.wait(timeout=10), workers=1)
    errands.send("second", lambda: done.append("second"), workers=1)
    errands.cancel()
    gate.set()
    errands.sent["first"].result(timeout=10)
    later = Errands()
    later.send("third", lambda: done.append("third"), workers=1)
    later.sent["third"].result(timeout=10)
    assert done == ["third"]


@pytest.mark.parametrize("threads", [1, 2])
def test_frames_in_sequence_are_those_at_random(threads, monkeypatch):
    for module in (inrcodec.decode, inrcodec.opened):
        monkeypatch.setattr(module, "threads", lambda: threads)
    data = random_stream("film", video_info(14, 12, 16), segments=2)
    with inrcodec.open(data, device="cpu") as decoder:
        in_sequence = [frame.numpy() for frame in decoder]
    for index in (13, 3, 0, 9, 5):
        with inrcodec.open(data, device="cpu") as decoder:
            np.testing.assert_array_equal(decoder[index].numpy(), in_sequence[index])


def frames_read(reader):
    """Whose symbols are there."""
    frames = range(reader.field.shape[0])
    return {frame for frame in frames if all(spec.name in reader._symbols for spec in reader.field.frame_grids(frame))}


def ready(segment):
    """When all that was begun in the background is done."""
    for one in segment.errands.sent.values():
        one.result(timeout=10)
    return segment.reader


def test_a_frame_waits_for_its_own_symbols_only(monkeypatch):
    """The first frame of a film is there when one of its frames was read; the chains of the next ones follow when frames are
    asked in sequence."""
    monkeypatch.setattr(inrcodec.opened, "threads", lambda: 2)
    with inrcodec.open(random_stream("film", video_info(60, 12, 16)), device="cpu") as decoder:
        decoder.get_frame_at(20)
        reader = ready(decoder._segments.kept[0])
        if not reader.field.takes_arrays:
            pytest.skip("the compiled loops were not built")
        before = [link.frame for link in reader.field.links if link.depth == 1 and link.frame <= 20]
        assert frames_read(reader) == {0, *before}  # an anchor of a chain comes first there
        decoder.get_frame_at(21)
        found = frames_read(ready(decoder._segments.kept[0]))
        assert found >= set(range(21, 21 + 2 * inrcodec.opened.AHEAD))
        assert found < set(range(60))


def test_the_next_segment_is_read_ahead_if_there_is_room(monkeypatch):
    monkeypatch.setattr(inrcodec.opened, "threads", lambda: 2)
    data = random_stream("film", video_info(60, 12, 16), segments=4)
    with inrcodec.open(data, device="cpu") as decoder:
        decoder.get_frame_at(0)
        assert list(decoder._segments.kept) == [1, 0]  # the one in use is the last to be forgotten
        assert frames_read(ready(decoder._segments.kept[1]))
    with inrcodec.open(data, device="cpu", cache_bytes=0) as decoder:
        decoder.get_frame_at(0)
        assert list(decoder._segments.kept) == [0]


@pytest.mark.parametrize("threads", [2, 4])
def test_chains_side_by_side_are_those_one_after_the_other(threads):
    coded = random_coded("film", (40, 36, 52, 3))
    reader = SegmentReader(encode_segment(coded), video_info(40, 36, 52))
    chains = range(len(coded.field.chains()))
    assert len(chains) > threads

    def read(chain):
        for _ in reader.read_chain(chain):
            pass

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, chains))
    for name, symbols in reader.coded().symbols.items():
        np.testing.assert_array_equal(symbols, coded.symbols[name])


def test_damage_behind_a_frame_is_found_by_those_after_it():
    """Bytes at the end of a film's symbols: its first frame is fine, its last one is refused, and refused again."""
    coded = random_coded("film", (9, 12, 16, 3))
    raw = encode_segment(coded)
    damaged = dataclasses.replace(raw, grids=raw.grids[:-8] + bytes(8))
    reader = SegmentReader(damaged, video_info(9, 12, 16))
    first, *_, last = [spec.name for spec in coded.field.specs()]
    np.testing.assert_array_equal(reader.symbols(first), coded.symbols[first])
    for _ in range(2):
        with pytest.raises(StreamError):
            reader.symbols(last)


def damaged_segment(data: bytes) -> bytes:
    """Bytes in the middle of the last segment are zeros."""
    return data[: -len(data) // 6] + bytes(8) + data[-len(data) // 6 + 8 :]


def test_damage_ahead_is_told_by_the_frames_that_it_is_in(monkeypatch):
    monkeypatch.setattr(inrcodec.opened, "threads", lambda: 3)
    data = damaged_segment(random_stream("film", video_info(12, 12, 16), segments=2))
    with inrcodec.open(data, device="cpu") as decoder:
        for frame in range(6):
            decoder[frame]
        with pytest.raises(StreamError, match="checksum does not match"):
            for frame in range(6, 12):
                decoder[frame]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_has_threads_and_locks_of_its_own(monkeypatch):
    """It is forked while others hold the locks of the decoder and of a chain, and after pools of threads were used."""
    monkeypatch.setattr(inrcodec.opened, "threads", lambda: 2)
    decoder = inrcodec.open(random_stream("film", video_info(9, 12, 16)), device="cpu")
    expected = [decoder[frame].numpy() for frame in range(9)]
    reader = decoder._segments.kept[0].reader
    results = multiprocessing.get_context("fork").Queue()

    def child() -> None:
        frames = [decoder[frame].numpy() for frame in range(9)]
        native.in_parts(lambda part: None, 2)
        results.put(all(map(np.array_equal, frames, expected)))

    def hold() -> None:
        with decoder._lock, reader._chains[0].lock:
            held.set()
            forked.wait(timeout=60)

    native.in_parts(lambda part: None, 2)
    held, forked = threading.Event(), threading.Event()
    holding = threading.Thread(target=hold)
    holding.start()
    held.wait(timeout=60)
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    forked.set()
    holding.join()
    try:
        assert results.get(timeout=60)
    finally:
        process.kill()
