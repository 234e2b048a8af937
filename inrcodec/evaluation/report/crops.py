"""Crops of decoded pictures at about equal size, for the slider. Nothing is encoded here: decoded PNGs are read.

They lie as FOLDER/<codec>/<setting>/<file's stem>.png; their bytes are those that the lines of results state.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path, PurePath
from statistics import median_low

import numpy as np
from PIL import Image

from inrcodec.errors import InputError, UsageError
from inrcodec.metrics import psnr_db, squared_error

SIDE = 256
"""Of the crop, in pixels, where no region is asked for."""
MAX_CROP_PIXELS = 1 << 20
"""A crop is in the page as a PNG of some three bytes a pixel, for each codec."""
EQUAL = 0.05
"""Sizes that differ by at most this part are called equal."""
SAME_PSNR_DB = 0.01
"""Within which a decoded picture has the quality that its line states: it is the picture of that line."""


@dataclass(frozen=True)
class CropRequest:
    """image: the original. decoded: the folder of decoded PNGs. codecs: in this order; none: all that have one.
    target_bytes: each codec's setting nearest to it is shown; None: the median of the sizes there are.
    region: (x, y, width, height) in pixels; None: SIDE × SIDE at the center.
    """

    image: Path
    decoded: Path
    codecs: tuple[str, ...] = ()
    target_bytes: int | None = None
    region: tuple[int, int, int, int] | None = None


def crops(request: CropRequest, lines: list[dict]) -> dict:
    """What the page needs: {"note": text, "pictures": [{"name", "caption", "png" (a data URI)}]}, the original first.

    Raises InputError for pictures that are missing, unreadable, of another size, or not those of their lines (by PSNR),
    UsageError for a region outside.
    """
    candidates = _candidates(request, lines)
    sizes = [line["bytes"] for options in candidates.values() for line, _ in options]
    target = request.target_bytes or median_low(sizes)
    original = _open(request.image)
    box = _box(request.region, original.size)
    pictures = [{"name": "original", "caption": request.image.name, "png": _data_uri(original.crop(box))}]
    for codec, options in candidates.items():
        line, path = min(options, key=lambda option: abs(math.log(option[0]["bytes"] / target)))
        decoded = _open(path)
        if decoded.size != original.size:
            raise InputError(f"{path}: {_by(decoded.size)} pixels, {request.image.name} has {_by(original.size)}")
        _check_psnr(original, decoded, line, path)
        pictures.append({"name": codec, "caption": _caption(line, target), "png": _data_uri(decoded.crop(box))})
    x, y, right, bottom = box
    where = f"{request.image.name}, {right - x}×{bottom - y} pixels at ({x}, {y})."
    return {
        "note": f"{where} Each codec's file nearest to {target:,} bytes; every caption gives its own.",
        "pictures": pictures,
    }


def _candidates(request: CropRequest, lines: list[dict]) -> dict[str, list[tuple[dict, Path]]]:
    """{codec: [(line, its decoded PNG)]}."""
    of_image = [line for line in lines if Path(line["file"]).stem == request.image.stem and line["frames"] == 1]
    known = [line for line in of_image if not line["published"] and not line["mean"] and line.get("bytes")]
    measured = [line for line in known if _has_place(line)]
    if not measured:
        raise InputError(f"no measured line with bytes is of {request.image.name}")
    found: dict[str, list[tuple[dict, Path]]] = {}
    for codec in request.codecs or dict.fromkeys(line["codec"] for line in measured):
        own = [(line, _decoded(request.decoded, line)) for line in measured if line["codec"] == codec]
        there = [(line, path) for line, path in own if path.is_file()]
        if there:
            found[codec] = there
        elif request.codecs:
            about = f"e.g. {own[0][1]}" if own else "and no line of results"
            raise InputError(f"{codec}: no decoded picture of {request.image.name} in {request.decoded} ({about})")
    if not found:
        raise InputError(
            f"{request.decoded}: no decoded picture of {request.image.name}, e.g. {_decoded(request.decoded, measured[0])}"
        )
    return found


def _has_place(line: dict) -> bool:
    """Whether a line's names can be those of folders: a name of several parts, "../x", would lead out of the one there is."""
    return all(PurePath(part).name == part and "\\" not in part for part in _parts(line))


def _parts(line: dict) -> tuple[str, str, str]:
    return line["folder"], line["setting"], Path(line["file"]).stem + ".png"


def _decoded(folder: Path, line: dict) -> Path:
    return folder.joinpath(*_parts(line))


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or 'not a picture that Pillow reads'}") from None


def _box(region: tuple[int, int, int, int] | None, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the crop in a picture of (width, height)."""
    if region is None:
        width, height = (min(SIDE, side) for side in size)
        x, y = (size[0] - width) // 2, (size[1] - height) // 2
    else:
        x, y, width, height = region
    inside = x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= size[0] and y + height <= size[1]
    if not inside or width * height > MAX_CROP_PIXELS:
        raise UsageError(
            f"region {x},{y},{width},{height} of a picture of {_by(size)}: allowed is inside, up to {MAX_CROP_PIXELS} pixels"
        )
    return x, y, x + width, y + height


def _check_psnr(original: Image.Image, decoded: Image.Image, line: dict, path: Path) -> None:
    """Where PSNR is over what is shown."""
    if line["over"] not in ("RGB", "gray"):
        return
    mse = float(squared_error(np.asarray(original), np.asarray(decoded)).mean())
    found = psnr_db(mse, 255)
    stated = math.inf if line["psnr_db"] is None else line["psnr_db"]
    if found != stated and not abs(found - stated) <= SAME_PSNR_DB:
        raise InputError(f"{path}: has {found:.2f} dB, its line says {stated:.2f}: it is not the picture of that line")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _caption(line: dict, target: int) -> str:
    off = line["bytes"] / target - 1
    equal = "" if abs(off) <= EQUAL else f" (not equal size: {off:+.0%})"
    psnr = "" if line["psnr_db"] is None else f", {line['psnr_db']:.2f} dB"
    return f"{line['bytes']:,} bytes{equal}, {line['bpp']:.4f} bpp{psnr}, {line['setting']}"


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
