"""DiceBear avatars: drawn characters, a new one for every seed string, so that any test split is held out."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from dicebear import Avatar, Style

from bench.data.builder import Order, Splits
from bench.data.disk import image_digests
from bench.errors import UserError, did_you_mean
from bench.machine.long_work import progress

from .common.packages import package_folder
from .common.render import render

PATIENCE = 10  # seeds tried for each needed picture, before a style is refused as too poor


def build(order: Order) -> Splits:
    """`entry.train` pictures for training, `entry.test` others for testing, all distinct, of option `style`.

    Picture i is the avatar of the seed string "STYLE-i" (DiceBear's SVG is a function of style and seed). A
    render that equals an earlier one pixel for pixel is skipped. Raises UserError for an unknown style.
    """
    style_name = str(order.entry.options.get("style"))
    folder = package_folder("dicebear_styles", "dicebear-styles")
    styles = {path.stem: path for path in folder.glob("*.json")}
    if style_name not in styles:
        raise UserError(f"data set '{order.name}': unknown style '{style_name}'; {did_you_mean(style_name, styles)}")
    definition = json.loads(styles[style_name].read_text("utf-8"))
    needed = order.entry.train + order.entry.test
    pictures = progress(_distinct(Style(definition), style_name, order.resolution, needed), needed, order.name)
    images = np.stack(list(pictures))
    if len(images) < needed:
        raise UserError(
            f"data set '{order.name}': style '{style_name}' gives {len(images)} distinct pictures at "
            f"{order.resolution} px, {needed} are needed; choose a larger resolution"
        )
    licence = definition["meta"]["license"]
    return Splits(
        train=images[: order.entry.train],
        test=images[order.entry.train :],
        licence_text=f"{licence['name']}\n{licence['url']}\n{licence['text']}",
        packages=("dicebear-core", "dicebear-styles", "resvg-py"),
    )


def _distinct(style: Style, style_name: str, resolution: int, needed: int) -> Iterator[np.ndarray]:
    seen: set[bytes] = set()
    for number in range(PATIENCE * needed):
        image = render(Avatar(style, {"seed": f"{style_name}-{number}"}).to_string(), resolution)
        (digest,) = image_digests(image[None])
        if digest not in seen:
            seen.add(digest)
            yield image
        if len(seen) == needed:
            return
