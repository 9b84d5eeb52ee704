"""The inversion of given images: z and what conditions each of G's blocks, fitted to an image (DIP, appendix C).

z*, C*_1 ... C*_k = argmin ||G(z | C_1, ..., C_k) - x||^2: C_i takes the place of the embedding G_emb(C(x)) in the i-th
block. A generator without conditions has z alone; of BigGAN it holds a chunk for each block, which modulates it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bench.contract.composition import Composition
from bench.contract.context import Batch, Context
from bench.errors import UserError
from bench.evaluate.descent import Adam, Streams, fitted_images
from bench.networks.common.conditioning import ConditionalGenerator
from bench.networks.common.pixels import signed_images
from bench.networks.interface import Generator

Start = Literal["prior", "mean"]
CHUNK = 256  # training images whose conditions are computed at once
NO_PRIOR = "its method has no condition of an image that it was not trained on; give evaluate: {start: mean}"
NO_CONDITIONS = "inversion: G has conditions, and its run's method has none for a training image"


def inverted(
    generator: Generator,
    start: Sequence[Tensor],
    queries_NHWC: np.ndarray,
    adam: Adam,
    streams: Streams,
    pause: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) that G makes nearest to uint8 queries, on the CPU, and their mean squared errors (N,).

    start: the variables of `start_of`. An error is a mean over an image's entries, which lie in [-1, 1].
    """
    images_NCHW = fitted_images(generator, start, queries_NHWC, squared_errors, adam, streams, pause)
    return images_NCHW, squared_errors(images_NCHW, signed_images(queries_NHWC))


def squared_errors(images_NCHW: Tensor, others_NCHW: Tensor) -> Tensor:
    """The mean squared difference of each pair of images, (N,)."""
    return (images_NCHW - others_NCHW).square().flatten(1).mean(1)


@torch.no_grad()
def start_of(
    ctx: Context, method: Composition, generator: Generator, queries_NHWC: np.ndarray, start: Start
) -> list[Tensor]:
    """Where the fit of each uint8 query begins: z = 0, its mean, and an embedding for each block.

    start: "prior", every block's embedding is G_emb(C(x)) of the query; "mean", the mean of G_emb over the run's
    training images. Of a generator whose blocks share one embedding (StyleGAN, FastGAN) that one is fitted.
    Raises UserError for "prior" where the method has no condition of an image that was not trained on.
    """
    count = len(queries_NHWC)
    z_NZ = torch.zeros(count, generator.z_dim, device=ctx.device)
    if start == "prior":
        condition = method.query_condition()
        if condition is None:
            raise UserError(f"inversion: {NO_PRIOR}")
        embedding_NE = generator.embed(condition(ctx, queries_NHWC))
    elif generator.condition_dim is None:
        return [z_NZ]
    else:
        embedding_NE = mean_embedding(ctx, method, generator).repeat(count, 1)
    if isinstance(generator, ConditionalGenerator):
        return [z_NZ, embedding_NE[:, None].repeat(1, len(generator.blocks), 1)]
    return [z_NZ, embedding_NE]


def mean_embedding(ctx: Context, method: Composition, generator: Generator) -> Tensor:
    """G_emb averaged over the conditions of the run's training images, (E,). UserError where there are none."""
    parts, count = [], len(ctx.images_u8_NHWC)
    for index_N in torch.arange(count).split(CHUNK):
        images_NCHW = signed_images(ctx.images_u8_NHWC[index_N.numpy()], ctx.device)
        condition_NK = method.condition(ctx, Batch(images_NCHW, index_N.to(ctx.device)))
        if condition_NK is None:
            raise UserError(NO_CONDITIONS)
        parts.append(generator.embed(condition_NK).sum(0))
    return torch.stack(parts).sum(0) / count
