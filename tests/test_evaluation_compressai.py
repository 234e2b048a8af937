"""CompressAI's models, untrained and without a network: `make test-compressai`, in an environment that has them."""

import importlib.util
import urllib.error

import numpy as np
import pytest

from inrcodec.errors import UsageError
from inrcodec.evaluation.measure import measure
from inrcodec.evaluation.names import parse_codec
from inrcodec.evaluation.signals import open_signal

if importlib.util.find_spec("compressai") is None:
    pytest.skip("CompressAI has an environment of its own: make test-compressai", allow_module_level=True)

MODELS = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-anchor")


@pytest.fixture
def signal(tmp_path):
    from PIL import Image
    from skimage.data import astronaut

    path = tmp_path / "face.png"
    Image.fromarray(astronaut()[20:90, 180:290]).save(path)  # 110 x 70: no multiple of 64
    return open_signal(path)


@pytest.mark.parametrize("model", MODELS)
def test_an_untrained_model_goes_through_a_file_and_says_that_it_is_untrained(signal, model):
    codec = parse_codec(f"compressai:model={model},weights=none,quality=1")
    assert "its numbers mean nothing" in codec.prepare()
    line = measure(codec, 1, signal)
    assert line["codec"] == f"compressai {model} untrained"
    assert (line["setting"], line["over"], line["frames"]) == ("quality=1", "RGB", 1)
    assert line["bytes"] > 14 and 0 < line["psnr_db"] < 40
    assert line["versions"]["compressai"]


def test_the_decoded_picture_is_that_of_the_model_alone(signal, tmp_path):
    """CompressAI called directly on a tensor, without our file, padding by hand."""
    import torch
    from compressai.zoo import image_models

    codec = parse_codec("compressai:weights=none,quality=2")
    codec.prepare()
    codec.encode(signal, 2, tmp_path / "coded", 1)
    (decoded,) = codec.decode(tmp_path / "coded", signal.info, 1)

    torch.manual_seed(2)
    model = image_models["bmshj2018-hyperprior"](quality=2, metric="mse", pretrained=False).eval()
    model.update(force=True)
    tensor = torch.from_numpy(signal.picture).permute(2, 0, 1)[None] / 255
    tensor = torch.nn.functional.pad(tensor, (0, 128 - 110, 0, 128 - 70), mode="replicate")
    with torch.no_grad():
        coded = model.compress(tensor)
        expected = model.decompress(coded["strings"], coded["shape"])["x_hat"][0, :, :70, :110].clamp(0, 1)
    assert np.abs(decoded / 255 - expected.permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6
    payload = sum(len(of_one[0]) for of_one in coded["strings"])
    assert (tmp_path / "coded").stat().st_size == payload + 10 + 4 * len(coded["strings"])


def test_without_a_network_the_model_is_untrained_and_says_so(monkeypatch):
    import torch

    def offline(*arguments, **options):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("compressai.zoo.image.load_state_dict_from_url", offline)
    codec = parse_codec("compressai:quality=1")
    assert codec.curve == "compressai bmshj2018-hyperprior"
    assert "no network" in codec.prepare()
    assert codec.curve == "compressai bmshj2018-hyperprior untrained"
    assert isinstance(codec._model(1), torch.nn.Module)


def test_wrong_options_are_said():
    with pytest.raises(UsageError, match="weights is 'mine', allowed are zoo and none"):
        parse_codec("compressai:weights=mine")
    with pytest.raises(UsageError, match="model is 'mine', allowed are bmshj2018-factorized"):
        parse_codec("compressai:model=mine")
