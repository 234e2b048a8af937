"""After training: steps of the weight groups and of the context network, searched by what they really cost.

Training learns steps by gradient, under a smooth estimate. Here coarser and finer ones are tried group by group: symbols
are rounded anew, the distortion is evaluated, the bits are those of the best integer table. What lowers
distortion + rate_lambda · bpp is kept.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from inrcodec.bitstream import pack_segment
from inrcodec.bytestream import Wired
from inrcodec.fields import TensorSpec
from inrcodec.segment import (
    CodedField,
    choose_model,
    encode_segment,
    grid_bits,
    grid_coding,
    grid_groups,
    table_of,
    weight_groups,
)
from inrcodec.steps import MAX_STEP_INDEX, STEPS_PER_OCTAVE, step_of

MOVES = (2, -2, 1, -1)
"""Changes of a step's index that are tried, in eighths of an octave; one that helps is tried again."""
MAX_MOVES = 16
MOST_MOVES = 2 * STEPS_PER_OCTAVE
"""Of the steps of all weights together, finer or coarser than trained, to an asked size or quality."""
MAX_SHIFTS = 4
HEADER_BITS = 16
"""Of a group: its step and its model."""

Distortion = Callable[[CodedField], float]
Rounded = Callable[[TensorSpec, int], np.ndarray]
"""Symbols of a tensor at a step's index."""


def group_bits(symbols: list[np.ndarray]) -> float:
    """Bits of a weight group with its best table."""
    joined = np.concatenate([part.ravel() for part in symbols])
    table = table_of(choose_model(joined))
    return HEADER_BITS + (table.cost_bits(joined) if table else 0.0)


def ideal_bits(coded: CodedField) -> float:
    """What the symbols take with the best integer tables, without headers."""
    groups = [[coded.symbols[spec.name] for spec in specs] for specs in weight_groups(coded.field).values()]
    coding = grid_coding(coded.field)
    if coding:
        groups += [[coded.network[name] for name in group] for group in coding.groups(coded.network_shape)]
    return sum(map(group_bits, groups)) + (grid_bits(coded) if coding else 0.0)


def refine_steps(
    coded: CodedField,
    rounded: Rounded,
    distortion: Distortion,
    lambda_per_bit: float,
    groups: Sequence[str] | None = None,
) -> CodedField:
    """The field with its weight groups at steps of least distortion(field) + lambda_per_bit · bits: all are moved together
    first, since training made up for the rounding of one group by that of others, then each for itself.

    rounded: from the parameters as trained; a finer step gains nothing from numbers that were rounded before. groups: those that
    are moved; none: all."""
    groups = weight_groups(coded.field) if groups is None else groups
    cost = distortion(coded) + lambda_per_bit * _weights_bits(coded)
    for names in (tuple(groups), *((name,) for name in groups)):
        for move in MOVES:
            for _ in range(MAX_MOVES):
                tried = moved(coded, names, move, rounded)
                tried_cost = distortion(tried) + lambda_per_bit * _weights_bits(tried)
                if tried_cost >= cost:
                    break
                coded, cost = tried, tried_cost
    return coded


def moved(coded: CodedField, names: tuple[str, ...], move: int, rounded: Rounded) -> CodedField:
    """The field with the steps of these groups `move` indices further."""
    groups = weight_groups(coded.field)
    steps = {name: min(max(coded.steps[name] + move, 0), MAX_STEP_INDEX) for name in names}
    symbols = {spec.name: rounded(spec, steps[name]) for name in names for spec in groups[name]}
    return replace(coded, steps=coded.steps | steps, symbols=coded.symbols | symbols)


def of_size(coded: CodedField, rounded: Rounded, bits: float) -> CodedField:
    """The field with the finest steps of its weights that take up to `bits`: those of all groups moved together, then each of
    them one index finer, as far as there is room. For fields without grids."""
    groups = tuple(weight_groups(coded.field))
    moves = range(-MOST_MOVES, MOST_MOVES + 1)
    kept = bisect.bisect_left(moves, True, key=lambda move: ideal_bits(moved(coded, groups, move, rounded)) <= bits)
    coded = moved(coded, groups, moves[min(kept, len(moves) - 1)], rounded)
    for group in groups:
        tried = moved(coded, (group,), -1, rounded)
        if ideal_bits(tried) <= bits:
            coded = tried
    return coded


def _weights_bits(coded: CodedField) -> float:
    return sum(
        group_bits([coded.symbols[spec.name] for spec in specs]) for specs in weight_groups(coded.field).values()
    )


def _with_step(coded: CodedField, group: str, specs: list[TensorSpec], index: int) -> CodedField:
    """What the field's symbols stand for, rounded to another step."""
    ratio = step_of(coded.steps[group]) / step_of(index)
    rounded = {spec.name: np.rint(coded.symbols[spec.name] * ratio).astype(np.int32) for spec in specs}
    return replace(coded, steps=coded.steps | {group: index}, symbols=coded.symbols | rounded)


def fit_bytes(coded: CodedField, limit: int) -> CodedField:
    """The field with the steps of its grids (of its weights, if it has none) coarser by as little as brings its segment
    to `limit` bytes, if anything does."""
    groups = grid_groups(coded.field) or weight_groups(coded.field)

    def coarser(move: int) -> CodedField:
        tried = coded
        for group, specs in groups.items():
            tried = _with_step(tried, group, specs, min(coded.steps[group] + move, MAX_STEP_INDEX))
        return tried

    def fits(move: int) -> bool:
        return len(pack_segment(encode_segment(coarser(move)))) <= limit

    if fits(0) or not fits(MAX_STEP_INDEX):
        return coded
    move = bisect.bisect_left(range(MAX_STEP_INDEX), True, key=fits)  # sizes fall as steps grow
    return coarser(move)


def at_precision(coded: CodedField, network: dict[str, torch.Tensor], shape: Wired) -> CodedField:
    """The field with its context network rounded; `network`: its parameters as trained."""
    return replace(coded, network_shape=shape, network=grid_coding(coded.field).symbols(shape, network))


def context_bits(coded: CodedField) -> float:
    """Of the grids' symbols and of the network that predicts them."""
    groups = grid_coding(coded.field).groups(coded.network_shape)
    return grid_bits(coded) + sum(group_bits([coded.network[name] for name in group]) for group in groups)


def refine_network(coded: CodedField, network: dict[str, torch.Tensor]) -> CodedField:
    """The field with the context network at the precision of least bits, where each group has one of its own after a walk from
    the best common one; `network`: its parameters as trained."""
    if not network:
        return coded
    coding, tried = grid_coding(coded.field), partial(at_precision, coded, network)
    best, least = coded, math.inf
    for shift in range(MAX_SHIFTS):
        if (bits := context_bits(one := tried(coding.evenly(coded.network_shape, shift)))) >= least:
            break
        best, least = one, bits
    while found := _first_below(least, map(tried, coding.moved(best.network_shape))):
        best, least = found
    return best


def _first_below(least: float, fields: Iterable[CodedField]) -> tuple[CodedField, float] | None:
    """With its bits."""
    measured = ((one, context_bits(one)) for one in fields)
    return next((found for found in measured if found[1] < least), None)
