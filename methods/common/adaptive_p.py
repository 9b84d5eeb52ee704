"""A probability p that follows how sure D is of what it is shown as real (Karras et al. 2020, section 3.1).

r_t = E[sign(D(real))] is 1 where D calls all of them real, as it does once it knows them by heart. p rises while r_t
is above a target and falls while it is below. ADA, APA and Diffusion-GAN take r_t of the last few steps (`AdaptiveP`);
CHAIN has a running mean of its own and the same move of p (`move`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.train import Context, Logged


def move(p: Tensor, r_t: Tensor, target: float, by: float, highest: float | None = None) -> None:
    """p += sign(r_t - target) * by, not below 0 nor above `highest`; in place and without a look at the device.

    p, r_t: scalars of one device, p in float64. In place, for what has been prepared for the next steps reads p there.
    """
    direction = (r_t > target).double() - (r_t < target).double()
    p.copy_((p + direction * by).clamp(min=0, max=highest))


class AdaptiveP(nn.Module):
    """ADA's law: every `interval` steps p moves by the images that D saw in them / (1000 * speed_kimg).

    p starts at 0. highest: where it ends; None as in ADA's code, which does not clamp it above. A module, so that p
    and the sums of r_t, buffers in float64, go to the run's device with `to`; a part keeps them by `saved`.
    UserError, in the name of the method `name`, for settings that p cannot move by.
    """

    p: Tensor
    sign_sum: Tensor

    def __init__(
        self, name: str, *, target: float, interval: int, speed_kimg: float, highest: float | None = None
    ) -> None:
        super().__init__()
        if speed_kimg <= 0 or interval < 1:
            raise UserError(f"method '{name}': speed_kimg must be positive and interval at least 1")
        self.target = target
        self.interval = interval
        self.speed_kimg = speed_kimg
        self.highest = highest
        self.register_buffer("p", torch.zeros((), dtype=torch.float64))
        self.register_buffer("sign_sum", torch.zeros((), dtype=torch.float64))
        self.logits = 0
        self.images = 0

    def after_step(self, ctx: Context) -> Logged:
        """Look at this step's logits of real images (N,) or (N, L), move p where it is due; both are to be logged."""
        logits = torch.cat(ctx.real_logits)
        self.sign_sum += logits.sign().sum()
        self.logits += logits.numel()
        self.images += len(logits)
        r_t = self.sign_sum / self.logits
        if (ctx.step + 1) % self.interval == 0:
            move(self.p, r_t, self.target, self.images / (1000 * self.speed_kimg), self.highest)
            self.sign_sum.zero_()
            self.logits, self.images = 0, 0
        return {"p": self.p.clone(), "r_t": r_t}

    def saved(self) -> dict[str, Any]:
        """What a part's `state_dict` has of it."""
        return {"p": float(self.p), "sign_sum": float(self.sign_sum), "logits": self.logits, "images": self.images}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `saved` gave."""
        self.p.fill_(state["p"])
        self.sign_sum.fill_(state["sign_sum"])
        self.logits, self.images = state["logits"], state["images"]
