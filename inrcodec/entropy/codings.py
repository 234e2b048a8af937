"""How the symbols of a field's grids are coded: one interface over the two context models, for streams and for training.

A segment holds a context network as whole-number symbols; what these stand for, and the differentiable counterpart that
training uses, is the business of a coding. `Interlaced` serves grids of any dimension (`context`, `rate`), `Planes` pyramids
of pictures (`planes`, `planes_rate`), whose network starts from a prior, `Frames` films (`merging` and `planes`). Only what
training asks for loads PyTorch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from inrcodec.bytestream import Wired, uint
from inrcodec.entropy import context, merging, planes, tiles
from inrcodec.entropy.adaptive import Counts
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.fixed import UNIT, WEIGHT_LIMIT
from inrcodec.errors import StreamError
from inrcodec.passes import PlaneShape
from inrcodec.priors import MODE_UNIT, NETWORK_UNIT, Prior

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Symbols = dict[str, np.ndarray]
"""int32 by the name of a network's tensor."""
Rate = Callable[..., "Tensor"]
"""Bits of flat grid symbols (N,) under a network of float tensors, by name; differentiable in both."""


class GridCoding(ABC):
    """A context model of one field's grids. `shape` everywhere: an instance of `Shape`, what the stream says of a network."""

    Shape: ClassVar[type[Wired]]

    @abstractmethod
    def groups(self, shape: Wired) -> list[dict[str, tuple[int, ...]]]:
        """Shapes of the network's tensors by name, in coding order; each group is coded with a table of its own."""

    @abstractmethod
    def encode(self, shape: Wired, network: Symbols, grids: np.ndarray) -> list[bytes]:
        """A payload for each chain (`Field.chains`). `grids`: (N,) int32 of all grids in raster order, one after the other."""

    @abstractmethod
    def decode(self, decoders: Sequence[SymbolDecoder], shape: Wired, network: Symbols) -> list[Iterator[np.ndarray]]:
        """Of each chain, from its own decoder: flat int32, in parts where there is one to wait for: of a film frame by frame.
        Chains may be read in any order, also in turn, but one at a time."""

    @abstractmethod
    def cost_bits(self, shape: Wired, network: Symbols, grids: np.ndarray) -> float:
        """Ideal length of what `encode` writes."""


class TrainedCoding(GridCoding):
    """One whose network is trained together with the grids of the whole field."""

    @abstractmethod
    def initial(self, shape: Wired, generator: torch.Generator) -> dict[str, Tensor]:
        """A network of float tensors before training."""

    @abstractmethod
    def rate(self, device: torch.device) -> Rate:
        """The differentiable counterpart of `cost_bits`."""

    @abstractmethod
    def learning_rate(self, name: str) -> float:
        """Of Adam, for a tensor of the network."""

    @abstractmethod
    def quantizer(self, name: str, shape: Wired) -> Quantizer:
        """From a float tensor to its symbols and back."""

    def symbols(self, shape: Wired, network: dict[str, Tensor]) -> Symbols:
        """What the stream holds for a float network."""
        return {
            name: self.quantizer(name, shape).symbols(value.detach().cpu()).round().int().numpy()
            for name, value in network.items()
        }


@dataclass(frozen=True)
class Quantizer:
    """value = step · symbol; symbols are clamped to [low, high]."""

    step: float
    low: int
    high: int

    def symbols(self, values: Tensor) -> Tensor:
        """Not rounded."""
        return (values / self.step).clamp(self.low, self.high)

    def values(self, symbols: Tensor) -> Tensor:
        return symbols * self.step


class Interlaced(TrainedCoding):
    """`entropy.context`: any grids; weights are coded as they are."""

    Shape = context.NetworkShape

    def __init__(self, grids: tuple[context.Grid, ...]) -> None:
        self.contexts = context.contexts_of(grids)

    def groups(self, shape: context.NetworkShape) -> list[dict[str, tuple[int, ...]]]:
        shapes = shape.tensors(self.contexts)
        return _split(shapes, {"second_bias", "scale_bias"})

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


