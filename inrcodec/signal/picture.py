"""Reading pictures: Pillow for eight bits, PyAV where Pillow would cut sixteen bits down to eight."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from inrcodec.errors import InputError
from inrcodec.signal.read import check_size

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM")
ORIENTATION_TAG = 0x0112
BITS_PER_SAMPLE_TAG = 258
DIRECT_MODES = ("L", "LA", "RGB", "RGBA")
HEIF_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
GRAY16_MODES = ("I;16", "I;16L", "I;16B")
REFUSED_MODES = ("I", "F")  # 32-bit integers and floats: no bit depth of ours


def read_picture(file: BinaryIO, place: str) -> np.ndarray | None:
    """(H, W, C) uint8 or uint16, upright (Exif orientation applied), or None if the file is no picture.

    Gray, gray and alpha, RGB and RGBA stay; palettes and every other color space become RGB, or RGBA where there is
    transparency; one bit a pixel becomes gray. Color profiles are not applied.
    Raises InputError for a damaged picture, an animation, and depths that would have to be cut.
    """
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on sizes and on metadata of no interest here
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError:
            _refuse_heif(file, place)
            return None
        except Image.DecompressionBombError as error:
            raise InputError(f"{place}: {error}") from None
        check_size(*image.size, place)
        _check_supported(image, place)
        try:
            if _is_deep(image):
                return _oriented(_deep_samples(file, place), image.getexif().get(ORIENTATION_TAG))
            image.load()
            return _oriented(_samples(image, place), image.getexif().get(ORIENTATION_TAG))
        except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow's plugins raise
            if isinstance(error, InputError):
                raise
            raise InputError(f"{place}: damaged {image.format} picture: {error}") from None


def _check_supported(image: Image.Image, place: str) -> None:
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":  # MPO: a photograph, then its previews or its other eye
        raise InputError(
            f"{place}: {image.format} with {count} pictures; one picture is read, or a video: "
            "convert it to a video (yuv420p) or to a .npy array (T, H, W, C)"
        )
    if image.mode in REFUSED_MODES:
        raise InputError(
            f"{place}: samples of 32 bits (mode {image.mode}) are not supported, allowed are 8 and 16 bits"
        )
    if image.format == "PPM" and image.tile[0].codec_name == "ppm":  # not raw bytes: Pillow would scale them
        raise InputError(f"{place}: PPM with a maximum of {image.tile[0].args[-1]}, allowed is 255; use a 16-bit PNG")
    if image.format == "AVIF" and _avif_is_deep(image):
        raise InputError(f"{place}: AVIF with more than 8 bits a sample is not supported; use a 16-bit PNG")


def _refuse_heif(file: BinaryIO, place: str) -> None:
    """Pictures in the boxes of MP4, of which the reader of videos would see one tile or cut edges."""
    file.seek(0)
    head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:] in HEIF_BRANDS:
        raise InputError(f"{place}: this {head[8:].decode()} picture cannot be read; convert it to PNG")


def _avif_is_deep(image: Image.Image) -> bool:
    """high_bitdepth of the AV1 configuration box (AV1-ISOBMFF, section 2.3), which Pillow does not tell."""
    image.fp.seek(0)
    head = image.fp.read(1 << 16)
    box = head.find(b"av1C")
    return 0 <= box < len(head) - 6 and bool(head[box + 6] & 0x40)


def _is_deep(image: Image.Image) -> bool:
    """Whether the file has sixteen bits a sample, of which Pillow would keep eight (or lose the alpha)."""
    if image.format == "PNG":
        image.fp.seek(24)  # signature (8), length and name of IHDR (8), width and height (8)
        return image.fp.read(1) == b"\x10"
    depths = image.tag_v2.get(BITS_PER_SAMPLE_TAG, (8,)) if image.format == "TIFF" else (8,)
    return max(depths) > 8 and image.mode not in GRAY16_MODES


def _deep_samples(file: BinaryIO, place: str) -> np.ndarray:
    import av

    from inrcodec.signal.pixels import frame_samples, pixel_format_of

    file.seek(0)
    try:
        with av.open(file) as container:
            frame = next(container.decode(video=0))
            pixel_format_of(frame.format.name, place)
            return frame_samples(frame)
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise InputError(f"{place}: damaged or unsupported picture of 16 bits: {error}") from None


def _samples(image: Image.Image, place: str) -> np.ndarray:
    if image.mode in GRAY16_MODES:
        samples = np.asarray(image)
        return samples.astype(samples.dtype.newbyteorder("="))[:, :, None]
    if image.mode == "1":
        image = image.convert("L")
    if image.has_transparency_data and image.mode not in ("LA", "RGBA"):
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    elif image.mode not in DIRECT_MODES:
        image = image.convert("RGB")
    samples = np.array(image)
    return samples.reshape(image.height, image.width, -1)


def _oriented(samples: np.ndarray, orientation: int | None) -> np.ndarray:
    """Upright samples, by the Exif tag Orientation (TIFF 6.0, page 36); values that it does not define do nothing."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)
