"""Images from a trained generator: the same latents at every snapshot and for every method."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench import seeds
from bench.contract.base import Sampler
from bench.contract.context import Context
from bench.data.contact_sheet import contact_sheet
from bench.networks.common import noise
from bench.networks.common.pixels import to_uint8
from bench.networks.interface import Generator

SHEET = 50  # images that a picture of a snapshot shows at most


def generate(ctx: Context, generator: Generator, sampler: Sampler, count: int, batch: int) -> np.ndarray:
    """`count` uint8 images (N, H, W, 3) of the run's evaluation stream: see `batches`."""
    images_NHWC, at = np.empty(0, np.uint8), 0
    for made_NHWC in batches(ctx, generator, sampler, count, batch):
        if at == 0:
            images_NHWC = np.empty((count, *made_NHWC.shape[1:]), np.uint8)
        images_NHWC[at : at + len(made_NHWC)] = made_NHWC
        at += len(made_NHWC)
    return images_NHWC


def batches(
    ctx: Context,
    generator: Generator,
    sampler: Sampler,
    count: int,
    batch: int,
    *,
    first: int = 0,
    seed: int | None = None,
) -> Iterator[np.ndarray]:
    """`count` uint8 images of the run's evaluation stream: as `drawn`, with the run's seed (or `seed`) and device."""
    own = ctx.spec.train.batch_statistics if ctx.spec.train else None
    chosen = ctx.spec.seed if seed is None else seed
    return drawn(generator, sampler, count, batch, chosen, ctx.device, first=first, own=own)


@torch.no_grad()
def drawn(
    generator: Generator,
    sampler: Sampler,
    count: int,
    batch: int,
    seed: int,
    device: torch.device,
    *,
    first: int = 0,
    own: int | None = None,
) -> Iterator[np.ndarray]:
    """`count` uint8 images of a seed's evaluation stream from image `first` on, a batch (N, H, W, 3) at a time.

    Latents, conditions and noise depend on the seed and the batch's number alone: curves over snapshots are drawn at
    fixed latents, and seed i of two methods is scored at the same z. With `own`, `train.batch_statistics`, the batches
    are of that size, all of them whole; of the last one only the images that are needed are kept.
    """
    for start in range(first, first + count, own or batch):
        size = own or min(batch, first + count - start)
        latents, conditions, noises = (
            seeds.torch_stream(seed, "evaluation", purpose, start) for purpose in ("latents", "sampler", "noise")
        )
        z_NZ = torch.randn(size, generator.z_dim, generator=latents).to(device)
        with noise.drawn_from(noises), batch_statistics(generator) if own else nullcontext():
            made_NHWC = to_uint8(sampler(generator, z_NZ, conditions))
        yield made_NHWC[: first + count - start]


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Inside, the network's batch norms normalise by the batch at hand, as in training, and learn nothing from it.

    FastGAN's released code samples like this, since it leaves its generator in training mode. All else stays as it is:
    spectral norms are not estimated further.
    """
    norms = batch_norms(network)
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, (training, tracking) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, tracking


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The network's batch norms, those inside conditional ones too."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def save_sheet(path: Path, images_NHWC: np.ndarray) -> None:
    """Write a contact sheet of up to `SHEET` images. Makes its folder, but not the run's folder around it."""
    path.parent.mkdir(exist_ok=True)
    contact_sheet(images_NHWC[:SHEET], scale=max(1, 64 // images_NHWC.shape[1])).save(path)
