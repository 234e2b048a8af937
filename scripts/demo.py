"""`make demo`: a photograph and a short clip, through every family, as files; a table and a contact sheet.

Low effort, a few seconds a file: it shows that everything works, not how good it gets (README, Results).
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

import inrcodec
from inrcodec.encoder import EncodeOptions, encode
from inrcodec.fields import FAMILIES

FOLDER = Path("demo")
HEADINGS = f"{'source':<11}{'family':<10}{'bytes':>7}{'bpp':>8}{'PSNR':>8}{'encode s':>10}{'decode s':>10}"
HEADINGS += f"{'MAC/px':>10}{'cached':>10}"
SECONDS = 7
TILE = (300, 200)
NOT_FOR = {"photograph": "film", "clip": "pyramid"}
"""Families that are meant for the other kind of source."""


def sources() -> dict[str, np.ndarray]:
    """A photograph, and a clip made by panning over another: (H, W, 3) and (T, H, W, 3) uint8."""
    photograph = np.asarray(Image.fromarray(data.chelsea()).resize((300, 200), Image.Resampling.LANCZOS))
    wide = np.asarray(Image.fromarray(data.astronaut()).resize((256, 256), Image.Resampling.LANCZOS))
    clip = np.stack([wide[20 + shift : 116 + shift, 40 + 2 * shift : 184 + 2 * shift] for shift in range(16)])
    return {"photograph": photograph, "clip": clip}


def through_a_file(name: str, family: str, source: np.ndarray) -> tuple[str, np.ndarray]:
    """Encodes to a file and decodes from it: a row of the table, and a frame of the middle."""
    options = EncodeOptions(family=family, effort=3, quality=45, time_limit_s=SECONDS)
    began = time.monotonic()
    result = encode(source, options)
    path = FOLDER / f"{name}-{family}.inr"
    path.write_bytes(result.data)
    encoded = time.monotonic()
    with inrcodec.open(path) as decoder:
        frames = [decoder.numpy(index) for index in range(len(decoder))]
        decoded = time.monotonic()
        macs = decoder.macs_per_point, decoder.macs_per_pixel
    row = (
        f"{name:<11}{family:<10}{result.bytes:>7}{result.bpp:>8.3f}{result.psnr_db:>8.2f}{encoded - began:>10.1f}"
        f"{decoded - encoded:>10.3f}{macs[0]:>10.0f}{macs[1]:>10.0f}"
    )
    return row, frames[len(frames) // 2]


def contact_sheet(rows: list[list[tuple[str, np.ndarray]]]) -> Image.Image:
    """One row a source, one captioned tile a picture."""
    width, height = TILE[0] + 8, TILE[1] + 24
    sheet = Image.new("RGB", (width * max(map(len, rows)), height * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, (caption, picture) in enumerate(row):
            sheet.paste(
                Image.fromarray(picture).resize(TILE, Image.Resampling.LANCZOS), (x * width + 4, y * height + 20)
            )
            draw.text((x * width + 6, y * height + 5), caption, fill="black")
    return sheet


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    print(HEADINGS)
    sheet = []
    for name, source in sources().items():
        tiles = [(f"{name}: original", source if source.ndim == 3 else source[len(source) // 2])]
        for family in sorted(set(FAMILIES) - {NOT_FOR[name]}):
            row, picture = through_a_file(name, family, source)
            print(row, flush=True)
            tiles.append((f"{family}: {row.split()[2]} bytes, {row.split()[4]} dB", picture))
        sheet.append(tiles)
    contact_sheet(sheet).save(FOLDER / "contact_sheet.png")
    print(f"pictures: {FOLDER / 'contact_sheet.png'}")


if __name__ == "__main__":
    main()
