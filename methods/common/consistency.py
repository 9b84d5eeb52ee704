"""The consistency term that CR, bCR and DiffAugment share."""

from __future__ import annotations

from torch import Tensor


def penalty(weight: float, logits: Tensor, logits_of_transformed: Tensor) -> Tensor:
    """weight * mean (D(x) - D(T(x)))^2, a scalar (Zhang et al. 2020); logits are (N,) or (N, patches)."""
    return weight * (logits - logits_of_transformed).square().mean()
