"""A stream of the hash grid's joint form over (t, y, x), which `inrcodec encode` does not offer: fitted, then rounded.

    python -m inrcodec.evaluation.speed.joint CLIP FRAMES SECONDS STREAM.inr

fits the first FRAMES frames for SECONDS of the processor and prints the stream's PSNR.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from inrcodec.bitstream import pack_segment, pack_stream
from inrcodec.encoder.batches import Samples, sub_lattices
from inrcodec.encoder.decoded import decoded_frames
from inrcodec.encoder.fit import Budget, fit
from inrcodec.entropy.context import NetworkShape
from inrcodec.fields import Field, Parameters
from inrcodec.fields.hashgrid import HashGrid, HashGridConfig
from inrcodec.metrics import Quality
from inrcodec.segment import CodedField, encode_segment, grid_coding
from inrcodec.signal.info import SignalInfo
from inrcodec.signal.read import open_source
from inrcodec.steps import nearest_index, step_of

LEVELS, FEATURES, TABLE_LOG2, WIDTH = 8, 2, 15, 64
"""As published for pictures (Instant-NGP's levels of two features, two hidden layers of 64)."""
BATCH = (1 << 15, 8)
"""Pixels and frames of an iteration."""
FINER = 4
"""Steps are those of the start of training over this: fitted without noise, parameters do not forgive coarser ones."""


def joint_stream(frames: np.ndarray, info: SignalInfo, budget: Budget) -> tuple[bytes, float]:
    """The stream of frames (T, H, W, C), and its PSNR."""
    field = HashGrid(_config(), frames.shape)
    samples, generator = Samples(frames, info, torch.device("cpu")), torch.Generator().manual_seed(0)
    fitted = fit(field, samples, sub_lattices(samples, *BATCH, generator), budget, generator)
    coded, quality = coded_field(field, fitted.parameters), Quality(info, with_ms_ssim=False)
    for frame, decoded in zip(frames, decoded_frames(coded, info, torch.device("cpu")), strict=True):
        quality.add(frame, decoded.astype(frame.dtype))
    return pack_stream(info, [pack_segment(encode_segment(coded))]), quality.summary()["psnr_db"]


def _config() -> HashGridConfig:
    finest, growth = (32, 32, 32), (32, 32, 32)
    return HashGridConfig("joint", (FEATURES,) * LEVELS, finest, growth, TABLE_LOG2, "linear", WIDTH, layers=2)


def coded_field(field: Field, parameters: Parameters) -> CodedField:
    """Parameters rounded to steps; grids without a network for their context."""
    steps = {spec.group: nearest_index(spec.step / FINER) for spec in field.specs()}
    symbols = {
        spec.name: np.rint(spec.symbols(parameters[spec.name], step_of(steps[spec.group])).numpy()).astype(np.int32)
        for spec in field.specs()
    }
    coded = CodedField(field, steps, symbols, NetworkShape(0))
    for group in grid_coding(field).groups(coded.network_shape):
        coded.network |= {name: np.zeros(shape, np.int32) for name, shape in group.items()}
    return coded


def main(clip: str, frames: str, seconds: str, stream: str) -> None:
    with open_source(Path(clip), (0, int(frames))) as source:
        stack = np.stack([samples for samples, _ in source])
        info = source.info
    data, psnr_db = joint_stream(stack, info, Budget(seconds=float(seconds)))
    Path(stream).write_bytes(data)
    print(f"{stream}: {len(data)} bytes, {psnr_db:.2f} dB")


if __name__ == "__main__":
    main(*sys.argv[1:])
