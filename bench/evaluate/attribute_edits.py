"""Pictures of edits: a code moved across the boundary of an attribute, along its normal (InterFaceGAN, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bench.data.picture_grid import LONGEST, PictureGrid
from bench.evaluate.coded_images import mapped
from bench.evaluate.frames import Frames
from bench.networks.interface import Styled

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject

SAMPLES = 2  # that are edited, a row each for every attribute
DISTANCES = (-3.0, -1.5, 0.0, 1.5, 3.0)  # from the boundary; between InterFaceGAN's ends


def attribute_edits(
    subject: Subject, names: Sequence[str], normals_AZ: np.ndarray, offsets_A: np.ndarray, space: str
) -> PictureGrid:
    """The first samples, and each at five distances from the boundary of each attribute.

    names, normals_AZ, offsets_A: of each attribute its name and its boundary, normal . code + offset = 0, the normal of
    length 1. space: whether codes are z, or w of a style-based generator. Samples, conditions and noise depend on the
    run's seed alone: pictures of a row differ in the code.
    """
    frames = Frames(subject)
    drawn = frames.drawn(SAMPLES, "edited")
    codes_NZ = drawn.latents_NZ if space == "z" else _mapped(subject, drawn.latents_NZ)

    def picture(place: int, code_Z: Tensor) -> np.ndarray:
        if space == "z":
            return frames.picture(drawn.at(place).with_latent(code_Z), "edited", place)
        return _synthesised(subject, code_Z, place)

    pictures = []
    for normal_Z, offset in zip(normals_AZ, offsets_A, strict=True):
        for place, code_Z in enumerate(codes_NZ):
            pictures.append(picture(place, code_Z))
            pictures += [
                picture(place, at_distance(code_Z, normal_Z, float(offset), distance)) for distance in DISTANCES
            ]
    rows = tuple(name[:LONGEST] for name in names for _ in range(SAMPLES))
    columns = ("sample", *(f"{distance:+.1f}" if distance else "boundary" for distance in DISTANCES))
    shows = f"samples moved along the normals of the attributes' boundaries in {space}, by their distance to them"
    return PictureGrid(np.stack(pictures), rows, columns, shows)


def at_distance(code_Z: Tensor, normal_Z: np.ndarray, offset: float, distance: float) -> Tensor:
    """The point on the line through a code along the normal whose signed distance to the boundary is so much."""
    normal = torch.from_numpy(np.asarray(normal_Z, dtype=np.float64)).to(code_Z.device)
    code = code_Z.double()
    return (code + (distance - (code @ normal + offset)) * normal).to(code_Z)


@torch.no_grad()
def _mapped(subject: Subject, z_NZ: Tensor) -> Tensor:
    return mapped(subject.generator, z_NZ.to(subject.device))


def _synthesised(subject: Subject, w_W: Tensor, place: int) -> np.ndarray:
    """The picture of one w, the same in all layers, neither mixed nor truncated."""
    generator = subject.generator
    assert isinstance(generator, Styled)
    synthesis = generator.synthesis
    w_NLW = w_W[None, None].expand(1, synthesis.layers, -1).to(subject.device)
    return subject.opened.made(lambda: synthesis(w_NLW), subject.stream("edited", place, "noise"))[0]
