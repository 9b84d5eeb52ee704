"""Layers of the BigGAN networks: initialised layers, batch norms by a condition or z, attention, blocks.

Everything follows Brock et al. 2019, appendix B, in the form of the authors' PyTorch code (BigGAN-PyTorch), so that
its checkpoints fit: ReLU, nearest up-sampling, means of 2x2, biases in every layer but attention and the norms'
linear maps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from bench.networks.common.batch_norm import WholeBatchNorm2d
from bench.networks.common.layers import Layer, Wrap

INITS: dict[str, Callable[[Tensor], Tensor]] = {
    "orthogonal": nn.init.orthogonal_,
    "normal": partial(nn.init.normal_, std=0.02),
    "glorot": nn.init.xavier_uniform_,
}


@dataclass(frozen=True)
class Spectral:
    """Attach spectral norm (Miyato et al. 2018): one power iteration per computed weight, vector norms from eps."""

    eps: float

    def __call__(self, layer: Layer, /) -> Layer:
        """The layer with its weight normalised."""
        spectral_norm(layer, eps=self.eps)
        return layer


@dataclass(frozen=True)
class Maker:
    """Makes a network's layers: draws a weight by the init, then wraps the layer.

    Biases keep torch's draw, uniform in +-1/sqrt(fan in), as in BigGAN-PyTorch, whose inits touch weights alone.
    """

    init: Callable[[Tensor], Tensor]
    wrap: Wrap

    def conv(self, in_channels: int, out_channels: int, kernel: int, *, bias: bool = True) -> nn.Conv2d:
        """A size-preserving convolution."""
        layer = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias)
        self.init(layer.weight)
        return self.wrap(layer)

    def linear(self, in_features: int, out_features: int, *, bias: bool = True) -> nn.Linear:
        """A linear map."""
        layer = nn.Linear(in_features, out_features, bias=bias)
        self.init(layer.weight)
        return self.wrap(layer)


NormMaker = Callable[[int], nn.Module]  # channels -> a norm, called with (x_NCHW, condition_NE)


class ConditionalBatchNorm(nn.Module):
    """y = BN(x) * (1 + gain(e)) + bias(e): bias-free linear maps of a condition (Brock et al. 2019, appendix B)."""

    def __init__(self, channels: int, condition_dim: int, make: Maker) -> None:
        super().__init__()
        self.norm = WholeBatchNorm2d(channels, eps=1e-5, affine=False)
        self.gain = make.linear(condition_dim, channels, bias=False)
        self.bias = make.linear(condition_dim, channels, bias=False)

    def forward(self, x_NCHW: Tensor, condition_NE: Tensor) -> Tensor:
        """(N, C, H, W), (N, E) -> (N, C, H, W)."""
        return _modulated(self.norm(x_NCHW), self.gain(condition_NE), self.bias(condition_NE))


class SelfModulatedBatchNorm(nn.Module):
    """Batch norm whose gain and bias are a function of z (Chen et al. 2019, On Self Modulation, equations 2 to 4).

    h = ReLU(Linear(z)), y = BN(x) * (1 + gain(h)) + bias(h). The linear maps have biases, which gain and bias start
    at 0. hidden 0: linear in z. The original starts the gain's bias at 1 and adds nothing, which is the same.
    """

    def __init__(self, channels: int, z_dim: int, hidden: int, make: Maker) -> None:
        super().__init__()
        self.norm = WholeBatchNorm2d(channels, eps=1e-5, affine=False)
        self.hidden = make.linear(z_dim, hidden) if hidden else None
        self.gain = make.linear(hidden or z_dim, channels)
        self.bias = make.linear(hidden or z_dim, channels)
        nn.init.zeros_(self.gain.bias)
        nn.init.zeros_(self.bias.bias)

    def forward(self, x_NCHW: Tensor, z_NE: Tensor) -> Tensor:
        """(N, C, H, W), (N, Z) -> (N, C, H, W)."""
        h_NE = z_NE if self.hidden is None else F.relu(self.hidden(z_NE))
        return _modulated(self.norm(x_NCHW), self.gain(h_NE), self.bias(h_NE))


class TableBatchNorm(nn.Module):
    """Batch norm that reads its gains and biases from a row that holds those of every norm of the network.

    y = BN(x) * (1 + gain) + bias; this norm's 2 * channels entries start at `offset`. With one-hot conditions it
    is BigGAN-PyTorch's norm without a shared embedding: a table of gains and a table of biases by class.
    """

    def __init__(self, channels: int, offset: int) -> None:
        super().__init__()
        self.offset, self.channels = offset, channels
        self.norm = WholeBatchNorm2d(channels, eps=1e-5, affine=False)

    def forward(self, x_NCHW: Tensor, row_NE: Tensor) -> Tensor:
        """(N, C, H, W), a row of the table (N, E) -> (N, C, H, W)."""
        gain_NC, bias_NC = row_NE.narrow(1, self.offset, 2 * self.channels).chunk(2, dim=1)
        return _modulated(self.norm(x_NCHW), gain_NC, bias_NC)


def _modulated(x_NCHW: Tensor, gain_NC: Tensor, bias_NC: Tensor) -> Tensor:
    return torch.addcmul(bias_NC[:, :, None, None], x_NCHW, (1 + gain_NC)[:, :, None, None])


class Attention(nn.Module):
    """Self-attention over a map (Zhang et al. 2019, SAGAN) with pooled keys and values, as BigGAN has it.

    y = x + gamma * out(values . softmax(keys^T queries)). Queries and keys have C/8 channels, values C/2. Keys and
    values are maxima of 2x2, and the softmax runs over keys. gamma starts at 0, so the layer starts as the identity.
    """

    def __init__(self, channels: int, make: Maker) -> None:
        super().__init__()
        self.queries = make.conv(channels, channels // 8, 1, bias=False)
        self.keys = make.conv(channels, channels // 8, 1, bias=False)
        self.values = make.conv(channels, channels // 2, 1, bias=False)
        self.out = make.conv(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape; H and W even."""
        queries_NPC = self.queries(x_NCHW).flatten(2).transpose(1, 2)
        keys_NCK = F.max_pool2d(self.keys(x_NCHW), 2).flatten(2)
        values_NCK = F.max_pool2d(self.values(x_NCHW), 2).flatten(2)
        share_NPK = torch.bmm(queries_NPC, keys_NCK).softmax(dim=2)
        mixed_NCP = torch.bmm(values_NCK, share_NPK.transpose(1, 2))
        return x_NCHW + self.gamma * self.out(mixed_NCP.unflatten(2, x_NCHW.shape[2:]))


