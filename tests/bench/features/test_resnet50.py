"""The two ResNet-50 paths, with random weights: neither SimCLR's nor ImageNet's come in a package."""

import numpy as np
import pytest
import torch
from torchvision.models import resnet50

from bench import features
from bench.errors import UserError
from bench.features.resnet50 import resnet50_extractor
from bench.features.simclr import trained_extractor


@pytest.fixture(scope="module")
def reference():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return resnet50(weights=None).eval()


def test_features_are_those_of_torchvision_before_its_classifier(reference):
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    found = trained_extractor({"resnet50": reference.state_dict()}, 32)(images)
    reference.fc = torch.nn.Identity()
    with torch.no_grad():
        wanted = reference(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    assert found.shape == (2, 2048)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3, atol=1e-4)  # float32, another layout


def test_a_tensor_that_does_not_fit_is_named(reference):
    state = dict(reference.state_dict())
    del state["layer3.0.conv1.weight"]
    with pytest.raises(UserError, match=r"layer3\.0\.conv1\.weight is missing"):
        resnet50_extractor(state)
    with pytest.raises(UserError, match=r"conv1\.weight has shape"):
        resnet50_extractor({**reference.state_dict(), "conv1.weight": torch.zeros(1)})


def test_of_imagenet_it_is_torchvisions_with_its_own_standardisation(reference, monkeypatch, tmp_path):
    """A user's file, found among the weights; the reference standardises by torchvision's transform."""
    from torchvision.transforms.functional import normalize

    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    assert "put the file at" in (features.available("resnet50") or "")
    torch.save(reference.state_dict(), tmp_path / "resnet50.pth")
    assert features.available("resnet50") is None
    extractor = features.load("resnet50@64")
    assert (extractor.dim, extractor.size) == (2048, 64)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    x_NCHW = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    trunk = torch.nn.Sequential(*list(reference.children())[:-1])
    with torch.no_grad():
        right = trunk(normalize(x_NCHW, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])).flatten(1).numpy()
    # 50 layers in float32, in another memory layout: sums of a few thousand products in another order
    assert np.abs(extractor(images) - right).max() <= 1e-4 * np.abs(right).max()


def test_swavs_release_is_the_same_network_behind_a_prefix(reference, own_weights):
    """Its file holds the head and the prototypes besides, which only training needs; ImageNet's colours again."""
    from torchvision.transforms.functional import normalize

    state = {f"module.{name}": value for name, value in reference.state_dict().items() if name[:3] != "fc."}
    extras = {"projection_head.0.weight": torch.ones(2048, 2048), "prototypes.weight": torch.ones(3000, 128)}
    state |= {f"module.{name}": value for name, value in extras.items()}
    path = own_weights("swav_resnet50")
    torch.save(state, path)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    x_NCHW = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    trunk = torch.nn.Sequential(*list(reference.children())[:-1])
    with torch.no_grad():
        right = trunk(normalize(x_NCHW, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])).flatten(1).numpy()
    assert np.abs(features.load("swav_resnet50@64")(images) - right).max() <= 1e-4 * np.abs(right).max()
    torch.save(state | {"module.more": torch.ones(1)}, path)
    with pytest.raises(UserError, match="the tensor more is not part of a ResNet-50"):
        features.load("swav_resnet50")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no weights", "damaged, or not a file of torch.save"),
        ({"fc.weight": 1}, "names to tensors"),
        ({}, "is missing"),
        ({"conv1.weight": torch.ones(64, 3, 7, 7)}, "the tensor bn1.bias is missing"),
        ({"fc.weight": torch.ones(2, 2).to_sparse()}, "'fc.weight' is sparse; only dense tensors"),
    ],
)
def test_a_file_of_another_kind_is_named(content, message, monkeypatch, tmp_path):
    path = tmp_path / "mine.pth"
    monkeypatch.setenv("BENCH_RESNET50", str(path))
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=message) as error:
        features.load("resnet50")
    assert "mine.pth" in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value * torch.inf, "the tensor layer1.0.conv1.weight holds NaN or infinite values"),
        (lambda value: value.tolist(), "layer1.0.conv1.weight is a list, must be a tensor"),
        (
            lambda value: value.to_sparse(),
            "the tensor layer1.0.conv1.weight holds torch.float32 (torch.sparse_coo)",
        ),
    ],
)
def test_tensors_that_no_resnet_has_are_named(change, message, reference):
    state = reference.state_dict()
    state["layer1.0.conv1.weight"] = change(state["layer1.0.conv1.weight"])
    with pytest.raises(UserError) as error:
        resnet50_extractor(state)
    assert message in str(error.value)
