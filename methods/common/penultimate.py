"""The discriminator's penultimate features, which its linear head reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from bench.errors import UserError
from bench.networks.interface import Penultimate


def penultimate(method: str, discriminator: nn.Module) -> Penultimate:
    """The discriminator, typed as having `features` and `feature_dim`. Raises UserError if it lacks them."""
    if not isinstance(discriminator, Penultimate):
        raise UserError(
            f"method '{method}': this discriminator has no features; use a network whose discriminator has "
            "features() and feature_dim, such as sngan"
        )
    return discriminator


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Inside, the network is in evaluation mode, where a forward pass changes no spectral or batch norm.

    Afterwards every module has its own mode again.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
