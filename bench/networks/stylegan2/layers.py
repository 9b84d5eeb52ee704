"""Layers of StyleGAN2: equalised layers, the binomial resampling filter, modulated convolutions with noise.

Sources: Karras et al. 2020 (Analyzing and Improving the Image Quality of StyleGAN; section 2.2 demodulation,
section 4.1 architectures) and Karras et al. 2018 (Progressive Growing of GANs, section 4.1 equalised learning
rate).

The gain sqrt(2) after a leaky ReLU is applied by the layer before it: lrelu(g a) = g lrelu(a) for g > 0,
and scaling a weight is cheaper than scaling a map. Maps are kept in channels_last, in which the filter's depthwise
convolution is several times faster on a CPU.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks.common import noise as noise_stream
from bench.networks.interface import Noise

SLOPE = 0.2  # of every leaky ReLU
ACTIVATION_GAIN = math.sqrt(2)
EPSILON = 1e-8  # in every normalisation of the original
TAPS = 4


def activate(x: Tensor, clamp: float | None = None) -> Tensor:
    """Leaky ReLU, in place, then a clamp to [-clamp, clamp]. The layer before has the gain sqrt(2)."""
    x = F.leaky_relu(x, SLOPE, inplace=True)
    return x if clamp is None else x.clamp(-clamp, clamp)


def unit_second_moment(x_NC: Tensor) -> Tensor:
    """Each row divided by its root mean square: x / sqrt(mean(x^2) + 1e-8)."""
    return x_NC * (x_NC.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


class EqualLinear(nn.Module):
    """y = gain * (x W^T * lr_mul / sqrt(fan_in) + b * lr_mul), with W drawn from N(0, 1 / lr_mul^2).

    fan_in: of the scale alone, where this layer is one part of a map of a longer vector.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        bias_init: float = 0.0,
        lr_mul: float = 1.0,
        gain: float = 1.0,
        fan_in: int | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_mul)
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init))) if bias else None
        self.weight_gain = gain * lr_mul / math.sqrt(fan_in or in_features)
        self.bias_gain = gain * lr_mul

    def forward(self, x_NC: Tensor) -> Tensor:
        """(N, in_features) -> (N, out_features)."""
        bias = None if self.bias is None else self.bias * self.bias_gain
        return F.linear(x_NC, self.weight * self.weight_gain, bias)

    def macs(self, x: Tensor, output: Tensor) -> int:
        """Multiply-accumulates of a batch of one."""
        return output.numel() * self.in_features


class EqualConv(nn.Module):
    """A convolution with W from N(0, 1): gain * (conv(x, W / sqrt(C K K)) + b); size-preserving at stride 1."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        gain: float = 1.0,
        bias: bool = True,
        stride: int = 1,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2 if padding is None else padding
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain, self.bias_gain = gain / math.sqrt(in_channels * kernel**2), gain

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        bias = None if self.bias is None else self.bias * self.bias_gain
        return F.conv2d(x_NCHW, self.weight * self.weight_gain, bias, self.stride, self.padding)

    def macs(self, x: Tensor, output: Tensor) -> int:
        """Multiply-accumulates of a batch of one."""
        return output.numel() * self.weight[0].numel()


def binomial(gain: float = 1.0) -> Tensor:
    """The 4x4 filter [1, 3, 3, 1] x [1, 3, 3, 1] with sum `gain`."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) * (gain / 64)


