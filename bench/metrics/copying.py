"""The data-copying test C_T (Meehan, Chaudhuri and Dasgupta 2020, arXiv 2004.05675).

If a generator copies, its samples lie closer to the training set than fresh data of the same distribution do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from bench import seeds
from bench.errors import UserError
from bench.metrics.checks import check_features

_COMPONENTS = 64  # the authors' choice for Inception features
_LEAST = 20  # a cell needs more generated samples than this, so that its statistic is near normal


class DataCopying(NamedTuple):
    """Standard-normal scores: far below 0 is copying, far above 0 underfitting, |value| < 3 neither."""

    c_t: float  # over cells
    z_global: float  # Z_U over the whole space, without cells
    cells: int  # asked for
    cells_used: int  # with more than 20 generated samples and at least one test sample
    test_share: float  # the share of the test set that lies in the cells used


def data_copying(
    train: np.ndarray, test: np.ndarray, generated: np.ndarray, cells: int = 3, seed: int = 0
) -> DataCopying:
    """C_T of features train (T, D), test (N, D), generated (M, D).

    The features are projected by PCA of the training set, to 64 components where there are more. Seeded k-means on
    the training set then cuts the space into `cells`. In each cell, Z_U compares distances to the nearest training
    sample. C_T is the mean of Z_U over the cells with enough generated samples, weighted by each cell's share of the
    test set (Eq. 4 of the paper). A cell without test samples has weight 0 and is left out.

    Raises UserError for differing D, NaN or infinity, cells < 1 or >= T, and where no cell can be used.
    """
    train, test, generated = (np.asarray(part) for part in (train, test, generated))
    check_features(train=train, test=test, generated=generated)
    if not 1 <= cells < len(train):
        raise UserError(f"cells={cells} must be 1 to {len(train) - 1} with {len(train)} train features")
    # The cells: k-means of the training set in the projected space.
    train, test, generated = _project(train, test, generated, seed)
    clusters = KMeans(cells, n_init=10, random_state=_state(seed, "cells")).fit(train.astype(np.float64))
    in_train, in_test, in_generated = (clusters.predict(part.astype(np.float64)) for part in (train, test, generated))
    # Z_U of each cell that can be used, with the cell's share of the test set as its weight.
    scores, weights = [], []
    for cell in range(cells):
        members = train[in_train == cell], test[in_test == cell], generated[in_generated == cell]
        if len(members[2]) > _LEAST and len(members[1]) and len(members[0]):
            scores.append(_z_score(*members))
            weights.append(len(members[1]) / len(test))
    if not scores:
        raise UserError(
            f"data copying: none of {cells} cells holds test features and more than {_LEAST} of the "
            f"{len(generated)} generated; give more generated features or fewer cells"
        )
    return DataCopying(
        c_t=float(np.average(scores, weights=weights)),
        z_global=_z_score(train, test, generated),
        cells=cells,
        cells_used=len(scores),
        test_share=float(sum(weights)),
    )


def _state(seed: int, purpose: str) -> int:
    """A 32-bit random state for scikit-learn."""
    return seeds.derive(seed, "data copying", purpose) % 2**32


def _project(
    train: np.ndarray, test: np.ndarray, generated: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if min(train.shape) <= _COMPONENTS:
        return train, test, generated
    pca = PCA(_COMPONENTS, random_state=_state(seed, "pca")).fit(train)
    return pca.transform(train), pca.transform(test), pca.transform(generated)


def _z_score(train: np.ndarray, test: np.ndarray, generated: np.ndarray) -> float:
    """Z_U (Eq. 2): the Mann-Whitney statistic of distances to `train`, standardised without a tie correction.

    Its mean is nm/2 - 1/2 as in the authors' code, so that values compare.
    """
    nearest = NearestNeighbors(n_neighbors=1).fit(train)
    far_test = nearest.kneighbors(test)[0].ravel()
    far_generated = nearest.kneighbors(generated)[0].ravel()
    n, m = len(far_test), len(far_generated)
    u = mannwhitneyu(far_generated, far_test, alternative="less", method="asymptotic").statistic
    return float((u - (n * m / 2 - 0.5)) / np.sqrt(n * m * (n + m + 1) / 12))
