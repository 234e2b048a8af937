"""Where to compute, and what to say when it cannot be done there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from inrcodec.errors import DeviceError


def pick_device(name: str | torch.device) -> torch.device:
    """The device that `name` stands for ("auto": "cuda" if there is one, else "cpu"), tried out.

    Raises DeviceError if it is unknown or cannot be used.
    """
    wanted = ("cuda" if torch.cuda.is_available() else "cpu") if str(name) == "auto" else str(name)
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # torch raises either, by the way it was built
        raise DeviceError(f"device {wanted!r} cannot be used: {str(error).splitlines()[0]}") from None
    return device


@contextmanager
def memory_errors(device: torch.device, doing: str) -> Iterator[None]:
    """Turns "out of memory", in the four guises in which it comes, into DeviceError. `doing` ends the message."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise DeviceError(f"not enough memory on {device} while {doing}") from None
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
        raise DeviceError(f"not enough memory on {device} while {doing}") from None
