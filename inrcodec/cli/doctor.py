"""`inrcodec doctor`: what this installation is made of, and whether it works."""

from __future__ import annotations

import os
import platform
import time
from argparse import Namespace
from importlib import metadata

from inrcodec.cli.failures import INTERNAL
from inrcodec.cli.terminal import print_table

PACKAGES = ("inrcodec", "torch", "numpy", "constriction", "av", "pillow", "pytorch-msssim", "rich", "scikit-image")
"""The last one is only for the demo and the tests."""
LOWEST_PSNR_DB = 15.0
"""Of the self-test's smooth picture; a gray one would have 12 dB."""


def run(arguments: Namespace) -> int:
    """Prints versions and devices, then encodes and decodes a small picture. The status is 1 if that fails."""
    print_table(
        {"python": f"{platform.python_version()} on {platform.platform()}", **_versions(), "processors": os.cpu_count()}
    )
    try:
        print_table({**_devices(), "self-test": _self_test()})
        return 0
    except Exception as error:  # whatever is wrong with an installation is what was asked for
        print_table({"self-test": f"failed: {type(error).__name__}: {error}"})
        return INTERNAL


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _devices() -> dict[str, object]:
    import torch

    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    return {"threads": torch.get_num_threads(), "cuda device": cuda}


def _self_test() -> str:
    """Encodes and decodes 16x16 pixels in memory; raises RuntimeError if they come back as something else."""
    import numpy as np

    from inrcodec.decode import Decoder
    from inrcodec.encoder import EncodeOptions, encode
    from inrcodec.metrics import psnr_db, squared_error

    began = time.monotonic()
    ramp = np.arange(16, dtype=np.uint8) * 16
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], ramp[::-1, None]), axis=-1)
    result = encode(picture, EncodeOptions(effort=1, quality=70, time_limit_s=1))
    with Decoder(result.data) as decoder:
        decoder.verify()
        decoded = decoder.numpy(0)
    psnr = psnr_db(float(squared_error(picture, decoded).mean()), 255)
    if psnr < LOWEST_PSNR_DB:
        raise RuntimeError(f"a 16x16 picture came back with {psnr:.2f} dB, at least {LOWEST_PSNR_DB} are due")
    return f"ok, 16x16 pixels in {result.bytes} bytes with {psnr:.2f} dB, {time.monotonic() - began:.1f} s"
