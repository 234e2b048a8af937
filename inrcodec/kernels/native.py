"""The compiled loops of `native/`: how they are found, memory that they can work on, and threads.

Where the extension was not built (no compiler at installation) `available()` is False, and callers take their PyTorch
counterparts. Calls release the interpreter's lock; work is split over `threads()`. Nothing here loads PyTorch: autograd
functions hand over what their tensors hold (`np.ndarray.numpy`), and make tensors of what they get.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import POINTER, Structure, c_char_p, c_int, c_long
from dataclasses import dataclass
from functools import cache
from itertools import cycle

import numpy as np

from inrcodec.ahead import after_fork
from inrcodec.errors import InrError

MAX_INPUTS, MAX_WIDTH, MAX_CHANNELS, MAX_TAPS = 48, 48, 4, 16
LANES = 16
"""Partial sums of each parameter's gradient, at most."""
TILE = 128
"""Columns that the loops take at a time."""
LOOPS = 2
"""Counted up whenever a loop has other arguments, or does other things with them, that no size below would tell."""
LAYOUT = {
    "LOOPS": LOOPS,
    "TILE": TILE,
    "MAX_INPUTS": MAX_INPUTS,
    "MAX_WIDTH": MAX_WIDTH,
    "MAX_CHANNELS": MAX_CHANNELS,
    "MAX_TAPS": MAX_TAPS,
}
"""What the extension must have been built with: in a checkout it may be older than the sources beside it. The structures of its
loops are looked at when these are first called."""


def check_layout(name: str, expected: int) -> None:
    """Raises InrError for the loops of another version, to which a constant or the size of a structure is another one."""
    found = _layout(name)
    if found != expected:
        raise InrError(
            f"to the compiled loops {name} is {found}, to this version {expected}: build them again (pip install -e .)"
        )


def _layout(name: str) -> int | None:
    """What the extension says; None if it is so old that it does not tell."""
    extension = _extension()
    if not hasattr(extension, "inrcodec_layout_of"):
        return None
    extension.inrcodec_layout_of.argtypes, extension.inrcodec_layout_of.restype = [c_char_p], c_long
    return extension.inrcodec_layout_of(name.encode())


@cache
def _extension() -> ctypes.CDLL | None:
    """None where it was not built."""
    spec = importlib.util.find_spec("inrcodec.kernels._native")
    return None if spec is None else ctypes.CDLL(spec.origin)


@cache
def available() -> bool:
    """Whether the compiled loops are there. Raises InrError if they were built for another version."""
    if _extension() is None:
        return False
    for name, value in LAYOUT.items():
        check_layout(name, value)
    return True


def loop(name: str, *arguments: type, result: type | None = None, filled: Sequence[type[Structure]] = ()) -> Callable:
    """A function of the extension, `inrcodec_NAME`, where that is available. arguments: types; structures are pointed to. filled:
    other structures that it is led to. Raises InrError if a structure has another size there."""
    assert available()
    given = [argument for argument in arguments if issubclass(argument, Structure)]
    for structure in (*given, *filled):
        check_layout(structure.__name__.strip("_").lower(), ctypes.sizeof(structure))
    function = getattr(_extension(), f"inrcodec_{name}")
    function.argtypes = [POINTER(argument) if argument in given else argument for argument in arguments]
    function.restype = result
    return function


@cache
def lanes() -> int:
    """Partial sums of each parameter's gradient, LANES at most."""
    return loop("lanes", result=c_int)()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="inrcodec")


after_fork(_pool.cache_clear)


def in_parts(call: Callable[[int], None], parts: int) -> None:
    """call(0) … call(parts - 1), side by side."""
    if parts == 1:
        call(0)
        return
    waiting = [_pool(parts).submit(call, part) for part in range(1, parts)]
    call(0)
    for one in waiting:
        one.result()


_here = threading.local()


@contextmanager
def one_thread() -> Iterator[None]:
    """What the calling thread asks for is done by it alone: others are at work beside it."""
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = False


def threads() -> int:
    """As many as PyTorch uses where it is loaded; otherwise OMP_NUM_THREADS, or the processors that there are."""
    if getattr(_here, "alone", False):
        return 1
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):  # loaded to its end
        return torch.get_num_threads()
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else _processors()


@cache
def _processors() -> int:
    """That this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shares(count: int, parts: int) -> list[int]:
    """Borders of `parts` parts of 0 … count."""
    return [count * part // parts for part in range(parts + 1)]


def lane_shares(count: int, parts: int) -> list[int]:
    """The same, all but the last one multiples of LANES."""
    return [LANES * border for border in shares(count // LANES, parts)[:-1]] + [count]


def contiguous(array: np.ndarray) -> np.ndarray:
    assert array.dtype == np.float32
    return np.ascontiguousarray(array)


def sample_type(peak: int) -> type[np.generic]:
    """Of samples in [0, peak]."""
    return np.uint8 if peak <= 255 else np.uint16


PLANE_SHIFT = 576 // 4
"""Floats: planes begin at different places of a page. Where they did not, as in frames of 1280x720 and 1920x1080, the same row of
all channels would take the same few sets of the cache, and a value that is written would hold up what is read elsewhere."""


def empty_planes(shape: tuple[int, int, int]) -> np.ndarray:
    """(C, h, w) float32, each plane contiguous, with room between them."""
    channels, height, width = shape
    apart = -(-height * width // 1024) * 1024 + PLANE_SHIFT
    return np.empty((channels, apart), np.float32)[:, : height * width].reshape(shape)


def planes(array: np.ndarray) -> np.ndarray:
    """(C, h, w) float32 whose planes are contiguous: itself, or a copy."""
    assert array.dtype == np.float32
    return array if array.strides[1:] == (4 * array.shape[2], 4) else np.ascontiguousarray(array)


def apart(array: np.ndarray) -> int:
    """Floats from one plane to the next."""
    return array.strides[0] // 4


@dataclass(frozen=True)
class Sample:
    """Tiles number first, first + every, … of a sweep, standing for all: gradients by matrices are `every` times the sums over
    them. In `every` sweeps that differ in `first` each tile has its turn."""

    every: int
    first: int


ALL = Sample(1, 0)
SAMPLED, SAMPLED_FROM = 4, 1 << 18
"""Large sweeps sum gradients by matrices over every fourth tile. They are a third of the work, and the moments of an
optimizer average over more than four steps."""


def turns(columns: int) -> Iterator[Sample]:
    """What one training's sweeps over so many columns sum gradients by matrices over."""
    return cycle([Sample(SAMPLED, first) for first in range(SAMPLED)] if columns >= SAMPLED_FROM else [ALL])
