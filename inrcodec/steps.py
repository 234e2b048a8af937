"""Quantizer steps on a logarithmic grid. Parameter = offset + step * symbol, symbols are whole numbers.

A step is named in the stream by an integer: step(index) = 2^((index - 128) / 8), eight to the octave.
"""

from __future__ import annotations

import math

STEPS_PER_OCTAVE = 8
STEP_ZERO = 128
MAX_STEP_INDEX = 255


def step_of(index: int) -> float:
    """The step that `index` in [0, 255] stands for, from 2^-16 to 2^15.875."""
    return 2.0 ** ((index - STEP_ZERO) / STEPS_PER_OCTAVE)


def nearest_index(step: float) -> int:
    """The index whose step is nearest in ratio."""
    index = round(math.log2(step) * STEPS_PER_OCTAVE) + STEP_ZERO
    return min(max(index, 0), MAX_STEP_INDEX)
