"""The gradient of D with respect to its images, for penalties on it (R1, DigGAN)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradients(
    discriminate: Callable[[Tensor, Tensor | None], Tensor], images_NCHW: Tensor, condition_NK: Tensor | None
) -> Tensor:
    """grad_x D(x) of each image, (N, C, H, W), itself differentiable in D's parameters.

    Of patch logits (N, L), D(x) is the mean over L, as in the adversarial losses. Where images of a batch
    interact (batch norm, minibatch deviation) the gradient is that of the sum of all logits.
    """
    leaf_NCHW = images_NCHW.detach().requires_grad_()
    logits = discriminate(leaf_NCHW, condition_NK)
    logits_N = logits if logits.ndim == 1 else logits.flatten(1).mean(dim=1)
    (gradient_NCHW,) = torch.autograd.grad(logits_N.sum(), leaf_NCHW, create_graph=True)
    return gradient_NCHW
