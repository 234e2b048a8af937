"""SIREN, CoordX and ASMR: plans against definitions, definitions against the papers' formulas written out per point."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from skimage.data import chelsea
from skimage.transform import resize

from inrcodec.fields import asmr_plan, sine
from inrcodec.fields.asmr import Asmr, AsmrConfig
from inrcodec.fields.coordx import CoordX, CoordXConfig
from inrcodec.fields.radix import bases_for
from inrcodec.fields.siren import Siren, SirenConfig
from inrcodec.lattice import Lattice, window

IMAGE, VIDEO, POINT = (1, 13, 7, 3), (7, 13, 7, 2), (1, 1, 1, 1)
TINY_BYTES = 1000
TOLERANCE = 1e-5

COORDX = {
    f"coordx-{split}-{fusion}-{branch}{head}r{rank}": CoordXConfig(split, branch, head, 8, rank, fusion)
    for split, fusion, (branch, head, rank) in itertools.product(
        ("t_yx", "t_y_x"), ("product", "sum"), ((1, 1, 2), (2, 0, 3), (3, 2, 1))
    )
}
NAMES = ["siren", "asmr1", "asmr2", "asmr3", *COORDX]


def make(name, shape):
    """A field by name, and parameters larger than the initial ones, so that every part of the formula matters."""
    if name == "siren":
        field = Siren(SirenConfig(width=8, layers=3, omega_first=20, omega_hidden=10), shape)
    elif name.startswith("asmr"):
        layers = int(name[-1])
        field = Asmr(AsmrConfig(*(bases_for(size, layers) for size in shape[:3]), width=8, omega=10), shape)
    else:
        field = CoordX(COORDX[name], shape)
    parameters = field.initial(torch.Generator().manual_seed(3))
    return field, parameters | {key: value * 5 for key, value in parameters.items() if key.startswith("last")}


def random_axis(count, seed):
    """About half of the sample centers, in random order, one of them twice."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[: count // 2 + 1]
    return window(0, count, count)[torch.cat([order, order[:1]])]


