"""Pyramids of one plane a level whose context network is mirrored (`entropy.mirroring`): streams hold its halves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inrcodec.entropy.codings.apart import GROUPS, PlanesApart
from inrcodec.entropy.codings.planes import clamped
from inrcodec.entropy.mirroring import half_tensors, whole_network

if TYPE_CHECKING:
    from inrcodec.bytestream import Wired
    from inrcodec.entropy.codings.base import Symbols


class PlanesMirrored(PlanesApart):
    """As in `PlanesApart`, prior and differences being those of halves; what they add up to is clamped, and so is the whole."""

    tensors = tuple(("even", "odd") if names == ("second",) else names for names in GROUPS)

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return half_tensors(self.order, self.width, len(self.prior["plane_bias"]))

    def exact(self, shape: Wired, network: Symbols) -> dict[str, np.ndarray]:
        whole = whole_network(super().exact(shape, network), np.concatenate)
        return {name: clamped(name, value) for name, value in whole.items()}
