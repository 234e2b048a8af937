"""A codec of images and videos that stores a small neural field instead of samples.

    inrcodec.encode(source, options) -> EncodeResult        inrcodec.open(source, device="auto") -> Decoder

Nothing heavy is imported before it is used: `import inrcodec` does not load PyTorch.
"""

import os
from importlib import import_module

from inrcodec.errors import (
    DeviceError,
    InputError,
    InrError,
    OutputError,
    StreamError,
    TargetMissed,
    UsageError,
    VersionError,
)

# Before anything loads PyTorch: its threads spin while they wait for one another, which takes ten times as long where other
# work holds a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_LAZY = {
    "Decoder": ("inrcodec.decode", "Decoder"),
    "open": ("inrcodec.decode", "Decoder"),
    "encode": ("inrcodec.encoder", "encode"),
    "EncodeOptions": ("inrcodec.encoder", "EncodeOptions"),
    "EncodeResult": ("inrcodec.encoder", "EncodeResult"),
}

__all__ = [
    "Decoder",
    "DeviceError",
    "EncodeOptions",
    "EncodeResult",
    "InputError",
    "InrError",
    "OutputError",
    "StreamError",
    "TargetMissed",
    "UsageError",
    "VersionError",
    "__version__",
    "encode",
    "open",
]


def __getattr__(name: str):
    if name == "__version__":
        value = _version()
    elif name in _LAZY:
        module, attribute = _LAZY[name]
        value = getattr(import_module(module), attribute)
    else:
        raise AttributeError(f"module 'inrcodec' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("inrcodec")
    except metadata.PackageNotFoundError:  # run from a clone
        return "0.0.0"
