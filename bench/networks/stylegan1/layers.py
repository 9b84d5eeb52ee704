"""Layers of StyleGAN: equalised layers, resampling convolutions, noise with AdaIN, and the state of growth.

Sources: Karras et al. 2019 (A Style-Based Generator Architecture for GANs, figure 1b and section 2) and Karras et
al. 2018 (Progressive Growing of GANs, figure 2 and section 4.1), in the details of the public PyTorch port
rosinality/style-based-gan-pytorch, on which FreezeD and LT-GAN build.

Equalised layers and noise modes are StyleGAN2's (stylegan2/layers.py). What differs: He's gain sqrt(2) is on
the weight alone and in every layer (StyleGAN2 puts it on the bias too, and on no linear output), and the filter
is [1, 2, 1] of odd length, which keeps the size of a map.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks.common import noise as noise_stream
from bench.networks.interface import Noise
from bench.networks.stylegan2.layers import ACTIVATION_GAIN, SLOPE, EqualConv, EqualLinear, activate

# From this size on, one convolution with a 4x4 kernel at stride 2 is faster than a resampled map and a 3x3 kernel.
FUSED_FROM = 32
INSTANCE_EPSILON = 1e-5


class HeLinear(EqualLinear):
    """y = x (W sqrt(2 / fan_in) lr_mul)^T + b lr_mul, with W drawn from N(0, 1 / lr_mul^2)."""

    def __init__(self, in_features: int, out_features: int, *, lr_mul: float = 1.0, fan_in: int | None = None) -> None:
        super().__init__(in_features, out_features, lr_mul=lr_mul, gain=ACTIVATION_GAIN, fan_in=fan_in)
        self.bias_gain = lr_mul


class HeConv(EqualConv):
    """conv(x, W sqrt(2 / (C K K))) + b, with W drawn from N(0, 1); keeps height and width."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(in_channels, out_channels, kernel, gain=ACTIVATION_GAIN)
        self.bias_gain = 1.0


