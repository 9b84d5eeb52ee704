"""LT-GAN's auxiliary network A: two differences of feature maps -> whether one perturbation made both.

Each takes the differences side by side, (N, 2C, H, W), and gives logits (N, 1); the sigmoid of the text is part of
the loss. Names and layers are those of the ablation (LT-GAN, supplement 7).
"""

from __future__ import annotations

from torch import nn


def linear(channels: int, height: int, width: int) -> nn.Sequential:
    """One fully connected layer: too weak for the task, as the ablation shows."""
    return nn.Sequential(nn.Flatten(), nn.Linear(2 * channels * height * width, 1))


def two_layer(channels: int, height: int, width: int) -> nn.Sequential:
    """2 H W C -> C, ReLU, -> 1: the network of all published results (section 4.1)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(2 * channels * height * width, channels),
        nn.ReLU(),
        nn.Linear(channels, 1),
    )


def convolutional(channels: int, height: int, width: int) -> nn.Sequential:
    """A convolution, batch norm and a fully connected layer.

    Declared: 3x3 to C channels, height and width kept, and a ReLU after the norm, without which little would tell
    it from the linear network.
    """
    return nn.Sequential(
        nn.Conv2d(2 * channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels * height * width, 1),
    )


NETWORKS = {"linear": linear, "two-layer": two_layer, "convolutional": convolutional}
