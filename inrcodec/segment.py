"""What the sections of a segment hold: a field's structure, its quantizer, and its symbols, entropy-coded.

    config   the family's config dataclass, field by field; with the signal's size it determines every tensor (its specs)
    coding   for each group of weights, in order of first appearance: index of its step (varint), model (varint);
             for each group of grids: index of its step (varint);
             if there are grids: what the coding says of its network (NetworkShape or PlanePrecision), then the model of
             each group of its tensors: weights, biases (pyramid: coefficients of modes, weights, biases; film:
             those of a network for each kind of frame (`fields.film.kind_of`) that has planes, in order of first
             appearance); then, of each chain of grids but the last (only films have several), the words of 32 bits of
             its payload (varint)
    weights  one range-coded payload: the weight groups' symbols, tensor by tensor, each in raster order, then the
             context network's groups
    grids    a range-coded payload for each chain, one after the other: the symbols of its grids, predicted by the network (family
             pyramid: `entropy.planes`, its network comes from the prior's, `entropy.codings.planes`; film: frame by frame in
             coding order its motion by `entropy.merging`, then its planes as a pyramid's; other families: `entropy.context`)

model: 0 = all symbols are zero and none is coded; 1 + i = laplace(i); 1 + SCALES + i = gauss(i) (`entropy.tables`).
A parameter is offset + step(index) * symbol, the offset given by the family (pyramid: by the prior).

The symbols' CRC-32 covers the int32 little-endian symbols of weights, network and the first chain of grids in this order; those
of the other chains, each for itself, are added to it (exclusive or). So a decoder whose entropy models differ in the
slightest notices.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.bitstream import RawSegment, SegmentHeader
from inrcodec.bytestream import Reader, Wired, Writer, crc32
from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.codings import GridCoding, Interlaced, Planes
from inrcodec.entropy.context import Grid, NetworkShape
from inrcodec.entropy.tables import MAX_SYMBOL, SCALES, Table, gauss, laplace
from inrcodec.errors import StreamError, UsageError
from inrcodec.fields import FAMILIES, Arrays, Field, Film, Parameters, Pyramid, TensorSpec
from inrcodec.signal.info import SignalInfo
from inrcodec.steps import MAX_STEP_INDEX, step_of

if TYPE_CHECKING:
    import torch

ZERO_MODEL = 0
WORD_BYTES = 4
"""Payloads are whole words."""


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
            spec.name: spec.values(self.symbols[spec.name].astype(np.float32), step_of(self.steps[spec.group]))
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
        return Planes(field.planes, field.prior)
    if isinstance(field, Film):
        return field.coding
    specs = grid_specs(field)
    index = {spec.name: position for position, spec in enumerate(specs)}
    return Interlaced(tuple(Grid(spec.shape, index.get(spec.parent)) for spec in specs)) if specs else None


# -- models of weight groups -------------------------------------------------------------------------------------------


def table_of(model: int) -> Table | None:
    """The table that a model number names; None for the model of zeros."""
    if model == ZERO_MODEL:
        return None
    return laplace(model - 1) if model <= SCALES else gauss(model - 1 - SCALES)


def choose_model(symbols: np.ndarray) -> int:
    """The model with the shortest code for integer `symbols`, of all there are."""
    values, counts = np.unique(symbols, return_counts=True)
    if not values.any():
        return ZERO_MODEL
    return min(range(1, 2 * SCALES + 1), key=lambda model: float(counts @ table_of(model).symbol_bits(values)))


def _encode_group(encoder: SymbolEncoder, symbols: np.ndarray, model: int) -> None:
    if model != ZERO_MODEL:
        encoder.run(symbols, table_of(model))


def _decode_group(decoder: SymbolDecoder, count: int, model: int) -> np.ndarray:
    if model == ZERO_MODEL:
        return np.zeros(count, dtype=np.int32)
    symbols = decoder.run(count, table_of(model))
    if count and np.abs(symbols).max() > MAX_SYMBOL:
        raise StreamError(f"{decoder.place}: a symbol is {np.abs(symbols).max()}, allowed are ±{MAX_SYMBOL}")
    return symbols


def _joined(tensors: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([tensor.ravel() for tensor in tensors])


def _cut(symbols: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    ends = np.cumsum([int(np.prod(shape, dtype=np.int64)) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(symbols, ends), shapes)]


# -- writing -----------------------------------------------------------------------------------------------------------


def encode_segment(coded: CodedField, first_frame: int = 0, ticks: tuple[int, ...] | None = None) -> RawSegment:
    """Entropy-codes a quantized field. `ticks`: time of each frame, where frames are not equally spaced."""
    field, coding, encoder = coded.field, Writer(), SymbolEncoder()
    everything, chains = [], []
    for group, specs in weight_groups(field).items():
        coding.uvarint(coded.steps[group])
        everything.append(_write_group(encoder, coding, [coded.symbols[spec.name] for spec in specs]))
    grids = b""
    specs = grid_specs(field)
    if specs:
        for group in grid_groups(field):
            coding.uvarint(coded.steps[group])
        coded.network_shape.write(coding)
        grid_model = grid_coding(field)
        for names in grid_model.groups(coded.network_shape):
            everything.append(_write_group(encoder, coding, [coded.network[name] for name in names]))
        chains = [_joined([coded.symbols[spec.name] for spec in chain]) for chain in field.chains()]
        payloads = grid_model.encode(coded.network_shape, coded.network, np.concatenate(chains))
        for payload in payloads[:-1]:
            coding.uvarint(len(payload) // WORD_BYTES)
        grids = b"".join(payloads)
        everything.append(chains[0])
    checksum = reduce(xor, (_symbols_crc([chain]) for chain in chains[1:]), _symbols_crc(everything))
    config = Writer()
    field.config.write(config)
    sections = (config.getvalue(), coding.getvalue(), encoder.getvalue(), grids)
    lengths = [len(section) for section in sections]
    header = SegmentHeader(
        first_frame, field.shape[0], ticks is not None, field.family, field.parameter_count, *lengths
    )
    return RawSegment(header, ticks, checksum, *sections)


def _write_group(encoder: SymbolEncoder, coding: Writer, tensors: list[np.ndarray]) -> np.ndarray:
    symbols = _joined(tensors)
    model = choose_model(symbols)
    coding.uvarint(model)
    _encode_group(encoder, symbols, model)
    return symbols


def grid_bits(coded: CodedField) -> float:
    """Ideal length of the grids' payload."""
    grids = _joined([coded.symbols[spec.name] for spec in grid_specs(coded.field)])
    return grid_coding(coded.field).cost_bits(coded.network_shape, coded.network, grids)


