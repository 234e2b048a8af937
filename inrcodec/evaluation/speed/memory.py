"""What decoding a stream takes at its peak, measured in a process of its own (Linux: /proc tells it).

    python -m inrcodec.evaluation.speed.memory STREAM DEVICE THREADS FRAMES WAY

decodes the first FRAMES frames, in the stream's own format or as they are played (WAY: "samples" or "play"), and prints
{"peak_bytes": …, "peak_device_bytes": …}.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from inrcodec.decode import Decoder
from inrcodec.device import pick_device
from inrcodec.errors import InrError
from inrcodec.evaluation.speed.timing import Conditions

RESET_PEAK = "5"
"""Written to clear_refs (Linux, proc(5)): the peak becomes what is resident now."""


def peak_memory(path: Path, conditions: Conditions, played: bool = False) -> dict:
    """peak_bytes: of the process's resident memory while the first frames are decoded one after the other, or all are played,
    above what it was before the stream was opened (with PyTorch loaded), without the frame that is given back; None where
    there is no /proc. peak_device_bytes: of PyTorch's tensors on a GPU, None without one. Raises InrError if the process fails.
    """
    frames, way = (sys.maxsize, "play") if played else (conditions.frames, "samples")
    words = [str(path), conditions.device, str(conditions.threads), str(frames), way]
    command = [sys.executable, "-m", "inrcodec.evaluation.speed.memory", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
        raise InrError(f"{path}: the process that measures memory failed: {last}")
    return json.loads(ran.stdout)


def _status(name: str) -> int:
    """A size of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text(RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def _frames(decoder: Decoder, way: str) -> Iterator[np.ndarray | torch.Tensor]:
    return iter(decoder) if way == "play" else map(decoder.samples, range(len(decoder)))


def main(path: str, device_name: str, threads: str, frames: str, way: str) -> None:
    device = pick_device(device_name)
    torch.set_num_threads(int(threads))
    torch.addmm(
        *(torch.ones(64, 64, device=device) for _ in range(3))
    )  # what PyTorch takes for itself is not the decoder's
    known = _reset_peak()
    before = _status("VmRSS") if known else 0
    with Decoder(path, device=device) as decoder:
        for frame in islice(_frames(decoder, way), int(frames)):
            output = frame.nbytes
    gpu = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    peak = max(0, _status("VmHWM") - before - output) if known else None
    print(json.dumps({"peak_bytes": peak, "peak_device_bytes": gpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
