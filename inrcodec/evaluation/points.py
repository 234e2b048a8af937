"""Single points against the curve of another codec, where there are not points enough for a BD-rate."""

from __future__ import annotations

from pathlib import Path

from inrcodec.evaluation.bdrate import Point, check_reference, curves_of, front
from inrcodec.evaluation.means import bpp_at


def excess_percent(reference: list[Point], point: Point) -> float | None:
    """How many more bits a point takes than the curve does at its PSNR, interpolated as for a BD-rate; None if the curve has
    fewer than two points or does not reach that PSNR."""
    bpp, psnr_db = point
    wanted = bpp_at(reference, psnr_db) if len(front(reference)) > 1 else None
    return None if wanted is None else 100 * (bpp / wanted - 1)


def excesses(lines: list[dict], reference_codec: str) -> list[tuple[dict, float | None]]:
    """Each line of another codec whose file and kind of samples the reference has lines of, and its `excess_percent`. Raises
    UsageError if no line is of the reference."""
    check_reference(lines, reference_codec)
    curves = {
        over: curves_of([line for line in lines if (line["over"], line["codec"]) == (over, reference_codec)])
        for over in {line["over"] for line in lines}
    }
    found = []
    for line in lines:
        curve = curves[line["over"]].get((Path(line["file"]).stem, line["frames"]))
        if curve and line["codec"] != reference_codec and line["psnr_db"] is not None:
            found.append((line, excess_percent(list(curve.values()), (line["bpp"], line["psnr_db"]))))
    return found