def _symbols_crc(parts: list[np.ndarray], checksum: int = 0) -> int:
    """Part by part: the symbols of a large segment are not copied for it. checksum: of those before."""
    for part in parts:
        checksum = crc32(part.astype("<i4", copy=False).data, checksum)
    return checksum


# -- reading -----------------------------------------------------------------------------------------------------------


def decode_segment(raw: RawSegment, info: SignalInfo, place: str = "segment") -> CodedField:
    """The quantized field that a segment holds; every count, bound and checksum is verified."""
    return SegmentReader(raw, info, place).coded()


class _Chain:
    """Symbols of some grids while they are decoded, part by part. checksum: of what comes before them."""

    def __init__(
        self, specs: list[TensorSpec], decoder: SymbolDecoder, parts: Iterator[np.ndarray], checksum: int
    ) -> None:
        self._awaited, self._decoder, self._parts, self.checksum = deque(specs), decoder, parts, checksum
        self.failure: StreamError | None = None

    @property
    def ended(self) -> bool:
        return not self._awaited

    def part(self) -> dict[str, np.ndarray]:
        """The next one, by tensor."""
        flat, found, start = next(self._parts), {}, 0
        self.checksum = _symbols_crc([flat], self.checksum)
        while start < len(flat):
            spec = self._awaited.popleft()
            stop = start + math.prod(spec.shape)
            found[spec.name] = flat[start:stop].reshape(spec.shape)
            start = stop
        if self.ended:
            self._decoder.end()
        return found


