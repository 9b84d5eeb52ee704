"""EWC: fine-tuning of a source network whose weights are held back by their Fisher information (Li et al. 2020).

The penalty is that of elastic weight consolidation (Kirkpatrick et al. 2017, Eq 3), of the generator alone; the
likelihood that the information is of is D's (Li et al. 2020): log sigmoid D(G(z)). No code of the authors is public.
The one that is (sony/nnabla-examples@983f8ae, image-generation/stylegan2-ewc) averages the gradients and not their
squares, takes means in place of sums, and reads convolutions alone: its lambda of 100 belongs to another penalty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import UserError
from bench.networks.common import noise
from bench.train import Context, GStep

from .common.penultimate import evaluating
from .transfergan import NEW, TransferGAN, is_old


class EWC(TransferGAN):
    """Adds weight * sum_i F_i (theta_i - source_i)^2 to G's loss, over all weights of G that come from the source.

    F_i = E_z (d log sigmoid D(G(z)) / d theta_i)^2 of the source's G and D, over `draws` latents, each by itself, in
    evaluation mode: a mean of squares and not the square of a mean, which is near 0 at the end of a training. Of patch
    logits, D(x) is their mean.

    weight: lambda (declared, not the paper's: F's size is that of one network and its training).
    draws: latents of the estimate (declared: 100, as in the code above).
    For networks without a condition: what the source knew of its own conditions has no place in the target's.
    """

    in_graphs = True
    splits = True
    papers: ClassVar[tuple[tuple[str, int, str, str], ...]] = (
        ("Li et al.", 2020, "Few-shot Image Generation with Elastic Weight Consolidation", "arXiv:2012.02780"),
        ("Kirkpatrick et al.", 2017, "Overcoming catastrophic forgetting in neural networks", "arXiv:1612.00796"),
    )

    sources: ClassVar[dict[str, str]] = {"network": ""}
    later: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, weight: float = 1e6, draws: int = 100) -> None:
        if weight <= 0:
            raise UserError(f"method 'ewc': weight is {weight}, must be above 0")
        if draws < 1:
            raise UserError(f"method 'ewc': draws is {draws}, must be 1 or more latents")
        self.new = NEW
        self.weight = weight
        self.draws = draws
        # Of all weights of G one after the other; from `prepare` on, and no part of a checkpoint: the source has them
        self.fisher = self.source_weights = torch.zeros(0)

    def prepare(self, ctx: Context) -> None:
        generator, discriminator = ctx.networks()
        if generator.condition_dim is not None:
            raise UserError(
                "method 'ewc': this generator has a condition, of which a source without the same one knows nothing; "
                "leave the part that sets it out, or use transfergan"
            )
        super().prepare(ctx)
        self.names = [name for name, _ in generator.named_parameters() if is_old(name)]
        self.source_weights = self._weights(ctx).detach()
        latents_NZ = ctx.numbers("ewc").normal(self.draws, generator.z_dim)
        parameters = dict(generator.named_parameters())
        with noise.drawn_from(ctx.stream("ewc-noise")):
            trained = [parameters[name] for name in self.names]
            self.fisher = information(generator, discriminator, trained, latents_NZ)

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        with torch.autocast(ctx.device.type, enabled=False):
            moved = self._weights(ctx) - self.source_weights
            return {"penalty": self.weight * (self.fisher * moved.square()).sum()}

    def _weights(self, ctx: Context) -> Tensor:
        generator, _ = ctx.networks()
        parameters = dict(generator.named_parameters())
        return torch.cat([parameters[name].flatten() for name in self.names])


def information(
    generator: nn.Module, discriminator: nn.Module, trained: Sequence[Tensor], latents_NZ: Tensor
) -> Tensor:
    """F of these weights of G, one after the other: the mean over latents of the squares of each one's gradient.

    Both networks are as they are in evaluation mode. A generator that draws noise needs an active stream.
    """
    found = torch.zeros(sum(weight.numel() for weight in trained)).to(trained[0])
    with evaluating(generator), evaluating(discriminator):
        for z_NZ in latents_NZ.split(1):
            likelihood = functional.logsigmoid(discriminator(generator(z_NZ)).mean())
            gradients = torch.autograd.grad(likelihood, trained, allow_unused=True, materialize_grads=True)
            found += torch.cat([gradient.flatten() for gradient in gradients]).square() / len(latents_NZ)
    return found
