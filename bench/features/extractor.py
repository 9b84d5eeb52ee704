"""An extractor: a frozen network, the resizing in front of it, and the digest of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UserError
from bench.features.resize import RECIPE, resize_u8
from bench.files.memory_map import release


class Extractor:
    """Images -> features.

    `network` maps float images (N, 3, size, size) in [-1, 1] to (N, dim) and normalises them itself, so any
    module serves, a self-trained encoder too. It is put into evaluation mode and its parameters are frozen.
    """

    def __init__(
        self, name: str, network: nn.Module, size: int, dim: int, weights_sha256: str, device: str = "cpu"
    ) -> None:
        self.name = name
        self.size = size
        self.dim = dim
        self.weights_sha256 = weights_sha256
        self.resize = f"{RECIPE} to {size}x{size}"
        self.device = torch.device(device)
        # channels_last: the layout the resized images already have, and a third faster on CPUs.
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()
        self.network.requires_grad_(False)

    def __call__(self, images_u8_NHWC: np.ndarray, batch: int = 32) -> np.ndarray:
        """Features (N, dim) float32 of uint8 RGB images (N, H, W, 3), `batch` at a time.

        In float32 without TF32, which cuDNN would else use on its own accord: features must not depend on the
        machine, nor on how a run trains. Raises UserError for another dtype or shape.
        """
        _check_images(images_u8_NHWC, self.name)
        features = np.empty((len(images_u8_NHWC), self.dim), dtype=np.float32)
        with torch.inference_mode(), without_tf32():
            for start in range(0, len(images_u8_NHWC), batch):
                pixels_NHWC = resize_u8(images_u8_NHWC[start : start + batch], self.size)
                x_NCHW = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).to(self.device) / 127.5 - 1
                features[start : start + batch] = self.network(x_NCHW).float().cpu().numpy()
                release(images_u8_NHWC)
        return features

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Features (N, dim) of float RGB images (N, 3, H, W) in [-1, 1], differentiable in the images.

        Resizes with torch's antialiased bicubic filter, which equals that of `__call__` to 0.002 of
        255 grey levels.
        """
        return self.network(resize_float(images_NCHW, self.size))


@contextmanager
def without_tf32() -> Iterator[None]:
    """Inside, matrix products and convolutions on a GPU use all 24 bits of a float32; afterwards as before."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def resize_float(images_NCHW: Tensor, size: int) -> Tensor:
    """Images in [-1, 1] at `size`: antialiased bicubic, clipped to [-1, 1]; as given if they have it."""
    if images_NCHW.shape[-2:] == (size, size):
        return images_NCHW
    resized = F.interpolate(
        images_NCHW, size=(size, size), mode="bicubic", antialias=True, align_corners=False
    )
    return resized.clamp(-1, 1)


def _check_images(images: np.ndarray, name: str) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise UserError(
            f"extractor '{name}': images are {images.dtype} of shape {images.shape}, "
            "must be uint8 of shape (N, H, W, 3)"
        )
