"""Interpolation against PyTorch's and hand arithmetic; hash grids against Instant-NGP's formulas in plain Python."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fieldcases import HASHGRID, IMAGE, POINT, VIDEO, make, with_grids
from scipy.ndimage import correlate1d

from inrcodec.errors import UsageError
from inrcodec.fields import interpolation
from inrcodec.fields.hashgrid import HashGrid, HashGridConfig
from inrcodec.fields.interpolation import AxisInterpolation, taps
from inrcodec.fields.taps import vertex_count
from inrcodec.lattice import Lattice, window

CPU = torch.device("cpu")


# -- interpolation -----------------------------------------------------------------------------------------------------


def along(positions, samples, spacing, kernel):
    return AxisInterpolation(positions, samples, spacing, kernel, CPU)


def enlarged(table, samples, spacing, kernel):
    """(vertices y, vertices x) → samples, along both axes."""
    y, x = (along(window(0, count, count), count, spacing, kernel) for count in samples)
    return y.rows(x.columns(table))


@pytest.mark.parametrize("spacing", [1, 2, 3, 8])
def test_linear_is_bilinear_of_pytorch(spacing):
    table = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    size = (5 * spacing, 4 * spacing)
    expected = F.interpolate(table[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
    assert torch.allclose(enlarged(table, size, spacing, "linear"), expected, atol=1e-6)


@pytest.mark.parametrize("spacing", [2, 3, 8])
def test_cubic_is_bicubic_of_pytorch_away_from_the_border(spacing):
    """Its antialiased form has a = -1/2 as in Keys' paper, but drops what the border cuts."""
    table = torch.randn(8, 7, generator=torch.Generator().manual_seed(0))
    size = (8 * spacing, 7 * spacing)
    expected = F.interpolate(table[None, None], size=size, mode="bicubic", antialias=True)[0, 0]
    inner = slice(2 * spacing, -2 * spacing)
    assert torch.allclose(enlarged(table, size, spacing, "cubic")[inner, inner], expected[inner, inner], atol=1e-5)


