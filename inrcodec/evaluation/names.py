"""The codecs that can be asked for, by name."""

from __future__ import annotations

from inrcodec.errors import UsageError
from inrcodec.evaluation.codec import Codec
from inrcodec.evaluation.learned import CompressAi
from inrcodec.evaluation.ours import Inrcodec
from inrcodec.evaluation.pictures import Avif, Jpeg, Jpeg2000, JpegXl, Webp
from inrcodec.evaluation.videos import X264, X265, Aom, SvtAv1, Vp9

CODECS: dict[str, type[Codec]] = {
    codec.NAME: codec
    for codec in (Inrcodec, Jpeg, Webp, Jpeg2000, Avif, JpegXl, X264, X265, Vp9, SvtAv1, Aom, CompressAi)
}


def parse_codec(text: str) -> Codec:
    """The curve that NAME or NAME:KEY=VALUE,KEY=VALUE/VALUE asks for, "inrcodec:effort=3,q=20/40" for instance.

    Raises UsageError for what is unknown, and for a codec that is not installed.
    """
    name, _, rest = text.partition(":")
    if name not in CODECS:
        raise UsageError(f"codec {name!r} is unknown, allowed are {', '.join(CODECS)}")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    for key, equals, value in pairs:
        if not equals or not value:
            raise UsageError(f"{text}: {key!r} has no value; wanted is for instance {name}:{key}=…")
    missing = CODECS[name].missing()
    if missing:
        raise UsageError(f"{name} is not installed: it needs {missing}")
    return CODECS[name].of({key: value for key, _, value in pairs})


def described() -> list[str]:
    """A line for each codec: its rates and options with their usual values, and what it lacks."""
    return [_described(codec) for codec in CODECS.values()]


def _described(codec: type[Codec]) -> str:
    rates = [f"{key}={'/'.join(f'{value:g}' for value in values) or '…'}" for key, values in codec.RATES.items()]
    options = [f"{key}={value}" for key, value in codec.OPTIONS.items()]
    missing = codec.missing()
    return f"{codec.NAME}: {', '.join(rates + options)}" + (f"  (not installed: {missing})" if missing else "")
