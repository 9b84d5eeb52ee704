"""Layers that the SNGAN networks are made of: initialised layers, (conditional) batch norm, residual blocks.

Every factory takes `wrap`, which is applied to a layer once its weight is initialised: `spectral` or `plain`.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from bench.networks.common.batch_norm import WholeBatchNorm2d

Layer = TypeVar("Layer", bound=nn.Module)
Upsample = Literal["nearest", "bilinear"]
Shortcut = Literal["plain", "rectified"]  # what a discriminator block's shortcut reads: x or ReLU(x)
MAIN_GAIN = math.sqrt(2)  # 3x3 convolutions of a residual branch; every other layer has gain 1


class Wrap(Protocol):
    """What is done to a layer once its weight is initialised."""

    def __call__(self, layer: Layer, /) -> Layer:
        """The layer, changed in place or not."""
        ...


def spectral(layer: Layer, /) -> Layer:
    """Attach spectral normalisation to the layer's weight (Miyato et al. 2018): W / sigma(W).

    sigma comes from one power iteration each time the weight is computed in training mode. Wrap an update in
    `torch.nn.utils.parametrize.cached()` to compute it once. A weight that is first computed under
    `torch.no_grad()` stays without gradient until the `cached` block ends. D's update makes G's images without
    gradient, so it and G's update need a block each.
    """
    spectral_norm(layer)
    return layer


def plain(layer: Layer, /) -> Layer:
    """Leave the layer as it is."""
    return layer


def conv(in_channels: int, out_channels: int, kernel: int, gain: float, wrap: Wrap) -> nn.Conv2d:
    """A size-preserving convolution with bias 0 and Glorot uniform weights (Miyato and Koyama 2018)."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(layer.weight, gain)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return wrap(layer)


def linear(in_features: int, out_features: int, wrap: Wrap, *, bias: bool = True) -> nn.Linear:
    """A linear map with Glorot uniform weights, gain 1, and bias 0 if it has one."""
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return wrap(layer)


