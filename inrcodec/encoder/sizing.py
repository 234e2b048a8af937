"""How large a field is: its structure from the asked rate and the signal's size."""

from __future__ import annotations

import math

from inrcodec.bytestream import Wired
from inrcodec.encoder.options import DEFAULT_QUALITY, EncodeOptions, rate_lambda_of_quality
from inrcodec.encoder.start import full_resolution_channels
from inrcodec.entropy.context import NetworkShape
from inrcodec.fields import FAMILIES, Field
from inrcodec.fields.asmr import AsmrConfig
from inrcodec.fields.coordx import CoordXConfig
from inrcodec.fields.film import Film, FilmConfig
from inrcodec.fields.hashgrid import SPACING_UNIT, HashGridConfig
from inrcodec.fields.hierarchy import links
from inrcodec.fields.pyramid import PyramidConfig
from inrcodec.fields.radix import patch_bases
from inrcodec.fields.siren import SirenConfig
from inrcodec.priors import FILM, LASTING, PATIENT, QUICK, THOROUGH, nearest_prior
from inrcodec.segment import grid_coding
from inrcodec.signal.info import SignalInfo

BITS_PER_WEIGHT = {"siren": 5.5, "coordx": 4.8, "asmr": 5.5}
"""What an entropy-coded weight of an MLP takes; weights that settle stand coarser steps."""
BITS_PER_VIDEO_FEATURE = 1.5
"""What a coded entry of the split form's planes takes."""
TYPICAL_BPP = (4.8e-3, -0.67)
"""bpp ≈ a λ^b: mean of published curves of overfitted codecs on photographs (Cool-Chic 5.0, Kodak)."""
VIDEO_SAVING = 0.12
"""A video needs about this share of the bits per pixel that its frames would take as images."""
LARGE_HEAD_BITS = 60_000
"""Above it the head of an image's grids is wide: its weights are then a few percent of the stream."""
ASMR_LAYERS, ASMR_PATCH = 5, (1, 4, 4)
"""Of patches of pixels, whose place the first layer sees. On a photograph of 481x321 in 15 s: 27.5 dB, where 3 layers of
balanced bases reach 24.6 dB."""
MLP_EXPENSE = 2.5
"""Times the bits that an MLP needs for a PSNR that grids reach."""
WIDTHS = {"siren": 96, "coordx": 112, "asmr": 160}
"""Widest MLPs that a CPU trains in reasonable time, at effort 5; effort moves it by 1.25 a unit."""


OMEGA_AT_0, OMEGA_PER_WIDTH = 12, 0.85
"""Factor of a picture's coordinates in CoordX, by width: the more a network can hold, the finer are the waves that it had
better start from. On Kodak pictures in 300 to 450 iterations best at 30 to 45 for 22 wide, 45 to 55 for 42, 70 for 70, where
30 loses 0.7 dB; 100 loses 0.2."""
FILM_GOP, FILM_SPACING = 8, 16
"""Distance of a film's anchors in frames, and of the vertices of its motion in samples."""
FINE_LAMBDA = 3e-4
FINEST_OF_DEPTH = {False: (0, 0, 0, 2), True: (0, 0, 0, 1)}
"""Whether rate_lambda is smaller than FINE_LAMBDA → finest level of a film's frames by depth; the last one holds for
deeper ones."""
SMALL_PIXELS = 1 << 17
"""Of a picture whose context network starts with coarser weights: they take a large share of the bits."""
SINGLE_BITS = {5: 50_000, 7: 15_000}
"""Effort → bits from which pyramids have one plane a level for all colors, at this effort and up to the next one that is
named: such fits need more than a thousand iterations, and their networks take 7 to 9 kbit, more than differences to a trained
prior. Bits: of the start of a short fit, rounded; about there a fit comes to within a third of that."""
LASTING_EFFORT, LASTING_BITS = 7, 80_000
"""Effort, and bits as above, from which single planes have a wider context network: it takes 2 kbit more, and a sixth more time
an iteration, which ten thousand of them are worth."""
THOROUGH_EFFORT = 3
"""From here on fits of pyramids are long enough for priors that filter the vertices."""


