"""BD-rate: how many more bits a codec takes than a reference at equal quality, by the `bjontegaard` package.

Bjøntegaard, VCEG-M33 (2001), with the piecewise cubic (PCHIP) interpolation of JVET's common test conditions (JVET-T2010).
Two means over files are in use in the literature, and they differ: the mean of each file's BD-rate, and the BD-rate of
the mean curve (bpp and PSNR of a setting averaged over files). `summaries` gives both, under their names.

A line is one measured or published point, see `inrcodec.evaluation`.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from inrcodec.errors import UsageError

Point = tuple[float, float]
"""(bpp, PSNR in dB)."""
File = tuple[str, int]
"""(stem, frames)."""
Curves = dict[File, dict[str, Point]]
"""{file: {setting: point}}."""

MIN_OVERLAP_DB = 1.0
"""Curves that share fewer decibels are not compared: the number would be that of two ends."""


@dataclass(frozen=True)
class Summary:
    """BD-rates of `codec` against `reference` in percent, negative where it needs fewer bits.

    over: samples that the PSNR is over. published: whether one of the two curves was not measured here. by_file: of the files
    that both have; None where their curves do not overlap. mean_curve_percent: of the mean curves; None is no number. note: why,
    and what else limits the comparison.
    """

    codec: str
    reference: str
    over: str
    published: bool
    by_file: dict[File, float | None]
    mean_curve_percent: float | None
    note: str

    @property
    def files(self) -> int:
        """How many both have."""
        return len(self.by_file)

    @property
    def compared(self) -> int:
        """How many of these have curves that overlap."""
        return len(self._rates)

    @property
    def mean_of_files_percent(self) -> float | None:
        """Over those whose curves overlap; None if there are none."""
        return fmean(self._rates) if self._rates else None

    @property
    def _rates(self) -> list[float]:
        return [rate for rate in self.by_file.values() if rate is not None]


def front(points: Iterable[Point]) -> list[Point]:
    """The points that no other dominates (at most its bpp and at least its PSNR), by ascending rate."""
    kept: list[Point] = []
    for bpp, psnr_db in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or psnr_db > kept[-1][1]:
            kept.append((bpp, psnr_db))
    return kept


def overlap_db(reference: list[Point], test: list[Point]) -> float:
    """Decibels that two curves share; 0 if none."""
    low = max(min(psnr_db for _, psnr_db in curve) for curve in (reference, test))
    high = min(max(psnr_db for _, psnr_db in curve) for curve in (reference, test))
    return max(high - low, 0.0)


def bd_rate_percent(reference: list[Point], test: list[Point]) -> float | None:
    """BD-rate of `test` against `reference`, over the PSNRs that both curves reach; dominated points are left out.

    None if a curve has fewer than two points, or if the curves share less than MIN_OVERLAP_DB.
    Raises UsageError if the `bjontegaard` package is not installed.
    """
    reference, test = front(reference), front(test)
    if min(len(reference), len(test)) < 2 or overlap_db(reference, test) < MIN_OVERLAP_DB:
        return None
    try:
        import bjontegaard
    except ImportError:
        raise UsageError("BD-rates need the package bjontegaard: pip install 'inrcodec[evaluate]'") from None
    rates_and_psnrs = (*zip(*reference, strict=True), *zip(*test, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an overlap below three quarters
        options = {"method": "pchip", "require_matching_points": False}
        return float(bjontegaard.bd_rate(*map(list, rates_and_psnrs), **options))


def check_reference(lines: list[dict], codec: str) -> list[str]:
    """All codecs that there are lines of, in order of appearance; UsageError if `codec` is none of them."""
    known = list(dict.fromkeys(line["codec"] for line in lines))
    if codec not in known:
        raise UsageError(f"reference is {codec!r}, the lines have {', '.join(known) or 'no codec'}")
    return known


def summaries(lines: list[dict], reference_codec: str, same_files: bool = False) -> list[Summary]:
    """One Summary for each other codec and each kind of samples that the reference has lines of, in order of appearance.

    Files are matched by stem and number of frames, so that published tables without suffixes find theirs. same_files: take the
    caller's word that published means are over the same files as the other curve; without it, a mean is compared with
    means only. Raises UsageError if no line is of the reference.
    """
    known = check_reference(lines, reference_codec)
    by_curve = defaultdict(list)
    for line in lines:
        by_curve[line["over"], line["codec"]].append(line)
    kinds = [over for over, codec in by_curve if codec == reference_codec]
    return [
        _summary(
            over, (reference_codec, codec), [by_curve[over, name] for name in (reference_codec, codec)], same_files
        )
        for over in kinds
        for codec in known
        if codec != reference_codec and (over, codec) in by_curve
    ]


def _summary(over: str, names: tuple[str, str], lines: list[list[dict]], same_files: bool) -> Summary:
    """Of the lines of a reference and of a codec."""
    curves = [curves_of(of) for of in lines]
    are_means = [any(line.get("mean") for line in of) for of in lines]
    shared = [] if any(are_means) else [file for file in curves[0] if file in curves[1]]
    by_file = {file: bd_rate_percent(*(list(of[file].values()) for of in curves)) for file in shared}
    compared = sum(rate is not None for rate in by_file.values())
    fault = _incomparable(curves, are_means, shared, same_files)
    of_means = None if fault else bd_rate_percent(*(mean_curve(of, shared or list(of)) for of in curves))
    return Summary(
        codec=names[1],
        reference=names[0],
        over=over,
        published=any(line["published"] for of in lines for line in of),
        by_file=by_file,
        mean_curve_percent=of_means,
        note=fault or _limits(len(shared), compared, of_means),
    )


def _incomparable(curves: list[Curves], are_means: list[bool], shared: list, same_files: bool) -> str:
    """Why two codecs cannot be compared at all, or an empty text."""
    if any(all(len(points) < 2 for points in of.values()) for of in curves):
        return "a curve of a single point"
    if any(are_means):
        fine = all(are_means) or same_files
        return "" if fine else "a published mean over files of its own"
    return "" if shared else "no file in common"


def _limits(shared: int, compared: int, of_means: float | None) -> str:
    """What has no overlap; an empty text if nothing."""
    notes = [f"no overlap in quality of {shared - compared} of {shared} files"] if compared < shared else []
    return "; ".join([*notes, *(["no overlap in quality of the mean curves"] if of_means is None else [])])


def curves_of(lines: list[dict]) -> Curves:
    """Points of one codec; lossless ones, which have no PSNR, are left out. The last line of a setting counts."""
    curves: Curves = defaultdict(dict)
    for line in lines:
        if line["psnr_db"] is not None:
            curves[Path(line["file"]).stem, line["frames"]][line["setting"]] = (line["bpp"], line["psnr_db"])
    return dict(curves)


def mean_curve(curves: Curves, files: list[File]) -> list[Point]:
    """Mean bpp and mean PSNR of every setting that all `files` have."""
    chosen = [curves[file] for file in files]
    everywhere = [setting for setting in chosen[0] if all(setting in points for points in chosen)] if chosen else []
    return [tuple(fmean(points[setting][axis] for points in chosen) for axis in (0, 1)) for setting in everywhere]
