"""Mirrored context networks: where all symbols are turned to their negatives, the mean turns and the scale stays.

Symbols of a picture are about as likely as their negatives where those around them are negatives too, so that a network need not
learn both. Its hidden units come in pairs: what one of a pair is for some symbols, the other is for their negatives. So of a
network `width` wide (even) that `entropy.planes_network` describes there are halves, with H = width / 2 pairs,

    entry0 (H + 1, inputs) = E and m,   even (H, H) = P,   odd (H, H) = Q,   last (2, H) = d and s,
    kind_bias (kinds, H + 1), plane_bias (roles, H + 1): of the pairs and of the scale,   second_bias (H,),

and the whole is

    entry0 = E, -E, m, 0    second = [P + Q, P - Q; P - Q, P + Q]    last = [d, -d; s, s]

with the biases of the pairs twice, and 0 for that of the mean: P is for sums of pairs, Q for their differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from inrcodec.entropy.planes_network import network_tensors
from inrcodec.passes import Order

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", "Tensor", np.ndarray)
Join = Callable[[Sequence[Array], int], Array]
"""torch.cat or np.concatenate."""


def half_tensors(order: Order, width: int, roles: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the halves of a network `width` wide, in an order of one kind, in coding order; weights, then biases."""
    pairs = width // 2
    halves = {"entry0": pairs + 1, "kind_bias": pairs + 1, "plane_bias": pairs + 1}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, size in network_tensors(order, width, roles).items():
        if name == "entry0":
            shapes[name] = (halves[name], size[1])
        elif name == "second":
            shapes |= {"even": (pairs, pairs), "odd": (pairs, pairs)}
        elif name in ("last", "second_bias"):
            shapes[name] = (*size[:-1], pairs)
        else:
            shapes[name] = (*size[:-1], halves.get(name, size[-1]))
    return shapes


def whole_network(network: dict[str, Array], join: Join) -> dict[str, Array]:
    """From its halves; one that is whole already as it is."""
    if "even" not in network:
        return network
    entry, last, even, odd = (network[name] for name in ("entry0", "last", "even", "odd"))
    alike, other = even + odd, even - odd
    whole = {name: value for name, value in network.items() if name not in ("even", "odd")}
    return whole | {
        "entry0": join([entry[:-1], -entry[:-1], entry[-1:], 0 * entry[-1:]], 0),
        "second": join([join([alike, other], 1), join([other, alike], 1)], 0),
        "last": join([last, join([-last[:1], last[1:]], 0)], 1),
        "second_bias": join([network["second_bias"]] * 2, 0),
        **{name: _twice(network[name], join) for name in ("kind_bias", "plane_bias")},
    }


def _twice(bias: Array, join: Join) -> Array:
    return join([bias[:, :-1], bias[:, :-1], 0 * bias[:, -1:], bias[:, -1:]], 1)
