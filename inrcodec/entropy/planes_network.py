"""The exact context network of a pyramid's planes, evaluated in whole numbers held in float32.

Its inputs are, in this order: the signed neighbors, the logarithm of their weighted mean magnitude, the 9 samples of the parent
around the symbol's place, the logarithms of the middle one's and of their mean magnitude, the symbol at the same place of the
previous channel, the logarithm of its magnitude; samples that do not exist are 0, all are clipped to ±SYMBOL_CLIP. In SUMMARIZED
order (`passes`) they are the signed neighbors, then the summaries, which lie at the parent's places: [UNIT Σ_k weight_k
symbol_k], within ±ACTIVATION_LIMIT, of the symbols of all coarser planes, the nearest first. With [v] = floor(v / WEIGHT_UNIT),
for a symbol of kind k in a plane of role r:

    e = entry_k x + UNIT (kind_bias_k + plane_bias_r),   h1 = [e without its last two], at least 0, at most ACTIVATION_LIMIT
    h2 = [second h1 + UNIT second_bias], likewise,       mean, log2 scale = [last h2 + last two of e], within ±ACTIVATION_LIMIT

No sum that is rounded to float32 exceeds 2^24, whatever its order: with at most 26 signed inputs of 2048 and 4 logarithms of
243, |entry x| <= 255 (26 · 2048 + 4 · 243) = 13 826 100, and biases add 32 · 2 · 2047 = 131 008 (14 neighbors and 6 summaries
are less, and summaries themselves at most 255 · 32 · 64 · 7); over at most 32 activations
|second h1| and |last h2| <= 255 · 32 · 2047 = 16 703 520, and second_bias adds 32 · 2047 = 65 504: 16 769 024 < 16 777 216.
The final sum of last h2 and e is one addition of two exact numbers; where it passes 2^24 it may be rounded, but to no less
than 2^24, and is clipped to 64 · 2047 all the same.
"""

from __future__ import annotations

import numpy as np

from inrcodec.entropy.fixed import UNIT, check_range, log_table
from inrcodec.errors import StreamError
from inrcodec.kernels.prediction import ExactNetwork
from inrcodec.passes import MAX_LEVELS, PARENT_OFFSETS, SYMBOL_CLIP, Neighborhood, Order, PlaneShape, bias_rows

WEIGHT_UNIT = 64
"""One, in the fixed-point numbers of weights and biases; activations have UNIT."""
WEIGHT_LIMIT, BIAS_LIMIT, ACTIVATION_LIMIT = 255, 2047, 2047
MAX_WIDTH = 32
MAGNITUDE_UNIT = 288
"""Mean magnitudes are whole numbers in units of 1 / 288, whatever the neighborhood."""
SUMMARY = "summary"
"""Name of the weights of summaries, (roles, summaries · coarser levels, the nearest first), among a network's tensors."""
BY_ROLE = (SUMMARY, "plane_bias")
"""Names of the tensors that have a row for each role."""


def network_tensors(order: Order, width: int, roles: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a network `width` wide (1 … MAX_WIDTH) for planes of so many roles, in coding order: weights,
    then biases."""
    if not 1 <= width <= MAX_WIDTH:
        raise StreamError(f"pyramid network: width {width}, allowed are 1 … {MAX_WIDTH}")
    entries = {f"entry{kind}": (width + 2, near.inputs) for kind, near in enumerate(order.neighborhoods)}
    if order.summaries:
        entries |= {SUMMARY: (roles, order.summaries * (MAX_LEVELS - 1))}
    biases = {"kind_bias": (order.kinds, width + 2), "plane_bias": (roles, width + 2), "second_bias": (width,)}
    return entries | {"second": (width, width), "last": (2, width)} | biases


def _magnitudes(near: Neighborhood) -> np.ndarray:
    """(4, signed inputs) float32: the inputs' four mean magnitudes from the magnitudes of neighbors, parent's 9, previous."""
    count = len(near.offsets)
    rows = np.zeros((4, count + len(PARENT_OFFSETS) + 1), dtype=np.float32)
    if count:
        rows[0, :count] = np.array(near.weights) * (MAGNITUDE_UNIT // sum(near.weights))
    rows[1, count + PARENT_OFFSETS.index((0, 0))] = MAGNITUDE_UNIT
    rows[2, count:-1] = MAGNITUDE_UNIT // len(PARENT_OFFSETS)
    rows[3, -1] = MAGNITUDE_UNIT
    return rows


def _offsets(near: Neighborhood) -> np.ndarray:
    return np.array(near.offsets, dtype=np.int32).reshape(-1, 2)


def _signed_first(near: Neighborhood) -> list[int]:
    """The order of inputs in which the signed symbols come before the logarithms."""
    count = len(near.offsets)
    logs = [count, count + 10, count + 11, count + 13]
    return [place for place in range(near.inputs) if place not in logs] + logs


LOGARITHMS = 4
"""Inputs."""
_NO_MAGNITUDES = np.zeros((0, 0), np.float32)
LOGS = log_table(MAGNITUDE_UNIT, MAGNITUDE_UNIT * SYMBOL_CLIP).astype(np.uint8)


class PlaneNetwork:
    """The exact network of the planes `shapes`. `tensors`: as `network_tensors` gives them, whole numbers in units of
    1 / WEIGHT_UNIT, weights within ±WEIGHT_LIMIT and biases within ±BIAS_LIMIT, else StreamError."""

    def __init__(self, shapes: tuple[PlaneShape, ...], order: Order, tensors: dict[str, np.ndarray]) -> None:
        self.shapes, self.order = shapes, order
        self.width = len(tensors["second"])
        rows = bias_rows(shapes)
        for name, size in network_tensors(order, self.width, max(rows) + 1).items():
            assert tensors[name].shape == size
            limit = BIAS_LIMIT if name.endswith("bias") else WEIGHT_LIMIT
            check_range("pyramid network", name, tensors[name], limit)
        exact = {name: np.array(value, dtype=np.float32, order="C") for name, value in tensors.items()}
        entries = []
        for kind, near in enumerate(order.neighborhoods):
            columns = list(range(near.inputs)) if order.summaries else _signed_first(near)
            entry = np.ascontiguousarray(exact[f"entry{kind}"][:, columns])
            entry[:, : -(order.summaries or LOGARITHMS)] *= UNIT  # instead of the symbols
            entries.append(entry)
        biases = (exact["plane_bias"][rows, None] + exact["kind_bias"]) * UNIT
        second_bias = exact["second_bias"][:, None] * UNIT
        self.exact = ExactNetwork(
            tuple(entries),
            biases,
            exact["second"],
            second_bias,
            exact["last"],
            tuple(_NO_MAGNITUDES if order.summaries else _magnitudes(near) for near in order.neighborhoods),
            tuple(map(_offsets, order.neighborhoods)),
            LOGS,
        )
        self.summaries = [exact[SUMMARY][row].reshape(order.summaries, -1) for row in rows] if order.summaries else []
