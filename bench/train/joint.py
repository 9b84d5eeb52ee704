"""What the ranks of one run do in common in an update: one sum of all gradients, and of the values to log.

No wrapper is around the networks. A rank's loss weighs its share of the images, so the sum over ranks is the gradient
of the whole batch (the pattern of StyleGAN2-ada's code). All ranks then take the same step, in the same bits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.contract.context import Context
from bench.errors import UserError
from bench.networks.common.batch_norm import WholeBatchNorm2d
from bench.networks.common.sharing import Share
from bench.networks.interface import JudgesInGroups, looks_at_the_batch

Values = dict[str, Tensor]


def share_of(ctx: Context, whole: int) -> Share | None:
    """Which images of a pass of so many are this rank's; None where one process has them all."""
    if ctx.ranks.size == 1:
        return None
    _, discriminator = ctx.networks()
    group = discriminator.images_together(whole) if isinstance(discriminator, JudgesInGroups) else 1
    return Share(ctx.ranks, whole, group)


def sum_gradients(share: Share, gradients: list[Tensor], *values: Values) -> list[Values]:
    """Add up the gradients of all ranks, in place, and take the means of values over the whole pass.

    One sum of one flat tensor. The gradients are weighted by each rank's share already, the values are means over it.
    """
    scalars = [value.reshape(1).float() * share.weight for group in values for value in group.values()]
    flat = torch.cat([*(gradient.flatten() for gradient in gradients), *scalars])
    share.ranks.summed(flat)
    sizes = [gradient.numel() for gradient in gradients]
    *sums, rest = flat.split([*sizes, len(scalars)])
    torch._foreach_copy_(gradients, [one.view_as(gradient) for one, gradient in zip(sums, gradients, strict=True)])
    means = iter(rest.unbind())
    return [{name: next(means) for name in group} for group in values]


def gather_logits(ctx: Context, logits: list[Tensor]) -> list[Tensor]:
    """D's logits of the whole micro-batches (N,) or (N, L), of those of this rank's images."""
    train = ctx.train
    share = share_of(ctx, train.micro_batch or train.batch)
    assert share is not None
    with torch.no_grad():
        return list(share.gathered(torch.stack(logits, dim=1)).unbind(1))


def refuse_unshared(ctx: Context) -> None:
    """UserError for networks that would not give the same on several ranks as on one."""
    if ctx.ranks.size == 1:
        return
    try:
        share_of(ctx, ctx.train.micro_batch or ctx.train.batch)
    except ValueError as error:
        raise UserError(f"train.gpus: {error}") from error
    generator, discriminator = ctx.networks()
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        if (name := norm_of_one_card(network)) is not None:
            raise UserError(
                f"train.gpus: the {role}'s {name} would take its statistics of one card's images; build it of "
                "bench.networks.common.batch_norm.WholeBatchNorm2d, or train on one card"
            )
    if looks_at_the_batch(discriminator) and not (
        isinstance(discriminator, JudgesInGroups)
        or any(isinstance(m, WholeBatchNorm2d) for m in discriminator.modules())
    ):
        raise UserError(
            "train.gpus: this discriminator's logits depend on the other images of their call (batch_statistics), and "
            "it does not say how (JudgesInGroups); train on one card"
        )


def norm_of_one_card(network: nn.Module) -> str | None:
    """The name of a batch norm of a network that knows nothing of other ranks; None where there is none.

    One in evaluation mode takes no statistics.
    """
    norms = (
        name
        for name, module in network.named_modules()
        if module.training and isinstance(module, _BatchNorm) and not isinstance(module, WholeBatchNorm2d)
    )
    return next(norms, None)
