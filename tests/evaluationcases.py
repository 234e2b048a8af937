"""Tiny media for the tests of evaluation, and codecs that may be missing."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from inrcodec.evaluation.codec import Codec
from inrcodec.evaluation.names import CODECS, parse_codec

SCRIPTS = Path(__file__).parents[1] / "scripts"


def script_caller(name: str, capsys) -> Callable[..., tuple[int, str, list[str]]]:
    """main(arguments) of a script: (status, standard output, lines of standard error)."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(*arguments):
        status = module.main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err.splitlines()

    return call


def write_media(folder: Path) -> Path:
    """face.png (RGB), gray.png, and clip.mkv: a 64x48 window that moves over a photograph, lossless 4:2:0, 12 frames."""
    from skimage.data import astronaut, camera

    photograph = astronaut()
    Image.fromarray(photograph[10:138, 160:336]).save(folder / "face.png")
    Image.fromarray(camera()[100:164, 200:296]).save(folder / "gray.png")
    with av.open(str(folder / "clip.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(12):
            window = np.ascontiguousarray(photograph[40 + index : 88 + index, 180 + 2 * index : 244 + 2 * index])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(window, "rgb24").reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return folder


def codec_of(text: str) -> Codec:
    """A codec that is ready, or a skip where it is not installed."""
    missing = CODECS[text.partition(":")[0]].missing()
    if missing:
        pytest.skip(missing)
    codec = parse_codec(text)
    codec.prepare()
    return codec
