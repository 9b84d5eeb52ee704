"""SVG to pixels: resvg at twice the size on white, then a 2x2 box mean.

At 32 px resvg's own anti-aliasing breaks lines that are thinner than a pixel (eyes, glasses). Four times as many
samples mend that for 2 ms an image. A further doubling shows no difference to the eye.
"""

from __future__ import annotations

import io

import numpy as np
import resvg_py
from PIL import Image

SUPERSAMPLING = 2


def render(svg: str, resolution: int) -> np.ndarray:
    """The drawing as (R, R, 3) uint8 RGB on white; without system fonts, which differ between machines."""
    size = SUPERSAMPLING * resolution
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, background="white", skip_system_fonts=True)
    image = Image.open(io.BytesIO(png), formats=("PNG",)).convert("RGB")
    if image.size != (size, size):  # resvg keeps the aspect of a drawing that is not square
        square = Image.new("RGB", (size, size), "white")
        square.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
        image = square
    return np.asarray(image.reduce(SUPERSAMPLING))
