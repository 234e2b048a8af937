"""Which frames of a shot refer to which: a chain of anchors, and between two of them halves of halves.

Every `gop`-th frame, and the last one, is an anchor and refers to the anchor before it; the frames between two anchors lie in a
dyadic hierarchy, each in the middle of the two that it refers to (as B pictures of H.264 do in hierarchical GOPs).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache

MAX_DEPTH = 8


@dataclass(frozen=True)
class Link:
    """A frame's place: `references`, none, one (before it) or two (before and after it); `depth`: 0 of the first frame, 1 of
    anchors, one more for every halving. `parent`: the reference whose motion is likest to its own, None for the first."""

    frame: int
    references: tuple[int, ...]
    depth: int
    parent: int | None


@lru_cache(maxsize=64)
def links(frames: int, gop: int) -> tuple[Link, ...]:
    """Of all frames, in coding order: references come first."""
    found = {0: Link(0, (), 0, None)}
    for start in range(0, frames - 1, gop):
        stop = min(start + gop, frames - 1)
        found[stop] = Link(stop, (start,), 1, start)
        _halve(start, stop, 2, found)
    return tuple(found.values())


def built_on(frame: int, link_of: dict[int, Link], kept: Container[int]) -> list[int]:
    """Frames that a frame builds on, directly or not, up to those that are kept (none if it is itself): references come first.
    link_of: in coding order."""
    found, open_ = set(), [] if frame in kept else [frame]
    while open_:
        for reference in link_of[open_.pop()].references:
            if reference not in found and reference not in kept:
                found.add(reference)
                open_.append(reference)
    return [other for other in link_of if other in found] if found else []


def _halve(start: int, stop: int, depth: int, found: dict[int, Link]) -> None:
    if stop - start < 2:
        return
    middle = (start + stop) // 2
    deeper = max((start, stop), key=lambda frame: found[frame].depth)
    found[middle] = Link(middle, (start, stop), depth, deeper)
    _halve(start, middle, depth + 1, found)
    _halve(middle, stop, depth + 1, found)
