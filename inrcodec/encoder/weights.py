"""Weights as one vector, group after group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from inrcodec.bytestream import Wired
from inrcodec.encoder.flat import FlatTensors
from inrcodec.entropy.codings.base import TrainedCoding
from inrcodec.fields import Parameters, TensorSpec


class FlatWeights(FlatTensors):
    """Of tensors by group. `groups`: names. counts: entries of each, (G,) int64. offset: of the parameters, (N,)."""

    def __init__(self, groups: Mapping[str, Sequence[TensorSpec]], device: torch.device) -> None:
        self.groups = tuple(groups)
        self.specs: list[TensorSpec] = [spec for specs in groups.values() for spec in specs]
        super().__init__({spec.name: spec.shape for spec in self.specs})
        self.counts = torch.tensor([sum(spec.count for spec in specs) for specs in groups.values()], device=device)
        self.group_of = torch.repeat_interleave(self.counts)
        """Index of the group of each entry, (N,) int64."""
        zeros = {spec.name: spec.values(torch.zeros(spec.shape), 1.0).to(device) for spec in self.specs}
        self.offset = self.joined(zeros)

    def mean_magnitudes(self, flat: Tensor) -> Tensor:
        """Of each group, (G,)."""
        return flat.new_zeros(len(self.counts)).index_add(0, self.group_of, flat.abs()) / self.counts


class FlatNetwork(FlatTensors):
    """Of a context network's tensors, in coding order, with their quantizers. counts: entries of each group, (G,) int64."""

    def __init__(self, coding: TrainedCoding, shape: Wired, device: torch.device) -> None:
        groups = coding.groups(shape)
        super().__init__({name: size for group in groups for name, size in group.items()})
        of_groups = [sum(math.prod(size) for size in group.values()) for group in groups]
        self.counts = torch.tensor(of_groups, dtype=torch.int64, device=device)
        quantizers = [coding.quantizer(name, shape) for group in groups for name in group]
        sizes = torch.tensor(self.sizes)
        self._steps, self._lows, self._highs = (
            torch.repeat_interleave(torch.tensor(numbers, dtype=torch.float32), sizes).to(device)
            for numbers in zip(*((one.step, one.low, one.high) for one in quantizers))
        )

    def symbols(self, network: Mapping[str, Tensor]) -> Tensor:
        """Of the tensors by name, not rounded: (N,)."""
        return (self.joined(network) / self._steps).clamp(self._lows, self._highs)

    def values(self, symbols: Tensor) -> Parameters:
        """The tensors that symbols (N,) stand for, by name."""
        return self.views(symbols * self._steps)
