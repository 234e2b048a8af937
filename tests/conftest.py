"""Shared by all tests."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The tensors of tests are so small that threads cost more than they give: five times, on two busy cores."""
    torch.set_num_threads(1)
