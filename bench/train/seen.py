"""The images that the discriminator sees, real and generated, and its logits of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.contract.composition import Composition
from bench.contract.context import Augmentation, Context
from bench.networks.common import noise
from bench.networks.interface import HasMaps, has_two_scales, looks_at_the_batch


class Fakes(NamedTuple):
    """Images for a call of D by themselves, mostly generated ones, at one scale or two."""

    images_NCHW: Tensor
    small_NCHW: Tensor | None  # the same images as a generator of two scales gives them to the discriminator

    def detached(self) -> Fakes:
        """The same images without the graph that leads to them."""
        small_NCHW = None if self.small_NCHW is None else self.small_NCHW.detach()
        return Fakes(self.images_NCHW.detach(), small_NCHW)


def generated(ctx: Context, z_NZ: Tensor, condition_NK: Tensor | None) -> Fakes:
    """G's images; at both scales where G has two outputs, and with a noise stream of their own."""
    generator, _ = ctx.networks()
    with noise.drawn_from(ctx.numbers("noise")):
        if has_two_scales(generator):
            return Fakes(*generator.both_scales(z_NZ, condition_NK))
        return Fakes(generator(z_NZ, condition_NK), None)


def discriminate(
    discriminator: nn.Module, real_NCHW: Tensor, fakes: Fakes, condition_NK: Tensor | None
) -> tuple[Tensor, Tensor, Any]:
    """Logits of the real and of the fake images, and D's maps of the real ones or None.

    One call for both is faster, and gives the same where D sees each image by itself. A D is called for each of the
    two if its layers look at the whole batch (`batch_statistics`), if it gives maps, or if it takes two scales.
    """
    maps = None
    if isinstance(discriminator, HasMaps):
        real_N, maps = discriminator.forward_with_maps(real_NCHW, condition_NK)
        fake_N = logits_of(discriminator, fakes, condition_NK)
    elif looks_at_the_batch(discriminator) or fakes.small_NCHW is not None:
        real_N = discriminator(real_NCHW, condition_NK)
        fake_N = logits_of(discriminator, fakes, condition_NK)
    else:
        both_NK = None if condition_NK is None else torch.cat([condition_NK, condition_NK])
        real_N, fake_N = discriminator(torch.cat([real_NCHW, fakes.images_NCHW]), both_NK).chunk(2)
    return real_N.float(), fake_N.float(), maps


def logits_of(discriminator: nn.Module, fakes: Fakes, condition_NK: Tensor | None) -> Tensor:
    """D's logits of these images alone: (N,) or (N, L)."""
    small = {} if fakes.small_NCHW is None else {"small_NCHW": fakes.small_NCHW}
    logits_N: Tensor = discriminator(fakes.images_NCHW, condition_NK, **small)
    return logits_N


def augmented(
    ctx: Context, method: Composition, images_NCHW: Tensor, d_condition_NK: Tensor | None = None
) -> tuple[Tensor, Augmentation]:
    """The augmented images, and the augmentation to apply again; in float32, which coordinates and colours need.

    d_condition_NK: D's condition for these images.
    """
    replayed = ctx.replaying()

    def augment(some_NCHW: Tensor) -> Tensor:
        before, ctx.d_condition_NK = ctx.d_condition_NK, d_condition_NK
        try:
            with torch.autocast(ctx.device.type, enabled=False):
                return method.augment(ctx, some_NCHW.float())
        finally:
            ctx.d_condition_NK = before

    def augment_again(some_NCHW: Tensor) -> Tensor:
        with replayed():
            return augment(some_NCHW)

    seen_NCHW = augment(images_NCHW)
    return seen_NCHW, Augmentation(len(images_NCHW), ctx.draws, augment_again)


def augmented_fakes(
    ctx: Context, method: Composition, fakes: Fakes, d_condition_NK: Tensor | None = None
) -> tuple[Fakes, Augmentation]:
    """Each scale by itself, with random numbers of its own; the augmentation is that of the full size."""
    small_NCHW = None if fakes.small_NCHW is None else augmented(ctx, method, fakes.small_NCHW, d_condition_NK)[0]
    images_NCHW, augmentation = augmented(ctx, method, fakes.images_NCHW, d_condition_NK)
    return Fakes(images_NCHW, small_NCHW), augmentation