def lattices(shape):
    frames, height, width = shape[:3]
    full = Lattice.full(frames, height, width)
    yield "full", full
    yield "random", Lattice(*(random_axis(count, seed) for seed, count in enumerate(shape[:3])))
    yield "enlarged", Lattice(full.t, window(0, height, height, 2 * height + 1), window(0, width, width, 3 * width))
    yield "reduced", Lattice(*(window(0, count, count, max(1, count * 2 // 3)) for count in shape[:3]))
    yield "region", Lattice(full.t, full.y[height // 3 :], full.x[width // 2 :])
    yield "border", Lattice(*(torch.tensor([0.0, 0.31, 1.0], dtype=torch.float64) for _ in range(3)))


def definition(field, parameters, lattice):
    return field.at(parameters, lattice.points()).view(*lattice.shape, field.channels)


@pytest.mark.parametrize("shape", [IMAGE, VIDEO, POINT])
@pytest.mark.parametrize("name", NAMES)
def test_plan_equals_definition_in_any_order(name, shape):
    field, parameters = make(name, shape)
    for kind, lattice in lattices(shape):
        expected = definition(field, parameters, lattice)
        plan = field.plan(parameters, lattice)
        order = torch.randperm(lattice.shape[0], generator=torch.Generator().manual_seed(1)).tolist()
        in_order = plan.frames()
        at_random = torch.stack([plan.frame(index) for index in order])
        banded = field.plan(parameters, lattice, keep_bytes=TINY_BYTES)
        banded_at_random = torch.stack([banded.frame(index) for index in order])
        assert in_order.shape == expected.shape and in_order.dtype == torch.float32, kind
        assert (in_order - expected).abs().max() < TOLERANCE, kind
        assert (at_random - expected[order]).abs().max() < TOLERANCE, kind
        assert (banded_at_random - expected[order]).abs().max() < TOLERANCE, kind


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("shape", [IMAGE, VIDEO, POINT])
def test_asmr_with_a_sine_per_pixel_equals_the_matrix_product(layers, shape, monkeypatch):
    field, parameters = make(f"asmr{layers}", shape)
    for kind, lattice in lattices(shape):
        results = []
        for limit in (asmr_plan.MAX_BLOCK, 0):
            monkeypatch.setattr(asmr_plan, "MAX_BLOCK", limit)
            monkeypatch.setattr(asmr_plan, "TILE", 15)
            monkeypatch.setattr(sine, "TILE", 15)
            leaves = {key: value.clone().requires_grad_() for key, value in parameters.items()}
            plan = field.plan(leaves, lattice)
            assert (plan.block is None) == (limit == 0)
            values = plan.frames()
            values.square().mean().backward()
            results.append((values.detach(), [leaf.grad for leaf in leaves.values()]))
        monkeypatch.undo()
        expected = definition(field, parameters, lattice)
        for values, _ in results:
            assert (values - expected).abs().max() < TOLERANCE, kind
        for one, other in zip(results[0][1], results[1][1], strict=True):
            assert torch.allclose(one, other, rtol=1e-3, atol=1e-5), kind


@pytest.mark.parametrize("name", NAMES)
def test_plan_larger_than_a_tile_equals_definition(name, monkeypatch):
    field, parameters = make(name, VIDEO)
    expected = [(lattice, definition(field, parameters, lattice)) for _, lattice in lattices(VIDEO)]
    for room in (sine, asmr_plan):
        monkeypatch.setattr(room, "TILE", 15)
    for lattice, values in expected:
        assert (field.plan(parameters, lattice).frames() - values).abs().max() < TOLERANCE
        assert (definition(field, parameters, lattice) - values).abs().max() < TOLERANCE


@pytest.mark.parametrize("keep_bytes", [1 << 29, TINY_BYTES])
@pytest.mark.parametrize("shape", [IMAGE, VIDEO])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_through_plan_equal_those_through_definition(name, shape, keep_bytes):
    field, parameters = make(name, shape)
    for _, lattice in itertools.islice(lattices(shape), 3):
        target = torch.rand(*lattice.shape, field.channels, generator=torch.Generator().manual_seed(5))
        gradients = []
        for planned in (True, False):
            leaves = {key: value.clone().requires_grad_() for key, value in parameters.items()}
            plan = field.plan(leaves, lattice, keep_bytes)
            values = plan.frames() if planned else definition(field, leaves, lattice)
            (values - target).square().mean().backward()
            gradients.append({key: leaf.grad for key, leaf in leaves.items()})
        for key, gradient in gradients[0].items():
            assert torch.allclose(gradient, gradients[1][key], rtol=1e-3, atol=1e-5), key


@pytest.mark.parametrize("shape", [IMAGE, VIDEO, POINT])
@pytest.mark.parametrize("name", NAMES)
def test_specs_describe_the_parameters(name, shape):
    field, _ = make(name, shape)
    parameters = field.initial(torch.Generator().manual_seed(0))
    specs = field.specs()
    assert [(spec.name, spec.shape) for spec in specs] == [(name, tuple(p.shape)) for name, p in parameters.items()]
    for spec in specs:
        assert spec.kind == "weight" and spec.step > 0 and 1e-4 < spec.rate < 1e-2
        assert spec.group == ("bias" if spec.name.endswith("bias") else spec.name)
        assert parameters[spec.name].isfinite().all()
    assert len({spec.step for spec in specs if spec.group == "bias"}) == 1
    assert field.parameter_count == sum(p.numel() for p in parameters.values())


@pytest.mark.parametrize("name", ["siren", "asmr2", "coordx-t_yx-product-11r2", "coordx-t_yx-sum-11r2"])
def test_a_few_iterations_reduce_the_error_on_a_photograph(name):
    image = torch.tensor(resize(chelsea(), (16, 24), anti_aliasing=True)).float() - 0.5
    field, _ = make(name, (1, 16, 24, 3))
    parameters = {key: p.requires_grad_() for key, p in field.initial(torch.Generator().manual_seed(0)).items()}
    optimizer = torch.optim.Adam([{"params": [parameters[spec.name]], "lr": spec.rate} for spec in field.specs()])
    errors = []
    for _ in range(60):
        optimizer.zero_grad()
        error = (field.plan(parameters, Lattice.full(1, 16, 24)).frame(0) - image).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < min(0.5 * errors[0], 0.7 * image.var().item())


# -- the papers' formulas, point by point ----------------------------------------------------------------------------


def as_numpy(parameters):
    return {key: value.double().numpy() for key, value in parameters.items()}


def linear(p, name, x):
    return p[f"{name}.weight"] @ x + p[f"{name}.bias"]


def siren_at(p, config, coordinates):
    h = np.sin(config.omega_first * linear(p, "layer0", coordinates))
    for layer in range(1, config.layers):
        h = np.sin(config.omega_hidden * linear(p, f"layer{layer}", h))
    return linear(p, "last", h)


def coordx_at(p, config, groups):
    """`groups`: name → coordinates."""
    features = []
    for name, coordinates in groups.items():
        h = np.sin(config.omega_first * linear(p, f"branch0.{name}", coordinates))
        for layer in range(1, config.branch_layers):
            h = np.sin(config.omega_hidden * linear(p, f"branch{layer}", h))
        features.append(h)
    h = np.zeros(config.width)
    for feature in range(config.width):
        for r in range(config.rank):
            terms = [branch[feature * config.rank + r] for branch in features]
            h[feature] += math.prod(terms) if config.fusion == "product" else sum(terms)
    branches = len(groups)
    h *= math.sqrt(2) ** (branches - 1) if config.fusion == "product" else 1 / math.sqrt(branches)
    h /= math.sqrt(config.rank)
    for layer in range(config.head_layers):
        h = np.sin(config.omega_hidden * linear(p, f"head{layer}", h))
    return linear(p, "last", h)


def asmr_at(p, config, shape, point):
    """Digits by exact fractions."""
    h = None
    codes = []
    for position, size, bases in zip(point, shape[:3], config.bases, strict=True):
        place = Fraction(position).limit_denominator(10**6) * size
        cell = min(math.floor(place), size - 1)
        fraction = place - cell - Fraction(1, 2)
        axis, finest = [], max((level for level, base in enumerate(bases) if base > 1), default=None)
        for level in reversed(range(len(bases))):
            cell, digit = divmod(cell, bases[level])
            axis.insert(0, (2 * (digit + (fraction if level == finest else 0)) + 1) / Fraction(bases[level]) - 1)
        codes.append(axis)
    for level in range(len(config.bases_y)):
        total = p[f"layer{level}.bias"].copy()
        code = [float(axis[level]) for axis, bases in zip(codes, config.bases, strict=True) if bases[level] > 1]
        if level:
            total += p[f"layer{level}.weight"] @ h
        if code:
            total += p[f"layer{level}.digits"] @ np.array(code) * (config.omega if level else 1)
        h = np.sin(config.omega * total)
    return linear(p, "last", h)


def formula(field, p, point):
    t, y, x = (2 * value - 1 for value in point)
    if isinstance(field, Siren):
        return siren_at(p, field.config, np.array([y, x] if field.shape[0] == 1 else [t, y, x]))
    if isinstance(field, Asmr):
        return asmr_at(p, field.config, field.shape, point)
    if field.shape[0] == 1:
        groups = {"y": np.array([y]), "x": np.array([x])}
    elif field.config.split == "t_yx":
        groups = {"t": np.array([t]), "yx": np.array([y, x])}
    else:
        groups = {"t": np.array([t]), "y": np.array([y]), "x": np.array([x])}
    return coordx_at(p, field.config, groups)


@pytest.mark.parametrize("shape", [IMAGE, VIDEO, POINT])
@pytest.mark.parametrize("name", NAMES)
def test_definition_is_the_formula_of_the_paper(name, shape):
    field, parameters = make(name, shape)
    centers = Lattice.full(*shape[:3]).points()[::23]
    between = torch.tensor([[0.15, 0.22, 0.31], [0.0, 0.99, 1.0], [0.83, 0.5, 0.47]], dtype=torch.float64)
    points = torch.cat([centers, between])
    values = field.at(parameters, points).double().numpy()
    expected = np.array([formula(field, as_numpy(parameters), point) for point in points.tolist()])
    assert np.abs(values - expected).max() < 2e-5


def test_initialization_is_that_of_siren():
    field = Siren(SirenConfig(width=64, layers=3), VIDEO)
    parameters = field.initial(torch.Generator().manual_seed(0))
    hidden = math.sqrt(6 / 64) / 30
    for name, bound in (("layer0", 1 / 3), ("layer1", hidden), ("layer2", hidden), ("last", hidden)):
        largest = parameters[f"{name}.weight"].abs().max().item()
        assert 0.95 * bound < largest <= bound


@pytest.mark.parametrize("fusion", ["product", "sum"])
@pytest.mark.parametrize("split", ["t_yx", "t_y_x"])
def test_fused_features_keep_the_variance_of_one_sine(split, fusion):
    """At a frequency so high that phases are uniform: the mean square of a sine is 1/2."""
    field = CoordX(CoordXConfig(split, 1, 1, 64, 4, fusion, omega_first=255), VIDEO)
    parameters = field.initial(torch.Generator().manual_seed(0))
    parameters |= {"head0.weight": torch.eye(64) / 1000 / 30, "head0.bias": torch.zeros(64)}
    parameters |= {"last.weight": torch.eye(64)[:2] * 1000, "last.bias": torch.zeros(2)}  # gives fused features 0 and 1
    seeds = [field.initial(torch.Generator().manual_seed(seed)) for seed in range(40)]
    points = torch.rand(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    branches = [{key: value for key, value in seed.items() if key.startswith("branch")} for seed in seeds]
    fused = torch.stack([field.at(parameters | branch, points) for branch in branches])
    assert 0.45 < fused.square().mean() < 0.55
