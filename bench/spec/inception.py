"""The names of the Inceptions of FID, as tables (the paper's) and extractors (their own) state them."""

from __future__ import annotations

from typing import Literal

# A network with the resizing in front of it; FIDs of the same images differ by whole points between any two.
# clean-fid: FID's network behind clean-fid's antialiased filter (Parmar et al. 2022); pytorch-fid: its port behind
# PyTorch's bilinear filter; tensorflow: the graph of Heusel et al. 2017, which resizes by itself; torchvision: another
# training of Inception v3, as BigGAN-PyTorch reads it.
Variant = Literal["clean-fid", "pytorch-fid", "tensorflow", "torchvision"]
# What a table may say besides: one that its page in docs/reproduce/ names, or one that the paper does not tell.
Inception = Literal["clean-fid", "pytorch-fid", "tensorflow", "torchvision", "other", "unknown"]