class BatchNorm(WholeBatchNorm2d):
    """Batch normalisation with a learned gain and bias, for a network without conditions."""

    def forward(self, x_NCHW: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        """(N, C, H, W) -> the same shape; an embedding is not read."""
        return super().forward(x_NCHW)


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose gain and bias are linear in a condition embedding.

    y = BN(x) * (1 + gain(e)) + bias(e), with bias-free linear maps and a batch norm (eps 1e-5) without a gain
    and bias of its own: the class-conditional batch norm of Brock et al. 2019, appendix B.
    """

    def __init__(self, channels: int, embedding_dim: int, wrap: Wrap) -> None:
        super().__init__()
        self.norm = WholeBatchNorm2d(channels, eps=1e-5, affine=False)
        self.gain = linear(embedding_dim, channels, wrap, bias=False)
        self.bias = linear(embedding_dim, channels, wrap, bias=False)

    def forward(self, x_NCHW: Tensor, embedding_NE: Tensor) -> Tensor:
        """(N, C, H, W), (N, E) -> (N, C, H, W)."""
        gain = (1 + self.gain(embedding_NE))[:, :, None, None]  # (N, C, 1, 1)
        return self.norm(x_NCHW).mul(gain).add(self.bias(embedding_NE)[:, :, None, None])


def batch_norm(channels: int, embedding_dim: int | None, wrap: Wrap) -> nn.Module:
    """A batch norm: conditional on an embedding of that size, or not at all for None."""
    return BatchNorm(channels) if embedding_dim is None else ConditionalBatchNorm(channels, embedding_dim, wrap)


class UpBlock(nn.Module):
    """The generator's residual block, which doubles height and width (Miyato and Koyama 2018, figure 14b).

    main: norm, ReLU, x2, conv 3x3, norm, ReLU, conv 3x3. shortcut: x2, conv 1x1.
    """

    def __init__(
        self, in_channels: int, out_channels: int, embedding_dim: int | None, upsample: Upsample, wrap: Wrap
    ) -> None:
        super().__init__()
        self.upsample = upsample
        self.norm1 = batch_norm(in_channels, embedding_dim, wrap)
        self.conv1 = conv(in_channels, out_channels, 3, MAIN_GAIN, wrap)
        self.norm2 = batch_norm(out_channels, embedding_dim, wrap)
        self.conv2 = conv(out_channels, out_channels, 3, MAIN_GAIN, wrap)
        self.shortcut = conv(in_channels, out_channels, 1, 1.0, wrap)

    def _double(self, x_NCHW: Tensor) -> Tensor:
        corners = None if self.upsample == "nearest" else False
        return F.interpolate(x_NCHW, scale_factor=2, mode=self.upsample, align_corners=corners)

    def forward(self, x_NCHW: Tensor, embedding_NE: Tensor | None) -> Tensor:
        """(N, in, H, W) -> (N, out, 2H, 2W)."""
        h_NCHW = self._double(F.relu(self.norm1(x_NCHW, embedding_NE)))
        h_NCHW = self.conv1(h_NCHW)
        h_NCHW = self.conv2(F.relu(self.norm2(h_NCHW, embedding_NE)))
        # Interpolation weights sum to one: the 1x1 convolution commutes, and is four times cheaper here.
        return h_NCHW + self._double(self.shortcut(x_NCHW))


class FirstDownBlock(nn.Module):
    """The discriminator's first block: no activation on the image; halves height and width.

    main: conv 3x3, ReLU, conv 3x3, mean of 2x2. shortcut: mean of 2x2, conv 1x1.
    """

    def __init__(self, in_channels: int, out_channels: int, wrap: Wrap) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, 3, MAIN_GAIN, wrap)
        self.conv2 = conv(out_channels, out_channels, 3, MAIN_GAIN, wrap)
        self.shortcut = conv(in_channels, out_channels, 1, 1.0, wrap)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H/2, W/2)."""
        h_NCHW = self.conv2(F.relu(self.conv1(x_NCHW)))
        return F.avg_pool2d(h_NCHW, 2) + self.shortcut(F.avg_pool2d(x_NCHW, 2))


class DownBlock(nn.Module):
    """A pre-activation discriminator block that halves height and width; hidden width = input width.

    main: ReLU, conv 3x3, ReLU, conv 3x3, mean of 2x2. shortcut: conv 1x1, mean of 2x2.
    """

    def __init__(self, in_channels: int, out_channels: int, wrap: Wrap, shortcut: Shortcut = "plain") -> None:
        super().__init__()
        self.rectified = shortcut == "rectified"
        self.conv1 = conv(in_channels, in_channels, 3, MAIN_GAIN, wrap)
        self.conv2 = conv(in_channels, out_channels, 3, MAIN_GAIN, wrap)
        self.shortcut = conv(in_channels, out_channels, 1, 1.0, wrap)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H/2, W/2)."""
        r_NCHW = F.relu(x_NCHW)
        h_NCHW = self.conv2(F.relu(self.conv1(r_NCHW)))
        # Both are linear: the mean first makes the 1x1 convolution four times cheaper.
        skip_NCHW = r_NCHW if self.rectified else x_NCHW
        return F.avg_pool2d(h_NCHW, 2) + self.shortcut(F.avg_pool2d(skip_NCHW, 2))


class WideningBlock(nn.Module):
    """A pre-activation discriminator block that keeps height and width; hidden width = input width.

    main: ReLU, conv 3x3, ReLU, conv 3x3. shortcut: conv 1x1.
    """

    def __init__(self, in_channels: int, out_channels: int, wrap: Wrap, shortcut: Shortcut = "plain") -> None:
        super().__init__()
        self.rectified = shortcut == "rectified"
        self.conv1 = conv(in_channels, in_channels, 3, MAIN_GAIN, wrap)
        self.conv2 = conv(in_channels, out_channels, 3, MAIN_GAIN, wrap)
        self.shortcut = conv(in_channels, out_channels, 1, 1.0, wrap)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H, W)."""
        r_NCHW = F.relu(x_NCHW)
        h_NCHW = self.conv2(F.relu(self.conv1(r_NCHW)))
        return h_NCHW + self.shortcut(r_NCHW if self.rectified else x_NCHW)


class FlatBlock(nn.Module):
    """A pre-activation discriminator block that keeps size and width: x + conv(ReLU(conv(ReLU(x))))."""

    def __init__(self, channels: int, wrap: Wrap, shortcut: Shortcut = "plain") -> None:
        super().__init__()
        self.rectified = shortcut == "rectified"
        self.conv1 = conv(channels, channels, 3, MAIN_GAIN, wrap)
        self.conv2 = conv(channels, channels, 3, MAIN_GAIN, wrap)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        r_NCHW = F.relu(x_NCHW)
        h_NCHW = self.conv2(F.relu(self.conv1(r_NCHW)))
        return (r_NCHW if self.rectified else x_NCHW) + h_NCHW
