"""Adversarial losses by name: r are D's logits of real images, f of generated ones, means are over the batch
and, of a discriminator that judges patches, over the patches: logits are (N,) or (N, L).

hinge           L_D = mean max(0, 1 - r) + mean max(0, 1 + f)    L_G = -mean f            (DISP, equation 1)
non-saturating  L_D = mean softplus(-r) + mean softplus(f)       L_G = mean softplus(-f)  (LT-GAN, equation 1)
wasserstein     L_D = -mean r + mean f                           L_G = -mean f            (DISP, table 10)

Wasserstein has no gradient penalty: the spectral norm is its Lipschitz control (DISP states no other).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from bench.errors import UserError, did_you_mean


class AdversarialLoss(NamedTuple):
    """Both sides of a loss; each gives a scalar."""

    discriminator: Callable[[Tensor, Tensor], Tensor]  # (real logits, fake logits)
    generator: Callable[[Tensor], Tensor]  # (fake logits)


def hinge_d(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """mean max(0, 1 - r) + mean max(0, 1 + f)."""
    return F.relu(1 - real_logits_N).mean() + F.relu(1 + fake_logits_N).mean()


def non_saturating_d(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """mean softplus(-r) + mean softplus(f)."""
    return F.softplus(-real_logits_N).mean() + F.softplus(fake_logits_N).mean()


def non_saturating_g(fake_logits_N: Tensor) -> Tensor:
    """mean softplus(-f)."""
    return F.softplus(-fake_logits_N).mean()


def wasserstein_d(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """-mean r + mean f."""
    return fake_logits_N.mean() - real_logits_N.mean()


def linear_g(fake_logits_N: Tensor) -> Tensor:
    """-mean f, the generator's side of both the hinge and the Wasserstein loss."""
    return -fake_logits_N.mean()


LOSSES: dict[str, AdversarialLoss] = {
    "hinge": AdversarialLoss(hinge_d, linear_g),
    "non-saturating": AdversarialLoss(non_saturating_d, non_saturating_g),
    "wasserstein": AdversarialLoss(wasserstein_d, linear_g),
}


def adversarial_loss(name: str) -> AdversarialLoss:
    """The loss of that name. Raises UserError with the nearest known name."""
    if name not in LOSSES:
        raise UserError(f"unknown loss '{name}'; {did_you_mean(name, LOSSES)}")
    return LOSSES[name]
