"""From a segment to a quantized field, at once or as far as it is asked for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cached_property, reduce
from operator import xor
from typing import TYPE_CHECKING

import numpy as np

from inrcodec.bitstream import RawSegment
from inrcodec.bytestream import Reader
from inrcodec.entropy.coder import WORD_BYTES, SymbolDecoder
from inrcodec.entropy.codings import GridCoding
from inrcodec.errors import StreamError, UsageError
from inrcodec.fields import FAMILIES, Field, TensorSpec
from inrcodec.fields.base import Coded, ScaledSymbols
from inrcodec.segment.coded import CodedField, grid_coding, grid_groups, weight_groups
from inrcodec.segment.symbols import cut, narrow, read_group, symbols_crc
from inrcodec.signal.info import SignalInfo
from inrcodec.steps import MAX_STEP_INDEX, step_of

if TYPE_CHECKING:
    import torch


def decode_segment(raw: RawSegment, info: SignalInfo, place: str = "segment") -> CodedField:
    """The quantized field that a segment holds; every count, bound and checksum is verified."""
    return SegmentReader(raw, info, place).coded()


class _Chain:
    """Symbols of some grids while they are decoded, part by part. checksum: of what comes before them."""

    def __init__(
        self, specs: list[TensorSpec], decoder: SymbolDecoder, parts: Iterator[np.ndarray], checksum: int
    ) -> None:
        self._awaited, self._decoder, self._parts, self.checksum = deque(specs), decoder, parts, checksum
        self.lock = threading.Lock()  # while a part is decoded
        self.failure: StreamError | None = None

    @property
    def ended(self) -> bool:
        return not self._awaited

    def part(self) -> dict[str, np.ndarray]:
        """The next one, by tensor."""
        flat, found, start = next(self._parts), {}, 0
        while start < len(flat):
            spec = self._awaited.popleft()
            stop = start + spec.count
            found[spec.name], self.checksum = narrow(flat[start:stop].reshape(spec.shape), self.checksum)
            start = stop
        if self.ended:
            self._decoder.end()
        return found


class SegmentReader:
    """A segment while it is decoded: weights and networks at once, grids when they are asked for, each chain up to where the grid
    lies in it. Counts and bounds are verified on the way, checksums of symbols when the last chain ends.
    It may be asked by several threads, which decode several chains side by side. Raises StreamError."""

    def __init__(self, raw: RawSegment, info: SignalInfo, place: str = "segment") -> None:
        self.field = _field_of(raw, info, place)
        self._place, self._symbols_crc = place, raw.symbols_crc
        self._lock = threading.Lock()  # while what was found is added
        self._symbols: dict[str, np.ndarray] = {}
        self._specs = {spec.name: spec for spec in self.field.specs()}
        self._coded = CodedField(self.field, {}, {})
        self._specs_of_chains = self.field.chains()
        self._chains = self._open(raw)
        self._open_chains, self._symbol_bytes = len(self._chains), _bytes_of(self._symbols)
        self._chain_of = {spec.name: number for number, specs in enumerate(self._specs_of_chains) for spec in specs}

    def symbols(self, name: str) -> np.ndarray:
        """Of a tensor, whole numbers shaped as its spec."""
        while name not in self._symbols:
            self._advance(self._chains[self._chain_of[name]], name)
        return self._symbols[name]

    def read_chain(self, index: int) -> Iterator[None]:
        """The rest of a chain, part by part."""
        for spec in self._specs_of_chains[index]:
            self.symbols(spec.name)
            yield

    @cached_property
    def chains_of_frames(self) -> list[int]:
        """By frame, which chain holds its grids; of a field that unfolds."""
        return [self._chain_of[self.field.frame_grids(frame)[0].name] for frame in range(self.field.shape[0])]

    def _advance(self, chain: _Chain, wanted: str) -> None:
        """Decodes another part of a chain, unless what is wanted is there by now."""
        with chain.lock:
            if chain.failure:
                raise chain.failure
            if wanted in self._symbols:
                return
            try:
                self._add(chain.part(), chain.ended)
            except StreamError as error:
                chain.failure = error
                raise

    def _add(self, part: Mapping[str, np.ndarray], last: bool) -> None:
        """What was found; last: of its chain."""
        with self._lock:
            self._open_chains -= last
            if last and not self._open_chains:
                self._check(reduce(xor, (one.checksum for one in self._chains)))
            self._symbols |= part
            self._symbol_bytes += _bytes_of(part)

    def _check(self, checksum: int) -> None:
        if checksum != self._symbols_crc:
            raise StreamError(f"{self._place}: decoded symbols do not match their checksum")

    def coded(self) -> CodedField:
        """All of it, as int32."""
        self._coded.symbols = {name: self.symbols(name).astype(np.int32) for name in self._specs}
        return self._coded

    def scaled(self, name: str) -> ScaledSymbols:
        """Of a grid, in as few bytes as its symbols take."""
        return ScaledSymbols(self.symbols(name), step_of(self._coded.steps[self._specs[name].group]))

    @property
    def kept_bytes(self) -> int:
        """Of the symbols so far."""
        return self._symbol_bytes

    def _open(self, raw: RawSegment) -> list[_Chain]:
        """Reads weights and network; gives the chains of grids."""
        field, place, checksum = self.field, self._place, 0
        reader = Reader(raw.coding, f"{place}, coding")
        decoder = SymbolDecoder(raw.weights, f"{place}, weights")
        for group, specs in weight_groups(field).items():
            self._coded.steps[group] = reader.bounded(f"step of {group}", 0, MAX_STEP_INDEX)
            shapes = [spec.shape for spec in specs]
            symbols = read_group(decoder, reader, shapes)
            for spec, own in zip(specs, cut(symbols, shapes)):
                self._symbols[spec.name], checksum = narrow(own, checksum)
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
        checksum = symbols_crc(_read_network(coded, grid_model, weights, reader), checksum)
        specs = self._specs_of_chains
        decoders = [SymbolDecoder(part, f"{place}, grids") for part in _cut_payload(payload, len(specs), reader)]
        parts = grid_model.decode(decoders, coded.network_shape, coded.network)
        checksums = [checksum] + [0] * (len(specs) - 1)
        return [_Chain(*chain) for chain in zip(specs, decoders, parts, checksums, strict=True)]


class LazySymbols(Coded):
    """Of a segment that holds nothing but grids, decoded when they are asked for."""

    def __init__(self, reader: SegmentReader, device: torch.device | None = None) -> None:
        self._reader, self.device = reader, device

    def __getitem__(self, name: str) -> ScaledSymbols:
        return self._reader.scaled(name)

    def __iter__(self) -> Iterator[str]:
        return (spec.name for spec in self._reader.field.specs())

    def __len__(self) -> int:
        return len(self._reader.field.specs())


def _cut_payload(payload: bytes, chains: int, reader: Reader) -> list[bytes]:
    """Of each chain; `reader` has their lengths."""
    parts = []
    for _ in range(chains - 1):
        stop = WORD_BYTES * reader.bounded("words of a chain", 0, len(payload) // WORD_BYTES)
        parts.append(payload[:stop])
        payload = payload[stop:]
    return [*parts, payload]


def _bytes_of(symbols: Mapping[str, np.ndarray]) -> int:
    return sum(one.nbytes if any(one.strides) else 0 for one in symbols.values())


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


def _read_network(
    coded: CodedField, grid_model: GridCoding, decoder: SymbolDecoder, reader: Reader
) -> list[np.ndarray]:
    """Sets the grids' steps, network_shape and network; gives the symbols of the network, group by group."""
    for group in grid_groups(coded.field):
        coded.steps[group] = reader.bounded(f"step of {group}", 0, MAX_STEP_INDEX)
    coded.network_shape = grid_model.Shape.read(reader)
    parts = []
    for shapes in grid_model.groups(coded.network_shape):
        parts.append(read_group(decoder, reader, list(shapes.values())))
        coded.network |= zip(shapes, cut(parts[-1], list(shapes.values())))
    return parts
