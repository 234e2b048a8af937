"""Whether Triton's kernels can run; asking loads neither it nor PyTorch."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def available(device: torch.device) -> bool:
    return device.type == "cuda" and _installed()


@cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None
