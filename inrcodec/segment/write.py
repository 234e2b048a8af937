"""From a quantized field to a segment."""

from __future__ import annotations

from functools import reduce
from operator import xor

import numpy as np

from inrcodec.bitstream import RawSegment, SegmentHeader
from inrcodec.bytestream import Writer
from inrcodec.entropy.coder import WORD_BYTES, SymbolEncoder
from inrcodec.entropy.codings import GridCoding
from inrcodec.segment.coded import CodedField, grid_coding, grid_groups, grid_specs, weight_groups
from inrcodec.segment.symbols import joined, symbols_crc, write_group


def encode_segment(coded: CodedField, first_frame: int = 0, ticks: tuple[int, ...] | None = None) -> RawSegment:
    """Entropy-codes a quantized field. `ticks`: time of each frame, where frames are not equally spaced."""
    field, config, coding, weights = coded.field, Writer(), Writer(), SymbolEncoder()
    field.config.write(config)
    symbols = _write_weights(coded, weights, coding)
    chains, payloads = [], []
    grid_model = grid_coding(field)
    if grid_model:
        symbols += _write_network(coded, grid_model, weights, coding)
        chains = [joined([coded.symbols[spec.name] for spec in chain]) for chain in field.chains()]
        payloads = grid_model.encode(coded.network_shape, coded.network, np.concatenate(chains))
        for payload in payloads[:-1]:
            coding.uvarint(len(payload) // WORD_BYTES)
    checksum = reduce(xor, (symbols_crc([chain]) for chain in chains[1:]), symbols_crc(symbols + chains[:1]))
    sections = (config.getvalue(), coding.getvalue(), weights.getvalue(), b"".join(payloads))
    lengths = [len(section) for section in sections]
    header = SegmentHeader(
        first_frame, field.shape[0], ticks is not None, field.family, field.parameter_count, *lengths
    )
    return RawSegment(header, ticks, checksum, *sections)


def _write_weights(coded: CodedField, encoder: SymbolEncoder, coding: Writer) -> list[np.ndarray]:
    """Gives the symbols, group by group."""
    parts = []
    for group, specs in weight_groups(coded.field).items():
        coding.uvarint(coded.steps[group])
        parts.append(write_group(encoder, coding, [coded.symbols[spec.name] for spec in specs]))
    return parts


def _write_network(
    coded: CodedField, grid_model: GridCoding, encoder: SymbolEncoder, coding: Writer
) -> list[np.ndarray]:
    """Steps of the grids, network_shape and network; gives the symbols of the network, group by group."""
    for group in grid_groups(coded.field):
        coding.uvarint(coded.steps[group])
    coded.network_shape.write(coding)
    groups = grid_model.groups(coded.network_shape)
    return [write_group(encoder, coding, [coded.network[name] for name in names]) for names in groups]


def grid_bits(coded: CodedField) -> float:
    """Ideal length of the grids' payload."""
    grids = joined([coded.symbols[spec.name] for spec in grid_specs(coded.field)])
    return grid_coding(coded.field).cost_bits(coded.network_shape, coded.network, grids)
