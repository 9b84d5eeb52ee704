"""The adversarial term of an update: chosen by the settings, weighted or replaced by the method's parts."""

from __future__ import annotations

from torch import Tensor

from bench.contract.composition import Composition
from bench.contract.context import Context, DStep, GStep
from bench.train.losses import LOSSES, AdversarialLoss, hinge_with_margins


def discriminator_loss(ctx: Context, method: Composition, step: DStep) -> tuple[Tensor, dict[str, Tensor]]:
    """D's adversarial loss as the parts weigh or replace it, and the mean weights to log."""
    if (replaced := method.d_adversarial(ctx, step)) is not None:
        return replaced, {}
    real_N, fake_N = method.d_weights(ctx, step)
    loss = _loss_of(ctx, step)
    value = loss.discriminator(step.real_logits_N, step.fake_logits_N, real_N, fake_N)
    return value, _mean_weights(d_real_weight=real_N, d_fake_weight=fake_N)


def _loss_of(ctx: Context, step: DStep) -> AdversarialLoss:
    """The loss of the settings; with `hinge_margin`, one with a margin drawn for each logit from U(margin, 1)."""
    least = ctx.train.hinge_margin
    if least is None:
        return LOSSES[ctx.train.loss]
    margins = [
        least
        + (1 - least) * ctx.own(ctx.numbers("hinge-margin").uniform(ctx.whole(len(logits_N)), *logits_N.shape[1:]))
        for logits_N in (step.real_logits_N, step.fake_logits_N)
    ]
    return hinge_with_margins(*margins)


def generator_loss(ctx: Context, method: Composition, step: GStep) -> tuple[Tensor, dict[str, Tensor]]:
    """G's adversarial loss as the parts weigh or replace it, and the mean weights to log."""
    if (replaced := method.g_adversarial(ctx, step)) is not None:
        return replaced, {}
    weights_N = method.g_weights(ctx, step)
    value = LOSSES[ctx.train.loss].generator(step.logits_N, weights_N)
    return value, _mean_weights(g_weight=weights_N)


def _mean_weights(**weights: Tensor | None) -> dict[str, Tensor]:
    return {name: value.detach().float().mean() for name, value in weights.items() if value is not None}
