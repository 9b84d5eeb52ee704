"""The adversarial loss alone: no condition, no augmentation, nothing learned beside G and D (Goodfellow et al. 2014).

The plain rows of the papers: "SNDCGAN" and "BigGAN" (LT-GAN, tables 1 to 3), "StyleGAN2" (FastGAN, table 1). It
fills the place of a method that has no other part; beside other parts it changes nothing.
"""

from __future__ import annotations

from bench.train import Method


class Unconditional(Method):
    """Images from z alone: no hook of a method is used."""

    in_graphs = True
    splits = True
    papers = (("Goodfellow et al.", 2014, "Generative Adversarial Networks", "arXiv:1406.2661"),)
