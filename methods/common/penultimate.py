"""The discriminator's penultimate features, what its linear head reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from torch import Tensor, nn

from bench.errors import UserError

Features = Callable[[Tensor], Tensor]


def penultimate(method: str, discriminator: nn.Module) -> Features:
    """D_f: images (N, 3, H, W) -> (N, discriminator.feature_dim). UserError for a network without it."""
    if not hasattr(discriminator, "features") or not hasattr(discriminator, "feature_dim"):
        raise UserError(
            f"method '{method}': this discriminator has no features; use a network whose discriminator has "
            "features() and feature_dim, such as sngan"
        )
    return cast(Features, discriminator.features)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, in which a look at the features changes no spectral or batch norm; every module's own
    mode is put back.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
