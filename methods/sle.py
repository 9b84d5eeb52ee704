"""SLE: skip-layer excitation in the generator (Liu et al. 2021, FastGAN, section 3.1, equation 1).

The layers are part of the FastGAN networks (bench.networks.fastgan); this part asks for them. Rows of FastGAN's
ablation are `sle(skip=false) + ae-d(weight=0)`, `sle + ae-d(weight=0)`, `sle(skip=false) + ae-d` and `sle + ae-d`,
over a network without options of its own. In a row without these parts the network's options decide.
"""

from __future__ import annotations

from typing import Any

from bench.train import Context, Method


class Sle(Method):
    """The generator's low maps gate its high maps, channel by channel: y = F(x_low) * x_high.

    skip: false builds the networks without these layers, the ablation's other rows. Of the network's variant
    `released` this removes the gates inside D too.
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

    def __init__(self, *, skip: bool = True) -> None:
        self.skip = skip

    def networks(self, ctx: Context) -> dict[str, Any]:
        return {"skip": self.skip}
