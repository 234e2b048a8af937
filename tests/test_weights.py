"""A field's weights, and its context network, as one vector."""

import torch
from fieldcases import make

from inrcodec.encoder.weights import FlatNetwork, FlatWeights
from inrcodec.entropy.codings import TensorPrecision
from inrcodec.fields.pyramid import Pyramid, PyramidConfig
from inrcodec.segment import grid_coding, weight_groups


def test_tensors_come_back_as_they_were():
    for name in ("coordx-t_y_x-product-32r1", "pyramid3"):
        field, parameters = make(name, (1, 13, 9, 3))
        flat = FlatWeights(weight_groups(field), torch.device("cpu"))
        named = flat.views(flat.joined(parameters))
        weights = [spec.name for specs in weight_groups(field).values() for spec in specs]
        assert sorted(named) == sorted(weights) and weights
        assert all(torch.equal(named[name], parameters[name]) for name in weights)


def test_means_are_those_of_the_groups():
    field, parameters = make("coordx-t_yx-sum-11r2", (1, 13, 9, 3))
    flat = FlatWeights(weight_groups(field), torch.device("cpu"))
    joined = flat.joined(parameters)
    means = flat.mean_magnitudes(joined)
    parts = joined.split(flat.counts.tolist())
    for part, mean, specs in zip(parts, means, weight_groups(field).values(), strict=True):
        expected = torch.cat([parameters[spec.name].flatten() for spec in specs])
        assert torch.equal(part, expected) and torch.isclose(mean, expected.abs().mean())


def test_a_symbol_of_zero_stands_for_the_offset():
    field, _ = make("pyramid3", (1, 40, 36, 3))
    flat = FlatWeights(weight_groups(field), torch.device("cpu"))
    named = flat.views(flat.offset)
    for specs in weight_groups(field).values():
        for spec in specs:
            assert torch.equal(named[spec.name], spec.values(torch.zeros(spec.shape), 0.5))
    assert flat.offset.abs().max() > 0


def test_a_network_is_quantized_as_its_tensors_are():
    """In coding order, each in its own unit and within its own limits."""
    coding, shape = grid_coding(Pyramid(PyramidConfig(3, 33), (1, 40, 36, 3))), TensorPrecision((0, 1, 2, 3, 0, 1))
    generator = torch.Generator().manual_seed(0)
    groups = coding.groups(shape)
    network = {
        name: 100 * torch.randn(size, generator=generator) ** 3 for group in groups for name, size in group.items()
    }
    flat = FlatNetwork(coding, shape, torch.device("cpu"))
    symbols = flat.symbols(network)
    values, start = flat.values(symbols), 0
    for group, count in zip(groups, flat.counts.tolist(), strict=True):
        expected = torch.cat([coding.quantizer(name, shape).symbols(network[name]).flatten() for name in group])
        assert torch.equal(symbols[start : start + count], expected)
        start += count
    assert start == len(symbols) and list(values) == list(network)
    for name, value in values.items():
        quantizer = coding.quantizer(name, shape)
        assert torch.equal(value, quantizer.values(quantizer.symbols(network[name])))
    assert any(not torch.allclose(values[name], network[name]) for name in values)  # limits were met
