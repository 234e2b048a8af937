"""What the sections of a segment hold: a field's structure, its quantizer, and its symbols, entropy-coded.

    config   the family's config dataclass, field by field; with the signal's size it determines every tensor (its specs)
    coding   for each group of weights, in order of first appearance: index of its step (varint), model (varint);
             for each group of grids: index of its step (varint);
             if there are grids: what the coding says of its network (NetworkShape, PlanePrecision or TensorPrecision), then
             the model of each group of its tensors: weights, biases (pyramid: coefficients of modes, weights, biases, or
             those of `entropy.codings.apart`; film: those of a network for each kind of frame (`fields.film.kind_of`) that
             has planes, in order of first appearance); then, of each chain of grids but the last (only films have several),
             the words of 32 bits of its payload (varint)
    weights  one range-coded payload: the weight groups' symbols, tensor by tensor, each in raster order, then the
             context network's groups
    grids    a range-coded payload for each chain, one after the other: the symbols of its grids, predicted by the network (family
             pyramid: `entropy.planes`, its network comes from the prior's, `entropy.codings.planes` or `apart`; film: frame by
             frame in coding order its motion by `entropy.merging`, then its planes as a pyramid's; other families:
             `entropy.context`)

model: 0 = all symbols are zero and none is coded; 1 + i = laplace(i); 1 + SCALES + i = gauss(i) (`entropy.tables`).
A parameter is offset + step(index) * symbol, the offset given by the family (pyramid: by the prior).

The symbols' CRC-32 covers the int32 little-endian symbols of weights, network and the first chain of grids in this order; those
of the other chains, each for itself, are added to it (exclusive or). So a decoder whose entropy models differ in the
slightest notices.
"""

from inrcodec.segment.coded import CodedField, grid_coding, grid_groups, grid_specs, weight_groups
from inrcodec.segment.read import LazySymbols, SegmentReader, decode_segment
from inrcodec.segment.symbols import choose_model, table_of
from inrcodec.segment.write import encode_segment, grid_bits

__all__ = [
    "CodedField",
    "LazySymbols",
    "SegmentReader",
    "choose_model",
    "decode_segment",
    "encode_segment",
    "grid_bits",
    "grid_coding",
    "grid_groups",
    "grid_specs",
    "table_of",
    "weight_groups",
]
