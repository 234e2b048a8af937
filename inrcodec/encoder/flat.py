"""Tensors as one vector: what an iteration does to all of them is then a call or two, however many there are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from inrcodec.fields import Parameters


class FlatTensors:
    """One tensor after another. shapes: by name, in this order."""

    def __init__(self, shapes: Mapping[str, Sequence[int]]) -> None:
        self._shapes = shapes
        self.sizes = [math.prod(shape) for shape in shapes.values()]
        """Entries of each."""

    def joined(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """By name, to (N,)."""
        flat = [tensors[name].reshape(-1) for name in self._shapes]
        return torch.cat(flat) if flat else torch.zeros(0)

    def views(self, flat: Tensor) -> Parameters:
        """Of (N,), by name."""
        parts = flat.split(self.sizes)
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), parts)}
