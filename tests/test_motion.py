"""The search for motion finds what is known; prices of choices are those of the coder; what errors cost."""

import numpy as np
import pytest
import torch
from skimage import data
from skimage.transform import resize

from inrcodec.encoder.film.displaced import KNEE, what_errors_cost
from inrcodec.encoder.film.merges import COLORS, Grid, Prices
from inrcodec.encoder.film.motion import FilmMotion
from inrcodec.entropy.adaptive import Counts
from inrcodec.entropy.merging import (
    CHANNELS,
    EVEN,
    KINDS,
    LENGTHS,
    MODES,
    PATTERNS,
    SIZES,
    Vectors,
    cost_bits,
    initial_counts,
)
from inrcodec.fields.film import Film, FilmConfig
from inrcodec.fields.film_arrays import ArrayRendering
from inrcodec.kernels import native
from inrcodec.kernels import warp as warping
from inrcodec.lattice import Lattice

compiled = pytest.mark.skipif(not native.available(), reason="the compiled loops are not there")
HEIGHT, WIDTH, SPACING = 96, 128, 16
RATE_LAMBDA = 1e-4


@pytest.fixture(scope="module")
def picture():
    """A photograph at twice the size, so that odd offsets are half samples; centered, (2 H, 2 W, 3)."""
    photograph = data.astronaut()[:300, 60:420] / 255 - 0.5
    return resize(photograph, (3 * HEIGHT, 3 * WIDTH), order=3)


def view(picture, y, x):
    """(H, W, 3) float32 of the picture from (y, x) half samples on."""
    return picture[y : y + 2 * HEIGHT : 2, x : x + 2 * WIDTH : 2].astype(np.float32)


class Fit:
    """Motion of the frames of a film, one after the other, with references as they are."""

    def __init__(self, frames):
        self.frames = frames
        self.field = Film(
            FilmConfig(2, 8, 8, SPACING, "own", 1, (1,) + (2,) * (len(frames) - 1)), (len(frames), HEIGHT, WIDTH, 3)
        )
        places = ArrayRendering(self.field, Lattice.full(1, HEIGHT, WIDTH)).places
        self.motion = FilmMotion(self.field, places, torch.full((3,), 1 / 3), torch.Generator().manual_seed(0))

    def of(self, frame):
        decoded = {index: warping.lanes(one) for index, one in enumerate(self.frames)}
        target = torch.from_numpy(self.frames[frame]).permute(2, 0, 1).contiguous()
        return self.motion.fit(self.field.link_of[frame], target, decoded, RATE_LAMBDA, 20)


def quarters(offset, vertices):
    """Symbols of a displacement by half samples (y, x), everywhere."""
    return np.broadcast_to(2 * np.array(offset)[:, None, None], (2, *vertices))


@compiled
@pytest.mark.parametrize("offset", [(6, -10), (-32, 16), (3, 1), (1, -20), (0, 0)])
def test_a_pan_is_found_exactly(picture, offset):
    """By whole samples everywhere inside, by halves nearly so; where content comes in at the border, anything may serve."""
    frames = [view(picture, 60, 60), view(picture, 60 + offset[0], 60 + offset[1])]
    found = Fit(frames).of(1)
    right = (found.symbols.numpy() == quarters(offset, found.symbols.shape[1:])).all(0)
    assert right[2:-2, 2:-2].mean() >= (0.8 if any(part % 2 for part in offset) else 1)
    assert right.mean() > 0.7
    assert found.bits < 150


@compiled
def test_what_moves_evenly_costs_nothing_between(picture):
    frames = [view(picture, 60 + 4 * t, 60 - 8 * t) for t in range(5)]
    fit = Fit(frames)
    anchor, middle = fit.of(4), fit.of(2)
    assert (anchor.symbols[:, 2:-2, 2:-2] == torch.tensor([32, -64]).view(2, 1, 1)).all()
    assert not middle.symbols[:, 2:-2, 2:-2].any()
    assert ((middle.predicted - torch.from_numpy(frames[2]).permute(2, 0, 1))[:, 32:-32, 32:-32] ** 2).mean() < 1e-4