def _split(shapes: dict[str, tuple[int, ...]], biases: set[str]) -> list[dict[str, tuple[int, ...]]]:
    """Weights, then biases."""
    return [{name: size for name, size in shapes.items() if (name in biases) == last} for last in (False, True)]


MODES = "modes"
"""Name of the coefficients of a prior's modes, among a network's tensors."""
COEFFICIENT_UNIT = 128
"""One, in the whole numbers that they are coded as."""
COEFFICIENT_LIMIT = 2047
MODE_SHIFT = (COEFFICIENT_UNIT * MODE_UNIT // planes.WEIGHT_UNIT).bit_length() - 1
BIASES = {"kind_bias", "plane_bias", "second_bias"}


@dataclass(frozen=True)
class PlanePrecision(Wired):
    """A coded whole number d stands for d · 2^shift in the sum; shifts of weights and of biases."""

    weight_shift: int = uint(0, 5, default=0)
    bias_shift: int = uint(0, 5, default=0)


class Planes(TrainedCoding):
    """`entropy.planes`: a pyramid's planes. A tensor of the network is, in units of 1 / WEIGHT_UNIT and rounded half up,

    prior + [Σ_j coefficient_j mode_j / 2^MODE_SHIFT] + d · 2^shift, clamped to its limit,

    with the prior's whole numbers; the stream holds the coefficients, and d.
    """

    Shape = PlanePrecision

    def __init__(self, shapes: tuple[PlaneShape, ...], prior: Prior) -> None:
        self.shapes = shapes
        self.width = prior.network_width
        self.roles = list(dict.fromkeys(shape.role for shape in shapes))  # as `passes.bias_rows` counts them
        network = {name: value * (planes.WEIGHT_UNIT // NETWORK_UNIT) for name, value in prior.network.items()}
        self.prior = network | {"plane_bias": network["plane_bias"][self.roles]}
        self.modes = prior.modes | {"plane_bias": prior.modes["plane_bias"][:, self.roles]}

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return planes.network_tensors(self.width, len(self.prior["plane_bias"]))

    def groups(self, shape: PlanePrecision) -> list[dict[str, tuple[int, ...]]]:
        return [{MODES: (len(self.modes["second"]),)}, *_split(self._shapes, BIASES)]

    @staticmethod
    def _shift(name: str, shape: PlanePrecision) -> int:
        return shape.bias_shift if name in BIASES else shape.weight_shift

    def exact(self, shape: PlanePrecision, network: Symbols) -> dict[str, np.ndarray]:
        """The network's tensors in whole numbers, as `entropy.planes` takes them."""
        coefficients = network[MODES].astype(np.int64)
        if np.abs(coefficients).max(initial=0) > COEFFICIENT_LIMIT:
            raise StreamError(
                f"context network: a coefficient is {np.abs(coefficients).max()}, allowed are ±{COEFFICIENT_LIMIT}"
            )
        whole = {}
        for name in self._shapes:
            moved = np.tensordot(coefficients, self.modes[name].astype(np.int64), axes=1)
            moved = (moved + (1 << (MODE_SHIFT - 1))) >> MODE_SHIFT
            limit = planes.BIAS_LIMIT if name in BIASES else planes.WEIGHT_LIMIT
            tensor = self.prior[name] + moved + (network[name].astype(np.int64) << self._shift(name, shape))
            whole[name] = tensor.clip(-limit, limit).astype(np.int32)
        return whole

    def coder(self, shape: PlanePrecision, network: Symbols) -> planes.PlanesCoder:
        """Of all planes."""
        return planes.PlanesCoder(planes.PlaneNetwork(self.shapes, self.exact(shape, network)), tiles.initial_counts())

    def encode(self, shape, network, grids) -> list[bytes]:
        encoder = SymbolEncoder()
        self.coder(shape, network).encode(encoder, grids)
        return [encoder.getvalue()]

    def decode(self, decoders, shape, network) -> list[Iterator[np.ndarray]]:
        return [self._decoded(*decoders, shape, network)]

    def _decoded(self, decoder, shape, network) -> Iterator[np.ndarray]:
        coder = self.coder(shape, network)
        symbols = np.zeros(coder.size, np.int32)
        coder.decode(decoder, symbols)
        yield symbols

    def cost_bits(self, shape, network, grids) -> float:
        return self.coder(shape, network).cost_bits(grids)

    def initial(self, shape, generator) -> dict[str, Tensor]:
        """No coefficient, no difference."""
        import torch

        return {name: torch.zeros(size) for group in self.groups(shape) for name, size in group.items()}

    def rate(self, device) -> Rate:
        import torch

        from inrcodec.entropy.planes_rate import PlanesRate

        rate = PlanesRate(self.shapes)
        prior = {name: torch.from_numpy(self.prior[name]).to(device) / planes.WEIGHT_UNIT for name in self._shapes}
        modes = {name: torch.from_numpy(self.modes[name]).to(device) / MODE_UNIT for name in self._shapes}

        def bits(symbols: Tensor, network: dict[str, Tensor], tiles: Sequence[np.ndarray] = ()) -> Tensor:
            """tiles: of each plane, which are coded; none: all are."""
            summed = {
                name: prior[name] + torch.tensordot(network[MODES], modes[name], dims=1) + network[name]
                for name in self._shapes
            }
            return rate(symbols, summed, tiles)

        return bits

    def learning_rate(self, name) -> float:
        return 0.1 if name == MODES else 1e-2

    def quantizer(self, name, shape) -> Quantizer:
        if name == MODES:
            return Quantizer(1 / COEFFICIENT_UNIT, -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT)
        limit = planes.BIAS_LIMIT if name in BIASES else planes.WEIGHT_LIMIT
        return Quantizer(2 ** self._shift(name, shape) / planes.WEIGHT_UNIT, -limit, limit)


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
        coders = _Coders(self.planes, shape, network)
        return [self._decoded(chain, decoder, coders) for chain, decoder in zip(self._chains, decoders, strict=True)]

    @staticmethod
    def _decoded(chain: Sequence[FrameSymbols], decoder: SymbolDecoder, coders: _Coders) -> Iterator[np.ndarray]:
        learned = _Learned()
        for frame in chain:
            motion = frame.counts[0]
            symbols = np.zeros(sum(frame.counts), np.int32)
            if frame.motion:
                symbols[:motion] = merging.decode_vectors(decoder, frame.motion, learned.motion)
            if frame.planes:
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
    """Of the planes of frames, made when they are needed first. Each keeps as much as a frame's planes take, so all chains share
    them and lend them their counts."""

    def __init__(self, codings: dict[str, Planes], shape: PlanePrecision, network: Symbols) -> None:
        self._codings = codings
        self._tensors = {kind: coding.exact(shape, _part(kind, network)) for kind, coding in codings.items()}
        self._lent = {kind: tiles.initial_counts() for kind in codings}
        self._coders: dict[tuple[str, tuple[PlaneShape, ...]], planes.PlanesCoder] = {}

    def of(self, frame: FrameSymbols, learned: _Learned) -> planes.PlanesCoder:
        """A frame's, until one is asked for another frame."""
        kind, key = frame.kind, (frame.kind, frame.planes)
        self._lent[kind].counts = learned.tiles.setdefault(kind, tiles.initial_counts()).counts
        if key not in self._coders:
            own = self._tensors[kind] | {"plane_bias": self._tensors[kind]["plane_bias"][self._rows(frame)]}
            self._coders[key] = planes.PlanesCoder(planes.PlaneNetwork(frame.planes, own), self._lent[kind])
        return self._coders[key]

    def _rows(self, frame: FrameSymbols) -> list[int]:
        """Of its kind's plane_bias: those that its planes take, in order of first appearance."""
        roles = self._codings[frame.kind].roles
        return [roles.index(role) for role in dict.fromkeys(shape.role for shape in frame.planes)]


def _joined(frames: Sequence[FrameSymbols], kind: str) -> tuple[PlaneShape, ...]:
    """All planes of a kind of frames; of their places nothing is asked."""
    return tuple(shape for frame in frames if frame.kind == kind for shape in frame.planes)


def _part(kind: str, network: Symbols) -> Symbols:
    """Tensors of a kind's network by their own names."""
    prefix = f"{kind}."
    return {name.removeprefix(prefix): value for name, value in network.items() if name.startswith(prefix)}
