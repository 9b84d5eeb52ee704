"""Pairs G(z), G(z + e) that differ by e alone: same condition, same noise, same place where styles cross over."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.networks.common import noise
from bench.networks.interface import Styled
from bench.train import Context, GStep


def tiled(perturbations: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Two perturbations (2, Z) in turns: (count, Z), and which of them each row is, (count,) of 0 and 1."""
    which_N = torch.arange(count, device=perturbations.device) % 2
    return perturbations[which_N], which_N


def image_pairs(ctx: Context, step: GStep, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """G(z), G(z + e), each (N, 3, H, W), and which of two perturbations e ~ N(0, sigma^2) each image got, (N,).

    A generator that mixes styles has two latents, and e a part for each (LT-GAN, supplement 9.4). G(z) are the
    step's own images where G draws no noise; else they are made again, with the noise of G(z + e).
    """
    generator, _ = ctx.networks()
    stream = ctx.stream("lt-noise")
    twin = torch.Generator().set_state(stream.get_state())
    # (2, 2, Z): which latent of a mixed image, which perturbation
    draws = torch.randn(2, 2, step.z_NZ.shape[1], generator=ctx.stream("lt")).to(step.z_NZ) * sigma
    shift_NZ, which_N = tiled(draws[0], len(step.z_NZ))
    if isinstance(generator, Styled) and generator.mixing:
        other_shift_NZ, _ = tiled(draws[1], len(step.z_NZ))
        other_NZ = torch.randn(step.z_NZ.shape, generator=ctx.stream("lt-mixing")).to(step.z_NZ)
        with noise.drawn_from(stream):
            images_NCHW = _mixed_images(generator, step.z_NZ, other_NZ, step.condition_NK)
        with noise.drawn_from(twin):
            shifted_NCHW = _mixed_images(
                generator, step.z_NZ + shift_NZ, other_NZ + other_shift_NZ, step.condition_NK
            )
        return images_NCHW, shifted_NCHW, which_N
    with noise.drawn_from(stream):
        shifted_NCHW = generator(step.z_NZ + shift_NZ, step.condition_NK)
    if torch.equal(stream.get_state(), twin.get_state()):  # G has drawn nothing
        return step.images_NCHW, shifted_NCHW, which_N
    with noise.drawn_from(twin):
        return generator(step.z_NZ, step.condition_NK), shifted_NCHW, which_N


def _mixed_images(
    generator: Styled, first_NZ: Tensor, second_NZ: Tensor, condition_NK: Tensor | None
) -> Tensor:
    """Images whose layers from a random crossover on take the w of the second z (Karras et al. 2019, section 3.1).

    As the generator itself does in training, but with a second z that the caller knows; crossovers come from the
    active noise stream.
    """
    first_NW = generator.map(first_NZ, condition_NK)
    second_NW = generator.map(second_NZ, condition_NK)
    layers = generator.synthesis.layers
    draws = 1 if generator.mixing_per == "batch" else len(first_NZ)
    chance_M, place_M = noise.uniform((2, draws), like=first_NZ)
    crossover_M = 1 + (place_M * (layers - 1)).floor()
    after_ML = torch.arange(layers, device=first_NZ.device) >= crossover_M[:, None]
    swapped_ML = after_ML & (chance_M < generator.mixing)[:, None]
    w_NLW = torch.where(swapped_ML[:, :, None], second_NW[:, None], first_NW[:, None])
    images_NCHW: Tensor = generator.synthesis(w_NLW)
    return images_NCHW
