"""Weights as one vector, group after group: what an iteration does to all of them is then a call or two each, however many
layers there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

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
