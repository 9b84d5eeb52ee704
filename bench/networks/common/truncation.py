"""The truncation trick of z (Brock et al. 2019, section 3.1): latents from a truncated normal distribution."""

from __future__ import annotations

import torch
from torch import Tensor


def truncated(z_NZ: Tensor, limit: float) -> Tensor:
    """Normal numbers -> those of a normal truncated to [-limit, limit], at the same quantiles.

    Brock et al. draw numbers beyond the limit again, which has the same distribution; quantiles keep an image's latent
    near to what it is without truncation, and need no further random numbers.
    """
    share = 1 - 2 * torch.special.ndtr(torch.tensor(-limit, dtype=torch.float64)).item()
    quantile_NZ = 0.5 + share * (torch.special.ndtr(z_NZ.double()) - 0.5)
    return torch.special.ndtri(quantile_NZ).to(z_NZ.dtype)
