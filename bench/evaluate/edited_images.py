"""What an edit along a direction in z makes of images, beside what a transformation of their pixels makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.evaluate.descent import frozen, portions
from bench.evaluate.directions import Direction, Latents
from bench.evaluate.transformations import Edit, transformed
from bench.features.perceptual import lpips_distance
from bench.networks.common.pixels import to_uint8

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject


@torch.no_grad()
def left_over(
    subject: Subject, latents: Latents, direction: Direction, edit: Edit, factors: Sequence[float], net: str
) -> tuple[np.ndarray, np.ndarray]:
    """LPIPS to the transformed image of the edited image, and of the image that is not edited: (N, T) each.

    Pixels that a transformation does not know are those of the image that it is compared with.
    """
    lpips, generator = lpips_distance(net, str(subject.device)), subject.generator
    edited, unmoved = [], []
    with frozen(generator):
        for chosen in portions(len(latents.z_NZ), generator.resolution):
            part = latents.part(chosen)
            images_NCHW = part.images(generator, part.z_NZ)
            far: list[np.ndarray] = []
            near: list[np.ndarray] = []
            for factor in factors:
                subject.pause()
                wanted_NCHW, known = transformed(images_NCHW, edit, factor)
                made_NCHW = part.images(generator, direction.moved(part.z_NZ, factor))
                for found, one_NCHW in ((far, made_NCHW), (near, images_NCHW)):
                    asked_NCHW = torch.where(known, wanted_NCHW, one_NCHW)
                    found.append(lpips(one_NCHW, asked_NCHW).flatten().double().cpu().numpy())
            edited.append(np.stack(far, axis=1))
            unmoved.append(np.stack(near, axis=1))
    return np.concatenate(edited), np.concatenate(unmoved)


@torch.no_grad()
def walks(subject: Subject, latents: Latents, direction: Direction, edit: Edit, factors: Sequence[float]) -> np.ndarray:
    """uint8 pictures (N, 2, T, H, W, 3) of each latent: as transformed by each factor, and as edited by it."""
    generator = subject.generator
    with frozen(generator):
        images_NCHW = latents.images(generator, latents.z_NZ)
        asked = [to_uint8(transformed(images_NCHW, edit, factor)[0]) for factor in factors]
        made = [to_uint8(latents.images(generator, direction.moved(latents.z_NZ, factor))) for factor in factors]
    return np.stack([np.stack(asked, 1), np.stack(made, 1)], 1)
