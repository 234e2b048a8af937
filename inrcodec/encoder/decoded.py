"""What a decoder on the same machine makes of a quantized field."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from inrcodec.lattice import Lattice
from inrcodec.render import integers
from inrcodec.segment import CodedField
from inrcodec.signal.info import SignalInfo


@torch.no_grad()
def decoded_frames(coded: CodedField, info: SignalInfo, device: torch.device) -> Iterator[np.ndarray]:
    """Frames (H, W, C) of whole numbers, in the stream's own format, float32 or int32: computed in arrays where the decoder does
    that."""
    in_arrays = coded.field.takes_arrays and device.type == "cpu"
    parameters = coded.arrays() if in_arrays else coded.parameters(device)
    plan = coded.field.plan(parameters, Lattice.full(*coded.field.shape[:3]))
    for index in range(coded.field.shape[0]):
        subsampled = info.pixel_format == "yuv420"
        frame = integers(plan.frame(index), info) if subsampled else plan.samples(index, info.peak)
        yield frame if isinstance(frame, np.ndarray) else frame.cpu().numpy()
