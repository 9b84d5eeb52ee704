"""AE-D: the discriminator is an encoder whose maps small decoders turn back into images (FastGAN, section 3.2).

L_recons = E[|| G(f) - T(x) ||] over real images x and maps f of D(x) (equation 2): the whole image from the last map,
a part of it from a crop of the map before, and the small image where D has a branch for it. The decoders belong to
the network (bench.networks.fastgan); D and decoders minimise the sum of L_recons and the adversarial loss. The
paper names no norm; the released code compares by LPIPS.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

from bench.errors import UserError, did_you_mean
from bench.features.perceptual import lpips_distance
from bench.networks.interface import Decoding
from bench.train import Context, DStep, Method

Distance = Callable[[Tensor, Tensor], Tensor]  # two batches NCHW -> (N,) or (N, 1, 1, 1)


class AeD(Method):
    """Reconstruction of the real images as D saw them, augmented.

    weight: of the sum over images and decoders, 1 as released. The adversarial loss is a mean, so the balance of the
    two depends on the batch (or micro-batch), which is 8 in the paper. 0 builds D without decoders, as in the other
    rows of the ablation.
    loss: lpips-vgg as released; lpips-alex, the same distance on a trunk that a CPU can afford; l1, a plain mean over
    entries.
    """

    in_graphs = True
    splits = True
    papers = (
        (
            "Liu et al.",
            2021,
            "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis",
            "arXiv:2101.04775",
        ),
    )

    def __init__(self, *, weight: float = 1.0, loss: str = "lpips-vgg") -> None:
        if weight < 0:
            raise UserError(f"method 'ae-d': weight is {weight}, must be 0 or more")
        if loss not in _LOSSES:
            raise UserError(f"method 'ae-d': unknown loss '{loss}'; {did_you_mean(str(loss), _LOSSES)}")
        self.weight = weight
        self.loss = loss

    def networks(self, ctx: Context) -> dict[str, Any]:
        return {"decoders": self.weight > 0}

    def trains_decoders(self) -> bool:
        return self.weight > 0

    def prepare(self, ctx: Context) -> None:
        if self.weight == 0:
            return
        _, discriminator = ctx.networks()
        if not isinstance(discriminator, Decoding):
            raise UserError("method 'ae-d': this discriminator has no decoders; use fastgan")
        self.distance = _LOSSES[self.loss](str(ctx.device))

    def variant(self, ctx: Context) -> Hashable:
        if self.weight == 0:
            return None
        calls = ctx.train.d_steps * (ctx.train.batch // (ctx.train.micro_batch or ctx.train.batch))
        with ctx.replaying()():
            return tuple(self._part(ctx) for _ in range(calls))

    def _part(self, ctx: Context) -> int:
        """The crop that is decoded."""
        _, discriminator = ctx.networks()
        assert isinstance(discriminator, Decoding)
        return int(torch.randint(discriminator.parts, (), generator=ctx.stream("ae-d-part")))

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        if self.weight == 0:
            return {}
        _, discriminator = ctx.networks()
        assert isinstance(discriminator, Decoding)
        part = self._part(ctx)
        pairs = discriminator.reconstruct(step.maps, step.real_NCHW, part)
        decoded = torch.cat([pair.decoded_NCHW.float() for pair in pairs])
        target = torch.cat([pair.target_NCHW.float() for pair in pairs])
        count = len(step.real_NCHW)
        of_all = ctx.whole(count) / count  # a sum over the images of the pass, where other terms are means
        return {"reconstruction": self.weight * of_all * self.distance(decoded, target).sum()}


def mean_absolute_error(decoded_NCHW: Tensor, target_NCHW: Tensor) -> Tensor:
    """|| a - b ||_1 over the number of an image's entries, (N,)."""
    return (decoded_NCHW - target_NCHW).abs().mean(dim=(1, 2, 3))


_LOSSES: dict[str, Callable[[str], Distance]] = {
    "lpips-vgg": lambda device: lpips_distance("vgg", device),
    "lpips-alex": lambda device: lpips_distance("alex", device),
    "l1": lambda device: mean_absolute_error,
}