@pytest.mark.parametrize(
    "place, expected",
    [
        (2.0, [0, 1, 0, 0]),
        (2.25, [-9 / 128, 111 / 128, 29 / 128, -3 / 128]),
        (2.5, [-1 / 16, 9 / 16, 9 / 16, -1 / 16]),
    ],
)
def test_cubic_weights_by_hand(place, expected):
    """Vertices 3 samples apart, the first at sample 1: `place` is in vertices."""
    position = torch.tensor([(3 * place + 1 + 0.5) / 24], dtype=torch.float64)
    index, weight = taps(position, 24, 3, "cubic")
    assert index.tolist() == [[1, 2, 3, 4]]
    assert weight[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_borders_repeat_the_outermost_vertex():
    """7 samples, spacing 4: vertices at samples 1.5 and 5.5."""
    table = torch.tensor([10.0, 20.0])
    positions = window(0, 7, 7)
    linear = along(positions, 7, 4, "linear").columns(table)
    assert linear.tolist() == pytest.approx([10, 10, 11.25, 13.75, 16.25, 18.75, 20])
    cubic = along(positions, 7, 4, "cubic").columns(table)
    f = 1 / 8  # of sample 2; vertices -1, 0 are both 10, vertices 1, 2 both 20
    share = (((-1.5 * f + 2) * f + 0.5) * f) + (0.5 * f - 0.5) * f * f
    assert cubic[2].item() == pytest.approx(10 + 10 * share, abs=1e-5)
    assert cubic[0].item() == pytest.approx(10 + 10 * (0.5 * 0.625**3 - 0.5 * 0.625**2), abs=1e-5)


@pytest.mark.parametrize(
    "samples, spacing, count", [(7, 1, 7), (7, 2, 4), (8, 2, 4), (1, 64, 1), (768, 0.25, 3072), (10, 1.5625, 7)]
)
def test_vertices_cover_the_samples(samples, spacing, count):
    assert vertex_count(samples, spacing) == count


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
@pytest.mark.parametrize("spacing", [0.5, 1, 1.5625, 4, 100])
def test_blocks_are_the_taps(spacing, kernel, monkeypatch):
    """In blocks of any length, rows and columns alike."""
    positions = window(0, 23, 23, 31)
    index, weight = taps(positions, 23, spacing, kernel)
    table = torch.randn(2, vertex_count(23, spacing), 3, generator=torch.Generator().manual_seed(1))
    expected = (table[:, index] * weight[..., None]).sum(-2)
    assert torch.allclose(weight.sum(1), torch.ones(31), atol=1e-6)
    for block in (256, 5, 1):
        monkeypatch.setattr(interpolation, "BLOCK", block)
        axis = along(positions, 23, spacing, kernel)
        assert torch.allclose(axis.rows(table), expected, atol=1e-5)
        assert torch.allclose(axis.columns(table.mT), expected.mT, atol=1e-5)
        assert axis.kept_bytes == 4 * 31 * vertex_count(23, spacing) or block < 31


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
def test_vertices_on_the_samples_are_taken_as_they_are(kernel):
    table = torch.randn(9, 9)
    whole = along(window(0, 9, 9), 9, 1, kernel)
    assert torch.equal(whole.rows(table), table) and torch.equal(whole.columns(table), table)
    reversed_order = along(window(0, 9, 9)[::-1], 9, 1, kernel)
    assert torch.allclose(reversed_order.rows(table), table.flip(0))
    assert torch.allclose(along(window(2, 5, 9), 9, 1, kernel).columns(table), table[:, 2:7])


@pytest.mark.parametrize("spacing", [1, 2, 3])
def test_a_filter_of_vertices_is_a_convolution_before_interpolation(spacing):
    """SciPy's convolution with the border repeated, on vertices far enough from it."""
    raw = (-0.2, 0.3, 1.0, 0.4, -0.1)
    positions = window(0, 48, 48, 31)
    table = torch.randn(vertex_count(48, spacing), 3, generator=torch.Generator().manual_seed(2))
    smooth = correlate1d(table.double().numpy(), np.array(raw) / sum(raw), axis=0, mode="nearest")
    found = AxisInterpolation(positions, 48, spacing, "cubic", CPU, raw).rows(table)
    expected = along(positions, 48, spacing, "cubic").rows(torch.from_numpy(smooth).float())
    inner = slice(3 * 31 // 16, -3 * 31 // 16)  # Keys' taps beyond the border repeat filtered, or unfiltered, vertices
    assert torch.allclose(found[inner], expected[inner], atol=1e-5)
    assert found.shape == expected.shape


# -- the field, point by point -----------------------------------------------------------------------------------------


def tent(f):
    return {0: 1 - f, 1: f}


def keys(f):
    """Keys 1981, equation 4 with a = -1/2, by distance."""

    def weight(d):
        d = abs(d)
        return 1.5 * d**3 - 2.5 * d**2 + 1 if d <= 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2

    return {tap: weight(f - tap) for tap in (-1, 0, 1, 2)}


def spacings(config, level):
    """In samples along t, y, x: each coarser level's is `growth` times larger, rounded down to sixteenths."""
    sizes = list(config.finest)
    for _ in range(len(config.features) - 1 - level):
        sizes = [size * growth // 16 for size, growth in zip(sizes, config.growth, strict=True)]
    return [size / 16 for size in sizes]


def grid_features(config, level, axes, values, shape, point):
    """Sum over the corners; `values` (features, …) with the axes of the grid, or (features, entries) if hashed."""
    counts, choices = [], []
    for axis in axes:
        spacing = spacings(config, level)[axis]
        counts.append(max(1, math.ceil(shape[axis] / spacing)))
        place = (point[axis] * shape[axis]) / spacing - 0.5
        base = math.floor(place + 1e-9)
        kernel = keys if axis and config.kernel == "cubic" else tent
        choices.append([(base + tap, weight) for tap, weight in kernel(place - base).items()])
    hashed = config.form == "joint" and math.prod(counts) > 2**config.table_log2
    assert values.ndim == (2 if hashed else 4)
    total = np.zeros(len(values))
    for corner in itertools.product(*choices):
        vertex = [min(max(at, 0), count - 1) for (at, _), count in zip(corner, counts, strict=True)]
        weight = math.prod(weight for _, weight in corner)
        if hashed:
            primes = {2: 1, 1: 2654435761, 0: 805459861}  # of x, y, t (Instant-NGP, section 3)
            entry = 0
            for axis, at in zip(axes, vertex, strict=True):
                entry ^= at * primes[axis]
            total += weight * values[:, entry % 2**config.table_log2]
        else:
            total += weight * values[(slice(None), *([0] if len(vertex) == 2 else []), *vertex)]
    return total


def field_at(config, parameters, shape, point):
    features = []
    for level in range(len(config.features)):
        if config.form == "split":
            planes = {"yx": (1, 2), "ty": (0, 1), "tx": (0, 2)}
        else:
            planes = {"tyx": (0, 1, 2)} if shape[0] > 1 else {"yx": (1, 2)}
        parts = [
            grid_features(config, level, axes, parameters[f"grid{level}.{name}"], shape, point)
            for name, axes in planes.items()
        ]
        features.extend(np.prod(parts, axis=0))
    hidden = np.array(features)
    values = parameters["bypass"] @ hidden + parameters["last.bias"]
    for layer in range(config.layers):
        hidden = np.maximum(parameters[f"hidden{layer}"] @ hidden + parameters[f"hidden{layer}.bias"], 0)
    return values + parameters["last"] @ hidden if config.layers else values


@pytest.mark.parametrize(
    "name, shape",
    [(name, shape) for name in HASHGRID for shape in (IMAGE, VIDEO, POINT) if shape[0] > 1 or "split" not in name],
)
def test_definition_is_the_formula(name, shape):
    field, parameters = make(name, shape)
    numbers = {key: value.double().numpy() for key, value in parameters.items()}
    centers = Lattice.full(*shape[:3]).points()[::29]
    between = torch.tensor([[0.15, 0.22, 0.31], [0.0, 0.99, 1.0], [0.83, 0.5, 0.47]], dtype=torch.float64)
    points = torch.cat([centers, between])
    expected = [field_at(field.config, numbers, shape, point) for point in points.tolist()]
    assert np.abs(field.at(parameters, points).numpy() - np.array(expected)).max() < 2e-5


def test_hashes_by_hand():
    """(x, y, t) = (3, 5, 2) of 16: 3 ^ (5 * 2654435761) ^ (2 * 805459861) = …0011 ^ …0101 ^ …1010 = …1100 = 12."""
    config = HashGridConfig("joint", (1,), (16, 16, 16), (16, 16, 16), 4, "linear", 1, 0)
    field, parameters = with_grids(HashGrid(config, (4, 8, 8, 1)), 0.5)
    parameters |= {"grid0.tyx": torch.arange(16.0)[None], "bypass": torch.ones(1, 1), "last.bias": torch.zeros(1)}
    point = torch.tensor([[2.5 / 4, 5.5 / 8, 3.5 / 8]], dtype=torch.float64)
    assert field.at(parameters, point).item() == 12


# -- structure ---------------------------------------------------------------------------------------------------------


def test_levels_coarse_to_fine():
    config = HashGridConfig("joint", (4, 3, 2), (16, 32, 16), (16, 32, 24), 6, "linear", 4, 1)
    specs = {spec.name: spec for spec in HashGrid(config, (3, 16, 9, 3)).specs()}
    # spacings along t: 1, 1, 1; y: 8, 4, 2; x: 2.25, 1.5, 1
    assert specs["grid0.tyx"].shape == (4, 3, 2, 4) and specs["grid0.tyx"].kind == "grid"
    assert specs["grid1.tyx"].shape == (3, 64) and specs["grid1.tyx"].kind == "weight"  # 3 * 4 * 6 = 72 vertices
    assert specs["grid2.tyx"].shape == (2, 64) and specs["grid2.tyx"].kind == "weight"
    assert [specs[f"grid{level}.tyx"].parent for level in range(3)] == [None, None, None]
    for size, kind in ((8, "grid"), (9, "weight")):  # 8 * 8 vertices are not more than 2^6
        full = HashGridConfig("joint", (1,), (16, 16, 16), (16, 16, 16), 6, "linear", 4, 1)
        assert HashGrid(full, (1, size, 8, 3)).specs()[0].kind == kind
    dense = HashGrid(HashGridConfig("joint", (1, 1), (16,) * 3, (32,) * 3, 28, "linear", 4, 1), (3, 16, 9, 3)).specs()
    assert [(spec.shape, spec.parent) for spec in dense[:2]] == [((1, 2, 8, 5), None), ((1, 3, 16, 9), "grid0.tyx")]


def test_planes_of_time_are_near_one():
    """So that their product starts as the plane (y, x)."""
    field, _ = make("hashgrid-split-linear", VIDEO)
    parameters = field.initial(torch.Generator().manual_seed(0))
    for spec in field.specs():
        if spec.kind == "grid":
            near = 0 if spec.name.endswith(".yx") else 1
            assert spec.offset == near and (parameters[spec.name] - near).abs().max() < 0.2
            assert spec.parent == (f"grid0{spec.name[5:]}" if spec.name.startswith("grid1") else None)


@pytest.mark.parametrize("name", HASHGRID)
def test_specs_describe_the_parameters(name):
    field, _ = make(name, VIDEO)
    parameters = field.initial(torch.Generator().manual_seed(0))
    specs = field.specs()
    assert [(spec.name, spec.shape) for spec in specs] == [(name, tuple(p.shape)) for name, p in parameters.items()]
    assert all(spec.step > 0 and spec.rate > 0 for spec in specs)
    assert all(value.isfinite().all() for value in parameters.values())
    assert len({spec.group for spec in specs if spec.kind == "grid"}) == sum(spec.kind == "grid" for spec in specs)
    assert field.parameter_count == sum(p.numel() for p in parameters.values())


@pytest.mark.parametrize("name", HASHGRID)
def test_plans_keep_less_when_told(name):
    field, parameters = make(name, VIDEO)
    lattice = Lattice.full(*VIDEO[:3])
    whole, banded = field.plan(parameters, lattice), field.plan(parameters, lattice, keep_bytes=400)
    assert banded.kept_bytes < whole.kept_bytes / 2
    assert whole.macs_per_pixel < field.macs_per_point
    assert banded.macs_per_pixel >= whole.macs_per_pixel


def test_structures_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="'split', but a signal of one frame"):
        HashGrid(HASHGRID["hashgrid-split-cubic"], IMAGE)
    with pytest.raises(UsageError, match="level 0 has 17179869184 vertices, allowed are up to 268435456"):
        HashGrid(HashGridConfig("joint", (1,), (16, 8, 8), (16, 16, 16), 4, "linear", 4, 1), (1, 1 << 16, 1 << 16, 1))
