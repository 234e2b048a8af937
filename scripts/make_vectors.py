"""Makes the conformance vectors of `bitstreams/`. Existing vectors are never touched: published bytes decode for ever.

    python scripts/make_vectors.py [FOLDER]

`conforming` are small real encodes (some of encoders before, which this one does not make again: pyramid-image, -fine and
-filtered are in interlaced order), `uncommon` are valid streams of rare shape (random symbols, or small encodes),
`faulty` are damaged ones with the error that is due. Beside each valid stream: NAME.json and NAME.npy (expected samples).
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

import inrcodec
from inrcodec.bitstream import RawSegment, StreamReader, pack_segment, pack_stream
from inrcodec.bytestream import Writer
from inrcodec.encoder import EncodeOptions, encode
from inrcodec.entropy.context import NetworkShape
from inrcodec.fields.coordx import CoordXConfig
from inrcodec.fields.hashgrid import HashGridConfig
from inrcodec.fields.pyramid import PyramidConfig
from inrcodec.segment import encode_segment
from inrcodec.signal.info import SignalInfo

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from check_vectors import symbols_sha256
from streams import image_info, random_coded, random_stream, video_info, with_section

FAMILIES = {family: ("image", "video") for family in ("siren", "coordx", "asmr", "hashgrid")} | {
    "pyramid": ("image",),
    "film": ("video",),
}
"""With what each of them codes."""
START = b"\x89INR\x01"


def chunk(kind: int, payload: bytes) -> bytes:
    """Framed by hand, from the specification; for payloads of up to 16 383 bytes."""
    size = len(payload)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    body = bytes([kind]) + length + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def conforming() -> dict[str, Callable[[], bytes]]:
    """Real encodes, made when they are called for: a photograph of 40x27 and a panned clip of 33x21x6, each family; a film of two
    shots, one of them with several anchors."""
    picture = np.asarray(Image.fromarray(data.chelsea()).resize((40, 27), Image.Resampling.LANCZOS))
    wide = np.asarray(Image.fromarray(data.astronaut()).resize((64, 64), Image.Resampling.LANCZOS))
    clip = np.stack([wide[10 + shift : 31 + shift, 2 * shift : 33 + 2 * shift] for shift in range(6)])
    other = np.asarray(Image.fromarray(data.chelsea()).resize((64, 64), Image.Resampling.LANCZOS))
    shots = np.stack(
        [wide[10:31, shift : 33 + shift] for shift in range(19)]
        + [other[20 - shift : 41 - shift, 9:42] for shift in range(5)]
    )
    sources = {"image": picture, "video": clip}
    streams = {
        "film-shots": partial(_encoded, shots, _options("film", 70)),
        "pyramid-image-wavefront": partial(_encoded, picture, _options("pyramid", 70, effort=3)),
        "pyramid-image-wavefront-fine": partial(_encoded, picture, _options("pyramid", 95, effort=3)),
        "pyramid-image-wavefront-plain": partial(_encoded, picture, _options("pyramid", 40, effort=1)),
        "pyramid-image-wavefront-plain-fine": partial(_encoded, picture, _options("pyramid", 60, effort=1)),
    }
    for family, names in FAMILIES.items():
        for name in names:
            for suffix, quality in (("", 55), ("-fine", 85)):
                streams[f"{family}-{name}{suffix}"] = partial(_encoded, sources[name], _options(family, quality))
    return streams


def _options(family: str, quality: int, effort: int = 2) -> EncodeOptions:
    return EncodeOptions(family=family, effort=effort, quality=quality, device="cpu", threads=1)


def _encoded(source: np.ndarray, options: EncodeOptions) -> bytes:
    return encode(source, options).data


def uncommon() -> dict[str, Callable[[], bytes]]:
    """Valid streams that an ordinary encode does not make."""
    clip = video_info(7, 13, 11)
    hashed = HashGridConfig("joint", (2, 2, 2), (16, 16, 16), (32, 32, 32), 5, "linear", width=4, layers=1)
    dense = HashGridConfig("joint", (2, 1), (16, 16, 16), (32, 32, 32), 20, "cubic", width=4, layers=0)
    split_axes = CoordXConfig("t_y_x", branch_layers=1, head_layers=0, width=6, rank=3, fusion="sum")
    return {
        "one-pixel": partial(random_stream, "hashgrid", image_info(1, 1)),
        "prime-sides-asmr": partial(random_stream, "asmr", image_info(13, 7)),
        "gray16": partial(random_stream, "hashgrid", image_info(9, 14, "gray", 16)),
        "graya8": partial(random_stream, "coordx", image_info(9, 14, "graya")),
        "rgba10": partial(random_stream, "siren", image_info(9, 14, "rgba", 10)),
        "one-pixel-pyramid": partial(random_stream, "pyramid", image_info(1, 1)),
        "pyramid-gray16": partial(random_stream, "pyramid", image_info(37, 70, "gray", 16)),
        "pyramid-graya8": partial(random_stream, "pyramid", image_info(9, 14, "graya")),
        "pyramid-rgba10": partial(random_stream, "pyramid", image_info(65, 34, "rgba", 10)),
        "one-frame-video": partial(random_stream, "hashgrid", video_info(1, 9, 14)),
        "irregular-times": partial(random_stream, "coordx", clip, ticks=(0, 1, 5, 6, 20, 21, 22)),
        "three-segments": partial(random_stream, "hashgrid", clip, segments=3),
        "ancillary": partial(random_stream, "siren", image_info(6, 8), ancillary=[(200, b"unknown to everybody")]),
        "hashed-image": partial(random_stream, "hashgrid", image_info(24, 31), config=hashed),
        "hashed-video": partial(random_stream, "hashgrid", clip, config=hashed),
        "joint-video": partial(random_stream, "hashgrid", clip, config=dense),
        "yuv420-odd": partial(random_stream, "hashgrid", video_info(3, 13, 11, "yuv420", matrix=1, full_range=False)),
        "coordx-t-y-x-sum": partial(random_stream, "coordx", clip, config=split_axes),
        "film-chains": partial(random_stream, "film", video_info(23, 12, 16), segments=2),
        "film-yuv420-odd": partial(
            random_stream, "film", video_info(6, 13, 11, "yuv420", 10, matrix=1, full_range=False)
        ),
        "bypass-only-context": partial(_without_hidden_context, image_info(17, 12)),
    } | pyramids_by_diagonals()


def pyramids_by_diagonals() -> dict[str, Callable[[], bytes]]:
    """Of each prior with which a kind of coding came: four channels of 10 bits, and a column of pixels."""
    rich, column = image_info(65, 34, "rgba", 10), image_info(1, 70)
    first_with = {
        "wavefront": PyramidConfig(3, 18),
        "single": PyramidConfig(4, 27),
        "own-filters": PyramidConfig(4, 28),
        "one-layer": PyramidConfig(4, 29),
        "wider-context": PyramidConfig(4, 30),
        "apart": PyramidConfig(4, 31),
        "apart-wider-context": PyramidConfig(4, 32),
        "mirrored": PyramidConfig(4, 33),
        "mirrored-wider-context": PyramidConfig(4, 34),
    }
    columns = first_with | {"wavefront": PyramidConfig(4, 17)}
    of_columns = [name for name in columns if not name.endswith("wider-context")]
    return {
        f"pyramid-{name}-rgba10": partial(random_stream, "pyramid", rich, config=config)
        for name, config in first_with.items()
    } | {
        f"pyramid-{name}-column": partial(random_stream, "pyramid", column, config=columns[name]) for name in of_columns
    }


def _without_hidden_context(info: SignalInfo) -> bytes:
    coded = random_coded("hashgrid", (1, info.height, info.width, info.channels), seed=5)
    coded.network_shape = NetworkShape(0)
    coded.network = {name: coded.network[name] for name in ("bypass", "scale_bias")}
    return pack_stream(info, [pack_segment(encode_segment(coded))])


def faulty() -> dict[str, tuple[bytes, str, str]]:
    """Streams that must be refused, with the kind of error and a fragment of its message."""
    streams = damaged() | hostile()
    newer = "version-2"
    return {
        name: (data, "VersionError" if name == newer else "StreamError", say) for name, (data, say) in streams.items()
    }


def damaged() -> dict[str, tuple[bytes, str]]:
    """What happens to files."""
    image, video = random_stream("hashgrid", image_info(8, 9)), random_stream("siren", video_info(6, 5, 6), segments=2)
    middle = len(image) // 2
    return {
        "empty": (b"", "not an .inr stream"),
        "wrong-magic": (b"\x89PNG" + image[4:], "not an .inr stream"),
        "version-2": (image[:4] + b"\x02" + image[5:], "format version 2"),
        "version-0": (image[:4] + b"\x00" + image[5:], "format version 0"),
        "cut-in-header": (image[:9], "stream"),
        "cut-in-segment": (image[:-5], "would end at"),
        "flipped-bit": (image[:middle] + bytes([image[middle] ^ 4]) + image[middle + 1 :], "checksum"),
        "left-over": (image + b"\x00", "left over"),
        "index-missing": (video[:-20], "index"),
        "index-of-another": (video[:-8] + b"\xff\xff\xff\x7f" + video[-4:], "index"),
        "chunk-longer-than-stream": (image[:5] + b"\x01\xff\xff\xff\x7f" + image[10:], "would end at"),
    }


def hostile() -> dict[str, tuple[bytes, str]]:
    """What is made to harm: the checksums of all chunks are right."""
    info, clip = image_info(8, 9), video_info(6, 5, 6)
    grids = StreamReader(random_stream("hashgrid", info)).segment(0)
    times = StreamReader(random_stream("siren", clip, ticks=(0, 1, 2, 3, 4, 5))).segment(0)
    header = bytes([1, 9, 8, 1, 2, 8, 2, 2, 2, 1, 0, 0, 0])  # as the specification says, field by field
    segment = chunk(2, pack_segment(grids))
    video = random_stream("siren", clip, segments=2)
    index = video[-int.from_bytes(video[-8:-4], "little") :]
    joint = HashGridConfig("joint", (1,), (4, 4, 4), (16, 16, 16), 28, "linear", width=1, layers=0)
    return {
        "huge-sides": (START + chunk(1, header[:1] + b"\x81\x80\x04" + header[2:]) + segment, "width is 65537"),
        "longer-integer": (START + chunk(1, header[:1] + b"\x89\x00" + header[2:]) + segment, "shortest form"),
        "header-left-over": (START + chunk(1, header + b"\x00") + segment, "left over"),
        "unknown-critical-chunk": (START + chunk(1, header) + chunk(4, b"?") + segment, "kind 4"),
        "index-lies": (video[: -len(index)] + chunk(3, index[2:4] + b"\x04" + index[5:-4]), "index covers"),
        "too-many-parameters": (_alone(info, _claiming(grids, parameters=1 << 27)), "parameters for 216 samples"),
        "other-parameters": (_alone(info, _claiming(grids, parameters=1 << 20)), "parameters said"),
        "too-many-times": (_alone(video_info(1 << 24, 5, 6), _claiming(times, frames=1 << 24)), "times of 16777216"),
        "too-many-vertices": (_alone(image_info(1 << 16, 1 << 16), _structured(grids, joint)), "vertices"),
        "split-image": (_alone(info, _structured(grids, dataclasses.replace(joint, form="split"))), "nothing to split"),
        "other-symbols": (
            _alone(info, dataclasses.replace(grids, symbols_crc=grids.symbols_crc ^ 1)),
            "symbols do not",
        ),
        "symbols-left-over": (_alone(info, with_section(grids, weights=grids.weights + bytes(8))), "left over"),
        "section-left-over": (_alone(info, with_section(grids, coding=grids.coding + b"\x00")), "left over"),
        "unaligned-payload": (_alone(info, with_section(grids, grids=grids.grids + b"\x00")), "a multiple of 4"),
        "chain-too-long": (_alone(video_info(11, 12, 16), _with_a_long_chain()), "words of a chain is 16383"),
        "symbol-too-large": (_alone(info, _with_large_symbol(info)), "a symbol is 1048577"),
    }


def _alone(info: SignalInfo, segment: RawSegment) -> bytes:
    return pack_stream(info, [pack_segment(segment)])


def _claiming(segment: RawSegment, **facts: int) -> RawSegment:
    return dataclasses.replace(segment, header=dataclasses.replace(segment.header, **facts))


def _structured(segment: RawSegment, config: HashGridConfig) -> RawSegment:
    writer = Writer()
    config.write(writer)
    return with_section(segment, config=writer.getvalue())


def _with_a_long_chain() -> RawSegment:
    film = encode_segment(random_coded("film", (11, 12, 16, 3)))
    return with_section(film, coding=film.coding[:-2] + b"\xff\x7f")


def _with_large_symbol(info: SignalInfo) -> RawSegment:
    coded = random_coded("siren", (1, info.height, info.width, info.channels))
    coded.symbols["layer0.weight"][0, 0] = (1 << 20) + 1
    return encode_segment(coded)


def expected(stream: bytes) -> tuple[dict, np.ndarray]:
    """What a decoder must give: JSON and the samples of the first, middle and last frame."""
    with inrcodec.open(stream, device="cpu") as decoder:
        chosen = sorted({0, len(decoder) // 2, len(decoder) - 1})
        info = decoder.info
        unit = info.peak / 255
        facts = {
            "sha256": hashlib.sha256(stream).hexdigest(),
            "width": info.width,
            "height": info.height,
            "frames": info.frames,
            "pixel_format": info.pixel_format,
            "bit_depth": info.bit_depth,
            "symbols_sha256": symbols_sha256(decoder),
            "chosen_frames": chosen,
            "pts_seconds": [decoder.get_frame_at(index).pts_seconds for index in chosen],
            "peak_error": max(1, round(unit)),
            "rms_error": 0.1 * max(1.0, unit),
        }
        return facts, np.stack([decoder.samples(index) for index in chosen])


def add_valid(folder: Path, streams: dict[str, Callable[[], bytes]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in streams.items():
        path = folder / f"{name}.inr"
        if path.exists():
            continue
        stream = make()
        facts, samples = expected(stream)
        np.save(path.with_suffix(".npy"), samples)
        path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
        path.write_bytes(stream)


def add_faulty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (stream, error, message) in faulty().items():
        path = folder / f"{name}.inr"
        if not path.exists():
            facts = {"sha256": hashlib.sha256(stream).hexdigest(), "error": error, "message": message}
            path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
            path.write_bytes(stream)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("bitstreams"), metavar="FOLDER", help="(bitstreams)"
    )
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    add_valid(folder / "conforming", conforming())
    add_valid(folder / "uncommon", uncommon())
    add_faulty(folder / "faulty")


if __name__ == "__main__":
    main()
