"""What a segment holds comes back exactly; what it cannot hold is refused."""

import dataclasses

import constriction
import numpy as np
import pytest
from streams import image_info, random_coded, video_info, with_section

import inrcodec.segment.read
from inrcodec.bitstream import RawSegment
from inrcodec.bytestream import Writer
from inrcodec.entropy.coder import SymbolEncoder
from inrcodec.entropy.tables import SCALES, gauss, laplace
from inrcodec.errors import StreamError
from inrcodec.fields.hashgrid import HashGridConfig
from inrcodec.segment import CodedField, choose_model, decode_segment, encode_segment, table_of
from inrcodec.signal.info import SignalInfo

FAMILIES = ("siren", "coordx", "asmr", "hashgrid", "pyramid", "film")
IMAGE, VIDEO = image_info(9, 13), video_info(5, 8, 7)
JOINT = HashGridConfig("joint", (2, 1), (16, 16, 16), (32, 32, 32), 16, "linear", 4, 1)
HASHED = dataclasses.replace(JOINT, table_log2=5)


def coded_for(info: SignalInfo, family: str, seed: int = 0, config=None) -> CodedField:
    return random_coded(family, (info.frames, info.height, info.width, info.channels), seed, config)


def same(one: CodedField, other: CodedField) -> None:
    assert type(one.field) is type(other.field)
    assert (one.field.config, one.field.shape) == (other.field.config, other.field.shape)
    assert (one.steps, one.network_shape) == (other.steps, other.network_shape)
    for mine, yours in ((one.symbols, other.symbols), (one.network, other.network)):
        assert mine.keys() == yours.keys()
        assert all(np.array_equal(mine[name], yours[name]) for name in mine)


INFOS = [IMAGE, image_info(1, 1), image_info(5, 3, "graya"), VIDEO]


@pytest.mark.parametrize(
    "family, info", [(family, info) for family in FAMILIES for info in INFOS[: 3 if family == "pyramid" else 4]]
)
def test_every_family_comes_back(family, info):
    coded = coded_for(info, family, seed=3)
    back = decode_segment(encode_segment(coded), info)
    same(coded, back)
    assert all(symbols.dtype == np.int32 for symbols in back.symbols.values())


@pytest.mark.parametrize("config", [JOINT, HASHED], ids=["dense", "hashed"])
@pytest.mark.parametrize("info", [IMAGE, VIDEO])
def test_joint_grids_come_back(config, info):
    coded = coded_for(info, "hashgrid", config=config)
    kinds = {spec.kind for spec in coded.field.specs() if spec.name.startswith("grid1")}
    assert kinds == {"weight" if config is HASHED else "grid"}
    same(coded, decode_segment(encode_segment(coded), info))


@pytest.mark.parametrize("family", ["siren", "hashgrid"])
def test_any_symbols_come_back(family):
    """Zeros, single outliers, symbols beyond every table, the extreme steps."""
    coded = coded_for(IMAGE, family)
    for index, symbols in enumerate(coded.symbols.values()):
        symbols[:] = 0
        if index % 3:
            symbols.flat[-1] = (-1) ** index * (70_000 if index % 3 == 2 else 1)
    coded.steps = {group: 255 * (index % 2) for index, group in enumerate(coded.steps)}
    same(coded, decode_segment(encode_segment(coded), IMAGE))


def test_groups_without_symbols_cost_their_step_and_model_only():
    coded = coded_for(IMAGE, "siren")
    for symbols in coded.symbols.values():
        symbols[:] = 0
    raw = encode_segment(coded)
    assert raw.weights == b""
    groups = {spec.group for spec in coded.field.specs()}
    assert len(raw.coding) == sum(2 if coded.steps[group] < 128 else 3 for group in groups)


def test_parameters_are_offset_plus_step_times_symbol():
    """step(index) = 2^((index - 128) / 8); the planes of time of the split grid have the offset 1."""
    coded = coded_for(VIDEO, "hashgrid")
    coded.steps = {group: 104 for group in coded.steps}  # 2^-3
    offsets = {spec.name: spec.offset for spec in coded.field.specs()}
    assert {name for name, offset in offsets.items() if offset} == {"grid0.ty", "grid0.tx", "grid1.ty", "grid1.tx"}
    for name, values in coded.parameters().items():
        assert np.array_equal(values.numpy(), coded.symbols[name] / 8 + (1 if ".t" in name else 0))


# -- choice of models --------------------------------------------------------------------------------------------------


def real_bytes(symbols: np.ndarray, model: int) -> int:
    encoder = SymbolEncoder()
    encoder.run(symbols, table_of(model))
    return len(encoder.getvalue())


def distributions():
    random = np.random.default_rng(7)
    yield from (np.rint(random.laplace(0, scale, 700)) for scale in (0.1, 0.4, 3, 40, 500))
    yield from (np.rint(random.normal(0, scale, 700)) for scale in (0.4, 3, 40))
    yield random.random(4000) < 0.003
    yield np.where(random.random(2000) < 0.005, 5000, 0)
    yield np.where(random.random(2000) < 0.1, np.rint(random.laplace(0, 60, 2000)), 0)
    yield random.integers(-200, 200, 500)
    yield np.full(40, 100_000)
    yield np.array([-1])


