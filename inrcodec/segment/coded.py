"""A quantized field: what is written and read, and how its tensors are grouped for it."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.bytestream import Wired
from inrcodec.entropy.codings import GridCoding, Interlaced, Planes, PlanesApart, PlanesMirrored
from inrcodec.entropy.context import Grid, NetworkShape
from inrcodec.fields import Arrays, Field, Film, Parameters, Pyramid, TensorSpec
from inrcodec.steps import step_of

if TYPE_CHECKING:
    import torch


@dataclass
class CodedField:
    """A field with quantized parameters: all that a segment holds.

    steps: index of the step by group. symbols: int32 by tensor, shaped as its spec. network_shape and network (int32
    by name) describe the context model of the grids; they are unused by a field without grids.
    """

    field: Field
    steps: dict[str, int]
    symbols: dict[str, np.ndarray]
    network_shape: Wired = NetworkShape(0)
    network: dict[str, np.ndarray] = dataclass_field(default_factory=dict)

    def arrays(self) -> Arrays:
        """Dequantized float32 arrays."""
        return {
            spec.name: spec.values(self.symbols[spec.name], step_of(self.steps[spec.group]))
            for spec in self.field.specs()
        }

    def parameters(self, device: torch.device | str = "cpu") -> Parameters:
        """The same as tensors on `device`."""
        import torch

        return {name: torch.from_numpy(value).to(device) for name, value in self.arrays().items()}


def weight_groups(field: Field) -> dict[str, list[TensorSpec]]:
    """Specs of weight tensors by group, in coding order."""
    return _groups(field, "weight")


def grid_groups(field: Field) -> dict[str, list[TensorSpec]]:
    """Specs of grids by group, in coding order."""
    return _groups(field, "grid")


def _groups(field: Field, kind: str) -> dict[str, list[TensorSpec]]:
    groups: dict[str, list[TensorSpec]] = {}
    for spec in field.specs():
        if spec.kind == kind:
            groups.setdefault(spec.group, []).append(spec)
    return groups


def grid_specs(field: Field) -> list[TensorSpec]:
    return [spec for spec in field.specs() if spec.kind == "grid"]


def grid_coding(field: Field) -> GridCoding | None:
    """The context model of a field's grids; None without grids."""
    if isinstance(field, Pyramid):
        prior = field.prior
        coding = PlanesMirrored if prior.mirrored else PlanesApart if prior.apart else Planes
        return coding(field.planes, prior)
    if isinstance(field, Film):
        return field.coding
    specs = grid_specs(field)
    index = {spec.name: position for position, spec in enumerate(specs)}
    return Interlaced(tuple(Grid(spec.shape, index.get(spec.parent)) for spec in specs)) if specs else None
