"""Adversarial losses by name: r are D's logits of real images, f of generated ones, means are over the batch
and, for a discriminator of patches, over the patches: logits are (N,) or (N, L).

hinge           L_D = mean max(0, 1 - r) + mean max(0, 1 + f)    L_G = -mean f            (DISP, equation 1)
non-saturating  L_D = mean softplus(-r) + mean softplus(f)       L_G = mean softplus(-f)  (LT-GAN, equation 1)
wasserstein     L_D = -mean r + mean f                           L_G = -mean f            (DISP, table 10)

Wasserstein has no gradient penalty: the spectral norm is its Lipschitz control (DISP states no other).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from bench.errors import UserError, did_you_mean

Term = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class AdversarialLoss:
    """A loss as three terms of a logit, each of the logits' shape; both sides are means of them.

    real, fake: D's terms of a real and of a generated image's logit. generated: G's term.
    """

    real: Term
    fake: Term
    generated: Term

    def discriminator(
        self,
        real_logits_N: Tensor,
        fake_logits_N: Tensor,
        real_weights_N: Tensor | None = None,
        fake_weights_N: Tensor | None = None,
    ) -> Tensor:
        """D's loss, a scalar: the weighted mean over the real images plus that over the generated ones."""
        real = weighted_mean(self.real(real_logits_N), real_weights_N)
        return real + weighted_mean(self.fake(fake_logits_N), fake_weights_N)

    def generator(self, fake_logits_N: Tensor, weights_N: Tensor | None = None) -> Tensor:
        """G's loss, a scalar: the weighted mean over the generated images."""
        return weighted_mean(self.generated(fake_logits_N), weights_N)


def weighted_mean(terms_N: Tensor, weights_N: Tensor | None) -> Tensor:
    """1/N sum of w_i * term_i (over patches, too, where terms are (N, L)); the plain mean where weights are None.

    Not divided by the weights' sum: weights whose mean is 1 leave the loss its size. Weights pass no gradient on.
    Raises ValueError for weights that are not one number an image.
    """
    if weights_N is None:
        return terms_N.mean()
    if weights_N.shape != terms_N.shape[:1]:
        raise ValueError(f"weights have shape {tuple(weights_N.shape)}, must be ({len(terms_N)},): one number an image")
    return (weights_N.detach().to(terms_N).view(-1, *[1] * (terms_N.ndim - 1)) * terms_N).mean()


LOSSES: dict[str, AdversarialLoss] = {
    "hinge": AdversarialLoss(lambda r: F.relu(1 - r), lambda f: F.relu(1 + f), lambda f: -f),
    "non-saturating": AdversarialLoss(lambda r: F.softplus(-r), F.softplus, lambda f: F.softplus(-f)),
    "wasserstein": AdversarialLoss(lambda r: -r, lambda f: f, lambda f: -f),
}


def hinge_with_margins(real_margins_N: Tensor, fake_margins_N: Tensor) -> AdversarialLoss:
    """The hinge loss with a margin of each logit's own: mean max(0, m - r) + mean max(0, m' + f).

    FastGAN's released code draws m and m' from U(0.8, 1); all of them 1 is "hinge". Margins have the logits' shape.
    """
    return AdversarialLoss(
        lambda r: F.relu(real_margins_N - r), lambda f: F.relu(fake_margins_N + f), LOSSES["hinge"].generated
    )


def adversarial_loss(name: str) -> AdversarialLoss:
    """The loss of that name. Raises UserError with the nearest known name."""
    if name not in LOSSES:
        raise UserError(f"unknown loss '{name}'; {did_you_mean(name, LOSSES)}")
    return LOSSES[name]
