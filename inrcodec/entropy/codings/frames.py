"""Films: `entropy.merging` for motion, a pyramid's planes for what is left of each frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass

import numpy as np

from inrcodec.entropy import merging, tiles
from inrcodec.entropy.adaptive import Counts
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.codings.base import GridCoding, Symbols
from inrcodec.entropy.codings.planes import PlanePrecision, Planes
from inrcodec.entropy.planes import PlanesCoder
from inrcodec.entropy.planes_network import PlaneNetwork
from inrcodec.kernels.prediction import SharedDesk
from inrcodec.passes import PlaneShape
from inrcodec.priors import Prior


@dataclass(frozen=True)
class FrameSymbols:
    """What a film codes of a frame: its motion, if it has any, then its planes; kind: of the network that codes these."""

    motion: merging.Vectors | None
    planes: tuple[PlaneShape, ...]
    kind: str

    @property
    def counts(self) -> tuple[int, int]:
        """Of symbols: of motion, of planes."""
        motion = 0 if self.motion is None else self.motion.size
        return motion, sum(shape.height * shape.width for shape in self.planes)


class Frames(GridCoding):
    """A film, chain by chain, frame by frame in coding order: motion by `entropy.merging`, planes as pictures' with a network for
    each kind of frame. What decisions learn goes on from frame to frame of a chain, and starts anew with every chain, so that
    each can be read without those before. Tensors of networks are named `kind.tensor`."""

    Shape = PlanePrecision

    def __init__(self, chains: Sequence[Sequence[FrameSymbols]], prior: Prior) -> None:
        self._chains = chains
        frames = [frame for chain in chains for frame in chain]
        kinds = dict.fromkeys(frame.kind for frame in frames if frame.planes)
        self.planes = {kind: Planes(_joined(frames, kind), prior) for kind in kinds}

    def groups(self, shape: PlanePrecision) -> list[dict[str, tuple[int, ...]]]:
        return [
            {f"{kind}.{tensor}": size for tensor, size in group.items()}
            for kind, coding in self.planes.items()
            for group in coding.groups(shape)
        ]

    def encode(self, shape, network, grids) -> list[bytes]:
        coders, payloads = _Coders(self.planes, shape, network), []
        for chain in self._cut(grids):
            encoder, learned = SymbolEncoder(), _Learned()
            for frame, motion, symbols in chain:
                if frame.motion:
                    merging.encode_vectors(encoder, frame.motion, motion, learned.motion)
                if frame.planes:
                    coders.of(frame, learned).encode(encoder, symbols)
            payloads.append(encoder.getvalue())
        return payloads

    def decode(self, decoders, shape, network) -> list[Iterator[np.ndarray]]:
        lent = _Lent(_Coders(self.planes, shape, network))
        return [self._decoded(chain, decoder, lent) for chain, decoder in zip(self._chains, decoders, strict=True)]

    @staticmethod
    def _decoded(chain: Sequence[FrameSymbols], decoder: SymbolDecoder, lent: _Lent) -> Iterator[np.ndarray]:
        learned = _Learned()
        for frame in chain:
            motion = frame.counts[0]
            symbols = np.empty(sum(frame.counts), np.int32)
            symbols.fill(0)  # which lets other threads run, where np.zeros does not
            if frame.motion:
                symbols[:motion] = merging.decode_vectors(decoder, frame.motion, learned.motion)
            if frame.planes:
                with lent.coders() as coders:
                    coders.of(frame, learned).decode(decoder, symbols[motion:])
            yield symbols

    def cost_bits(self, shape, network, grids) -> float:
        coders, bits = _Coders(self.planes, shape, network), 0.0
        for chain in self._cut(grids):
            learned = _Learned()
            for frame, motion, symbols in chain:
                if frame.motion:
                    bits += merging.cost_bits(frame.motion, motion, learned.motion)
                if frame.planes:
                    bits += coders.of(frame, learned).cost_bits(symbols)
        return bits

    def _cut(self, grids: np.ndarray) -> Iterator[list[tuple[FrameSymbols, np.ndarray, np.ndarray]]]:
        """Of each chain, its frames with their flat symbols: of motion, of planes."""
        start = 0
        for chain in self._chains:
            found = []
            for frame in chain:
                middle, stop = start + frame.counts[0], start + sum(frame.counts)
                found.append((frame, grids[start:middle], grids[middle:stop]))
                start = stop
            yield found


class _Learned:
    """What decisions of a chain have learned."""

    def __init__(self) -> None:
        self.motion = merging.initial_counts()
        self.tiles: dict[str, Counts] = {}  # by the frames' kind


class _Coders:
    """Of the planes of frames, made when they are needed first. They keep as much as a frame's planes take, so chains share them
    and lend them their counts."""

    def __init__(self, codings: dict[str, Planes], shape: PlanePrecision, network: Symbols) -> None:
        self._codings = codings
        self._tensors = {kind: coding.exact(shape, _part(kind, network)) for kind, coding in codings.items()}
        self._start()

    def _start(self) -> None:
        self._lent = {kind: tiles.initial_counts() for kind in self._codings}
        self._coders: dict[tuple[str, tuple[PlaneShape, ...]], PlanesCoder] = {}
        self._desk = SharedDesk()

    def another(self) -> _Coders:
        """Of the same networks, for another thread."""
        other = copy(self)
        other._start()
        return other

    def of(self, frame: FrameSymbols, learned: _Learned) -> PlanesCoder:
        """A frame's, until one is asked for another frame."""
        kind, key = frame.kind, (frame.kind, frame.planes)
        self._lent[kind].counts = learned.tiles.setdefault(kind, tiles.initial_counts()).counts
        if key not in self._coders:
            own = self._tensors[kind] | {"plane_bias": self._tensors[kind]["plane_bias"][self._rows(frame)]}
            self._coders[key] = PlanesCoder(
                PlaneNetwork(frame.planes, self._codings[kind].order, own), self._lent[kind], self._desk
            )
        return self._coders[key]

    def _rows(self, frame: FrameSymbols) -> list[int]:
        """Of its kind's plane_bias: those that its planes take, in order of first appearance."""
        roles = self._codings[frame.kind].roles
        return [roles.index(role) for role in dict.fromkeys(shape.role for shape in frame.planes)]


class _Lent:
    """Coders for those who decode at the same time: as many as there were at once."""

    def __init__(self, first: _Coders) -> None:
        self._first, self._free = first, [first]

    @contextmanager
    def coders(self) -> Iterator[_Coders]:
        try:
            found = self._free.pop()
        except IndexError:
            found = self._first.another()
        try:
            yield found
        finally:
            self._free.append(found)


def _joined(frames: Sequence[FrameSymbols], kind: str) -> tuple[PlaneShape, ...]:
    """All planes of a kind of frames; of their places nothing is asked."""
    return tuple(shape for frame in frames if frame.kind == kind for shape in frame.planes)


def _part(kind: str, network: Symbols) -> Symbols:
    """Tensors of a kind's network by their own names."""
    prefix = f"{kind}."
    return {name.removeprefix(prefix): value for name, value in network.items() if name.startswith(prefix)}
