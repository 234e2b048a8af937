"""Which tiles of a picture's grids are trained: by hand, and in an encode."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import inrcodec
from inrcodec.bitstream import StreamReader
from inrcodec.encoder import annealing
from inrcodec.encoder.promise import ALL_FROM, promise_of
from inrcodec.passes import TILE
from inrcodec.segment import decode_segment


def test_a_tile_with_a_symbol_above_the_threshold_is_trained():
    finest, next_level, coarse = torch.zeros(1, 1, 40, 70), torch.zeros(3, 1, 20, 35), torch.zeros(3, 1, 10, 18)
    finest[0, 0, 33, 65], finest[0, 0, 0, 31], next_level[2, 0, 5, 34] = -0.8, 0.5, 0.6
    promise = promise_of([coarse, next_level, finest], [ALL_FROM, 1, 0], 0.5)
    assert [tiles.tolist() for tiles in promise.tiles] == [
        *([[[1]]] * 3),  # whatever they hold
        *([[0, 0]], [[0, 0]], [[0, 1]]),
        [[0, 0, 0], [0, 0, 1]],
    ]
    expected = torch.zeros_like(finest)
    expected[..., TILE:, 2 * TILE :] = 1
    assert torch.equal(promise.masks[2], expected)
    assert promise.masks[1].sum() == 20 * (35 - TILE) and promise.masks[0].min() == 1


@pytest.mark.parametrize("target", [{"rate_lambda": 1e-3}, {"target_bpp": 0.3}, {"target_psnr_db": 24.0}])
def test_tiles_without_promise_stay_zeros(target, monkeypatch):
    """Also where a target trims symbols. Noise in a part of a picture promises something by itself."""
    picture = np.full((96, 128, 3), 128, np.uint8)
    picture[:, :40] = np.random.default_rng(1).integers(0, 256, (96, 40, 1))
    options = inrcodec.EncodeOptions(family="pyramid", effort=1, threads=1, **target)

    def levels() -> list[np.ndarray]:
        reader = StreamReader(inrcodec.encode(picture, options).data)
        symbols = decode_segment(reader.segment(0), reader.info).symbols
        return [symbols[f"grid{age}"] for age in range(ALL_FROM + 1)]

    finest, *_ = levels()
    assert not finest[..., 64:].any() and (target.keys() != {"rate_lambda"} or finest[..., :40].any())
    monkeypatch.setattr(annealing, "QUICK", replace(annealing.QUICK, promising=1e9))
    *without_promise, coarser = levels()
    assert not any(level.any() for level in without_promise) and coarser.any()
