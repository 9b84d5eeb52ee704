"""An extractor: a frozen network, the resizing in front of it, and the digest of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.features.resize import CLEAN, Resizing
from bench.files.memory_map import release


class Extractor:
    """Images -> features.

    `network` maps float images (N, 3, size, size) in [-1, 1] to (N, dim) and normalises them itself, so any
    module serves, a self-trained encoder too. It is put into evaluation mode and its parameters are frozen.
    resizing: what is done to images of another size in front of it.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        size: int,
        dim: int,
        weights_sha256: str,
        device: str = "cpu",
        resizing: Resizing = CLEAN,
    ) -> None:
        self.name = name
        self.size = size
        self.dim = dim
        self.weights_sha256 = weights_sha256
        self.resizing = resizing
        self.resize = f"{resizing.recipe} to {size}x{size}"
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
        # On a GPU the features stay there until all are made: the CPU resizes the next images meanwhile.
        features_ND = torch.empty((len(images_u8_NHWC), self.dim), dtype=torch.float32, device=self.device)
        with torch.inference_mode(), without_tf32():
            for start in range(0, len(images_u8_NHWC), batch):
                part_NHWC = images_u8_NHWC[start : start + batch]
                pixels_NHWC = torch.from_numpy(self.resizing.pixels(part_NHWC, self.size))
                if self.device.type == "cuda":
                    pixels_NHWC = pixels_NHWC.pin_memory()
                x_NCHW = pixels_NHWC.permute(0, 3, 1, 2).to(self.device, non_blocking=True) / 127.5 - 1
                features_ND[start : start + batch] = self.network(x_NCHW)
                release(part_NHWC)
        return features_ND.cpu().numpy()

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Features (N, dim) of float RGB images (N, 3, H, W) in [-1, 1], differentiable in the images.

        Where `__call__` resizes with clean-fid's filter, this does with torch's antialiased bicubic one, which equals
        it to 0.002 of 255 grey levels.
        """
        return self.network(self.resizing.images(images_NCHW, self.size))


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


def _check_images(images: np.ndarray, name: str) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise UserError(
            f"extractor '{name}': images are {images.dtype} of shape {images.shape}, "
            "must be uint8 of shape (N, H, W, 3)"
        )