class UpBlock(nn.Module):
    """The generator's residual block, which doubles height and width (Brock et al. 2019, figure 15b).

    main: norm, ReLU, x2, conv 3x3, norm, ReLU, conv 3x3. shortcut: x2, conv 1x1. Then attention, if it has it.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: NormMaker, make: Maker, *, attention: bool) -> None:
        super().__init__()
        self.conv1 = make.conv(in_channels, out_channels, 3)
        self.conv2 = make.conv(out_channels, out_channels, 3)
        self.shortcut = make.conv(in_channels, out_channels, 1)
        self.norm1, self.norm2 = norm(in_channels), norm(out_channels)
        self.attention = Attention(out_channels, make) if attention else None

    def forward(self, x_NCHW: Tensor, condition_NE: Tensor | None) -> Tensor:
        """(N, in, H, W) -> (N, out, 2H, 2W)."""
        h_NCHW = self.conv1(_doubled(F.relu(self.norm1(x_NCHW, condition_NE))))
        h_NCHW = self.conv2(F.relu(self.norm2(h_NCHW, condition_NE)))
        # A 1x1 convolution commutes with copying pixels, and is four times cheaper before it.
        h_NCHW = h_NCHW + _doubled(self.shortcut(x_NCHW))
        return h_NCHW if self.attention is None else self.attention(h_NCHW)


def _doubled(x_NCHW: Tensor) -> Tensor:
    return F.interpolate(x_NCHW, scale_factor=2.0, mode="nearest")


class DownBlock(nn.Module):
    """The discriminator's residual block (Brock et al. 2019, figure 15c).

    main: ReLU (not on the image, `first`), conv 3x3, ReLU, conv 3x3, mean of 2x2 where `down`. shortcut: conv 1x1
    and mean of 2x2, or nothing where the block keeps width and size. wide: the hidden width is the output's, as in
    BigGAN; else the input's, as in SNGAN. Then attention, if it has it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        make: Maker,
        *,
        first: bool,
        down: bool,
        wide: bool,
        attention: bool,
    ) -> None:
        super().__init__()
        hidden = out_channels if wide else in_channels
        self.first, self.down = first, down
        self.conv1 = make.conv(in_channels, hidden, 3)
        self.conv2 = make.conv(hidden, out_channels, 3)
        changes = down or in_channels != out_channels
        self.shortcut = make.conv(in_channels, out_channels, 1) if changes else None
        self.attention = Attention(out_channels, make) if attention else None

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H/2, W/2) where `down`, else (N, out, H, W)."""
        h_NCHW = self.conv2(F.relu(self.conv1(x_NCHW if self.first else F.relu(x_NCHW))))
        if self.down:
            # The mean of 2x2 commutes with a 1x1 convolution, which is four times cheaper after it.
            h_NCHW, x_NCHW = F.avg_pool2d(h_NCHW, 2), F.avg_pool2d(x_NCHW, 2)
        h_NCHW = h_NCHW + (x_NCHW if self.shortcut is None else self.shortcut(x_NCHW))
        return h_NCHW if self.attention is None else self.attention(h_NCHW)
