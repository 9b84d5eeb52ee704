"""Networks of classifiers against the published ones, and weights that are none or do not fit."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from bench.errors import UserError
from bench.features.classifier import ENCODERS, classifier_features, make_encoder, make_head, trained_classifier
from bench.features.simclr import trained_extractor


def weights_of(network="small", width=4, outputs=3, target="labels"):
    """What a run of the method leaves."""
    stream = torch.Generator().manual_seed(0)
    encoder = make_encoder(network, width, stream)
    head = make_head(encoder.dim, outputs, stream)
    part = {
        "encoder": encoder.state_dict(),
        "head": head.state_dict(),
        "target": target,
        "names": [*"abcdefg"][:outputs],
    }
    return {"method": {"0.classifier": part}, "step": 3}


@pytest.fixture(scope="module")
def reference():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return resnet50(weights=None, num_classes=5).eval()


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_encoders_have_the_published_layers():
    small, deep, large = (make_encoder(name, None, torch.Generator()) for name in ENCODERS)
    for encoder, layers in ((small, 8), (deep, 56)):
        main = [name for name, one in encoder.named_modules() if isinstance(one, nn.Conv2d) and "shortcut" not in name]
        assert len(main) + 1 == layers and encoder.dim == 64
    # He et al. 2016, table 6: 0.85 million with shortcuts without weights; ours have two convolutions 1x1 more.
    shortcuts = 16 * 32 + 32 * 64
    assert parameters(deep) + parameters(make_head(64, 10, torch.Generator())) - shortcuts == pytest.approx(
        0.85e6, rel=0.01
    )
    assert parameters(large) + parameters(make_head(large.dim, 1000, torch.Generator())) == 25_557_032  # torchvision's


@pytest.mark.parametrize("network", ENCODERS)
def test_weights_come_back_as_the_same_network(network):
    weights = weights_of(network, None if network == "resnet50" else 5)
    part = weights["method"]["0.classifier"]
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    encoder = make_encoder(network, None if network == "resnet50" else 5, torch.Generator()).eval()
    encoder.load_state_dict(part["encoder"])
    with torch.no_grad():
        wanted = encoder(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1)
    found = trained_classifier(weights, 32)
    scale = wanted.abs().max().item()
    np.testing.assert_allclose(found.features(images) / scale, wanted.numpy() / scale, atol=1e-5)  # another layout
    logits = wanted.double() @ part["head"]["weight"].double().T + part["head"]["bias"].double()
    np.testing.assert_allclose(found.probabilities(images), logits.softmax(1), atol=1e-4)
    assert classifier_features(weights, 32).weights_sha256 == found.features.weights_sha256


def test_a_users_resnet50_of_torchvisions_names(reference):
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    given = {"resnet50": reference.state_dict(), "target": "attributes", "names": [*"abcde"]}
    mean, deviation = (torch.tensor(x).view(3, 1, 1) for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        x_NCHW = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        wanted = reference((x_NCHW - mean) / deviation).sigmoid().numpy()
    found = trained_classifier(given, 32)
    assert found.logits.size == 224 and found.names == ("a", "b", "c", "d", "e")
    np.testing.assert_allclose(found.probabilities(images), wanted, atol=1e-4)
    headless = {name: value for name, value in reference.state_dict().items() if not name.startswith("fc.")}
    assert classifier_features({"resnet50": headless}, 32)(images).shape == (2, 2048)
    with pytest.raises(UserError, match="has no fc.weight and fc.bias: it gives features, no labels"):
        trained_classifier({"resnet50": headless, "target": "labels", "names": ["a"]}, 32)
    with pytest.raises(UserError, match="names must be a list of what its outputs are"):
        trained_classifier({"resnet50": reference.state_dict(), "target": "labels"}, 32)
    with pytest.raises(
        UserError, match=r"the last layer has .*\(5, 2048\).* must have .*\(2, 2048\).* for its 2 names"
    ):
        trained_classifier({**given, "names": ["a", "b"]}, 32)


def test_weights_that_are_no_classifier_are_refused():
    weights = weights_of()
    part = weights["method"]["0.classifier"]

    def refused(message, **changes):
        with pytest.raises(UserError, match=message):
            trained_classifier({"method": {"0.classifier": {**part, **changes}}}, 32)

    with pytest.raises(
        UserError, match="the weights hold no classifier; they must be of a run of the method classifier"
    ):
        trained_classifier({"ema": {}}, 32)
    refused("target is 'label', must be labels or attributes", target="label")
    refused("names must be a list", names=[])
    refused("the encoder is none of small, resnet56, resnet50", encoder={"a": torch.ones(2)})
    refused("norm.bias", encoder={name: value for name, value in part["encoder"].items() if name != "norm.bias"})
    refused("holds values that are not finite", head={**part["head"], "bias": torch.full((3,), torch.nan)})


def test_a_classifier_is_not_taken_for_self_supervised():
    with pytest.raises(UserError, match="the weights hold no encoder; they must be of a run of the method simclr"):
        trained_extractor(weights_of(), 32)
