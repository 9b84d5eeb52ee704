"""One learned embedding per training image, DISP's own baseline (DIP, appendix A).

A linear layer on one-hot vectors takes the place of DISP's linear layer on priors, so that the two differ in what the
condition means and in little else.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.contract.base import Sampler
from bench.contract.conditions import OneHots, sampling_named
from bench.errors import UserError
from bench.train import Batch, Context, Method

# The mean norm of 512-dimensional priors whose root mean square is 1 (the default of `disp`).
RMS_NORM = math.sqrt(512)


class Baseline(Method):
    """The condition is a one-hot vector of the image's index.

    norm: length of the one-hot vector. 1 is the usual embedding table; "rms" is the norm of `disp`'s default
    prior, sqrt(512): the control that separates what a prior says from how long it is.
    sampling: "mix" (DIP, Eq 5, on embeddings) or "pure". The paper does not say how its baselines are
    sampled.
    """

    in_graphs = True
    splits = True
    papers = (
        ("Mangla et al.", 2022, "Data Instance Prior (DISP) in Generative Adversarial Networks", "arXiv:2012.04256"),
    )

    of_sampler: ClassVar[tuple[str, ...]] = ("sampling",)

    def __init__(self, *, norm: float | str = 1.0, sampling: str = "mix") -> None:
        if norm == "rms":
            norm = RMS_NORM
        if isinstance(norm, str | bool) or norm <= 0:
            raise UserError(f"method 'baseline': norm '{norm}' must be a positive number or rms")
        self.norm = norm
        self.draw = sampling_named(sampling)

    def networks(self, ctx: Context) -> dict[str, Any]:
        return {"condition_dim": len(ctx.images_u8_NHWC)}

    def condition(self, ctx: Context, batch: Batch) -> Tensor:
        return self._table(ctx)[batch.index_N]

    def sampler(self, ctx: Context) -> Sampler:
        table = self._table(ctx)

        def sample(generator: nn.Module, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
            images_NCHW: Tensor = generator(z_NZ, self.draw(table, len(z_NZ), stream).to(z_NZ.device))
            return images_NCHW

        return sample

    def _table(self, ctx: Context) -> OneHots:
        return OneHots(len(ctx.images_u8_NHWC), self.norm)