def start_lambda(options: EncodeOptions, info: SignalInfo) -> float:
    """rate_lambda as asked, or the one that a typical signal needs to meet the target."""
    if options.rate_lambda is not None:
        return options.rate_lambda
    bpp = target_bpp(options, info)
    if bpp is not None:
        a, b = TYPICAL_BPP
        return min(max((bpp / _saving(info) / a) ** (1 / b), 1e-6), 1.0)
    if options.target_psnr_db is not None:
        return min(max(1e-3 * (10 ** (-options.target_psnr_db / 10) / 3.5e-4) ** 1.56, 1e-6), 1.0)
    quality = DEFAULT_QUALITY if options.quality is None else options.quality
    return rate_lambda_of_quality(quality)


def target_bytes(options: EncodeOptions, info: SignalInfo) -> int | None:
    """The asked upper limit of the file's size."""
    if options.target_bpp is not None:
        return int(options.target_bpp * info.pixels / 8)
    return options.target_bytes


def target_bpp(options: EncodeOptions, info: SignalInfo) -> float | None:
    """The same in bits per pixel."""
    limit = target_bytes(options, info)
    return None if limit is None else 8 * max(limit, 1) / info.pixels


def expected_bpp(family: str, options: EncodeOptions, info: SignalInfo) -> float:
    """The asked rate, or what a typical signal takes at the asked quality."""
    wanted = target_bpp(options, info)
    if wanted is not None:
        return wanted
    a, b = TYPICAL_BPP
    typical = min(a * start_lambda(options, info) ** b, 8.0) * _saving(info)
    return (
        typical * MLP_EXPENSE
        if options.target_psnr_db is not None and family not in ("hashgrid", "pyramid")
        else typical
    )


def _saving(info: SignalInfo) -> float:
    return VIDEO_SAVING if info.frames > 1 else 1.0


def make_field(
    family: str,
    shape: tuple[int, int, int, int],
    info: SignalInfo,
    bpp: float,
    rate_lambda: float,
    effort: int,
    bound: bool = False,
) -> Field:
    """A field of `family` for a segment of `shape` (T, H, W, C) at about `bpp`. bound: whether a time is asked for."""
    pixels = math.prod(shape[:3])
    if family == "pyramid":
        bits = bpp * pixels
        if _is_single(bits, effort, bound):
            return FAMILIES[family](_single_planes(shape, bits, rate_lambda, effort), shape)
        return FAMILIES[family](_planes_by_color(shape, rate_lambda, effort), shape)
    if family == "film":
        return _film(shape, info, rate_lambda)
    if family == "hashgrid":
        return FAMILIES[family](_hashgrid(shape, info, bpp * pixels), shape)
    return _widest(family, shape, bpp * pixels / BITS_PER_WEIGHT[family], round(WIDTHS[family] * 1.25 ** (effort - 5)))


def may_be_single(effort: int, bound: bool) -> bool:
    """Whether a pyramid's bits decide if it has one plane a level for all colors. Not if a time is asked for (`bound`), which may
    be too short."""
    return effort >= min(SINGLE_BITS) and not bound


def _is_single(bits: float, effort: int, bound: bool) -> bool:
    return may_be_single(effort, bound) and bits >= SINGLE_BITS[max(least for least in SINGLE_BITS if least <= effort)]


def _single_planes(shape: tuple[int, int, int, int], bits: float, rate_lambda: float, effort: int) -> PyramidConfig:
    lasting = effort >= LASTING_EFFORT and bits >= LASTING_BITS
    return PyramidConfig(_levels(shape, most=7), nearest_prior(rate_lambda, LASTING if lasting else PATIENT))


def _planes_by_color(shape: tuple[int, int, int, int], rate_lambda: float, effort: int) -> PyramidConfig:
    priors = THOROUGH if effort >= THOROUGH_EFFORT else QUICK
    return PyramidConfig(_levels(shape), nearest_prior(rate_lambda, priors))


