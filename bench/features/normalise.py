"""The colours that networks were trained on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Per channel of RGB in [0, 1]: mean and standard deviation.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # torchvision's networks, and most others
CLIP = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)  # of the pictures CLIP has seen
Colours = tuple[tuple[float, float, float], tuple[float, float, float]]


class Normalise(nn.Module):
    """Images in [-1, 1] -> mean 0 and standard deviation 1 of `colours`, per RGB channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, colours: Colours = IMAGENET) -> None:
        super().__init__()
        mean, std = colours
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 3, H, W)."""
        return ((images_NCHW + 1) / 2 - self.mean) / self.std
