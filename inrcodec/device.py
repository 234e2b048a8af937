"""Where to compute, and what to say when it cannot be done there. PyTorch is loaded when a device is picked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inrcodec.errors import DeviceError

if TYPE_CHECKING:
    import torch

OUT_OF_MEMORY = "can't allocate memory", "not enough memory"
"""What PyTorch's CPU allocators say, in a plain RuntimeError."""


def pick_device(name: str | torch.device) -> torch.device:
    """The device that `name` stands for ("auto": "cuda" if there is one, else "cpu"), tried out.

    Raises DeviceError if it is unknown or cannot be used.
    """
    import torch

    wanted = ("cuda" if torch.cuda.is_available() else "cpu") if str(name) == "auto" else str(name)
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # torch raises either, by the way it was built
        raise DeviceError(f"device {wanted!r} cannot be used: {str(error).splitlines()[0]}") from None
    return device


@contextmanager
def memory_errors(device: torch.device | str, doing: str) -> Iterator[None]:
    """Turns "out of memory", in the four guises in which it comes, into DeviceError. `doing` ends the message."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        raise DeviceError(f"not enough memory on {device} while {doing}") from None


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the latter is a GPU's, PyTorch's
        return True
    return any(words in str(error) for words in OUT_OF_MEMORY)
