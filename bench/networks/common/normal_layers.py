"""Layers that start as compare_gan's: weights N(0, 0.02), biases 0 (Kurach et al. 2019)."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from bench.networks.common.layers import BatchNorm, ConditionalBatchNorm, Wrap, plain

DEVIATION = 0.02

Drawn = TypeVar("Drawn", nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def drawn(layer: Drawn, wrap: Wrap) -> Drawn:
    """The layer with a normal weight and a zero bias, wrapped."""
    nn.init.normal_(layer.weight, std=DEVIATION)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return wrap(layer)


def conv(in_channels: int, out_channels: int, wrap: Wrap) -> nn.Conv2d:
    """A size-preserving 3x3 convolution."""
    return drawn(nn.Conv2d(in_channels, out_channels, 3, padding=1), wrap)


def linear(in_features: int, out_features: int, wrap: Wrap, *, bias: bool = True) -> nn.Linear:
    """A linear map."""
    return drawn(nn.Linear(in_features, out_features, bias=bias), wrap)


def batch_norm(channels: int, embedding_dim: int | None, wrap: Wrap) -> nn.Module:
    """A batch norm (eps 1e-5): conditional on an embedding of that size, or not at all for None."""
    if embedding_dim is None:
        return BatchNorm(channels)
    norm = ConditionalBatchNorm(channels, embedding_dim, plain)
    norm.gain = linear(embedding_dim, channels, wrap, bias=False)
    norm.bias = linear(embedding_dim, channels, wrap, bias=False)
    return norm
