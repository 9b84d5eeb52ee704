"""Images from a trained generator: the same latents at every snapshot and for every method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench import seeds
from bench.contactsheet import contact_sheet
from bench.networks import noise
from bench.train.context import Context
from bench.train.method import Sampler


def to_uint8(images_NCHW: Tensor) -> np.ndarray:
    """Float images in [-1, 1] to uint8 (N, H, W, 3), rounded to nearest as a saved PNG would be."""
    scaled = ((images_NCHW.float() + 1) * 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


@torch.no_grad()
def generate(ctx: Context, generator: nn.Module, sampler: Sampler, count: int, batch: int) -> np.ndarray:
    """`count` uint8 images (N, H, W, 3) of the run's evaluation stream.

    Latents, conditions and noise depend on the run's seed and the batch's number alone: curves over snapshots
    are drawn at fixed latents, and seed i of two methods is scored at the same z.
    """
    z_dim = int(generator.z_dim)  # type: ignore[arg-type]
    images_NHWC = np.empty(0, np.uint8)
    for start in range(0, count, batch):
        size = min(batch, count - start)
        latents, conditions, noises = (
            seeds.torch_stream(ctx.spec.seed, "evaluation", purpose, start)
            for purpose in ("latents", "sampler", "noise")
        )
        z_NZ = torch.randn(size, z_dim, generator=latents).to(ctx.device)
        with noise.drawn_from(noises):
            made_NHWC = to_uint8(sampler(generator, z_NZ, conditions))
        if start == 0:
            images_NHWC = np.empty((count, *made_NHWC.shape[1:]), np.uint8)
        images_NHWC[start : start + size] = made_NHWC
    return images_NHWC


def save_sheet(path: Path, images_NHWC: np.ndarray) -> None:
    """Write a contact sheet of up to 50 images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(images_NHWC[:50], scale=max(1, 64 // images_NHWC.shape[1])).save(path)