class SegmentReader:
    """A segment while it is decoded: weights and networks at once, grids when they are asked for, each chain up to where the grid
    lies in it. Counts and bounds are verified on the way, checksums of symbols when the last chain ends.
    It may be asked by several threads. Raises StreamError."""

    def __init__(self, raw: RawSegment, info: SignalInfo, place: str = "segment") -> None:
        self.field = _field_of(raw, info, place)
        self._place, self._symbols_crc = place, raw.symbols_crc
        self._lock = threading.Lock()
        self._symbols: dict[str, np.ndarray] = {}
        self._specs = {spec.name: spec for spec in self.field.specs()}
        self._coded = CodedField(self.field, {}, {})
        self._chains = self._open(raw)
        self._chain_of = {spec.name: chain for specs, chain in zip(self.field.chains(), self._chains) for spec in specs}

    def symbols(self, name: str) -> np.ndarray:
        """Of a tensor, whole numbers shaped as its spec."""
        while name not in self._symbols:
            self._advance(self._chain_of[name], name)
        return self._symbols[name]

    def _advance(self, chain: _Chain, wanted: str) -> None:
        """Decodes another part of a chain, unless what is wanted is there by now."""
        with self._lock:
            if chain.failure:
                raise chain.failure
            if wanted in self._symbols:
                return
            try:
                part = chain.part()
                if all(one.ended for one in self._chains):
                    self._check(reduce(xor, (one.checksum for one in self._chains)))
            except StreamError as error:
                chain.failure = error
                raise
            self._symbols |= {name: _narrow(symbols) for name, symbols in part.items()}

    def _check(self, checksum: int) -> None:
        if checksum != self._symbols_crc:
            raise StreamError(f"{self._place}: decoded symbols do not match their checksum")

    def coded(self) -> CodedField:
        """All of it, as int32."""
        self._coded.symbols = {name: self.symbols(name).astype(np.int32) for name in self._specs}
        return self._coded

    def parameters(self, name: str) -> np.ndarray:
        """Dequantized, float32."""
        spec, symbols = self._specs[name], self.symbols(name)
        if not any(symbols.strides):
            symbols = np.zeros(1, np.float32)
        values = spec.values(symbols.astype(np.float32), step_of(self._coded.steps[spec.group]))
        return np.broadcast_to(values, spec.shape)

    @property
    def kept_bytes(self) -> int:
        """Of the symbols so far."""
        return sum(value.nbytes if any(value.strides) else 0 for value in list(self._symbols.values()))

    def _open(self, raw: RawSegment) -> list[_Chain]:
        """Reads weights and network; gives the chains of grids."""
        field, place, checksum = self.field, self._place, 0
        reader = Reader(raw.coding, f"{place}, coding")
        decoder = SymbolDecoder(raw.weights, f"{place}, weights")
        for group, specs in weight_groups(field).items():
            self._coded.steps[group] = reader.bounded(f"step of {group}", 0, MAX_STEP_INDEX)
            shapes = [spec.shape for spec in specs]
            symbols = _read_group(decoder, reader, shapes)
            checksum = _symbols_crc([symbols], checksum)
            self._symbols |= zip([spec.name for spec in specs], map(_narrow, _cut(symbols, shapes)))
        chains = self._open_grids(raw.grids, reader, decoder, checksum)
        decoder.end()
        reader.end()
        if not chains:
            self._check(checksum)
        return chains

    def _open_grids(self, payload: bytes, reader: Reader, weights: SymbolDecoder, checksum: int) -> list[_Chain]:
        coded, place, grid_model = self._coded, self._place, grid_coding(self.field)
        if grid_model is None:
            if payload:
                raise StreamError(f"{place}: {len(payload)} bytes of grids for a field without grids")
            return []
        for group in grid_groups(self.field):
            coded.steps[group] = reader.bounded(f"step of {group}", 0, MAX_STEP_INDEX)
        checksum = _symbols_crc(_read_network(coded, grid_model, weights, reader), checksum)
        specs = self.field.chains()
        decoders = [SymbolDecoder(part, f"{place}, grids") for part in _cut_payload(payload, len(specs), reader)]
        parts = grid_model.decode(decoders, coded.network_shape, coded.network)
        checksums = [checksum] + [0] * (len(specs) - 1)
        return [_Chain(*chain) for chain in zip(specs, decoders, parts, checksums, strict=True)]


def _cut_payload(payload: bytes, chains: int, reader: Reader) -> list[bytes]:
    """Of each chain; `reader` has their lengths."""
    parts = []
    for _ in range(chains - 1):
        stop = WORD_BYTES * reader.bounded("words of a chain", 0, len(payload) // WORD_BYTES)
        parts.append(payload[:stop])
        payload = payload[stop:]
    return [*parts, payload]


def _narrow(symbols: np.ndarray) -> np.ndarray:
    """The same numbers in as few bytes as they take; zeros take none."""
    largest = max(int(symbols.max(initial=0)), -int(symbols.min(initial=0)))
    if not largest:
        return np.broadcast_to(np.int8(0), symbols.shape)
    return symbols.astype(next(kind for kind in (np.int8, np.int16, np.int32) if largest <= np.iinfo(kind).max))


class LazyArrays(Mapping):
    """A segment's parameters by name, dequantized whenever they are asked for: float32."""

    def __init__(self, reader: SegmentReader) -> None:
        self._reader = reader

    def __getitem__(self, name: str) -> np.ndarray:
        return self._reader.parameters(name)

    def __iter__(self) -> Iterator[str]:
        return (spec.name for spec in self._reader.field.specs())

    def __len__(self) -> int:
        return len(self._reader.field.specs())


def _field_of(raw: RawSegment, info: SignalInfo, place: str) -> Field:
    family = FAMILIES[raw.header.family]
    reader = Reader(raw.config, f"{place}, config")
    config = family.Config.read(reader)
    reader.end()
    try:
        field = family(config, (raw.header.frames, info.height, info.width, info.channels))
    except UsageError as error:
        raise StreamError(f"{place}: {error}") from None
    if field.parameter_count != raw.header.parameters:
        raise StreamError(
            f"{place}: {raw.header.parameters} parameters said, {field.parameter_count} follow from config"
        )
    return field


def _read_group(decoder: SymbolDecoder, reader: Reader, shapes: list[tuple[int, ...]]) -> np.ndarray:
    model = reader.bounded("model", 0, 2 * SCALES)
    return _decode_group(decoder, sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes), model)


def _read_network(coded: CodedField, coding: GridCoding, decoder: SymbolDecoder, reader: Reader) -> list[np.ndarray]:
    """Sets network and network_shape; gives the symbols, group by group."""
    coded.network_shape = coding.Shape.read(reader)
    parts = []
    for shapes in coding.groups(coded.network_shape):
        parts.append(_read_group(decoder, reader, list(shapes.values())))
        coded.network |= zip(shapes, _cut(parts[-1], list(shapes.values())))
    return parts
