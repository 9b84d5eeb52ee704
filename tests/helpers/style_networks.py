"""Tiny StyleGAN and StyleGAN2 pairs and what their tests feed them. `tests/helpers` is on the path of the tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from bench.networks.common import noise

STYLES = {"z_dim": 12, "w_dim": 16, "shared_dim": 10, "channel_base": 256, "mapping_layers": 3}


def style_pair(recipe: Callable[..., Any], **settings: Any) -> list[Any]:
    """The pair with a stream of its own for each network, as bench.networks.build draws them."""
    pair = []
    for make in recipe(**{**STYLES, **settings}):
        torch.manual_seed(0)
        pair.append(make())
    return pair


def draw(*shape: int, seed: int = 0) -> Tensor:
    """N(0, 1) in float32."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def draw64(*shape: int, seed: int = 0) -> Tensor:
    """N(0, 1) in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def noise_stream(seed: int = 0) -> AbstractContextManager[object]:
    """Inside, networks draw their noise from a stream of this seed."""
    return noise.drawn_from(torch.Generator().manual_seed(seed))


def jolted(network: nn.Module) -> nn.Module:
    """In float64, with no parameter left at zero or one."""
    network.double()
    with torch.no_grad():
        for position, parameter in enumerate(network.parameters()):
            parameter.add_(draw64(*parameter.shape, seed=position) * 0.2)
    return network
