"""Batches: which samples an iteration looks at."""

import numpy as np
import pytest
import torch

from inrcodec.encoder.batches import Samples, aligned_patches, sub_lattices
from inrcodec.signal.info import SignalInfo

T, H, W = 5, 13, 22


@pytest.fixture
def samples():
    frames = np.arange(T * H * W, dtype=np.uint16).reshape(T, H, W, 1)
    info = SignalInfo(W, H, T, "gray", 16, time_base_num=1, time_base_den=25, frame_ticks=1)
    return Samples(frames, info, torch.device("cpu"))


def whole_runs(indices: torch.Tensor, length: int, size: int) -> int:
    """How many patches the indices are made of; each must be whole, but for what the axis lacks. One may be there twice."""
    rest, count = indices.tolist(), 0
    while rest:
        first = rest[0] // length * length
        run = list(range(first, min(first + length, size)))
        assert rest[: len(run)] == run
        rest, count = rest[len(run) :], count + 1
    return count


def test_aligned_patches_are_whole_and_as_many_as_asked(samples):
    patch, seen = (2, 4, 5), set()
    batches = aligned_patches(samples, patch, 2 * 4 * 5 * 4, 2, torch.Generator().manual_seed(0))
    for _, (batch,) in zip(range(300), batches):
        runs = [whole_runs(*axis) for axis in zip((batch.frames, batch.rows, batch.columns), patch, (T, H, W))]
        assert runs[0] == 1 and 2 <= runs[1] * runs[2] <= 6  # of 4 x 5 patches a period, four are asked for
        seen |= {(int(t), int(y), int(x)) for t in batch.frames for y in batch.rows for x in batch.columns}
        assert batch.lattice.shape == (len(batch.frames), len(batch.rows), len(batch.columns))
        frame = samples.frame(batch, 0)
        place = (int(batch.frames[0]) * H + int(batch.rows[-1])) * W + int(batch.columns[0])
        assert frame[-1, 0, 0].item() == pytest.approx(place / 65535 - 0.5, abs=1e-6)
    assert len(seen) == T * H * W


def test_a_budget_above_all_patches_takes_the_signal_as_it_is(samples):
    (batch,) = next(aligned_patches(samples, (1, 4, 4), 1 << 20, T, torch.Generator().manual_seed(0)))
    assert batch.pixels == T * H * W


@pytest.mark.parametrize("whole, columns", [(1, 10), (8, 8), (16, 16), (64, 10)])
def test_columns_of_sub_lattices_come_in_whole_runs_where_there_are_as_many(samples, whole, columns):
    batch = next(sub_lattices(samples, 120, 2, torch.Generator().manual_seed(0), whole))[0]
    assert (len(batch.frames), len(batch.columns)) == (2, columns) and abs(batch.pixels - 120) <= columns