class _Smooth(torch.autograd.Function):
    """[1, 2, 1] x [1, 2, 1] / 16 on every channel, zeros around.

    Symmetric and size-preserving, so it is its own derivative; autograd's double backward of a depthwise
    convolution, which R1 needs, costs several times that.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel_KK: Tensor) -> Tensor:
        ctx.kernel_KK = kernel_KK
        return F.conv2d(x, kernel_KK.expand(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Smooth.apply(grads[0], ctx.kernel_KK), None


class _Resampling(HeConv):
    """A 3x3 convolution next to a resampling by two, as one 4x4 kernel at stride 2 where that is faster.

    A box of 2x2 pixels before or after a 3x3 kernel W makes the 4x4 kernel sum_ab W[k - a, l - b], a and b in
    {0, 1}; the border is the same, since both see the same zeros.
    """

    kernel_KK: Tensor
    box_KK: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3)
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel_KK", torch.outer(taps, taps), persistent=False)
        steps = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
        self.register_buffer("box_KK", torch.kron(steps, steps), persistent=False)  # (9, 16)

    def _smoothed(self, x_NCHW: Tensor) -> Tensor:
        return _Smooth.apply(x_NCHW, self.kernel_KK)

    def _boxed(self, weight: Tensor, gain: float) -> Tensor:
        """The 4x4 kernel of a 3x3 one: (O, I, 3, 3) -> (O, I, 4, 4)."""
        return (weight.flatten(2) @ (self.box_KK * (self.weight_gain * gain))).unflatten(2, (4, 4))

    def _fused(self, size: int) -> bool:
        return size >= FUSED_FROM


class UpConv(_Resampling):
    """Nearest-neighbour doubling, 3x3 convolution with bias, filter.

    shrink: a factor of the weight. The port's kernel from 128 pixels on is a quarter of what doubling gives
    (it takes the box's mean where doubling takes its sum), before the noise and thus not undone by AdaIN.
    """

    def __init__(self, in_channels: int, out_channels: int, shrink: float) -> None:
        super().__init__(in_channels, out_channels)
        self.weight_gain *= shrink

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, H) -> (N, out, 2H, 2H)."""
        if not self._fused(2 * x_NCHW.shape[-1]):
            return self._smoothed(super().forward(F.interpolate(x_NCHW, scale_factor=2.0)))
        weight = self._boxed(self.weight.flip(2, 3), 1.0).transpose(0, 1)  # (I, O, 4, 4)
        return self._smoothed(F.conv_transpose2d(x_NCHW, weight, self.bias, stride=2, padding=1))

    def macs(self, x: Tensor, output: Tensor) -> int:
        """Multiply-accumulates of a batch of one."""
        taps_per_pixel = 4 if self._fused(output.shape[-1]) else 9
        return output.numel() * self.weight.shape[1] * taps_per_pixel


class DownConv(_Resampling):
    """Filter, 3x3 convolution with bias, mean over 2x2 pixels."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, 2H, 2H) -> (N, out, H, H)."""
        h_NCHW = self._smoothed(x_NCHW)
        if not self._fused(x_NCHW.shape[-1]):
            return F.avg_pool2d(super().forward(h_NCHW), 2)
        return F.conv2d(h_NCHW, self._boxed(self.weight, 0.25), self.bias, stride=2, padding=1)

    def macs(self, x: Tensor, output: Tensor) -> int:
        """Multiply-accumulates of a batch of one."""
        taps_per_pixel = 16 if self._fused(x.shape[-1]) else 36
        return output.numel() * self.weight.shape[1] * taps_per_pixel


class Styled(nn.Module):
    """Noise, leaky ReLU, AdaIN: gamma * (h - mean) / sqrt(variance + 1e-5) + beta (equation 1).

    (gamma, beta) = A(w), which starts near (1, 0); mean and variance are those of one channel of one image. The
    noise is scaled by a number for each channel, which starts at zero and has an equalised learning rate.
    """

    def __init__(self, channels: int, w_dim: int) -> None:
        super().__init__()
        self.noise_strength = nn.Parameter(torch.zeros(channels))
        self.noise_gain = math.sqrt(2 / channels)
        self.affine = HeLinear(w_dim, 2 * channels)
        assert self.affine.bias is not None
        nn.init.ones_(self.affine.bias[:channels])

    def forward(self, h_NCHW: Tensor, w_NW: Tensor, noise_map: Tensor | None) -> Tensor:
        """(N, C, H, W), (N, w_dim) and noise that all channels share, (N, 1, H, W), -> (N, C, H, W); overwrites h."""
        if noise_map is not None:
            h_NCHW.addcmul_(noise_map, (self.noise_strength * self.noise_gain)[:, None, None])
        h_NCHW = activate(h_NCHW)
        gamma, beta = self.affine(w_NW)[:, :, None, None].chunk(2, dim=1)  # (N, C, 1, 1)
        # Groups of one channel: torch's instance norm leaves channels_last, which costs more than it saves.
        h_NCHW = F.group_norm(h_NCHW, h_NCHW.shape[1], eps=INSTANCE_EPSILON)
        return torch.addcmul(beta, h_NCHW, gamma)


class Constant(nn.Module):
    """The learned input of 4x4 pixels."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.constant_CHW = nn.Parameter(torch.randn(channels, size, size))

    def forward(self, like_NW: Tensor) -> Tensor:
        """A copy for each row: (N, ...) -> (N, C, size, size)."""
        h_NCHW = self.constant_CHW.repeat(len(like_NW), 1, 1, 1)
        return h_NCHW.contiguous(memory_format=torch.channels_last)


class SynthesisBlock(nn.Module):
    """Two styled layers at one resolution: `first` (a Constant, or an UpConv) and a 3x3 convolution.

    As in the port both layers take the same noise map and the same w.
    """

    def __init__(self, first: nn.Module, channels: int, w_dim: int, resolution: int) -> None:
        super().__init__()
        self.resolution = resolution
        self.first, self.style0 = first, Styled(channels, w_dim)
        self.conv, self.style1 = HeConv(channels, channels, 3), Styled(channels, w_dim)
        self.noise_map: Tensor
        self.register_buffer("noise_map", torch.randn(resolution, resolution))

    def forward(self, x: Tensor, w_NW: Tensor, noise: Noise) -> Tensor:
        """What `first` takes, and w, -> (N, C, resolution, resolution)."""
        noise_map = self._noise(w_NW, noise)
        h_NCHW = self.style0(self.first(x), w_NW, noise_map)
        return self.style1(self.conv(h_NCHW), w_NW, noise_map)

    def _noise(self, w_NW: Tensor, noise: Noise) -> Tensor | None:
        if noise == "none":
            return None
        if noise == "const":
            return self.noise_map[None, None]
        return noise_stream.normal((len(w_NW), 1, self.resolution, self.resolution), like=w_NW)


class FromRGB(HeConv):
    """Images -> a map: 1x1 convolution and a leaky ReLU of the given slope (1: none)."""

    def __init__(self, channels: int, slope: float = SLOPE) -> None:
        super().__init__(3, channels, 1)
        self.slope = slope

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, C, H, W)."""
        h_NCHW = super().forward(images_NCHW.contiguous(memory_format=torch.channels_last))
        return h_NCHW if self.slope == 1 else F.leaky_relu(h_NCHW, self.slope, inplace=True)


class DownBlock(nn.Module):
    """Halves height and width: conv 3x3, leaky ReLU, filter, conv 3x3, mean of 2x2 pixels, leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = HeConv(in_channels, out_channels, 3)
        self.conv1 = DownConv(out_channels, out_channels)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, 2H, 2H) -> (N, out, H, H)."""
        return activate(self.conv1(activate(self.conv0(x_NCHW))))


class GrowthState:
    """How far a network has grown: `level` doublings of 4x4 pixels, the last of them faded in by `alpha`.

    A mixin for nn.Module. The state is part of state_dict (float64, on the CPU), so that a checkpoint taken
    while a network grows is sampled as it was. A new network is fully grown: level = top, alpha = 1.
    """

    top: int
    level: int
    alpha: float

    def grow(self, level: int, alpha: float) -> None:
        """Set the state. Raises ValueError unless level is one of 0..top and alpha lies in [0, 1]."""
        if level not in range(self.top + 1) or not 0 <= alpha <= 1:
            raise ValueError(
                f"level {level} and alpha {alpha}: a level from 0 to {self.top} and an alpha from 0 to 1 are possible"
            )
        self.level, self.alpha = level, alpha

    def get_extra_state(self) -> Tensor:
        """[level, alpha]: called by torch's state_dict."""
        return torch.tensor([self.level, self.alpha], dtype=torch.float64, device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """Called by torch's load_state_dict; raises ValueError as `grow` does."""
        level, alpha = state.tolist()
        self.grow(int(level), alpha)
