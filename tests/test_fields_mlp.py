"""SIREN, CoordX and ASMR: definitions against the papers' formulas written out per point, ASMR's two ways, its specs."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from fieldcases import IMAGE, MLPS, POINT, TOLERANCE, VIDEO, definition, lattices, make

from inrcodec.fields import asmr_plan, sine
from inrcodec.fields.asmr import Asmr
from inrcodec.fields.coordx import CoordX, CoordXConfig
from inrcodec.fields.siren import Siren, SirenConfig
from inrcodec.lattice import Lattice


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


@pytest.mark.parametrize("shape", [IMAGE, VIDEO, POINT])
@pytest.mark.parametrize("name", MLPS)
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
@pytest.mark.parametrize("name", MLPS)
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
