"""The search for steps after training."""

import numpy as np
import pytest
import torch

from inrcodec.bytestream import Wired
from inrcodec.encoder.batches import Samples
from inrcodec.encoder.control import RateControl
from inrcodec.encoder.refine import at_precision, context_bits, ideal_bits, moved, of_size, refine_network, refine_steps
from inrcodec.encoder.start import start
from inrcodec.encoder.training import Training
from inrcodec.encoder.trainings import training_of
from inrcodec.entropy.codings import PlanePrecision, TensorPrecision
from inrcodec.entropy.context import NetworkShape
from inrcodec.fields import Field
from inrcodec.fields.coordx import CoordX, CoordXConfig
from inrcodec.fields.pyramid import Pyramid, PyramidConfig
from inrcodec.segment import grid_coding, weight_groups
from inrcodec.signal.info import SignalInfo

PICTURE = np.random.default_rng(0).integers(0, 256, (1, 24, 40, 3), dtype=np.uint8)


def training_at_start(field: Field, network_shape: Wired) -> Training:
    samples = Samples(PICTURE, SignalInfo(40, 24, 1, "rgb"), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    parameters, steps = start(field, samples, 1e-3, generator)
    return training_of(field, samples, parameters, steps, network_shape, RateControl(1e-3), generator)


def test_finer_steps_get_back_what_coarse_ones_had_lost():
    """Weights that moved a little, at steps too coarse to tell; precision costs next to nothing here."""
    training = training_at_start(Pyramid(PyramidConfig(3, prior=8), PICTURE.shape), PlanePrecision())
    moved = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, specs in weight_groups(training.field).items():
            training.log_steps[name].fill_(3.0)
            for spec in specs:
                training.values[spec.name] += 0.03 * torch.randn(spec.shape, generator=moved)
        coded = training._coded()

        def distance(tried):
            """From the weights as they are."""
            found = tried.parameters(torch.device("cpu"))
            names = [spec.name for specs in weight_groups(training.field).values() for spec in specs]
            return sum((found[name] - training.values[name]).square().sum().item() for name in names)

        refined = refine_steps(coded, training._symbols_at, distance, 1e-9)
    assert distance(refined) < 0.01 * distance(coded)
    assert all(refined.steps[name] < coded.steps[name] for name in weight_groups(training.field))
    grids = [name for name in coded.symbols if name.startswith("grid")]
    assert all(refined.symbols[name] is coded.symbols[name] for name in grids)


def test_a_precision_is_found_for_each_tensor_that_has_one():
    """No common one takes fewer bits, nor one that is a move away."""
    training = training_at_start(Pyramid(PyramidConfig(3, prior=31), PICTURE.shape), TensorPrecision())
    drawn = torch.Generator().manual_seed(1)
    network = {name: 0.1 * torch.randn(value.shape, generator=drawn) for name, value in training.network.items()}
    coded, coding = training._coded(), grid_coding(training.field)
    found = refine_network(coded, network)
    assert len(set(found.network_shape.shifts)) > 1
    others = [*map(TensorPrecision, ((shift,) * 6 for shift in range(4))), *coding.moved(found.network_shape)]
    assert all(context_bits(found) <= context_bits(at_precision(coded, network, other)) for other in others)


@pytest.mark.parametrize("bits", [2200, 3000])
def test_networks_take_the_finest_steps_of_a_size(bits):
    field = CoordX(CoordXConfig("t_yx", 2, 1, 12, 1, "product"), PICTURE.shape)
    training = training_at_start(field, NetworkShape(0))
    with torch.no_grad():
        coded, groups = training._coded(), tuple(weight_groups(field))
        landed = of_size(coded, training._symbols_at, bits)
        moves = {group: landed.steps[group] - coded.steps[group] for group in groups}
        together = max(moves.values())
        assert ideal_bits(moved(coded, groups, together, training._symbols_at)) <= bits
        assert ideal_bits(moved(coded, groups, together - 1, training._symbols_at)) > bits >= ideal_bits(landed)
    assert {together - move for move in moves.values()} == {0, 1}
