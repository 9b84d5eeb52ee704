"""The Fréchet distance extrapolated to infinitely many generated images (Chong and Forsyth 2020, arXiv 1911.07023).

Its bias is about linear in 1/N, so a line through the distances of parts of several sizes is followed to 1/N = 0.
"""

from __future__ import annotations

import numpy as np

from bench import seeds
from bench.errors import UserError
from bench.metrics.frechet import GaussianFit, fit_gaussian, frechet_distance

POINTS = 15  # the authors' number of sizes
SHARE = 10  # the smallest part: a tenth of the images, as their 5,000 of 50,000
FEWEST = 20  # images whose tenth still has a covariance


def part_sizes(count: int, points: int = POINTS) -> np.ndarray:
    """The sizes of the parts of `count` images: evenly spaced from a tenth of them to all. UserError below FEWEST."""
    if count < FEWEST:
        raise UserError(f"extrapolation needs at least {FEWEST} generated features, not {count}")
    return np.unique(np.linspace(count // SHARE, count, points).astype(int))


def frechet_infinity(real: np.ndarray | GaussianFit, fake: np.ndarray, points: int = POINTS, seed: int = 0) -> float:
    """The intercept of the line through the Fréchet distances of random parts of fake (M, D) over 1/size.

    real: features (N, D), or a fit of them, kept as it is: its own bias, about 1/N, stays in. May be below 0.
    seed: which images are in a part; it goes by their places, so whoever wants a result that does not depend on an
    order gives the features in one that says nothing. Raises UserError as `frechet_distance`, and for M < 20.
    """
    fake = np.asarray(fake)
    sizes = part_sizes(len(fake), points)
    if len(sizes) < 2:
        raise UserError(f"points={points} must be at least 2, so that there is a line")
    reference = real if isinstance(real, GaussianFit) else fit_gaussian(np.asarray(real), "real")
    stream = seeds.numpy_stream(seed, "frechet infinity")
    distances = [frechet_distance(reference, fake[np.sort(stream.permutation(len(fake))[:size])]) for size in sizes]
    return float(np.polyfit(1 / sizes, distances, 1)[1])
