"""The two Adam optimisers of a run, from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from bench.contract.context import Context


def way(adam: str | None, device: torch.device, *, counted_there: bool = False) -> dict[str, Any]:
    """How Adam goes through the parameters, as torch's options: unless said, fused on a GPU, else torch's choice.

    counted_there: whether the steps are counted on the device, as a recorded step needs.
    """
    chosen = adam or ("fused" if device.type == "cuda" else None)
    options = {} if chosen is None else {"fused": chosen == "fused", "foreach": chosen == "foreach"}
    return {**options, "capturable": True} if counted_there else options


@dataclass
class Optimizers:
    """The two Adam optimisers of a run."""

    generator: torch.optim.Optimizer
    discriminator: torch.optim.Optimizer

    @classmethod
    def build(cls, ctx: Context) -> Optimizers:
        """Adam over all parameters, the attached ones too (hence after `Method.prepare`); settings are the spec's.

        A parameter without gradient is left as it is: what is frozen does not move, and a part may freeze and
        release between steps. On a GPU all parameters are updated by one kernel, where `train.adam` does not say
        otherwise; the ways differ in the last digit.
        """
        generator, discriminator = ctx.networks()
        train = ctx.train
        adam = partial(
            torch.optim.Adam,
            betas=(train.beta1, train.beta2),
            eps=1e-8 if train.adam_eps is None else train.adam_eps,
            **way(train.adam, ctx.device, counted_there=train.graphs is True),
        )
        return cls(
            adam(params=generator.parameters(), lr=train.g_lr), adam(params=discriminator.parameters(), lr=train.d_lr)
        )

    def state_dict(self) -> dict[str, Any]:
        """Both optimisers' states, for a checkpoint."""
        return {"generator": self.generator.state_dict(), "discriminator": self.discriminator.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
