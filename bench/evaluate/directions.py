"""Directions in z that do to an image what a transformation of its pixels does (Plumerault et al. 2020, section 2).

Two steps. Trajectories: from a latent z_0 on, for one factor after the other of growing size, the latent whose image is
nearest to the transformed image of z_0, by Adam on a blurred squared error, from where the last factor's has ended, at
|z| of at most the root of its dimension. Then a model t = g(<u, z>) of the factor: u such that <u, z_t - z_0> fits t.

From the published code: its penalty, and that the tenth of the trajectories' points with the largest errors
is left out. Ours: g is linear, so that u has a closed form, and one unit of t is a step along u of the length by which
the trajectories themselves move along it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.evaluate.descent import Adam, Streams, descend, frozen, image_of, portions
from bench.evaluate.transformations import Edit, blurred_errors, transformed
from bench.networks.common import noise
from bench.networks.interface import Generator

PENALTY = 0.1  # on |v|^2, beside a mean squared error of factors
KEPT = 0.9  # share of the points that a direction is fitted to


@dataclass(frozen=True)
class Latents:
    """Latents (N, Z), their embeddings (N, E) for a generator with conditions, and the noise of each image."""

    z_NZ: Tensor
    embedding_NE: Tensor | None
    streams: Streams

    def part(self, chosen: slice) -> Latents:
        """Those of some images."""
        places = range(len(self.z_NZ))[chosen]
        embedding = None if self.embedding_NE is None else self.embedding_NE[chosen]
        return Latents(self.z_NZ[chosen], embedding, lambda place: self.streams(places[place]))

    def images(self, generator: Generator, z_NZ: Tensor) -> Tensor:
        """The images of other latents with these conditions and this noise, in [-1, 1]: (N, 3, H, W)."""
        given = [z_NZ] if self.embedding_NE is None else [z_NZ, self.embedding_NE]
        with noise.drawn_for_each([self.streams(place) for place in range(len(z_NZ))]):
            return image_of(generator, given).clamp(-1, 1)


@dataclass(frozen=True)
class Points:
    """Points of trajectories: how far z has moved (K, Z), the factor t (K,), and the error that is left (K,)."""

    moves_KZ: np.ndarray
    factors_K: np.ndarray
    errors_K: np.ndarray


def trajectories(
    generator: Generator,
    latents: Latents,
    edit: Edit,
    sizes: Sequence[float],
    adam: Adam,
    sigma: float,
    pause: Callable[[], None] = lambda: None,
) -> Points:
    """The points of the trajectories of all latents, whose |z| is cut to the root of its dimension.

    sizes: of the factors, growing; each is gone to with either sign. sigma: of `blurred_errors`.
    Raises UserError where an error is not finite.
    """
    moves, factors, errors = [], [], []
    with frozen(generator):
        for chosen in portions(len(latents.z_NZ), generator.resolution):
            # The images that are transformed
            part = latents.part(chosen)
            start_NZ = within(part.z_NZ)
            with torch.no_grad():
                images_NCHW = part.images(generator, start_NZ)
            for sign in (-1, 1):
                # From one factor to the next, each from where the last has ended
                z_NZ = start_NZ
                for size in sizes:
                    wanted_NCHW, known = transformed(images_NCHW, edit, sign * size)

                    def errors_of(
                        variables: Sequence[Tensor],
                        part: Latents = part,
                        wanted_NCHW: Tensor = wanted_NCHW,
                        known: Tensor = known,
                    ) -> Tensor:
                        return blurred_errors(part.images(generator, variables[0]), wanted_NCHW, known, sigma)

                    (z_NZ,) = descend([z_NZ], errors_of, adam, pause, within)
                    with torch.no_grad():
                        errors.append(errors_of([z_NZ]).double().cpu().numpy())
                    moves.append((z_NZ - start_NZ).double().cpu().numpy())
                    factors.append(np.full(len(z_NZ), sign * size))
    return Points(np.concatenate(moves), np.concatenate(factors), np.concatenate(errors))


def within(z_NZ: Tensor) -> Tensor:
    """Latents that are not longer than the root of their dimension, about which N(0, I) lies."""
    most = z_NZ.shape[1] ** 0.5
    return z_NZ * (most / z_NZ.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp_max(1)


@dataclass(frozen=True)
class Direction:
    """A direction u (Z,) of length 1 in z, and the length of the step along it that one unit of the factor is.

    Where no trajectory has moved, both are 0.
    """

    unit_Z: np.ndarray
    step: float

    def moved(self, z_NZ: Tensor, factor: float) -> Tensor:
        """Latents after an edit by a factor."""
        return (z_NZ.double() + factor * self.step * torch.from_numpy(self.unit_Z).to(z_NZ.device)).to(z_NZ)


def fitted_direction(points: Points) -> Direction:
    """argmin_v mean (<v, move> - t)^2 + PENALTY |v|^2 over the points with the smallest errors, and its step."""
    kept = np.argsort(points.errors_K, kind="stable")[: max(1, int(KEPT * len(points.errors_K)))]
    moves_KZ, factors_K = points.moves_KZ[kept], points.factors_K[kept]
    gram_ZZ = moves_KZ.T @ moves_KZ / len(kept) + PENALTY * np.eye(moves_KZ.shape[1])
    v_Z = np.linalg.solve(gram_ZZ, moves_KZ.T @ factors_K / len(kept))
    length = float(np.linalg.norm(v_Z))
    if length == 0:
        return Direction(v_Z, 0.0)
    unit_Z = v_Z / length
    return Direction(unit_Z, float(factors_K @ (moves_KZ @ unit_Z) / (factors_K @ factors_K)))
