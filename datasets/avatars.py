"""DiceBear avatars: drawn characters, a new one for every seed string, so that any test split is held out."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from bench.data.builder import Order, Splits
from bench.data.image_digests import image_digests
from bench.errors import UserError
from bench.machine.workers import Workers

from .common.avatar_style import PACKAGES, AvatarStyle, avatar_style
from .common.render import render

BLOCK = 1024  # drawings in memory at once
PATIENCE = 10  # seeds tried for each needed picture, before a style is refused as too poor


def build(order: Order) -> Splits:
    """`entry.train` pictures for training, `entry.test` others for testing, all distinct, of option `style`.

    Picture i is the avatar of the seed string "STYLE-i" (DiceBear's SVG is a function of style and seed). A
    render that equals an earlier one pixel for pixel is skipped. Raises UserError for an unknown style.
    """
    style = avatar_style(str(order.entry.options.get("style")), f"data set '{order.name}'")
    needed = order.entry.train + order.entry.test
    images = np.stack(list(_distinct(order, style, needed)))
    if len(images) < needed:
        raise UserError(
            f"data set '{order.name}': style '{style.name}' gives {len(images)} distinct pictures at "
            f"{order.resolution} px, {needed} are needed; choose a larger resolution"
        )
    return Splits(
        train=images[: order.entry.train],
        test=images[order.entry.train :],
        licence_text=style.licence_text,
        packages=PACKAGES,
    )


def _distinct(order: Order, style: AvatarStyle, needed: int) -> Iterator[np.ndarray]:
    seen: set[bytes] = set()
    number = 0
    draw = functools.partial(render, resolution=order.resolution)
    with Workers(order.jobs) as workers:
        while len(seen) < needed and number < PATIENCE * needed:
            block = min(BLOCK, needed - len(seen), PATIENCE * needed - number)
            svgs = [style.svg(f"{style.name}-{seed}", {}) for seed in range(number, number + block)]
            number += block
            for image in workers.map(draw, svgs, f"{order.name}, images {len(seen) + 1:,} to {len(seen) + block:,}"):
                (digest,) = image_digests(image[None])
                if digest not in seen:
                    seen.add(digest)
                    yield image
