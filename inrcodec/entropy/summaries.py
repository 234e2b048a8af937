"""What symbols see of all coarser planes, in SUMMARIZED order (`passes`): sums of whole numbers, kept plane by plane."""

from __future__ import annotations

import numpy as np

from inrcodec.passes import SYMBOL_CLIP, PlaneShape


class Summaries:
    """weights: of each plane, (summaries, coarser levels, the nearest first), whole numbers in float32."""

    def __init__(self, shapes: tuple[PlaneShape, ...], weights: list[np.ndarray]) -> None:
        self._shapes, self._weights = shapes, weights
        self.clear()

    def clear(self) -> None:
        """Nothing was coded yet; planes that are never kept hold zeros."""
        self._planes: dict[int, np.ndarray] = {}

    def keep(self, index: int, plane: np.ndarray) -> None:
        """The symbols of a plane, (height, width)."""
        self._planes[index] = plane.clip(-SYMBOL_CLIP, SYMBOL_CLIP).astype(np.float32)

    def of(self, index: int) -> np.ndarray | None:
        """At every place of the parent of plane `index` the weighted sums of the symbols there of all coarser planes: (summaries,
        height, width) float32; None without a parent."""
        if self._shapes[index].parent is None:
            return None
        above = self._above(index)
        weights = self._weights[index][:, : len(above)]
        return (weights @ above.reshape(len(above), -1)).reshape(-1, *above.shape[1:])

    def _above(self, index: int) -> np.ndarray:
        """All coarser planes, the nearest first, as large as that: (planes, height, width)."""
        parent = self._shapes[index].parent
        height, width = self._shapes[parent].height, self._shapes[parent].width
        found = []
        while parent is not None:
            y, x = (np.arange(size) >> len(found) for size in (height, width))
            found.append(
                self._planes[parent][y][:, x] if parent in self._planes else np.zeros((height, width), np.float32)
            )
            parent = self._shapes[parent].parent
        return np.stack(found)
