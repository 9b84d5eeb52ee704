"""A small residual encoder of images; the methods `simclr` and `classifier` train it on a run's images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ResidualEncoder(nn.Module):
    """Images (N, 3, H, W) -> features (N, 4 * width): a stem, residual stages, the mean over space.

    The first of three stages keeps the resolution and each later one halves it, as in the ResNets for CIFAR (He et al.
    2016, 4.2), of which this is the one of 6 * blocks + 2 layers; its shortcuts are convolutions where the shape
    changes. stream: where the initial weights come from; the global random state is not touched.
    """

    def __init__(self, width: int, stream: torch.Generator, blocks: int = 1) -> None:
        super().__init__()
        with torch.device("meta"):  # the constructors of torch draw from the global state
            self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(width)
            layers = []
            for before, after, stride in ((width, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2)):
                layers += [_Residual(before, after, stride), *(_Residual(after, after, 1) for _ in range(blocks - 1))]
            self.stages = nn.Sequential(*layers)
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
