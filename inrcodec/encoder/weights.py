"""Weights as one vector, group after group: what an iteration does to all of them is then a call or two each, however many
layers there are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from inrcodec.bytestream import Wired
from inrcodec.entropy.codings.base import TrainedCoding
from inrcodec.fields import Parameters, TensorSpec


class FlatWeights:
    """Of tensors by group. `groups`: names. counts: entries of each, (G,) int64. offset: of the parameters, (N,)."""

    def __init__(self, groups: Mapping[str, Sequence[TensorSpec]], device: torch.device) -> None:
        self.groups = tuple(groups)
        self.specs: list[TensorSpec] = [spec for specs in groups.values() for spec in specs]
        self.counts = torch.tensor([sum(spec.count for spec in specs) for specs in groups.values()], device=device)
        self.group_of = torch.repeat_interleave(self.counts)
        """Index of the group of each entry, (N,) int64."""
        zeros = {spec.name: spec.values(torch.zeros(spec.shape), 1.0).to(device) for spec in self.specs}
        self.offset = self.joined(zeros)

    def joined(self, tensors: dict[str, Tensor]) -> Tensor:
        """(N,)"""
        return torch.cat([tensors[spec.name].reshape(-1) for spec in self.specs])

    def named(self, flat: Tensor) -> Parameters:
        """The tensors of (N,) entries, by name."""
        parts = flat.split([spec.count for spec in self.specs])
        return {spec.name: part.view(spec.shape) for spec, part in zip(self.specs, parts)}

    def mean_magnitudes(self, flat: Tensor) -> Tensor:
        """Of each group, (G,)."""
        return flat.new_zeros(len(self.counts)).index_add(0, self.group_of, flat.abs()) / self.counts


class FlatNetwork:
    """Of a context network's tensors, in coding order, with their quantizers. counts: entries of each group, (G,) int64."""

    def __init__(self, coding: TrainedCoding, shape: Wired, device: torch.device) -> None:
        groups = coding.groups(shape)
        self._sizes = {name: size for group in groups for name, size in group.items()}
        self._counts = [math.prod(size) for size in self._sizes.values()]
        of_groups = [sum(math.prod(size) for size in group.values()) for group in groups]
        self.counts = torch.tensor(of_groups, dtype=torch.int64, device=device)
        quantizers = [coding.quantizer(name, shape) for name in self._sizes]
        counts = torch.tensor(self._counts)
        self._steps, self._lows, self._highs = (
            torch.repeat_interleave(torch.tensor(numbers, dtype=torch.float32), counts).to(device)
            for numbers in zip(*((one.step, one.low, one.high) for one in quantizers))
        )

    def symbols(self, network: Mapping[str, Tensor]) -> Tensor:
        """Of the tensors by name, not rounded: (N,)."""
        flat = torch.cat([network[name].reshape(-1) for name in self._sizes])
        return (flat / self._steps).clamp(self._lows, self._highs)

    def values(self, symbols: Tensor) -> dict[str, Tensor]:
        """The tensors that symbols (N,) stand for, by name."""
        parts = (symbols * self._steps).split(self._counts)
        return {name: part.view(size) for (name, size), part in zip(self._sizes.items(), parts)}
