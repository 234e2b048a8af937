"""Priors: what the networks of a pyramid start from, trained on photographs (`scripts/train_prior.py`), by number.

A stream names its prior and holds only differences to it, so a published file is never changed and never removed. A file is
an .npz of plain arrays: rate_lambda it was trained for, the head's tensors in float32, the context network's in whole
numbers of 1/32. Columns of the head's first layer, and rows of the biases of planes, are roles (`passes`). How many first
layers the context network has tells the order of symbols.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from inrcodec.errors import VersionError
from inrcodec.passes import INTERLACED, SUMMARIZED, WAVEFRONT, Order

RATE_LAMBDAS = {
    1: 1.6e-2,
    2: 4e-3,
    3: 1e-3,
    4: 2.5e-4,
    5: 5e-5,
    6: 1.6e-2,
    7: 4e-3,
    8: 1e-3,
    9: 2.5e-4,
    10: 5e-5,
    11: 1.6e-2,
    12: 4e-3,
    13: 1e-3,
    14: 2.5e-4,
    15: 1e-3,
    16: 4e-3,
    17: 1e-3,
    18: 4e-3,
    19: 1.6e-2,
    20: 2.5e-4,
    21: 5e-5,
    22: 1e-3,
    23: 4e-3,
    24: 2.5e-4,
    25: 1.6e-2,
    26: 5e-5,
    27: 1e-3,
    28: 1e-3,
    29: 1e-3,
    30: 1e-3,
    31: 1e-3,
    32: 1e-3,
    33: 1e-3,
    34: 1e-3,
}
"""What the shipped priors were trained for, by number."""
FILTERED = {6, 7, 8, 9, 10, 15, 16, 17, 18, 19, 20, 21}
"""Numbers of those whose pictures filter the vertices."""
SINGLE, FILTERS_CODED, APART = set(range(27, 35)), set(range(28, 35)), set(range(31, 35))
"""Numbers of those whose pictures have one plane a level for all colors; of those, whose pictures code differences to filters;
of those, whose pictures code each tensor of their networks with a table and a precision of its own."""
QUICK, THOROUGH, PATIENT = (25, 23, 22, 24, 26), (19, 18, 17, 20, 21), (33,)
LASTING = (34,)
FILM = (6, 16, 15, 9, 10)
"""Numbers of priors for fits of some dozen iterations; of those for longer ones: they filter the vertices, which takes some
iterations to pay; of those for thousands of them, which have one plane a level for all colors and mirrored context networks (33
is not trained: it is what networks are drawn as; so are 31, before they were mirrored, 29, before tensors were coded apart, 28,
whose head has two hidden layers, and 27, whose filters are fixed besides); the same for ten thousand and more, with context
networks of 14 pairs in place of 12 (drawn, too; 32, before they were mirrored, and 30, before tensors were apart, were wider
than 31 and 29); and of films. Others are what these were trained on from, or what older streams build on."""
PLAIN_FILTERS = ((1.0,), (1.0,))
THOROUGH_FILTERS = ((-0.16, 0.2, 1.0, 0.2, -0.16), (-0.04, 0.17, 1.0, 0.17, -0.04))
"""What vertices pass through before cubic interpolation, of the finest level and of the others. One symbol then reaches
further, with less of the highest frequencies (as filters did that were learned with a picture: `docs/research.md`)."""
PATIENT_FILTERS = (
    (0.05, -0.03, 0.22, 0.74, 0.22, -0.03, 0.05),
    (0.08, 0.06, 0.2, 0.54, 0.2, 0.06, 0.08),
    (0.04, 0.04, 0.15, 0.57, 0.15, 0.04, 0.04),
)
"""The same where one plane a level is for all colors, of the finest level, of the next, and of the others: means of what two
fits learned."""

NETWORK_UNIT = 32
"""One, in the whole numbers of networks."""
MODE_UNIT = 512
"""One, in the whole numbers of modes."""


@dataclass(frozen=True)
class Prior:
    """head: float32 by name: hidden (width, roles), in heads of two hidden layers second (width, width), last (3, width), bypass
    (3, roles), and their biases; a picture's samples are RGB. network: int32 by name, as `entropy.planes_network` has them,
    plane_bias by role. modes: the same with a leading axis of modes, in units of 1 / MODE_UNIT. filters: of vertices, see
    THOROUGH_FILTERS; of an odd length, symmetric. order: of symbols. filters_coded: whether pictures code differences to the
    filters too. apart: whether each tensor of a picture's networks has a table and a precision of its own."""

    number: int
    rate_lambda: float
    head: dict[str, np.ndarray]
    network: dict[str, np.ndarray]
    modes: dict[str, np.ndarray]
    filters: tuple[tuple[float, ...], ...]
    order: Order
    filters_coded: bool = False
    apart: bool = False

    @property
    def width(self) -> int:
        """Of the head's hidden layers."""
        return len(self.head["hidden"])

    @property
    def layers(self) -> int:
        """Hidden ones of the head, 1 or 2."""
        return 2 if "second" in self.head else 1

    @property
    def network_width(self) -> int:
        return 2 * len(self.network["even"]) if self.mirrored else len(self.network["second"])

    @property
    def mirrored(self) -> bool:
        """Whether `network` are the halves of a mirrored one (`entropy.mirroring`)."""
        return "even" in self.network


@cache
def load_prior(number: int) -> Prior:
    """Raises VersionError for a number that this version does not ship."""
    if number not in RATE_LAMBDAS:
        raise VersionError(
            f"the stream builds on prior {number}, this version has {min(RATE_LAMBDAS)} to {max(RATE_LAMBDAS)}"
        )
    with (files(__name__) / f"{number:03}.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return parse(number, dict(arrays))


def parse(number: int, arrays: dict[str, np.ndarray]) -> Prior:
    """A prior from its file's arrays."""
    parts = {
        part: {name.removeprefix(part): value for name, value in arrays.items() if name.startswith(part)}
        for part in ("head.", "network.", "modes.")
    }
    head = {name: value.astype(np.float32) for name, value in parts["head."].items()}
    network, modes = (
        {name: value.astype(np.int32) for name, value in parts[part].items()} for part in ("network.", "modes.")
    )
    kinds = sum(name.startswith("entry") for name in network)
    (order,) = (order for order in (INTERLACED, WAVEFRONT, SUMMARIZED) if order.kinds == kinds)
    coded = number in FILTERS_CODED, number in APART
    return Prior(number, float(arrays["rate_lambda"]), head, network, modes, _filters(number), order, *coded)


def _filters(number: int) -> tuple[tuple[float, ...], ...]:
    if number in SINGLE:
        return PATIENT_FILTERS
    return THOROUGH_FILTERS if number in FILTERED else PLAIN_FILTERS


def nearest_prior(rate_lambda: float, numbers: tuple[int, ...]) -> int:
    """The number, of these, of the prior that was trained for the nearest λ, in ratio."""
    return min(numbers, key=lambda number: abs(math.log(RATE_LAMBDAS[number] / rate_lambda)))
