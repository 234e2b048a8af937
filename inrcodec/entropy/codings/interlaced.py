"""Grids of any dimension: `entropy.context`, in training `entropy.rate`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.entropy import context
from inrcodec.entropy.coder import SymbolEncoder
from inrcodec.entropy.codings.base import Quantizer, Rate, Symbols, TrainedCoding, weights_and_biases
from inrcodec.entropy.fixed import UNIT, WEIGHT_LIMIT

if TYPE_CHECKING:
    from torch import Tensor


class Interlaced(TrainedCoding):
    """The network's weights are coded as they are."""

    Shape = context.NetworkShape

    def __init__(self, grids: tuple[context.Grid, ...]) -> None:
        self.contexts = context.contexts_of(grids)

    def groups(self, shape: context.NetworkShape) -> list[dict[str, tuple[int, ...]]]:
        return weights_and_biases(shape.tensors(self.contexts), {"second_bias", "scale_bias"})

    def _exact(self, shape: context.NetworkShape, network: Symbols) -> context.Network:
        return context.Network(self.contexts, {name: value << _shift(name, shape) for name, value in network.items()})

    def encode(self, shape, network, grids) -> list[bytes]:
        encoder = SymbolEncoder()
        context.encode_grids(encoder, self._exact(shape, network), grids)
        return [encoder.getvalue()]

    def decode(self, decoders, shape, network) -> list[Iterator[np.ndarray]]:
        return [self._decoded(*decoders, shape, network)]

    def _decoded(self, decoder, shape, network) -> Iterator[np.ndarray]:
        yield context.decode_grids(decoder, self._exact(shape, network))

    def cost_bits(self, shape, network, grids) -> float:
        return context.cost_bits(self._exact(shape, network), grids)

    def initial(self, shape, generator) -> dict[str, Tensor]:
        from inrcodec.entropy import rate

        return rate.initial_network(shape, self.contexts, generator)

    def rate(self, device) -> Rate:
        from inrcodec.entropy import rate

        return rate.ContextRate(self.contexts, device)

    def learning_rate(self, name) -> float:
        return 5e-2

    def quantizer(self, name, shape) -> Quantizer:
        limit = WEIGHT_LIMIT >> _shift(name, shape)
        unit = context.BIAS_UNIT if name == "scale_bias" else 1
        return Quantizer(unit * 2 ** _shift(name, shape) / UNIT, -limit, limit)


def _shift(name: str, shape: context.NetworkShape) -> int:
    return {"scale_bias": 0, "second_bias": shape.bias_shift}.get(name, shape.weight_shift)
