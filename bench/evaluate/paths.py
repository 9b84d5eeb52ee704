"""Perceptual path length: how far images move along a path between two latents (Karras et al. 2019, section 4.1).

E[ d(G(p(t)), G(p(t + eps))) / eps^2 ]: p is the path between two random latents, spherical in Z and straight in W, d is
LPIPS, t is drawn from U(0, 1), or is 0. As in the published code the lowest and the highest hundredth of the distances
are left out, both images of a pair have the same noise, and w is neither truncated nor mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.evaluate.descent import Streams, frozen, portions
from bench.networks.common import noise
from bench.networks.interface import Generator, Styled

Space = Literal["z", "w"]
Places = Literal["path", "ends"]
Distance = Callable[[Tensor, Tensor], Tensor]  # two sets of images (N, 3, H, W) -> (N,)
LARGEST = 256  # pixels of the images that are compared; larger ones are averaged down
OUTSIDE = 1.0  # percent of the distances that are left out at either end


def path_lengths(
    generator: Generator,
    distance: Distance,
    streams: Streams,
    *,
    pairs: int,
    space: Space,
    places: Places,
    epsilon: float,
    pause: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """d / eps^2 of every pair (pairs,), float64, in the order of the pairs.

    streams: of each pair; it gives the same stream whenever it is asked, from which its latents and t come, then its
    noise. A `Styled` generator's images are made from w in both spaces.
    """
    lengths = []
    with frozen(generator), torch.no_grad():
        for part in portions(pairs, generator.resolution):
            pause()
            own = [streams(pair) for pair in range(pairs)[part]]
            ends = torch.stack([torch.randn(2, generator.z_dim, generator=stream) for stream in own], dim=1)
            t_N = torch.stack([torch.rand((), generator=stream).double() for stream in own]) * (places == "path")
            states = [stream.get_state() for stream in own]
            images = [
                _images(generator, ends.to(_device(generator)), place_N.to(_device(generator)), space, states)
                for place_N in (t_N, t_N + epsilon)
            ]
            lengths.append(distance(*images).double().cpu().numpy() / epsilon**2)
    return np.concatenate(lengths)


def _images(generator: Generator, ends: Tensor, t_N: Tensor, space: Space, states: list[Tensor]) -> Tensor:
    """The images at place t of each path; ends: (2, N, Z)."""
    with noise.drawn_for_each([torch.Generator().set_state(state) for state in states]):
        if not isinstance(generator, Styled):
            return generator.synthesize(spherical(ends[0], ends[1], t_N))
        if space == "z":
            w_NW = generator.map(spherical(ends[0], ends[1], t_N))
        else:
            w_NW = straight(generator.map(ends[0]), generator.map(ends[1]), t_N)
        images_NCHW: Tensor = generator.synthesis(w_NW[:, None].expand(-1, generator.synthesis.layers, -1))
        return images_NCHW


def _device(generator: Generator) -> torch.device:
    return next(generator.parameters()).device


def straight(from_ND: Tensor, to_ND: Tensor, t_N: Tensor) -> Tensor:
    """The points (N, D) at t of the straight paths; in float64 between, since a step may be a ten-thousandth."""
    return torch.lerp(from_ND.double(), to_ND.double(), t_N[:, None].double()).to(from_ND)


def spherical(from_ND: Tensor, to_ND: Tensor, t_N: Tensor) -> Tensor:
    """The points (N, D) at t of the great circles through two directions, on the sphere of radius sqrt(D).

    StyleGAN reads the direction of z alone. The radius, the usual length of a latent, is for generators that do not.
    """
    a_ND, b_ND = F.normalize(from_ND.double(), dim=1), F.normalize(to_ND.double(), dim=1)
    cosine_N = (a_ND * b_ND).sum(1).clamp(-1, 1)
    across_ND = F.normalize(b_ND - cosine_N[:, None] * a_ND, dim=1)
    angle_N = t_N.double() * torch.acos(cosine_N)
    point_ND = a_ND * angle_N.cos()[:, None] + across_ND * angle_N.sin()[:, None]
    return (F.normalize(point_ND, dim=1) * a_ND.shape[1] ** 0.5).to(from_ND)


def without_outside(values_N: np.ndarray) -> np.ndarray:
    """The values between the percentiles 1 and 99, which are two of the values and stay."""
    low = np.percentile(values_N, OUTSIDE, method="lower")
    high = np.percentile(values_N, 100 - OUTSIDE, method="higher")
    return values_N[(low <= values_N) & (values_N <= high)]


def face(images_NCHW: Tensor) -> Tensor:
    """The middle of an aligned face: rows 3/8 to 7/8, columns 2/8 to 6/8, as in the published code."""
    eighth = images_NCHW.shape[2] // 8
    return images_NCHW[:, :, 3 * eighth : 7 * eighth, 2 * eighth : 6 * eighth]


def shrunk(images_NCHW: Tensor) -> Tensor:
    """Images of at most LARGEST pixels a side, by means of equal squares."""
    factor = images_NCHW.shape[2] // LARGEST
    return F.avg_pool2d(images_NCHW, factor) if factor > 1 else images_NCHW
