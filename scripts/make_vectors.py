"""Makes the conformance vectors of `bitstreams/`. Existing vectors are never touched: published bytes decode for ever.

    python scripts/make_vectors.py [FOLDER]

`conforming` are small real encodes, `uncommon` are valid streams of rare shape (random symbols, or small encodes),
`faulty` are damaged ones with the error that is due. Beside each valid stream: NAME.json and NAME.npy (expected samples).
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

import inrcodec
from inrcodec.bitstream import pack_segment, pack_stream
from inrcodec.encoder import EncodeOptions, encode
from inrcodec.entropy.context import NetworkShape
from inrcodec.fields.coordx import CoordXConfig
from inrcodec.fields.hashgrid import HashGridConfig
from inrcodec.segment import encode_segment
from inrcodec.signal.info import SignalInfo

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from check_vectors import symbols_sha256
from streams import image_info, random_coded, random_stream, video_info

FAMILIES = ("siren", "coordx", "asmr", "hashgrid")


def conforming() -> dict[str, bytes]:
    """Real encodes: a photograph of 40x27 and a panned clip of 33x21x6 with each family."""
    picture = np.asarray(Image.fromarray(data.chelsea()).resize((40, 27), Image.Resampling.LANCZOS))
    wide = np.asarray(Image.fromarray(data.astronaut()).resize((64, 64), Image.Resampling.LANCZOS))
    clip = np.stack([wide[10 + shift : 31 + shift, 2 * shift : 33 + 2 * shift] for shift in range(6)])
    streams = {}
    for family in FAMILIES:
        for name, source in (("image", picture), ("video", clip)):
            streams[f"{family}-{name}"] = encode(source, EncodeOptions(family=family, effort=2, quality=55)).data
    return streams


def uncommon() -> dict[str, bytes]:
    """Valid streams that an ordinary encode does not make."""
    clip = video_info(7, 13, 11)
    hashed = HashGridConfig("joint", (2, 2, 2), (16, 16, 16), (32, 32, 32), 5, "linear", width=4, layers=1)
    dense = HashGridConfig("joint", (2, 1), (16, 16, 16), (32, 32, 32), 20, "cubic", width=4, layers=0)
    split_axes = CoordXConfig("t_y_x", branch_layers=1, head_layers=0, width=6, rank=3, fusion="sum")
    return {
        "one-pixel": random_stream("hashgrid", image_info(1, 1)),
        "prime-sides-asmr": random_stream("asmr", image_info(13, 7)),
        "gray16": random_stream("hashgrid", image_info(9, 14, "gray", 16)),
        "graya8": random_stream("coordx", image_info(9, 14, "graya")),
        "rgba10": random_stream("siren", image_info(9, 14, "rgba", 10)),
        "one-frame-video": random_stream("hashgrid", video_info(1, 9, 14)),
        "irregular-times": random_stream("coordx", clip, ticks=(0, 1, 5, 6, 20, 21, 22)),
        "three-segments": random_stream("hashgrid", clip, segments=3),
        "ancillary": random_stream("siren", image_info(6, 8), ancillary=[(200, b"unknown to everybody")]),
        "hashed-image": random_stream("hashgrid", image_info(24, 31), config=hashed),
        "hashed-video": random_stream("hashgrid", clip, config=hashed),
        "joint-video": random_stream("hashgrid", clip, config=dense),
        "yuv420-odd": random_stream("hashgrid", video_info(3, 13, 11, "yuv420", matrix=1, full_range=False)),
        "coordx-t-y-x-sum": random_stream("coordx", clip, config=split_axes),
        "bypass-only-context": _without_hidden_context(image_info(17, 12)),
    }


def _without_hidden_context(info: SignalInfo) -> bytes:
    coded = random_coded("hashgrid", (1, info.height, info.width, info.channels), seed=5)
    coded.network_shape = NetworkShape(0)
    coded.network = {name: coded.network[name] for name in ("bypass", "scale_bias")}
    return pack_stream(info, [pack_segment(encode_segment(coded))])


def faulty() -> dict[str, tuple[bytes, str]]:
    """Streams that must be refused, with a fragment of the message."""
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
            "peak_error": max(1, round(unit)),
            "rms_error": 0.1 * max(1.0, unit),
        }
        return facts, np.stack([decoder.samples(index) for index in chosen])


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "bitstreams")
    for kind, streams in (("conforming", conforming()), ("uncommon", uncommon())):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, stream in streams.items():
            path = folder / kind / f"{name}.inr"
            if path.exists():
                continue
            facts, samples = expected(stream)
            np.save(path.with_suffix(".npy"), samples)
            path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
            path.write_bytes(stream)
    (folder / "faulty").mkdir(parents=True, exist_ok=True)
    for name, (stream, fragment) in faulty().items():
        path = folder / "faulty" / f"{name}.inr"
        if not path.exists():
            path.with_suffix(".json").write_text(json.dumps({"message": fragment}) + "\n")
            path.write_bytes(stream)


if __name__ == "__main__":
    main()