@pytest.mark.parametrize("symbols", list(distributions()))
def test_the_chosen_model_makes_the_smallest_payload(symbols):
    """Against all models, by what the coder really writes, to a word of the range coder."""
    symbols = symbols.astype(np.int32)
    chosen = choose_model(symbols)
    best = min(real_bytes(symbols, model) for model in range(1, 2 * SCALES + 1))
    assert real_bytes(symbols, chosen) <= best + 4
    assert real_bytes(symbols, chosen) <= 1.02 * best or best < 200


@pytest.mark.parametrize("table", [laplace(0), laplace(25, -2), laplace(47, 1), gauss(30)])
def test_entries_are_coded_with_their_counts_exactly(table):
    """A run of n equal entries costs n * log2(2^24 / count) bits, to a word or two of the coder."""
    assert table.counts.sum() == 1 << 24
    for entry in range(0, len(table.counts), max(1, len(table.counts) // 20)):
        coder = constriction.stream.queue.RangeEncoder()
        coder.encode(np.full(10_000, entry, np.int32), table.model)
        ideal = 10_000 * np.log2((1 << 24) / table.counts[entry])
        assert abs(32 * len(coder.get_compressed()) - ideal) <= 64


@pytest.mark.parametrize("model", [1, 20, SCALES + 30])
def test_the_estimated_cost_is_the_real_one(model):
    """With symbols inside and beyond of the table's reach; the range coder rounds up to words."""
    symbols = np.rint(np.random.default_rng(5).laplace(0, 300, 1000)).astype(np.int32)
    bits = table_of(model).cost_bits(symbols)
    assert np.isclose(table_of(model).symbol_bits(symbols).sum(), bits)
    assert abs(real_bytes(symbols, model) - bits / 8) <= 8


def test_only_zeros_need_no_model():
    assert choose_model(np.zeros(10, np.int32)) == 0
    assert table_of(0) is None


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_another_checksum_of_symbols_is_refused(family):
    raw = encode_segment(coded_for(IMAGE, family))
    with pytest.raises(StreamError, match="segment 9.*checksum"):
        decode_segment(dataclasses.replace(raw, symbols_crc=raw.symbols_crc ^ 1), IMAGE, "segment 9")


@pytest.mark.parametrize("section", ["config", "coding", "weights", "grids"])
def test_a_changed_section_is_never_taken_for_the_original(section):
    """Bytes changed behind the checksum of the chunk: another value, or a StreamError, nothing else."""
    coded = coded_for(IMAGE, "hashgrid")
    raw = encode_segment(coded)
    data = getattr(raw, section)
    random = np.random.default_rng(1)
    refused = 0
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= int(random.integers(1, 256))
        try:
            back = decode_segment(with_section(raw, **{section: bytes(changed)}), IMAGE)
        except StreamError:
            refused += 1
        else:  # the same symbols by another step, another model or another kernel
            assert section in ("config", "coding")
            assert all(np.array_equal(back.symbols[name], coded.symbols[name]) for name in coded.symbols)
    assert refused >= len(data) // 2


@pytest.mark.parametrize("family", ["coordx", "hashgrid"])
@pytest.mark.parametrize("section", ["config", "coding", "weights", "grids"])
def test_sections_of_another_length_are_refused(family, section):
    raw = encode_segment(coded_for(IMAGE, family))
    data = getattr(raw, section)
    cuts = {0, len(data) // 8 * 4, len(data) - 1} if data else ()
    for changed in (data + b"\1", data + bytes(8), *(data[:length] for length in cuts)):
        with pytest.raises(StreamError):
            decode_segment(with_section(raw, **{section: changed}), IMAGE)


def changed_config(config) -> RawSegment:
    """A segment that claims another structure than its symbols were coded for."""
    writer = Writer()
    config.write(writer)
    return with_section(encode_segment(coded_for(IMAGE, "hashgrid")), config=writer.getvalue())


def test_a_config_of_other_size_is_refused_before_a_symbol_is_read(monkeypatch):
    monkeypatch.setattr(inrcodec.segment.read, "SymbolDecoder", lambda *_: pytest.fail("read on"))
    with pytest.raises(StreamError, match="parameters said"):
        decode_segment(changed_config(JOINT), IMAGE)


@pytest.mark.parametrize(
    "changes, place",
    [
        ({"width": 256, "layers": 4, "features": (64,) * 24}, "follow from config"),
        ({"table_log2": 28, "features": (64,) * 24}, "follow from config"),
        ({"form": "split"}, "split"),
    ],
)
def test_hostile_configs_are_refused(changes, place):
    with pytest.raises(StreamError, match=place):
        decode_segment(changed_config(dataclasses.replace(JOINT, **changes)), IMAGE)


def test_more_vertices_than_allowed_are_refused_for_what_they_are():
    info = SignalInfo(1 << 16, 1 << 16, 1, "rgb")
    config = dataclasses.replace(JOINT, finest=(4, 4, 4))
    with pytest.raises(StreamError, match="vertices"):
        decode_segment(changed_config(config), info)


def test_steps_and_models_out_of_range_are_refused():
    coded = coded_for(IMAGE, "siren")
    raw = encode_segment(coded)
    for position, value in ((0, 256), (1, 2 * SCALES + 1)):
        numbers = [coded.steps["layer0.weight"], 1]
        numbers[position] = value
        writer = Writer()
        for number in numbers:
            writer.uvarint(number)
        with pytest.raises(StreamError, match=f"is {value}, allowed are 0 to"):
            decode_segment(with_section(raw, coding=writer.getvalue()), IMAGE)
