"""The decoder on D's frozen map: its maps, that it learns from what a map keeps, and a real run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench import networks
from bench.errors import UserError
from bench.evaluate import decoding
from bench.evaluate.decoding import Maps, Training, batch_positions, decoded, decoded_side, targets, trained_decoder
from bench.evaluate.registry import parse_measure, refuse_impossible
from bench.features.perceptual import lpips_distance
from bench.networks.common.pixels import signed_images
from bench.spec.run import NetworkSpec, evaluation_run
from style_networks import STYLES

FASTGAN = NetworkSpec(name="fastgan-64", options={"ngf": 4, "ndf": 4, "z_dim": 8, "decoder_width": 4})
TRAINING = Training(steps=24, batch=4, lr=2e-2, width=8)


@pytest.fixture(scope="module")
def lpips():
    torch.set_num_threads(1)
    return lpips_distance("alex")


@pytest.fixture(scope="module")
def pictures():
    """Two colours each, one on the left and one on the right: what a map must keep."""
    colours = np.random.default_rng(0).integers(0, 256, (12, 1, 2, 3)).astype(np.uint8)
    return colours.repeat(32, axis=1).repeat(16, axis=2)


class Keeping(nn.Module):
    """A D whose map is the image at 8x8, of which so many channels are kept and the others are one number."""

    feature_dim = 3

    def __init__(self, kept):
        super().__init__()
        self.kept = torch.tensor([1.0] * kept + [0.0] * (3 - kept))[:, None, None]

    def feature_maps(self, images_NCHW):
        return F.adaptive_avg_pool2d(images_NCHW, 8) * self.kept + 5

    def features(self, images_NCHW):
        return self.feature_maps(images_NCHW).mean((2, 3))


def test_a_map_that_keeps_less_is_decoded_worse(pictures, lpips):
    """All of the image at 8x8, one of its three colours, nothing."""
    distances = []
    for kept in (3, 1, 0):
        maps = Maps(Keeping(kept), pictures, "cpu")
        decoder = trained_decoder(maps, lpips, TRAINING, seed=0)
        distances.append(decoded(maps, decoder, lpips, 12)[1].mean().item())
    assert distances == sorted(distances) and distances[0] < 0.8 * distances[2]


def test_maps_are_standardised_by_channel_and_a_silent_channel_is_zero(pictures):
    maps = Maps(Keeping(1), pictures, "cpu")(np.arange(12))
    assert maps.shape == (12, 3, 8, 8) and not maps[:, 1:].any()
    assert maps[:, 0].mean().item() == pytest.approx(0, abs=1e-6)
    assert maps[:, 0].std().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["stylegan2-32", "fastgan-64"])
def test_a_map_is_of_its_image_alone(name, monkeypatch):
    """Whatever the others are (minibatch deviation, batch norms), kept or computed when needed; D is untouched."""
    options = FASTGAN.options if name == "fastgan-64" else {**STYLES, "channel_max": 16}
    _, discriminator = networks.build(name, seed=0, **options)
    size = networks.resolution(name)
    images = np.random.default_rng(0).integers(0, 256, (5, size, size, 3)).astype(np.uint8)
    before = {key: value.clone() for key, value in discriminator.state_dict().items()}
    maps = Maps(discriminator, images, "cpu")
    kept = maps(np.array([3, 1]))
    discriminator.eval()
    with torch.no_grad():
        alone = torch.cat([discriminator.feature_maps(signed_images(images[i : i + 1])) for i in range(5)])
    standardised = (alone - alone.mean((0, 2, 3), keepdim=True)) / alone.std((0, 2, 3), keepdim=True)
    real = alone.std((0, 2, 3)) > 1e-3 * alone.std()  # a silent channel is zero in one, noise in the other
    torch.testing.assert_close(kept[:, real], standardised[[3, 1]][:, real], rtol=1e-3, atol=1e-3)
    monkeypatch.setattr(decoding, "KEPT_BYTES", 0)
    torch.testing.assert_close(Maps(discriminator, images, "cpu")(np.array([3, 1])), kept, rtol=0, atol=0)
    assert all(torch.equal(value, before[key]) for key, value in discriminator.state_dict().items())


def test_targets_are_means_of_squares():
    images = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3)).astype(np.uint8)
    expected = images[[1]].reshape(1, 128, 2, 128, 2, 3).mean((2, 4)) / 127.5 - 1
    np.testing.assert_allclose(targets(images, np.array([1]), "cpu").permute(0, 2, 3, 1), expected, atol=1e-6)
    sides = {16: 16, 32: 32, 48: 32, 64: 64, 128: 128, 1024: 128}
    assert {size: decoded_side(size) for size in sides} == sides


def test_every_image_is_seen_once_in_a_pass(pictures):
    batches = list(batch_positions(12, Training(7, 5, 1.0, 1), seed=3))
    seen = np.concatenate(batches)
    assert [len(batch) for batch in batches] == [5] * 7
    assert sorted(seen[:12]) == sorted(seen[12:24]) == list(range(12)) and list(seen[:12]) != list(seen[12:24])


def task(run, **settings):
    chosen = {"measure": "decoder", "steps": 3, "batch": 4, "width": 4, "net": "alex", **settings}
    return evaluation_run(parse_measure(chosen), run, run.protocol)


def test_the_measure_of_a_run(tiny_spec, run_once):
    """Every training image is reconstructed, and another task of the same settings gives the same to the digit."""
    run = tiny_spec("unconditional", scored=True)
    run = run.model_copy(update={"network": FASTGAN, "data": run.data.model_copy(update={"resolution": 64})})
    run_once(run)
    values = []
    for settings in ({}, {"images": 16}):
        folder = run_once(task(run, **settings))
        (line,) = folder.metrics()
        assert (line["metric"], line["n_generated"]) == ("decoder_lpips", 16)
        assert 0 < line["error"] < line["value"] and len(folder.sheets()) == 1
        values.append(line["value"])
    assert values[0] == values[1]


def test_what_it_cannot_be_of_is_refused(tiny_spec):
    run = tiny_spec("unconditional", scored=True)
    small = run.model_copy(update={"data": run.data.model_copy(update={"resolution": 16})})
    with pytest.raises(UserError, match="decoder: net is alex, which compares 31 px or more; here it would be 16 px"):
        refuse_impossible(task(small))
