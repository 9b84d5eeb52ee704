"""LeCam: D's logits are held near the running mean of its logits of the other side (Tseng et al. 2021).

D's loss gains weight * [ E relu(D(x) - a_F)^2 + E relu(a_R - D(G(z)))^2 ], a_R and a_F being running means of D's
logits of real and of generated images. Formula and settings are those of the published code, google/lecam-gan
(biggan_cifar/losses.py and stylegan2/lecam_loss.py).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bench.errors import UserError
from bench.train import Context, DStep, Logged, Method


class LeCam(Method):
    """The term in D's updates, from step `start` on.

    weight, decay, start: BigGAN's on CIFAR (google/lecam-gan) 0.3, 0.9 and 1000, with DiffAugment; its StyleGAN2 on few
    images 3e-7 and 0.99 from the first step on, and debias.
    debias: the means start at 0, and what is missing of their weights is made up for (TensorFlow's zero-debias). Else
    they are the last batch's until step `start` (and in step 0, declared), and run from there.

    Each update of D moves the means by its own batch before it looks at them, and each micro-batch as well, as in the
    published code. Of a D of patches, means are over patches too (declared).
    """

    in_graphs = True
    splits = True
    papers = (
        ("Tseng et al.", 2021, "Regularizing Generative Adversarial Networks under Limited Data", "arXiv:2104.03310"),
    )

    def __init__(self, *, weight: float = 0.3, decay: float = 0.9, start: int = 1000, debias: bool = False) -> None:
        for name, value in {"weight": weight, "start": start}.items():
            if value < 0:
                raise UserError(f"method 'lecam': {name} is {value}, must be 0 or more")
        if not 0 <= decay < 1:
            raise UserError(f"method 'lecam': decay is {decay}, must be 0 or more and below 1")
        self.weight = weight
        self.decay = decay
        self.start = start
        self.debias = debias
        # On the run's device from `prepare` on: of real and of generated images, and the weight that they still lack
        self.means = torch.zeros(2, dtype=torch.float64)
        self.lacking = torch.full((), float(debias), dtype=torch.float64)

    def prepare(self, ctx: Context) -> None:
        self.means, self.lacking = self.means.to(ctx.device), self.lacking.to(ctx.device)

    def variant(self, ctx: Context) -> Hashable:
        return self._kept(ctx), ctx.step >= self.start

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        sides = (step.real_logits_N, step.fake_logits_N)
        batch = torch.stack([ctx.gathered(logits_N.detach()).double().mean() for logits_N in sides])
        kept = self._kept(ctx)
        self.means.mul_(kept).add_(batch, alpha=1 - kept)
        self.lacking.mul_(kept)
        if ctx.step < self.start:
            return {}
        real, fake = (self.means / (1 - self.lacking)).to(step.real_logits_N.dtype).unbind()
        real_N = functional.relu(step.real_logits_N - fake).square()
        fake_N = functional.relu(real - step.fake_logits_N).square()
        return {"term": self.weight * (real_N.mean() + fake_N.mean())}

    def after_step(self, ctx: Context) -> Logged:
        real, fake = (self.means / (1 - self.lacking)).unbind()
        return {"real_mean": real, "fake_mean": fake}

    def _kept(self, ctx: Context) -> float:
        """How much of the means an update of this step keeps."""
        return self.decay if self.debias or ctx.step >= max(self.start, 1) else 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means, "lacking": self.lacking}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.means.copy_(state["means"])
        self.lacking.copy_(state["lacking"])
