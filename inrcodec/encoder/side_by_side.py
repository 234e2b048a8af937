"""Two things that do not need each other, at the same time: each is then split over half of the threads only, and while one of
them does what cannot be split, the other one goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial
from typing import TypeVar

import torch

from inrcodec.kernels.helping import Helper, helped_by, lending

First, Second = TypeVar("First"), TypeVar("Second")


def side_by_side(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """What both give; one after the other, if PyTorch has one thread."""
    threads = torch.get_num_threads()
    if threads == 1:
        return first(), second()
    helper = Helper()
    beside = _beside().submit(_by, threads // 2, partial(_helped, helper, second))
    try:
        with lending(helper):
            found = _by(threads // 2, first)
        helper.work()
        return found, beside.result()
    finally:
        wait([beside])
        torch.set_num_threads(threads)


def _helped(helper: Helper, call: Callable[[], Second]) -> Second:
    try:
        with helped_by(helper):
            return call()
    finally:
        helper.dismiss()


def _by(threads: int, call: Callable[[], First]) -> First:
    torch.set_num_threads(threads)  # every thread has a number of its own
    return call()


@cache
def _beside() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="inrcodec-beside")