@compiled
def test_an_object_moves_before_what_stands(picture):
    """A square of another photograph moves over the first one by (8, -12) samples."""
    square = resize(data.coffee()[100:300, 200:400] / 255 - 0.5, (48, 48), order=3).astype(np.float32)
    frames = [view(picture, 60, 60).copy() for _ in range(2)]
    frames[0][24:72, 60:108] = square
    frames[1][16:64, 72:120] = square
    symbols = Fit(frames).of(1).symbols.numpy()
    np.testing.assert_array_equal(symbols[:, 2, 5:7], np.array([[32, 32], [-48, -48]]))
    assert not symbols[:, :, :3].any()


@compiled
def test_what_is_hidden_in_one_reference_comes_from_the_other(picture):
    """Between two frames, of which the first one is covered."""
    frames = [view(picture, 60, 60).copy() for _ in range(3)]
    frames[0][32:80, 32:96] = -0.5
    fit = Fit(frames)
    fit.of(2)
    symbols = fit.of(1).symbols.numpy()
    assert (symbols[4, 3:4, 3:5] == -4).all() and not symbols[4, :1].any()


class Frozen(Counts):
    """Counts that do not learn: then what a vertex costs depends on those around only."""

    def __init__(self, start):
        self.counts = start

    def learn(self, context, decision):
        pass


def frozen(seed):
    """Random odds of modes, alike whatever is above to the left, and of bit lengths."""
    start = initial_counts().counts
    random = np.random.default_rng(seed)
    modes = random.integers(1, 60, (KINDS * MODES, 2, PATTERNS // 2, 2))
    modes[:, 1] = modes[:, 0]
    start[: modes.size // 2] = modes.reshape(-1, 2)
    numbers = start[modes.size // 2 : EVEN].reshape(KINDS * CHANNELS * SIZES, -1, 2)
    numbers[:, :LENGTHS] = random.integers(1, 60, (len(numbers), LENGTHS, 2))
    return Frozen(start)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("channels", [2, 5])
def test_vertices_choose_what_costs_least(channels, seed, monkeypatch):
    """Each vertex of a color, tried alone with every candidate, at the price of the whole frame as it is coded."""
    monkeypatch.setattr(native, "available", lambda: False)  # compiled counts learn
    random, kind = np.random.default_rng(seed), 1
    vectors = Vectors(5, 6, kind, channels)
    few = np.concatenate([np.zeros((1, channels), int), random.integers(-30, 31, (2, channels))])
    start = few[random.integers(0, 3, (5, 6))].transpose(2, 0, 1)
    candidates = few[random.integers(0, 3, (4, 5, 6))].transpose(0, 3, 1, 2)
    candidates[0] = start
    errors = random.uniform(0, 20, (4, 5, 6))
    color = COLORS[seed]
    grid = Grid(start.copy(), Prices(frozen(seed), kind))
    grid.choose(candidates, errors, 1.0, color)

    def price(grid):
        return cost_bits(vectors, grid.astype(np.int32).ravel(), frozen(seed))

    for y in range(color[0], 5, 2):
        for x in range(color[1], 6, 2):
            costs = []
            for one, error in zip(candidates, errors):
                tried = start.copy()
                tried[:, y, x] = one[:, y, x]
                costs.append(error[y, x] + price(tried))
            np.testing.assert_array_equal(grid.vectors[:, y, x], candidates[int(np.argmin(costs)), :, y, x])


def test_large_errors_cost_a_logarithm():
    knee = KNEE * 5.0
    np.testing.assert_allclose(what_errors_cost(np.array([0, 1e-4 * knee]), 5.0), [0, 1e-4 * knee], rtol=1e-3)
    once, twice = what_errors_cost(np.array([1e6, 2e6]), 5.0)
    assert twice - once == pytest.approx(knee * np.log(2), rel=1e-3)
    assert what_errors_cost(torch.tensor(3.0), 5.0).item() == pytest.approx(what_errors_cost(np.array(3.0), 5.0))
