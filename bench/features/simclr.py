"""A small residual encoder for self-supervised features; the method `simclr` trains it on a run's images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import UserError
from bench.features.extractor import Extractor


class SimclrEncoder(nn.Module):
    """Images (N, 3, H, W) -> features (N, 4 * width): a stem, residual stages, the mean over space.

    The first stage keeps the resolution and each later one halves it, as in the ResNets for CIFAR (He et al.
    2016, 4.2). stream: where the initial weights come from; the global random state is not touched.
    """

    def __init__(self, width: int, stream: torch.Generator) -> None:
        super().__init__()
        with torch.device("meta"):  # the constructors of torch draw from the global state
            self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(width)
            self.stages = nn.Sequential(
                _Residual(width, width, 1), _Residual(width, 2 * width, 2), _Residual(2 * width, 4 * width, 2)
            )
        self.dim = 4 * width
        initialise(self, stream)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, dim)."""
        return self.stages(functional.relu(self.norm(self.stem(images_NCHW)))).mean(dim=(2, 3))


class _Residual(nn.Module):
    """conv, norm, ReLU, conv, norm, plus a shortcut that is a convolution where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        h_NCHW = functional.relu(self.norm1(self.conv1(x_NCHW)))
        return functional.relu(self.norm2(self.conv2(h_NCHW)) + self.shortcut(x_NCHW))


def initialise(module: nn.Module, stream: torch.Generator) -> None:
    """Give a module of the meta device memory and values: He normal weights, zero biases, unit norms."""
    module.to_empty(device="cpu")
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=stream)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_parameters()


def trained_extractor(weights: Mapping[str, Any], size: int, device: str = "cpu") -> Extractor:
    """The extractor `simclr` from the weights of a run of the method `simclr`, or from a user's ResNet-50.

    The first is read at the size it was trained at. The second, under the key `resnet50`, has a size of its own.

    Raises UserError where the weights hold neither.
    """
    from bench.features.resnet50 import resnet50_extractor
    from bench.files.weights import check_state, fingerprint

    if "resnet50" in weights:
        return resnet50_extractor(weights["resnet50"], device)

    state = _encoder_state(weights)
    check_state(state, "source 'simclr'")
    if state["stem.weight"].ndim != 4:
        shape = tuple(state["stem.weight"].shape)
        raise UserError(f"source 'simclr': stem.weight has shape {shape}, must have 4 axes")
    encoder = SimclrEncoder(len(state["stem.weight"]), torch.Generator())
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"source 'simclr': {str(error).splitlines()[-1].strip()}") from error
    return Extractor(f"simclr@{size}", encoder, size, encoder.dim, fingerprint(state), device)


def _encoder_state(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    parts = weights.get("method")
    for part in parts.values() if isinstance(parts, dict) else ():
        encoder = part.get("encoder") if isinstance(part, dict) else None
        if isinstance(encoder, dict) and "stem.weight" in encoder:
            state: dict[str, Tensor] = encoder
            return state
    raise UserError(
        "source 'simclr': the weights hold no encoder; they must be of a run of the method simclr, or a dict "
        "with a ResNet-50's state dict under 'resnet50'"
    )
