"""Data instance priors: C(x) for every training image, real ones and the two controls."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from bench import features
from bench.contract.conditions import scaled
from bench.errors import UserError
from bench.features.cache import cached_features
from bench.features.classifier import classifier_features
from bench.features.simclr import trained_extractor
from bench.files.memory_map import update_digest
from bench.train import Context

# The priors that a source of that role is read for, each by its own function
TRAINED = {"simclr": trained_extractor, "classifier": classifier_features}
CONTROLS = ("random", "shuffled")
CONTROL_OF = "vgg16"  # the prior that the controls imitate, unless a table names another


def prior_table(
    ctx: Context, prior: str, prior_size: int | str, scale: str | float, control_of: str = CONTROL_OF
) -> Tensor:
    """The scaled priors of the run's training images, (M, K) float32 on the run's device.

    prior: an extractor's name, read at `prior_size` pixels ("own": the size that the network was trained at). Or
    "simclr" or "classifier", the encoder of the run's source of that role, at its own size. Or a control: "random" has
    Gaussian vectors with the width and root mean square of the prior `control_of`, "shuffled" gives its vectors to
    other images.
    Raises UserError for an unknown extractor or a missing source.
    """
    if prior == "random":
        table_MK = _random_like(scaled(_extracted(ctx, control_of, prior_size), scale), ctx.stream("random-prior"))
    elif prior == "shuffled":
        table_MK = scaled(_extracted(ctx, control_of, prior_size), scale)
        table_MK = table_MK[derangement(len(table_MK), ctx.stream("shuffled-prior"))]
    else:
        table_MK = scaled(_extracted(ctx, prior, prior_size), scale)
    return table_MK.to(ctx.device)


def query_priors(
    ctx: Context, images_NHWC: np.ndarray, prior: str, prior_size: int | str, scale: str | float
) -> Tensor:
    """C(x) of any uint8 images, (N, K) on the run's device, scaled as the priors of the run's training images are.

    prior: as of `prior_table`, but no control, which has no vector for another image. Raises UserError as it does.
    """
    table_MK = _extracted(ctx, prior, prior_size)
    return scaled(table_MK, scale, _extracted(ctx, prior, prior_size, images_NHWC)).to(ctx.device)


def prior_spec(prior: str, prior_size: int | str, control_of: str = CONTROL_OF) -> str | None:
    """The extractor that a part's settings ask for, e.g. "vgg16@64"; None for one of the run's sources (`TRAINED`).

    Parts call it when they are constructed, so that a mistake is refused before anything trains. Raises
    UserError for an unknown prior and for a size that its network does not take.
    """
    if prior in TRAINED:
        return None
    name = control_of if prior in CONTROLS else prior
    own = features.own_size(name)
    try:
        return features.canonical(f"{name}@{own if prior_size == 'own' else prior_size}")
    except UserError as error:
        raise UserError(
            f"prior '{prior}': {error}; set prior_size, or prior_size=own for the {own} pixels that it was trained at"
        ) from error


def derangement(count: int, stream: torch.Generator) -> Tensor:
    """A random cyclic permutation (count,): none keeps its place. Raises UserError for fewer than two."""
    if count < 2:
        raise UserError("prior 'shuffled' needs at least two training images")
    order = torch.randperm(count, generator=stream)
    image = torch.empty_like(order)
    image[order] = order.roll(1)
    return image


def _extracted(ctx: Context, name: str, size: int | str, images_NHWC: np.ndarray | None = None) -> Tensor:
    """The features of uint8 images, the run's training images for None, unscaled on the CPU."""
    images = ctx.images_u8_NHWC if images_NHWC is None else images_NHWC
    spec = prior_spec(name, size)
    if spec is None:
        extractor = TRAINED[name](ctx.source(name), images.shape[1], str(ctx.device))
    else:
        extractor = features.load(spec, str(ctx.device))
    content = hashlib.sha256(str(images.shape).encode())
    update_digest(content, images)
    return torch.from_numpy(cached_features(extractor, images, content.hexdigest(), "priors"))


def _random_like(vectors_MK: Tensor, stream: torch.Generator) -> Tensor:
    noise_MK = torch.randn(vectors_MK.shape, generator=stream)
    return noise_MK * (vectors_MK.square().mean() / noise_MK.square().mean()).sqrt()
