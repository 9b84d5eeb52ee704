"""The discriminator's score of images, D_l(D_f(x)): its linear head alone, without the condition (DISP, figure 1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from bench.errors import UserError
from bench.networks.common.pixels import signed_images
from bench.networks.interface import Discriminator


@torch.no_grad()
def d_scores(discriminator: nn.Module, images_NHWC: np.ndarray, batch: int) -> np.ndarray:
    """The scores (N,) of uint8 images, `batch` at once, in evaluation mode; the discriminator stays as it is.

    In evaluation mode spectral norms are not estimated further and batch norms use their running statistics. Layers
    that compare the images of a call (StyleGAN's) see images of one kind. Raises UserError for a discriminator that has
    no such score.
    """
    if not isinstance(discriminator, Discriminator):
        raise UserError(f"a {type(discriminator).__name__} in the discriminator's place has no score without condition")
    device = next(discriminator.parameters()).device
    scores = []
    with _evaluating(discriminator):
        for start in range(0, len(images_NHWC), batch):
            images_NCHW = signed_images(images_NHWC[start : start + batch], device)
            try:
                scores.append(discriminator.unconditional_logits(images_NCHW).float().cpu().numpy())
            except (ValueError, NotImplementedError) as error:
                raise UserError(f"the discriminator has no score without a condition: {error}") from error
    return np.concatenate(scores).astype(np.float64)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; after it each module is in the mode that it had."""
    before = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
