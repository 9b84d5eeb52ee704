"""CMMD: the squared maximum mean discrepancy of a Gaussian kernel on directions (Jayasumana et al. 2024, 2401.09603).

The paper writes the unbiased estimator; its code, which made its numbers, the one of least variance, that also counts
the pairs of an image with itself. It is the latter here, so that values compare.
"""

from __future__ import annotations

import numpy as np

from bench.metrics.checks import check_features

SIGMA = 10.0  # the authors' width of the kernel, for features of length 1
FACTOR = 1000.0  # and what they multiply by, for numbers that are easier to read
ROWS = 1024  # rows and columns of a kernel matrix held at once


def gaussian_mmd(real: np.ndarray, fake: np.ndarray, within_real: float | None = None) -> float:
    """1000 (mean k(x, x') + mean k(y, y') - 2 mean k(x, y)), k(x, y) = exp(-|x - y|^2 / 200).

    real (N, D), fake (M, D). Features are scaled to length 1, as CLIP's embeddings are there; one of length 0 stays as
    it is. within_real: `mean_kernel(real, real)`, where it is known. At least 0.
    Raises UserError for differing D, fewer than 2 rows, NaN or infinity.
    """
    real, fake = np.asarray(real), np.asarray(fake)
    check_features(real=real, fake=fake)
    within = mean_kernel(real, real) if within_real is None else within_real
    return FACTOR * max(0.0, within + mean_kernel(fake, fake) - 2 * mean_kernel(real, fake))


def mean_kernel(one: np.ndarray, other: np.ndarray) -> float:
    """The mean of k - 1 over all pairs of (N, D) and (M, D): the ones cancel, and small numbers keep digits."""
    total = 0.0
    for first in range(0, len(one), ROWS):
        rows, lengths = _directions(one[first : first + ROWS])
        for second in range(0, len(other), ROWS):
            columns, others = _directions(other[second : second + ROWS])
            squared = lengths[:, None] + others - 2 * rows @ columns.T
            total += float(np.expm1(-squared.clip(0) / (2 * SIGMA**2)).sum())
    return total / (len(one) * len(other))


def _directions(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features at length 1, and their squared lengths: 1, or 0."""
    directions = features.astype(np.float64)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    np.divide(directions, lengths, out=directions, where=lengths > 0)
    return directions, (lengths[:, 0] > 0).astype(np.float64)
