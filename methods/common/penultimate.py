"""The discriminator's penultimate features, what its linear head reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from bench.errors import UserError
from bench.networks.interface import Penultimate


def penultimate(method: str, discriminator: nn.Module) -> Penultimate:
    """The discriminator, as one with `features` and `feature_dim`. Raises UserError for one without."""
    if not isinstance(discriminator, Penultimate):
        raise UserError(
            f"method '{method}': this discriminator has no features; use a network whose discriminator has "
            "features() and feature_dim, such as sngan"
        )
    return discriminator


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