class _Filter(torch.autograd.Function):
    """Filter every channel, then keep every stride-th pixel.

    The filter is constant, so every derivative is one more filtering; autograd's own double backward of a
    depthwise convolution costs several times that, and R1 and path length need it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel_KK: Tensor, stride: int, padding: int) -> Tensor:
        ctx.kernel_KK, ctx.stride, ctx.padding, ctx.size = kernel_KK, stride, padding, x.shape[-1]
        weight = kernel_KK.expand(x.shape[1], 1, TAPS, TAPS)
        return F.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Spread.apply(grads[0], ctx.kernel_KK, ctx.stride, ctx.padding, ctx.size), None, None, None


class _Spread(torch.autograd.Function):
    """The adjoint of _Filter: put zeros between pixels, filter, and crop to `size` pixels a side."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel_KK: Tensor, stride: int, padding: int, size: int) -> Tensor:
        ctx.kernel_KK, ctx.stride, ctx.padding = kernel_KK, stride, padding
        weight, groups = kernel_KK.expand(x.shape[1], 1, TAPS, TAPS), x.shape[1]
        if stride == 1:  # the filter is symmetric: a plain convolution, which is faster
            return F.conv2d(x, weight, padding=TAPS - 1 - padding, groups=groups)
        rest = size + 2 * padding - TAPS - stride * (x.shape[-1] - 1)
        return F.conv_transpose2d(x, weight, None, stride, padding, rest, groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Filter.apply(grads[0], ctx.kernel_KK, ctx.stride, ctx.padding), None, None, None, None


def blur(x_NCHW: Tensor, kernel_KK: Tensor, padding: int) -> Tensor:
    """Filter a square map padded with zeros: (N, C, H, H) -> (N, C, H + 2 padding - 3, H + 2 padding - 3)."""
    return _Filter.apply(x_NCHW, kernel_KK, 1, padding)


def halve(x_NCHW: Tensor, kernel_KK: Tensor) -> Tensor:
    """Filter and keep every second pixel: (N, C, H, H) -> (N, C, H/2, H/2)."""
    return _Filter.apply(x_NCHW, kernel_KK, 2, 1)


def double(x_NCHW: Tensor, kernel_KK: Tensor) -> Tensor:
    """Put zeros between pixels and filter: (N, C, H, H) -> (N, C, 2H, 2H); keeps the mean with gain 4."""
    return _Spread.apply(x_NCHW, kernel_KK, 2, 1, 2 * x_NCHW.shape[-1])


class StyledConv(nn.Module):
    """A 3x3 convolution modulated by a style, demodulated; then noise, bias and leaky ReLU.

    The kernel of image n is W_oi s_ni / sqrt(sum_ik (W_oi s_ni)^2 + 1e-8) (Karras et al. 2020, equations 1
    and 3) with s = affine(w). It is applied by scaling the map before (s) and after (demodulation) one shared
    convolution: the same function, several times faster than one kernel an image where maps are small. W
    has no equalising constant: demodulation would cancel it.
    """

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, resolution: int, clamp: float | None) -> None:
        super().__init__()
        self.resolution, self.clamp = resolution, clamp
        self.affine = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.noise_map: Tensor
        self.register_buffer("noise_map", torch.randn(resolution, resolution))

    def forward(self, x_NIHW: Tensor, w_NW: Tensor, noise: Noise) -> Tensor:
        """(N, in, H, H), (N, w_dim) -> (N, out, resolution, resolution)."""
        style_NI = self.affine(w_NW)
        power_OI = self.weight.square().sum(dim=(2, 3))
        scale_NO = (style_NI.square() @ power_OI.T + EPSILON).rsqrt() * ACTIVATION_GAIN
        h_NOHW = self._convolve(x_NIHW * style_NI[:, :, None, None])
        bias = (self.bias * ACTIVATION_GAIN)[None, :, None, None]  # (1, O, 1, 1)
        h_NOHW = torch.addcmul(bias, h_NOHW, scale_NO[:, :, None, None])
        if noise != "none":
            h_NOHW += self._noise(h_NOHW, noise) * (self.noise_strength * ACTIVATION_GAIN)
        return activate(h_NOHW, self.clamp)

    def _convolve(self, x_NIHW: Tensor) -> Tensor:
        return F.conv2d(x_NIHW, self.weight, padding=1)

    def _noise(self, h_NOHW: Tensor, noise: Noise) -> Tensor:
        if noise == "const":
            return self.noise_map
        return noise_stream.normal((len(h_NOHW), 1, self.resolution, self.resolution), like=h_NOHW)

    def macs(self, x: Tensor, output: Tensor) -> int:
        """Multiply-accumulates of the shared convolution for a batch of one."""
        return output.numel() * self.weight[0].numel()


class UpStyledConv(StyledConv):
    """A StyledConv that doubles height and width: a transposed convolution at stride 2, then the filter."""

    kernel_KK: Tensor

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, resolution: int, clamp: float | None) -> None:
        super().__init__(in_channels, out_channels, w_dim, resolution, clamp)
        self.register_buffer("kernel_KK", binomial(gain=4.0), persistent=False)

    def _convolve(self, x_NIHW: Tensor) -> Tensor:
        spread_NOHW = F.conv_transpose2d(x_NIHW, self.weight.transpose(0, 1), stride=2)
        return blur(spread_NOHW, self.kernel_KK, padding=1)

    def macs(self, x: Tensor, output: Tensor) -> int:
        """Multiply-accumulates of the transposed convolution for a batch of one."""
        return x.numel() * self.weight[:, 0].numel()


class ToRGB(nn.Module):
    """A 1x1 convolution to three channels, modulated by a style but not demodulated, with a bias."""

    def __init__(self, channels: int, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = EqualLinear(w_dim, channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(3, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / math.sqrt(channels)

    def forward(self, x_NCHW: Tensor, w_NW: Tensor) -> Tensor:
        """(N, C, H, W), (N, w_dim) -> (N, 3, H, W)."""
        style_NC = self.affine(w_NW) * self.weight_gain
        # One small matrix an image: three columns cost less than a scaled copy of the map.
        weight_NCO = style_NC[:, :, None] * self.weight.flatten(1).T
        rgb_NPO = torch.baddbmm(self.bias, x_NCHW.permute(0, 2, 3, 1).flatten(1, 2), weight_NCO)
        rgb_NCHW = rgb_NPO.unflatten(1, x_NCHW.shape[2:]).permute(0, 3, 1, 2)
        return rgb_NCHW if self.clamp is None else rgb_NCHW.clamp(-self.clamp, self.clamp)

    def macs(self, x: Tensor, output: Tensor) -> int:
        """Multiply-accumulates of a batch of one."""
        return x.numel() * 3
