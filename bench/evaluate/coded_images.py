"""Generated images with the latents that they were made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.common.pixels import to_uint8
from bench.networks.interface import Generator, Styled

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject

BLOCK = 100  # images at once: a constant, as the numbers of a block come from its own streams


@torch.no_grad()
def coded_images(subject: Subject, count: int, space: str = "z") -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`count` images of the measure's own latents, a block at a time: codes (N, Z) float32, images (N, H, W, 3) uint8.

    space: whether a code is z, or w, which a style-based generator maps z to. Raises UserError where it has no w.
    """
    generator = subject.generator
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        z_NZ = torch.randn(size, generator.z_dim, generator=subject.stream("latents", start)).to(subject.device)
        with noise.drawn_from(subject.stream("noise", start)):
            images_NCHW = subject.sampler(generator, z_NZ, subject.stream("conditions", start))
        code = z_NZ if space == "z" else mapped(generator, z_NZ)
        yield code.cpu().numpy(), to_uint8(images_NCHW)
        subject.pause()


def mapped(generator: Generator, z_NZ: torch.Tensor) -> torch.Tensor:
    """w (N, W) of a style-based generator without conditions. Raises UserError for any other."""
    if not isinstance(generator, Styled) or generator.condition_dim is not None:
        raise UserError("space is w, which a style-based generator without conditions has; write space: z")
    return generator.map(z_NZ)