def _film(shape: tuple[int, int, int, int], info: SignalInfo, rate_lambda: float) -> Film:
    depths = sorted((link.frame, link.depth) for link in links(shape[0], FILM_GOP))
    levels = _levels(shape)
    fine = FINEST_OF_DEPTH[rate_lambda < FINE_LAMBDA]
    finest = tuple(min(fine[min(depth, len(fine) - 1)], levels - 1) for _, depth in depths)
    planes = "ycbcr" if info.pixel_format in ("rgb", "rgba") else "own"
    config = FilmConfig(levels, nearest_prior(rate_lambda, FILM), FILM_GOP, FILM_SPACING, planes, 1, finest)
    return Film(config, shape)


def _levels(shape: tuple[int, int, int, int], most: int = 6) -> int:
    """Of an image's grids: the coarsest has some dozen vertices along the longer side."""
    return min(most, max(1, int(math.log2(max(shape[1:3]))) - 2))


def network_shape(field: Field, bpp: float) -> Wired:
    """A context network that costs a few percent of the asked bits."""
    pixels = math.prod(field.shape[:3])
    if field.family == "pyramid":
        coding = grid_coding(field)
        return coding.evenly(coding.Shape(), int(pixels < SMALL_PIXELS))
    bits = bpp * pixels
    return NetworkShape(16 if bits > 60_000 else 8 if bits > 20_000 else 0)


def _widest(family: str, shape: tuple[int, int, int, int], parameters: float, limit: int) -> Field:
    """The widest MLP of up to `parameters` parameters."""
    low, high = 4, max(limit, 4)
    while low < high:
        middle = (low + high + 1) // 2
        field = FAMILIES[family](_mlp(family, shape, middle), shape)
        low, high = (middle, high) if field.parameter_count <= parameters else (low, middle - 1)
    return FAMILIES[family](_mlp(family, shape, low), shape)


def _mlp(family: str, shape: tuple[int, int, int, int], width: int) -> Wired:
    if family == "siren":
        return SirenConfig(width=width, layers=4, omega_first=30, omega_hidden=30)
    if family == "coordx":
        return CoordXConfig(
            split="t_yx",
            branch_layers=2,
            head_layers=2,
            width=width,
            rank=2,
            fusion="product",
            omega_first=round(OMEGA_AT_0 + OMEGA_PER_WIDTH * width) if shape[0] == 1 else 30,
            omega_hidden=30,
        )
    bases = [patch_bases(size, ASMR_LAYERS, patch) for size, patch in zip(shape, ASMR_PATCH)]
    return AsmrConfig(*bases, width=width, omega=30)


def _hashgrid(shape: tuple[int, int, int, int], info: SignalInfo, bits: float) -> HashGridConfig:
    if shape[0] > 1:
        return _split_planes(shape, bits)
    levels = _levels(shape)
    features = (info.channels,) * (levels - 1) + (full_resolution_channels(info),)
    spacing = (SPACING_UNIT,) * 3
    width = 24 if bits > LARGE_HEAD_BITS else 12
    return HashGridConfig("joint", features, spacing, (2 * SPACING_UNIT,) * 3, 28, "cubic", width, layers=2)


def _split_planes(shape: tuple[int, int, int, int], bits: float) -> HashGridConfig:
    """Planes whose finest spacing along y and x leaves about `bits` for the features."""
    wanted = bits / BITS_PER_VIDEO_FEATURE
    for sixteenths in range(SPACING_UNIT, 64 * SPACING_UNIT, 2):
        finest = (2 * SPACING_UNIT, sixteenths, sixteenths)
        config = HashGridConfig("split", (8, 8, 8), finest, (2 * SPACING_UNIT,) * 3, 28, "linear", width=32, layers=2)
        field = FAMILIES["hashgrid"](config, shape)
        if field.parameter_count <= wanted or sixteenths >= SPACING_UNIT * min(shape[1:3]):
            return config
    return config
