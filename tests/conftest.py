"""Shared by all tests."""

import os

import pytest
import torch

from inrcodec.kernels import native

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before anybody loads Triton: its kernels run on the CPU then


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The tensors of tests are so small that threads cost more than they give: five times, on two busy cores."""
    torch.set_num_threads(1)


@pytest.fixture(params=["plain", "compiled"])
def path(request, monkeypatch):
    """Which of the two implementations is taken."""
    if request.param == "plain":
        monkeypatch.setattr(native, "available", lambda: False)
    elif not native.available():
        pytest.skip("the compiled loops were not built")
    return request.param
