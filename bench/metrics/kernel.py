"""The kernel distance: unbiased squared MMD, cubic kernel (Bińkowski et al. 2018, arXiv 1801.01401)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench import seeds
from bench.errors import UserError
from bench.metrics.checks import check_features

BLOCK = 2048  # features whose kernel with as many others is held at once; more only rounds sums otherwise
STRIP = 64  # rows of that which fit a core's cache
_SUBSET = 1000  # the size of a subset in the paper


class KernelDistance(NamedTuple):
    """The estimate and its standard error; what the error is over depends on the estimator (`kernel_distance`)."""

    mean: float
    standard_error: float


def kernel_distance(
    real: np.ndarray,
    fake: np.ndarray,
    subsets: int | None = None,
    subset_size: int | None = None,
    seed: int = 0,
) -> KernelDistance:
    """Squared MMD, k(x, y) = (x.y / D + 1)^3, of features (N, D) and (M, D); unbiased, may be negative.

    subsets None: the U-statistic over all pairs, which has the least variance and no randomness. The standard error
    is the two-sample delete-one jackknife (Arvesen 1969): the spread to expect if both sets were drawn anew. Where the
    distributions are equal, the statistic is degenerate and this error is too large.
    subsets n: the mean over n seeded subsets of `subset_size` (default: 1000, or all where there are fewer), as in the
    papers' code. The standard error is that of this mean over draws of subsets from these two sets. It vanishes with
    n, and does not tell how other samples would score.

    Raises UserError for differing D, fewer than 2 rows, NaN or infinity, subset_size > N or M, subsets < 2.
    """
    real, fake = np.asarray(real), np.asarray(fake)
    check_features(real=real, fake=fake)
    if subsets is None:
        if subset_size is not None:
            raise UserError(f"subset_size={subset_size} has no effect without subsets; give subsets, e.g. subsets=100")
        return _jackknife(real, fake)
    least = min(len(real), len(fake))
    size = min(_SUBSET, least) if subset_size is None else subset_size
    if not 2 <= size <= least:
        raise UserError(f"subset_size={size} must be 2 to {least}, the smaller of the two sets")
    if subsets < 2:
        raise UserError(f"subsets={subsets} must be at least 2, or None for the statistic over all pairs")
    return _subset_mean(real, fake, subsets, size, seed)


def _subset_mean(real: np.ndarray, fake: np.ndarray, subsets: int, size: int, seed: int) -> KernelDistance:
    stream = seeds.numpy_stream(seed, "kernel distance")
    values = [
        _statistic(
            _Sums.of(
                real[stream.choice(len(real), size, replace=False)],
                fake[stream.choice(len(fake), size, replace=False)],
            )
        )
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(subsets)))


class _Sums(NamedTuple):
    """Kernel sums of each sample: over its own set without itself, and over the other set."""

    real_own: np.ndarray
    real_other: np.ndarray
    fake_own: np.ndarray
    fake_other: np.ndarray

    @classmethod
    def of(cls, real: np.ndarray, fake: np.ndarray) -> _Sums:
        real_other, fake_other = _sums_across(real, fake)
        return cls(_sums_within(real), real_other, _sums_within(fake), fake_other)


def _sums_within(features: np.ndarray) -> np.ndarray:
    """Of each feature (N,) over the others. As k(x, y) = k(y, x), half of the blocks give all."""
    sums = np.zeros(len(features))
    for first in range(0, len(features), BLOCK):
        block = _wide(features, first)
        sums[first : first + BLOCK] += _sums_of_block(block, block)[0]
        for other in range(first + BLOCK, len(features), BLOCK):
            rows, columns = _sums_of_block(block, _wide(features, other))
            sums[first : first + BLOCK] += rows
            sums[other : other + BLOCK] += columns
    return sums


def _sums_across(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the kernel matrix (len(a), len(b)) along both axes."""
    of_a, of_b = np.zeros(len(a)), np.zeros(len(b))
    for first in range(0, len(a), BLOCK):
        block = _wide(a, first)
        for other in range(0, len(b), BLOCK):
            rows, columns = _sums_of_block(block, _wide(b, other))
            of_a[first : first + BLOCK] += rows
            of_b[other : other + BLOCK] += columns
    return of_a, of_b


def _wide(features: np.ndarray, first: int) -> np.ndarray:
    return features[first : first + BLOCK].astype(np.float64)


def _sums_of_block(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums along both axes of the kernel of two blocks in float64; of a block and itself, without its diagonal."""
    products = a @ b.T  # of a block and itself numpy computes one half
    rows, columns = np.empty(len(a)), np.zeros(len(b))
    # A few rows at a time, so that these passes stay in the cache
    for start in range(0, len(a), STRIP):
        strip = products[start : start + STRIP]
        strip /= a.shape[1]
        strip += 1
        if a is b:
            np.fill_diagonal(strip[:, start:], 0)
        cubed = strip * strip
        cubed *= strip
        rows[start : start + STRIP] = cubed.sum(axis=1)
        columns += cubed.sum(axis=0)
    return rows, columns


def _statistic(sums: _Sums) -> float:
    """Eq. 4 of the paper."""
    m, n = len(sums.real_own), len(sums.fake_own)
    within = sums.real_own.sum() / (m * (m - 1)) + sums.fake_own.sum() / (n * (n - 1))
    return float(within - 2 * sums.real_other.sum() / (m * n))


def _jackknife(real: np.ndarray, fake: np.ndarray) -> KernelDistance:
    sums = _Sums.of(real, fake)
    m, n = len(real), len(fake)
    value = _statistic(sums)
    if min(m, n) < 3:
        return KernelDistance(value, float("nan"))  # leaving one out leaves no pair
    # The statistic without each real, and without each fake, in closed form from the kernel sums.
    across = sums.real_other.sum()
    within_real, within_fake = sums.real_own.sum(), sums.fake_own.sum()
    without_real = (
        (within_real - 2 * sums.real_own) / ((m - 1) * (m - 2))
        + within_fake / (n * (n - 1))
        - 2 * (across - sums.real_other) / ((m - 1) * n)
    )
    without_fake = (
        within_real / (m * (m - 1))
        + (within_fake - 2 * sums.fake_own) / ((n - 1) * (n - 2))
        - 2 * (across - sums.fake_other) / (m * (n - 1))
    )
    # Delete-one jackknife of two samples: (n - 1) times the variance of each set of leave-one-out values.
    variance = (m - 1) * without_real.var() + (n - 1) * without_fake.var()
    return KernelDistance(value, float(np.sqrt(variance)))
