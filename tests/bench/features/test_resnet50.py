"""The SimCLR ResNet-50 path, with random weights: no SimCLR weights come in a package."""

import numpy as np
import pytest
import torch
from torchvision.models import resnet50

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
