"""Lattices drawn where the errors are: how often, with what weights, and that means stay what they were."""

import numpy as np
import pytest
import torch

import inrcodec
from inrcodec.encoder.batches import Samples
from inrcodec.encoder.fit import Budget, fit
from inrcodec.encoder.importance import ImportantLattices, drawn
from inrcodec.fields.coordx import CoordX, CoordXConfig
from inrcodec.signal.info import SignalInfo


def random():
    return torch.Generator().manual_seed(0)


def black(height, width):
    frames = np.zeros((1, height, width, 3), np.uint8)
    return Samples(frames, SignalInfo(width, height, 1, "rgb", matrix=0), torch.device("cpu"))


def test_draws_follow_their_probabilities():
    share, generator = torch.tensor([0.5, 0.0, 0.25, 0.125, 0.125]), random()
    draws = torch.cat([drawn(share, 4, generator) for _ in range(4000)])
    assert np.bincount(draws, minlength=5) / len(draws) == pytest.approx(share.numpy(), abs=0.01)


def test_one_is_drawn_from_each_part():
    """Of probability 1/4 each: the first index twice, whatever chance says."""
    share, generator = torch.tensor([0.5, 0.25, 0.25, 0.0, 0.0]), random()
    assert {tuple(drawn(share, 4, generator).tolist()) for _ in range(100)} == {(0, 0, 1, 2)}


def errors_of(rows, columns):
    """Of a picture whose errors are the products of these."""
    return lambda batch: torch.outer(rows[batch.rows], columns[batch.columns])


def test_rows_and_columns_of_large_errors_are_drawn_more_often():
    """In proportion to the root of their errors, one fifth evenly: 0.2 / 96 + 0.8 · 3 / (64 · 1 + 32 · 3) for the last third."""
    rows, columns = torch.ones(96), torch.ones(64)
    rows[64:] = 9
    lattices = ImportantLattices(black(96, 64), 1024, 4, random())
    lattices.observe(errors_of(rows, columns))
    batches = [next(lattices)[0] for _ in range(500)]
    counts = np.bincount(torch.cat([batch.rows for batch in batches]), minlength=96)
    likely = 0.2 / 96 + 0.8 * 3 / (64 + 32 * 3)
    assert counts[70:].sum() / counts.sum() == pytest.approx(26 * likely, rel=0.02)
    columns_drawn = np.bincount(torch.cat([batch.columns for batch in batches]), minlength=64)
    assert columns_drawn[:32].sum() / columns_drawn.sum() == pytest.approx(0.5, abs=0.02)
    weights = torch.cat([batch.importance[0][batch.rows >= 70] for batch in batches])
    assert weights.numpy() == pytest.approx(1 / (96 * likely), rel=0.01)  # errors are smoothed a little


def test_means_stay_what_they_were():
    generator = random()
    rows, columns = torch.rand(96, generator=generator) ** 4 + 0.01, torch.rand(64, generator=generator)
    lattices = ImportantLattices(black(96, 64), 1024, 4, generator)
    lattices.observe(errors_of(rows, columns))
    sums = []
    for _ in range(4000):
        (batch,) = next(lattices)
        row_weights, column_weights = batch.importance
        sums.append((rows[batch.rows] * row_weights).mean() * (columns[batch.columns] * column_weights).mean())
    assert np.mean(sums) == pytest.approx((rows.mean() * columns.mean()).item(), rel=0.01)


def test_small_pictures_are_seen_as_they_are():
    lattices = ImportantLattices(black(12, 10), 1024, 4, random())
    lattices.observe(errors_of(torch.arange(12.0), torch.arange(10.0)))
    (batch,) = next(lattices)
    assert batch.rows.tolist() == list(range(12)) and batch.columns.tolist() == list(range(10))
    assert all(torch.allclose(weights, torch.ones(1)) for weights in batch.importance)


def test_a_fit_looks_where_its_errors_are():
    """A picture that is noise on the right and gray on the left: columns on the right are drawn more often in the end."""
    frames = np.full((1, 48, 64, 3), 128, np.uint8)
    frames[:, :, 48:] = np.random.default_rng(0).integers(0, 256, (1, 48, 16, 3))
    samples = Samples(frames, SignalInfo(64, 48, 1, "rgb", matrix=0), torch.device("cpu"))
    field = CoordX(CoordXConfig("t_yx", 1, 1, 8, 1, "product"), samples.shape)
    lattices = ImportantLattices(samples, 512, 4, random())
    fit(field, samples, lattices, Budget(iterations=220), random())
    columns = torch.cat([next(lattices)[0].columns for _ in range(50)])
    assert (columns >= 48).float().mean() > 0.35  # a quarter of them, drawn evenly


def test_pictures_of_coordx_are_fitted_where_their_errors_are(monkeypatch):
    """Encoded: noise in the right eighth, gray elsewhere."""
    made = []

    class Recorded(ImportantLattices):
        def __init__(self, *given):
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr("inrcodec.encoder.pipeline.ImportantLattices", Recorded)
    picture = np.full((160, 256, 3), 128, np.uint8)
    picture[:, 224:] = np.random.default_rng(0).integers(0, 256, (160, 32, 3))
    inrcodec.encode(picture, inrcodec.EncodeOptions(family="coordx", effort=1, target_bpp=0.1))
    rows, columns = made[0].shares
    assert columns[230:].mean() > 2 * columns[:210].mean()
    assert rows.max() < 1.5 * rows.mean()
