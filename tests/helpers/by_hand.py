"""Plain forms of what networks are made of, to hold the networks against: written for reading, in float64, not fast.

A layer's numbers are read from it, and the sums are written out. `tests/helpers` is on the path of the tests.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize


def normal(*shape: int) -> Tensor:
    """N(0, 1) in float64, from torch's own generator (bench/networks/conftest.py seeds it for each test)."""
    return torch.randn(*shape, dtype=torch.float64)


def close(actual: Any, expected: Any) -> None:
    """Equal but for the order of sums: float64 rounding (1e-16) times a few thousand terms and layers."""
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-10)


def count(network: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in network.parameters())


def lively(network: nn.Module, times: float = 1) -> nn.Module:
    """The network in float64 and evaluation mode, with no number left where a missing one would not show.

    Fresh biases, gains and statistics are 0 or 1; fresh matrices may give tiny maps: they are multiplied by `times`.
    """
    network.double().eval()
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith(("._u", "._v", "num_batches_tracked")):
            continue
        if value.ndim < 2:
            value.data = torch.rand_like(value) + 0.5
        else:
            value.data *= times
    return network


def singular_vectors(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """u and v of a spectrally normalised layer: torch names them in state dicts alone."""
    state = layer.state_dict()
    return state["parametrizations.weight.0._u"], state["parametrizations.weight.0._v"]


def weight(layer: Any) -> Tensor:
    """The layer's weight; where it is normalised by its equation: W / (u^T W v), W with a row for each output."""
    if not parametrize.is_parametrized(layer):
        own: Tensor = layer.weight
        return own
    original: Tensor = layer.parametrizations.weight.original
    u, v = singular_vectors(layer)
    matrix = original.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else original
    return original / (u @ matrix.flatten(1) @ v)


def linear(x: Tensor, layer: Any) -> Tensor:
    """x W^T + b."""
    return x @ weight(layer).T + (0 if layer.bias is None else layer.bias)


def conv(x: Tensor, layer: Any) -> Tensor:
    """A size-preserving convolution as a sum of shifted matrix products."""
    kernel, (_, _, height, width) = weight(layer), x.shape
    if isinstance(layer, nn.ConvTranspose2d):  # the kernel that a plain convolution would have
        kernel = kernel.transpose(0, 1).flip(2, 3)
    side = kernel.shape[2]
    padded = F.pad(x, (side // 2,) * 4)
    out = torch.zeros(()) if layer.bias is None else layer.bias[None, :, None, None]
    for i in range(side):
        for j in range(side):
            shifted = padded[:, :, i : i + height, j : j + width]
            out = out + torch.einsum("nchw,oc->nohw", shifted, kernel[:, :, i, j])
    return out


def doubled(x: Tensor) -> Tensor:
    """Each pixel as four."""
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def halved(x: Tensor) -> Tensor:
    """The mean of each 2x2."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).mean(dim=(3, 5))


def normalised(x: Tensor, norm: Any) -> Tensor:
    """(x - mean) / sqrt(variance + 1e-5): of the batch in training, else the norm's own statistics."""
    if norm.training:
        mean = x.mean(dim=(0, 2, 3))
        variance = ((x - mean[None, :, None, None]) ** 2).mean(dim=(0, 2, 3))
    else:
        mean, variance = norm.running_mean, norm.running_var
    return (x - mean[None, :, None, None]) / (variance[None, :, None, None] + 1e-5).sqrt()


def batch_normed(x: Tensor, norm: Any) -> Tensor:
    """A batch norm with a gain and bias of its own."""
    return normalised(x, norm) * norm.weight[None, :, None, None] + norm.bias[None, :, None, None]


def conditionally_normed(x: Tensor, norm: Any, embedding: Tensor | None) -> Tensor:
    """A batch norm whose gain and bias are linear in an embedding; an ordinary one without an embedding."""
    if embedding is None:
        return batch_normed(x, norm)
    gain, bias = linear(embedding, norm.gain), linear(embedding, norm.bias)
    return normalised(x, norm.norm) * (1 + gain[:, :, None, None]) + bias[:, :, None, None]
