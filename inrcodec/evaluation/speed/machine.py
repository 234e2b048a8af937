"""What the machine gives at the moment: the yardstick for what decoding reaches of it."""

from __future__ import annotations

import torch

from inrcodec.evaluation.speed.timing import Conditions, Stopwatch

SIDE = 1024
"""Of the matrices that are multiplied."""
BLOCK_BYTES = 64 << 20
"""Copied at once: more than caches hold."""


@torch.no_grad()
def machine_speed(conditions: Conditions = Conditions()) -> dict:
    """The line of a machine. product_s: of float32 matrices, product_flop operations (a multiply–accumulate is two). copy_s: of
    a block of memory, copy_bytes read and written."""
    watch = Stopwatch(conditions)
    left, right, product = (torch.ones(SIDE, SIDE, device=watch.device) for _ in range(3))
    block, copy = (torch.ones(BLOCK_BYTES // 4, device=watch.device) for _ in range(2))
    return {
        "kind": "machine",
        "product_flop": 2 * SIDE**3,
        "product_s": watch.repeated(lambda: torch.mm(left, right, out=product)),
        "copy_bytes": 2 * BLOCK_BYTES,
        "copy_s": watch.repeated(lambda: copy.copy_(block)),
        **conditions.facts(),
    }
