"""`inrcodec info`: what a stream holds. Reads headers and checksums; neither PyTorch nor NumPy is loaded."""

from __future__ import annotations

from argparse import Namespace

from inrcodec.bitstream import StreamReader
from inrcodec.cli.files import stream_source
from inrcodec.cli.terminal import print_json, print_table
from inrcodec.metadata import metadata_of
from inrcodec.source import Source

SECTIONS = ("config", "coding", "weights", "grids")


def run(arguments: Namespace) -> int:
    """Prints the facts."""
    source = Source(stream_source(arguments.input))
    facts = stream_facts(source.reader)
    source.close()
    if arguments.json:
        print_json(facts)
    else:
        print_table(_rows(arguments.input, facts))
    return 0


def stream_facts(reader: StreamReader) -> dict:
    """Of the whole stream. parameters: of all segments. groups: bytes of each kind of section over all segments,
    "header" being all the rest (headers, framing, times, index), so that they add up to `bytes`."""
    metadata, info = metadata_of(reader), reader.info
    headers = [reader.segment(index).header for index in range(reader.segment_count)]
    groups = {name: sum(getattr(header, f"{name}_bytes") for header in headers) for name in SECTIONS}
    return {
        "version": reader.version,
        "family": metadata.family,
        "width": info.width,
        "height": info.height,
        "frames": info.frames,
        "channels": info.channels,
        "bit_depth": info.bit_depth,
        "pixel_format": info.pixel_format,
        "color": {name: getattr(info, name) for name in ("primaries", "transfer", "matrix", "full_range")},
        "frame_rate": float(info.frame_rate) if info.is_video else None,
        "duration_s": metadata.duration_s if info.is_video else None,
        "segments": reader.segment_count,
        "bytes": reader.size,
        "bpp": metadata.bpp,
        "parameters": sum(header.parameters for header in headers),
        "groups": {"header": reader.size - sum(groups.values()), **groups},
    }


def _rows(name: str, facts: dict) -> dict[str, str]:
    video = facts["frame_rate"] is not None
    time = (
        f", {facts['frames']} frames, {facts['frame_rate']:.6g} per second, {facts['duration_s']:.3f} s"
        if video
        else ""
    )
    color = facts["color"]
    return {
        "stream": f"{name}, format version {facts['version']}",
        "size": f"{facts['width']}x{facts['height']}" + time,
        "samples": f"{facts['pixel_format']}, {facts['bit_depth']} bits",
        "color": f"primaries {color['primaries']}, transfer {color['transfer']}, matrix {color['matrix']} (H.273), "
        + ("full range" if color["full_range"] else "limited range"),
        "field": f"{facts['family']}, {facts['parameters']} parameters in {facts['segments']} segment"
        + "s" * (facts["segments"] > 1),
        "bytes": f"{facts['bytes']} ({', '.join(f'{group} {count}' for group, count in facts['groups'].items())})",
        "bpp": f"{facts['bpp']:.4f}",
    }
