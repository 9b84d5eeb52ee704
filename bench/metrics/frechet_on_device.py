"""The heavy part of a Fréchet distance, tr (S1 S2)^(1/2), on a GPU: products and eigenvalues in float64.

The same mathematics as bench.metrics.frechet has for a CPU, whose values differ in the last digits (1e-12).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from bench.metrics.frechet import GaussianFit, frechet_distance


def distance_on(device: str, real: np.ndarray | GaussianFit, fake: np.ndarray | GaussianFit) -> float:
    """`frechet_distance`, with the heavy part on `device`; on a CPU all of it as there."""
    if device == "cpu":
        return frechet_distance(real, fake)
    return frechet_distance(real, fake, partial(trace_of_root, torch.device(device)))


def trace_of_root(device: torch.device, a: GaussianFit, b: GaussianFit) -> float:
    """tr (Sa Sb)^(1/2) of two fits."""

    def there(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    if a.rows is not None and b.rows is not None:
        return float(torch.linalg.svdvals(there(a.rows) @ there(b.rows).T).sum())
    # As there: the side with a covariance stays whole, of which only the upper triangle is read
    inner, outer = (a, b) if b.covariance is not None else (b, a)
    assert outer.covariance is not None
    upper, factor = there(np.triu(outer.covariance)), there(inner.factor)
    product = factor @ (upper + upper.triu(1).T) @ factor.T
    return float(torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum())
