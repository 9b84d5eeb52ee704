"""Diffusion-GAN: D sees images after a random number of diffusion steps, and is told how many (Wang et al. 2023).

All that D sees is diffused, in its updates and in G's, and G learns through it (section 3):

    y = sqrt(abar_t) x + sqrt(1 - abar_t) sigma epsilon,    abar_t = product of (1 - beta_s) over s = 1 ... t,

with epsilon ~ N(0, I) and T numbers beta from 1e-4 to 2e-2 at equal distances. The length of the chain follows how
sure D is of real images, by ADA's law: T = t_min + round(p (t_max - t_min)). Facts are those of the authors' code,
Diffusion-GAN at 80090c6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bench.contract.numbers import Numbers
from bench.errors import UserError, did_you_mean
from bench.train import Batch, Context, Logged, Method

from .common.adaptive_p import AdaptiveP

SLOTS = 64  # places of the list that an image's t is taken from; the first half of it is drawn, the other half is 0
BETAS = (1e-4, 2e-2)
CHOICES = ("priority", "uniform")


class DiffusionGan(Method):
    """Diffusion of all images D sees; D's condition then has t / t_max as its last number.

    Each image's t is taken from a list of 64, of which half are 0. The others are drawn anew at every `interval`
    steps, from 1 ... T: "priority" with weights 1, 2, ... T (equation 11; the authors' code has 0 ... T - 1), or
    "uniform". sigma: `noise`, 0.05 for pixels.
    t_min, t_max: the shortest and the longest chain (10 and 1000; the paper also has 5 and 500).
    target, interval, speed_kimg: of ADA's law (0.6, 4 and 100): p moves by sign(r_t - target) * images / (1000 *
    speed_kimg), r_t as in `ada-lite`, from 0 and within [0, 1].
    told: whether D is told t, the authors' full version. D is then built with a condition that is one number longer
    than G's, which enters as the network's conditions do; StyleGAN2's `condition_form: ada` is the authors' D.
    Declared: t / t_max, where their code gives t: the next layer is linear, so that only its scale differs. Declared:
    the real and the generated image at one place of a batch have one t, as has the image there of the update of G that
    follows: the code draws each by itself, with the same distribution of each. false is the authors' plug-in without
    t, in which each image has its own.

    With augmentations the images are augmented first (`diffaugment(consistency=0) + diffusion-gan`). ADA beside it has
    a p of its own, where the authors' code shares p, up to 0.25.
    """

    in_graphs = True
    splits = True
    papers = (("Wang et al.", 2023, "Diffusion-GAN: Training GANs with Diffusion", "arXiv:2206.02262"),)

    def __init__(
        self,
        *,
        told: bool = True,
        noise: float = 0.05,
        t_min: int = 10,
        t_max: int = 1000,
        choice: str = "priority",
        target: float = 0.6,
        interval: int = 4,
        speed_kimg: float = 100.0,
    ) -> None:
        if noise < 0:
            raise UserError(f"method 'diffusion-gan': noise is {noise}, must be 0 or more")
        if not 2 <= t_min <= t_max:
            raise UserError(f"method 'diffusion-gan': t_min is {t_min}, must be 2 or more and at most t_max, {t_max}")
        if choice not in CHOICES:
            raise UserError(f"method 'diffusion-gan': unknown choice '{choice}'; {did_you_mean(choice, CHOICES)}")
        self.told, self.noise, self.t_min, self.t_max, self.choice = told, noise, t_min, t_max, choice
        self.law = AdaptiveP("diffusion-gan", target=target, interval=interval, speed_kimg=speed_kimg, highest=1.0)
        # On the run's device from `prepare` on: nothing here waits for a GPU
        self.t_slots = torch.zeros(SLOTS, dtype=torch.int64)
        self.kept = torch.ones(t_max + 1, dtype=torch.float64)  # abar_t

    def d_networks(self, ctx: Context, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"condition_dim": (options.get("condition_dim") or 0) + 1} if self.told else {}

    def prepare(self, ctx: Context) -> None:
        self.law.to(ctx.device)
        self.t_slots, self.kept = self.t_slots.to(ctx.device), self.kept.to(ctx.device)
        self._renew(ctx)

    def d_condition(self, ctx: Context, batch: Batch, condition_NK: Tensor | None) -> Tensor | None:
        if not self.told:
            return condition_NK
        t_N = self._chosen(len(batch.index_N), ctx.numbers("diffusion-t"))
        told = (t_N / self.t_max).to(torch.get_default_dtype())[:, None]  # (N, 1)
        return told if condition_NK is None else torch.cat([condition_NK, told], dim=1)

    def augment(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        count = ctx.whole(len(images_NCHW))
        if not self.told:
            t_N = ctx.own(self._chosen(count, ctx.numbers("diffusion-t")))
        elif ctx.d_condition_NK is not None:
            t_N = (ctx.d_condition_NK[:, -1] * self.t_max).round().long()
        else:
            return images_NCHW  # outside of an update: images at t = 0
        noise_NCHW = ctx.own(ctx.numbers("diffusion-noise").normal(count, *images_NCHW.shape[1:]))
        ctx.draws["t_N"] = t_N
        return diffused(images_NCHW, self.kept[t_N], self.noise * noise_NCHW)

    def after_step(self, ctx: Context) -> Logged:
        logged = self.law.after_step(ctx)
        if (ctx.step + 1) % self.law.interval == 0:
            self._renew(ctx)
        return {**logged, "longest": self._longest()}

    def state_dict(self) -> dict[str, Any]:
        return {**self.law.saved(), "t_slots": self.t_slots.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.law.restore(state)
        self.t_slots.copy_(state["t_slots"])
        self.kept.copy_(products(self._longest(), self.t_max))

    def _longest(self) -> Tensor:
        """T, a scalar on the device."""
        return self.t_min + (self.law.p * (self.t_max - self.t_min)).round()

    def _renew(self, ctx: Context) -> None:
        """Draw the list of t anew, and abar of a chain of T; in place, where what is prepared for next steps reads."""
        longest = self._longest()
        share_S = ctx.numbers("diffusion-slots").uniform(SLOTS // 2)
        self.t_slots[: SLOTS // 2] = drawn_steps(share_S, longest, self.choice)
        self.kept.copy_(products(longest, self.t_max))

    def _chosen(self, count: int, numbers: Numbers) -> Tensor:
        """t (count,) from the list."""
        return self.t_slots[numbers.integers(0, SLOTS, count)]


def diffused(images_NCHW: Tensor, kept_N: Tensor, noise_NCHW: Tensor) -> Tensor:
    """sqrt(abar) x + sqrt(1 - abar) noise, abar (N,) in float64: exactly x where it is 1."""
    image, noise = (root.to(images_NCHW.dtype)[:, None, None, None] for root in (kept_N.sqrt(), (1 - kept_N).sqrt()))
    return image * images_NCHW + noise * noise_NCHW


def drawn_steps(share_S: Tensor, longest: Tensor, choice: str) -> Tensor:
    """t in 1 ... T from uniform numbers (S,) in [0, 1), int64, by the inverse of t's distribution function.

    It is t (t + 1) / T (T + 1) for "priority", equation 11, and t / T for "uniform".
    """
    share_S = share_S.double()
    if choice == "uniform":
        t_S = (share_S * longest).floor() + 1
    else:
        # the first t with t (t + 1) / 2 above v: the root of the quadratic, rounded up
        v_S = share_S * longest * (longest + 1) / 2
        t_S = ((8 * v_S + 1).sqrt() / 2 - 0.5).floor() + 1
    return torch.minimum(t_S, longest).long()


def products(longest: Tensor, t_max: int) -> Tensor:
    """abar_t of t = 0 ... t_max, (t_max + 1,) in float64, of a chain of `longest` steps; beyond it as at its end."""
    step_S = torch.arange(t_max, dtype=torch.float64, device=longest.device)
    beta_S = BETAS[0] + (BETAS[1] - BETAS[0]) * step_S / (longest - 1)
    log_S = torch.where(step_S < longest, torch.log1p(-beta_S), 0.0)
    # sums of the first t, as a table: a GPU's cumsum may add in another order each time
    sum_S = torch.where(step_S[:, None] >= step_S, log_S, 0.0).sum(dim=1)
    return torch.cat([torch.ones_like(sum_S[:1]), sum_S.exp()])
