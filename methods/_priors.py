"""Data instance priors: C(x) for every training image, real ones and the two controls."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from bench import features
from bench.errors import UserError
from bench.features.cache import cached_features
from bench.features.simclr import trained_extractor
from bench.memorymap import update_digest
from bench.train import Context
from bench.train.conditions import scaled

CONTROL_PRIOR = "vgg16"  # what the control priors take their shape and size from


def prior_table(ctx: Context, prior: str, prior_size: int, scale: str | float) -> Tensor:
    """The scaled priors of the run's training images, (M, K) float32 on the run's device.

    prior: an extractor's name, read at `prior_size` pixels; "simclr", the encoder of the run's source
    `simclr`; or a control: "random" (Gaussian vectors of VGG16's width and root mean square), "shuffled" (the
    VGG16 vectors, each handed to another image). Raises UserError for an unknown extractor or a missing
    source.
    """
    if prior == "random":
        table_MK = _random_like(
            scaled(_extracted(ctx, CONTROL_PRIOR, prior_size), scale), ctx.stream("random-prior")
        )
    elif prior == "shuffled":
        table_MK = scaled(_extracted(ctx, CONTROL_PRIOR, prior_size), scale)
        table_MK = table_MK[derangement(len(table_MK), ctx.stream("shuffled-prior"))]
    else:
        table_MK = scaled(_extracted(ctx, prior, prior_size), scale)
    return table_MK.to(ctx.device)


def derangement(count: int, stream: torch.Generator) -> Tensor:
    """A random cyclic permutation (count,): none keeps its place. Raises UserError for fewer than two."""
    if count < 2:
        raise UserError("prior 'shuffled' needs at least two training images")
    order = torch.randperm(count, generator=stream)
    image = torch.empty_like(order)
    image[order] = order.roll(1)
    return image


def _extracted(ctx: Context, name: str, size: int) -> Tensor:
    if name == "simclr":
        extractor = trained_extractor(ctx.source("simclr"), ctx.images_u8_NHWC.shape[1], str(ctx.device))
    else:
        extractor = features.load(f"{name}@{size}", str(ctx.device))
    content = hashlib.sha256(str(ctx.images_u8_NHWC.shape).encode())
    update_digest(content, ctx.images_u8_NHWC)
    return torch.from_numpy(cached_features(extractor, ctx.images_u8_NHWC, content.hexdigest(), "priors"))


def _random_like(vectors_MK: Tensor, stream: torch.Generator) -> Tensor:
    noise_MK = torch.randn(vectors_MK.shape, generator=stream)
    return noise_MK * (vectors_MK.square().mean() / noise_MK.square().mean()).sqrt()
