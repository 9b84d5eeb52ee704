"""Progressive growing: train at few pixels, then double, fading every new layer in (Karras et al. 2018, section 2).

The schedule is that of rosinality/style-based-gan-pytorch, with which LT-GAN trains StyleGAN: the first resolution
for two phases of 600,000 images, then for each doubling one phase in which its layers fade in and one in which
they train; the last resolution until the end. Its D, which fades the image it gets against half of it, does the
blending of real and generated images alike; reals are not blended beforehand as in Karras et al.
"""

from __future__ import annotations

from bench.errors import UserError
from bench.networks.interface import Growing
from bench.train import Context, Logged, Method

BOTTOM = 4  # pixels a side at level 0
GROWING = "stylegan1-32, stylegan1-128 or stylegan1-256"


class Progressive(Method):
    """Sets how far generator, discriminator and averaged generator have grown, from the step alone.

    start: pixels a side at first, 4, 8, ... up to the network's resolution. images_per_phase: real images that D
    sees in one phase; batch and learning rates are the same at every resolution. A network that doubles n times
    is whole after 2 n + 1 phases: with the defaults at 128 pixels 5.4 million images, 168,750 steps of 32.
    """

    in_graphs = "lets its networks grow"
    splits = True
    papers = (
        (
            "Karras et al.",
            2018,
            "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
            "arXiv:1710.10196",
        ),
    )

    def __init__(self, *, start: int = 8, images_per_phase: int = 600_000) -> None:
        if isinstance(start, bool) or not isinstance(start, int) or start < BOTTOM or start.bit_count() != 1:
            raise UserError(f"method 'progressive': start is {start}, must be a power of two, 4 or more")
        if isinstance(images_per_phase, bool) or not isinstance(images_per_phase, int) or images_per_phase < 1:
            raise UserError(
                f"method 'progressive': images_per_phase is {images_per_phase}, must be a whole number, 1 or more"
            )
        self.start, self.images_per_phase = start, images_per_phase

    def prepare(self, ctx: Context) -> None:
        generator, _ = ctx.networks()
        if not all(isinstance(network, Growing) for network in ctx.networks()):
            raise UserError(f"method 'progressive': this network does not grow; use {GROWING}")
        if self.start > generator.resolution:
            most = f"at most {generator.resolution}, the network's pixels"
            raise UserError(f"method 'progressive': start is {self.start}, must be {most}")
        self.begin_step(ctx)

    def begin_step(self, ctx: Context) -> None:
        # The averaged generator has no buffer that would tell it: it is set like the other two.
        level, alpha = self._growth(ctx)
        for network in (*ctx.networks(), ctx.ema):
            if network is not None:
                assert isinstance(network, Growing)
                network.grow(level, alpha)

    def after_step(self, ctx: Context) -> Logged:
        level, alpha = self._growth(ctx)
        return {"pixels": float(BOTTOM * 2**level), "alpha": alpha}

    def _growth(self, ctx: Context) -> tuple[int, float]:
        assert ctx.spec.train is not None, "a run without training does not grow"
        generator, _ = ctx.networks()
        seen = ctx.step * ctx.spec.train.batch * ctx.spec.train.d_steps
        top = _level(generator.resolution)
        return growth(seen, _level(self.start), top, self.images_per_phase)


def growth(seen: int, start: int, top: int, images_per_phase: int) -> tuple[int, float]:
    """(level, alpha) after `seen` images: levels start..top take two phases each, the last one all that follow.

    alpha rises from 0 to 1 during a level's first phase; it is 1 throughout the first level.
    """
    level = min(start + seen // (2 * images_per_phase), top)
    if level == start:
        return level, 1.0
    here = seen - (level - start) * 2 * images_per_phase
    return level, min(here / images_per_phase, 1.0)


def _level(pixels: int) -> int:
    return (pixels // BOTTOM).bit_length() - 1
