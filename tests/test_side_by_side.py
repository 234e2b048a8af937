"""Two halves of an iteration at the same time: what they give, what they fail by, and the same files as one after the other."""

import threading
import time

import pytest
import torch
from test_targets import FACE

from inrcodec.encoder import EncodeOptions, encode
from inrcodec.encoder.side_by_side import side_by_side
from inrcodec.kernels.helping import helper, lend_a_hand


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_both_are_at_work_at_the_same_time_with_half_of_the_threads_each():
    torch.set_num_threads(4)
    meeting = threading.Barrier(2, timeout=30)

    def met():
        meeting.wait()
        return torch.get_num_threads(), threading.get_ident()

    (first, here), (second, there) = side_by_side(met, met)
    assert first == second == 2 and here == threading.get_ident() != there
    assert torch.get_num_threads() == 4


def test_with_one_thread_they_take_turns():
    torch.set_num_threads(1)
    order = []
    assert side_by_side(lambda: order.append("first") or 1, lambda: order.append("second") or 2) == (1, 2)
    assert order == ["first", "second"]


@pytest.mark.parametrize("fails", [0, 1])
def test_what_one_fails_by_is_raised_when_the_other_has_ended(fails):
    torch.set_num_threads(2)
    ended = threading.Event()

    def fail():
        raise ValueError("as it should")

    calls = [ended.set, ended.set]
    calls[fails] = fail
    with pytest.raises(ValueError, match="as it should"):
        side_by_side(*calls)
    assert ended.is_set() and torch.get_num_threads() == 2
    assert side_by_side(lambda: 3, lambda: 4) == (3, 4)


def offered(own, other):
    """As the second of two; what it comes to is what `other` did."""

    def second():
        did = []
        helper().both(own, lambda: did.append(other()))
        return did

    return second


def test_who_has_ended_helps_the_other_one():
    torch.set_num_threads(2)
    begun = threading.Event()

    def other():
        begun.set()
        return threading.get_ident()

    first, second = side_by_side(threading.get_ident, offered(lambda: begun.wait(30), other))
    assert begun.is_set() and second == [first]


def test_who_is_halfway_lends_a_hand_to_the_other_one():
    torch.set_num_threads(2)
    was_offered, helped = threading.Event(), threading.Event()

    def first():
        was_offered.wait(30)
        lend_a_hand()
        return threading.get_ident(), helped.is_set()

    def own():
        was_offered.set()
        helped.wait(30)

    def other():
        helped.set()
        return threading.get_ident()

    (here, before_its_end), did = side_by_side(first, offered(own, other))
    assert did == [here] and before_its_end


@pytest.mark.parametrize("ended", [True, False])
def test_nobody_waits_to_lend_a_hand(ended):
    """Neither before the other one has offered anything, nor when it has ended."""
    torch.set_num_threads(2)
    there, lent = threading.Event(), threading.Event()

    def first():
        if ended:
            there.wait(30)
            time.sleep(0.05)  # until it is dismissed
        lend_a_hand()
        lent.set()
        return 1

    def second():
        there.set()
        return 2 if ended else (2 if lent.wait(30) else 0)

    assert side_by_side(first, second) == (1, 2)
    lend_a_hand()  # nobody's helper any more


def test_what_nobody_came_for_is_done_by_who_offered_it():
    torch.set_num_threads(2)
    ended = threading.Event()

    def second():
        did = offered(lambda: None, threading.get_ident)()
        ended.set()
        return did

    (first, there), did = side_by_side(lambda: (threading.get_ident(), ended.wait(30)), second)
    assert there and did != [first] and len(did) == 1


@pytest.mark.parametrize("helped", [True, False])
@pytest.mark.parametrize("fails", ["own", "other", "first"])
def test_failures_of_help_are_told(fails, helped):
    torch.set_num_threads(2)
    begun, free = threading.Event(), threading.Event()

    def do(name, wait=None):
        if wait:
            wait.wait(30)
        if name == fails:
            raise ValueError(name)

    def other():
        begun.set()
        do("other")

    def second():
        try:
            return offered(lambda: do("own", begun if helped and fails != "first" else None), other)()
        finally:
            free.set()

    with pytest.raises(ValueError, match=fails):
        side_by_side(lambda: do("first", None if helped else free), second)
    assert begun.is_set() == (fails != "own" or helped)
    assert side_by_side(lambda: 3, lambda: 4) == (3, 4)


def test_two_threads_write_the_same_file_as_one():
    """Sums are made in the same order."""
    one, two = (encode(FACE, EncodeOptions(effort=2, rate_lambda=2e-3, threads=threads)).data for threads in (1, 2))
    assert one == two
