"""The Fréchet distance between two feature sets, without a matrix square root.

For Gaussians with means m and covariances S (Dowson and Landau 1982; Heusel et al. 2017, arXiv 1706.08500,
Eq. 6): d^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2). With S1 = F1'F1, the last trace is the sum of
the square roots of the eigenvalues of the symmetric F1 S2 F1', and also the sum of the singular values of F1
F2'. Either is exact for rank-deficient covariances, needs no offset and never leaves the real numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg

from bench.errors import UserError
from bench.metrics.checks import check_features
from bench.metrics.eigenvalues import symmetric_eigenvalues

_ROWS = 2048  # features that are in float64 at once; more only rounds a covariance otherwise, in the last digit


@dataclass(frozen=True)
class GaussianFit:
    """Mean (D,) and spread of a feature set, in float64; keep it where many snapshots share a reference.

    For up to D samples the spread is kept as the centred rows over sqrt(N - 1), a factor of the covariance that is
    smaller than it. For more it is the covariance (D, D), of which only the upper triangle is read.
    """

    mean: np.ndarray
    rows: np.ndarray | None
    covariance: np.ndarray | None

    @cached_property
    def factor(self) -> np.ndarray:
        """F (R, D) with F'F = covariance."""
        return self.rows if self.rows is not None else _upper_factor(self._covariance)

    @cached_property
    def triangular(self) -> bool:
        """Whether the factor is upper triangular, as Cholesky gives it."""
        return self.factor.shape[0] == self.factor.shape[1] and not np.tril(self.factor, -1).any()

    @property
    def _covariance(self) -> np.ndarray:
        assert self.covariance is not None
        return self.covariance

    @cached_property
    def trace(self) -> float:
        """The total variance."""
        return float((self.rows**2).sum() if self.rows is not None else np.trace(self._covariance))


def fit_gaussian(features: np.ndarray, name: str = "given") -> GaussianFit:
    """Mean and unbiased covariance (ddof 1, as clean-fid) of features (N, D), N >= 2, finite.

    name: what errors call the set. Raises UserError for too few rows, another shape, NaN or infinity.
    """
    check_features(**{name: features})
    count, width = features.shape
    mean = features.mean(axis=0, dtype=np.float64)
    # No more rows than columns: keep the scaled rows, a factor of the covariance, instead of its (D, D) matrix.
    if count <= width:
        return GaussianFit(mean, np.subtract(features, mean, dtype=np.float64) / np.sqrt(count - 1), None)
    covariance, memory = np.zeros((width, width), order="F"), np.empty((min(count, _ROWS), width))
    for start in range(0, count, _ROWS):
        part = features[start : start + _ROWS]
        centred = np.subtract(part, mean, out=memory[: len(part)])
        covariance = linalg.blas.dsyrk(1 / (count - 1), centred.T, beta=1, c=covariance, overwrite_c=1)
    return GaussianFit(mean, None, covariance)


def gaussian_from_moments(mean: np.ndarray, covariance: np.ndarray) -> GaussianFit:
    """The fit that statistics (D,), (D, D) describe. Raises UserError for shapes that do not match."""
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise UserError(f"moments have shapes {mean.shape} and {covariance.shape}, must be (D,) and (D, D)")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UserError("moments hold NaN or infinite values, must be finite")
    return GaussianFit(mean, None, covariance)


def frechet_distance(
    real: np.ndarray | GaussianFit, fake: np.ndarray | GaussianFit, root: Callable[..., float] | None = None
) -> float:
    """The squared Fréchet distance (the quantity called FID on Inception features); at least 0.

    real, fake: features (N, D), N >= 2, or fits of them. root: what computes tr (S1 S2)^(1/2) of two fits in place of
    this file's, as bench.metrics.frechet_on_device does. Raises UserError for differing D, N < 2, NaN or infinity.
    """
    a = real if isinstance(real, GaussianFit) else fit_gaussian(np.asarray(real), "real")
    b = fake if isinstance(fake, GaussianFit) else fit_gaussian(np.asarray(fake), "fake")
    if len(a.mean) != len(b.mean):
        raise UserError(f"fake features have {len(b.mean)} columns, real ones {len(a.mean)}; must be the same")
    offset = a.mean - b.mean
    return max(0.0, float(offset @ offset) + a.trace + b.trace - 2 * (root or _trace_of_root)(a, b))


def _trace_of_root(a: GaussianFit, b: GaussianFit) -> float:
    """tr (Sa Sb)^(1/2)."""
    if a.rows is not None and b.rows is not None:
        return float(linalg.svdvals(a.rows @ b.rows.T).sum())
    # The side with a covariance stays whole; the other one is factored. Of two covariances the first is
    # factored: it is the reference, whose factor is kept.
    inner, outer = (a, b) if b.covariance is not None else (b, a)
    eigenvalues = symmetric_eigenvalues(_sandwich(inner, outer._covariance))
    return float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())


def _sandwich(fit: GaussianFit, upper: np.ndarray) -> np.ndarray:
    """The upper triangle of F S F', (R, R), from F of a fit and the upper triangle of S; a triangular F saves work."""
    factor = fit.factor
    if fit.triangular:
        product, failed = linalg.lapack.dsygst(upper, factor, itype=2)
        assert not failed, "dsygst refused its arguments"
        return np.asarray(product)
    whole = np.triu(upper) + np.triu(upper, 1).T
    return factor @ whole @ factor.T


def _upper_factor(covariance: np.ndarray) -> np.ndarray:
    """U (R, D) with U'U = covariance, of its rank R: Cholesky, pivoted where the matrix is singular."""
    try:
        return np.asarray(linalg.cholesky(covariance, check_finite=False))
    except linalg.LinAlgError:
        pass  # rank-deficient: the pivoted form stops at the rank
    upper, pivots, rank, _ = linalg.lapack.dpstrf(covariance, lower=0)
    unpivoted = np.empty((rank, len(covariance)))
    unpivoted[:, pivots - 1] = np.triu(upper)[:rank]
    return unpivoted
