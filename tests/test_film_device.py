"""Films on a GPU: frames of Triton's kernels are those of the definition. Without a GPU they are interpreted on the CPU."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import inrcodec
from inrcodec.errors import DeviceError
from inrcodec.fields.film import Film, FilmConfig
from inrcodec.kernels import on_gpu
from inrcodec.lattice import Lattice
from inrcodec.segment import CodedField, LazySymbols, SegmentReader, encode_segment

from streams import random_coded, random_stream, video_info  # isort: skip

DEVICE = "cuda:0" if torch.cuda.is_available() else "cpu:0"
"""A decoder takes "cpu" alone for the compiled loops."""

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    if DEVICE.startswith("cpu"):
        from inrcodec.kernels import film_triton

        monkeypatch.setattr(on_gpu, "available", lambda device: True)
        monkeypatch.setattr(film_triton, "TILE_ROWS", 16)  # the interpreter's time is that of programs, not of points


def film(channels: int, planes: str = "own", finest=(0, 1, 3, 0, 0), height: int = 21, width: int = 37) -> CodedField:
    """Frames with all levels, with some and with none; a chain of two anchors."""
    shape = (5, height, width, channels)
    coded = random_coded("film", shape, seed=channels, config=FilmConfig(3, 25, 3, 8, planes, 1, finest))
    for number, group in enumerate(coded.steps):
        coded.steps[group] -= number  # each has a step of its own
    return coded


def device_plan(coded: CodedField, lattice: Lattice):
    shape = coded.field.shape
    info = video_info(*shape[:3], pixel_format={1: "gray", 2: "graya", 3: "rgb", 4: "rgba"}[shape[3]])
    reader = SegmentReader(encode_segment(coded), info)
    return reader.field.plan(LazySymbols(reader, torch.device(DEVICE)), lattice)


def defined(coded: CodedField, lattice: Lattice) -> np.ndarray:
    values = coded.field.at(coded.parameters(torch.device("cpu")), lattice.points())
    return values.view(*lattice.shape, -1).numpy()


@pytest.mark.parametrize("channels, planes", [(1, "own"), (2, "own"), (3, "own"), (3, "ycbcr"), (4, "ycbcr")])
def test_frames_are_those_of_the_definition(channels, planes):
    coded = film(channels, planes)
    lattice = Lattice.full(*coded.field.shape[:3])
    plan, expected = device_plan(coded, lattice), defined(coded, lattice)
    for frame in (3, 0, 4, 1, 2):
        np.testing.assert_allclose(plan.frame(frame).cpu().numpy(), expected[frame], atol=1e-5)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (9, 1)])
def test_frames_of_a_row_or_a_column(height, width):
    coded = film(3, height=height, width=width)
    lattice = Lattice.full(*coded.field.shape[:3])
    plan, expected = device_plan(coded, lattice), defined(coded, lattice)
    for frame in range(5):
        np.testing.assert_allclose(plan.frame(frame).cpu().numpy(), expected[frame], atol=1e-5)


@pytest.mark.parametrize("factor", [0, 40])
def test_motion_of_nothing_and_far_across_borders(factor):
    coded = film(3)
    for name in coded.symbols:
        if name.startswith("motion"):
            coded.symbols[name] *= factor
    lattice = Lattice.full(*coded.field.shape[:3])
    plan, expected = device_plan(coded, lattice), defined(coded, lattice)
    for frame in range(5):
        np.testing.assert_allclose(plan.frame(frame).cpu().numpy(), expected[frame], atol=1e-4)


def test_frames_whose_grids_are_zeros():
    coded = film(3)
    for name in coded.symbols:
        if name.startswith("grid") and not name.endswith(".0"):
            coded.symbols[name][:] = 0
    lattice = Lattice.full(*coded.field.shape[:3])
    plan, expected = device_plan(coded, lattice), defined(coded, lattice)
    np.testing.assert_allclose(plan.frame(1).cpu().numpy(), expected[1], atol=1e-5)
    assert np.abs(expected[1]).max() > 0.1


def test_a_frame_of_all_zeros():
    coded = film(3)
    for symbols in coded.symbols.values():
        symbols[:] = 0
    assert not device_plan(coded, Lattice.full(*coded.field.shape[:3])).frame(0).any()


@pytest.mark.parametrize("bits, order", [(8, "NCHW"), (10, "NHWC")])
def test_a_decoder_gives_the_samples_of_the_compiled_loops(bits, order):
    """In sequence, at random, of kept frames again, of regions and scales; one where a half is rounded."""
    info = video_info(9, 24, 40, pixel_format="yuv420", bit_depth=bits, full_range=False, matrix=1)
    data = random_stream("film", info, segments=2)
    with (
        inrcodec.open(data, device="cpu", dimension_order=order) as expected,
        inrcodec.open(data, device=DEVICE, dimension_order=order) as found,
    ):
        for frame in (*range(9), 2, 7):
            here = found[frame]
            assert (
                here.device.type == found.device.type and here.is_contiguous() and here.dtype == expected[frame].dtype
            )
            assert (here.cpu().int() - expected[frame].int()).abs().max() <= 1
        assert isinstance(found._segments[0].parameters, LazySymbols)  # nothing else was sent to the device
        for region, scale in (((3, 5, 21, 13), 1.0), ((0, 0, 40, 24), 1.6), ((4, 2, 20, 20), 0.4)):
            one, other = (decoder.get_frame_at(4, region, scale).data.cpu().int() for decoder in (found, expected))
            assert one.shape == other.shape and (one - other).abs().max() <= 1
        assert (torch.from_numpy(found.samples(3).astype(int) - expected.samples(3)).abs() <= 1).all()


def test_frames_that_32_bits_cannot_count_are_refused():
    from inrcodec.fields.film_device import DeviceRendering

    field = Film(FilmConfig(1, 25, 1, 8, "own", 1, (0,)), (1, 40000, 40000, 3))
    with pytest.raises(DeviceError, match=r"40000x40000.*4\d{9} numbers at once, allowed are 2147483647"):
        DeviceRendering(field, Lattice.full(1, 40000, 40000), torch.device(DEVICE))


def test_devices_without_triton_take_tensors(monkeypatch):
    monkeypatch.setattr(on_gpu, "available", lambda device: False)
    data = random_stream("film", video_info(3, 16, 16))
    with inrcodec.open(data, device="cpu:0") as found, inrcodec.open(data, device="cpu") as expected:
        assert (found[2].int() - expected[2].int()).abs().max() <= 1
        assert not isinstance(found._segments[0].parameters, LazySymbols)


def test_kernels_compile_for_a_gpu():
    """All four, and the last one for frames with and without grids, references, values and samples."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    script = Path(__file__).with_name("compile_for_gpu.py")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    variants = ran.stdout.splitlines()
    assert {line.split()[0] for line in variants} == {"_along_rows", "_displacements", "_frame", "_rgb"}
    for part in ("'OWN': False", "'REFERENCES': 0", "'REFERENCES': 2", "'KEPT': False", "'SHOWN': False"):
        assert any(line.startswith("_frame") and part in line for line in variants), part
