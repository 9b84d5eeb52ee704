"""The data-copying test C_T (Meehan, Chaudhuri and Dasgupta 2020, arXiv 2004.05675).

If a generator copies, its samples lie closer to the training set than fresh data of the same distribution do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from bench import seeds
from bench.errors import UserError
from bench.metrics.checks import check_features

COMPONENTS = 64  # the authors' choice for Inception features
LEAST = 20  # a cell needs more generated samples than this, so that its statistic is near normal


class DataCopying(NamedTuple):
    """Standard-normal scores: far below 0 is copying, far above 0 underfitting, |value| < 3 neither."""

    c_t: float  # over cells
    z_global: float  # Z_U over the whole space, without cells
    cells: int  # asked for
    cells_used: int  # with more than 20 generated samples and at least one test sample
    test_share: float  # the share of the test set that lies in the cells used


def data_copying(
    train: np.ndarray,
    test: np.ndarray,
    generated: np.ndarray,
    cells: int = 3,
    seed: int = 0,
    *,
    components: int = COMPONENTS,
) -> DataCopying:
    """C_T of features train (T, D), test (N, D), generated (M, D).

    The features are projected by PCA of the training set, to `components` where there are more. Seeded k-means on
    the training set then cuts the space into `cells`. In each cell, Z_U compares distances to the nearest training
    sample. C_T is the mean of Z_U over the cells with enough generated samples, weighted by each cell's share of the
    test set (Eq. 4 of the paper). A cell without test samples has weight 0 and is left out.

    Raises UserError for differing D, NaN or infinity, cells < 1 or >= T, and where no cell can be used.
    """
    return CopyingTest(train, test, cells, seed, components=components)(generated)


class CopyingTest:
    """The test of one training and one test set, ready for several generated ones: axes and cells are found once.

    Arguments and errors are those of `data_copying`.
    """

    def __init__(
        self, train: np.ndarray, test: np.ndarray, cells: int = 3, seed: int = 0, *, components: int = COMPONENTS
    ) -> None:
        train, test = np.asarray(train), np.asarray(test)
        check_features(train=train, test=test)
        if not 1 <= cells < len(train):
            raise UserError(f"cells={cells} must be 1 to {len(train) - 1} with {len(train)} train features")
        self._shape, self._cells = train.shape[1:], cells
        # The axes, and the cells: k-means of the training set in the projected space
        self._pca = None
        if min(train.shape) > components:
            self._pca = PCA(components, random_state=_state(seed, "pca")).fit(train)
        train, test = self._project(train), self._project(test)
        self._clusters = KMeans(cells, n_init=10, random_state=_state(seed, "cells")).fit(train.astype(np.float64))
        in_train, in_test = (self._clusters.predict(part.astype(np.float64)) for part in (train, test))
        self._whole = _Region(train, test)
        self._regions = [_Region(train[in_train == cell], test[in_test == cell]) for cell in range(cells)]

    def __call__(self, generated: np.ndarray) -> DataCopying:
        """The statistic of generated features (M, D)."""
        generated = np.asarray(generated)
        check_features(train=np.zeros((2, *self._shape)), generated=generated)
        projected = self._project(generated)
        in_generated = self._clusters.predict(projected.astype(np.float64))
        # Z_U of each cell that can be used, with the cell's share of the test set as its weight.
        scores, weights = [], []
        for cell, region in enumerate(self._regions):
            members = projected[in_generated == cell]
            if len(members) > LEAST and len(region.test) and len(region.train):
                scores.append(region.z_score(members))
                weights.append(len(region.test) / len(self._whole.test))
        if not scores:
            raise UserError(
                f"data copying: none of {self._cells} cells holds test features and more than {LEAST} of the "
                f"{len(generated)} generated; give more generated features or fewer cells"
            )
        return DataCopying(
            c_t=float(np.average(scores, weights=weights)),
            z_global=self._whole.z_score(projected),
            cells=self._cells,
            cells_used=len(scores),
            test_share=float(sum(weights)),
        )

    def _project(self, features: np.ndarray) -> np.ndarray:
        return features if self._pca is None else self._pca.transform(features)


@dataclass(frozen=True)
class _Region:
    """The training and the test features of a part of the space."""

    train: np.ndarray
    test: np.ndarray

    def z_score(self, generated: np.ndarray) -> float:
        """Z_U (Eq. 2): the Mann-Whitney statistic of distances to `train`, standardised without a tie correction.

        Its mean is nm/2 - 1/2 as in the authors' code, so that values compare.
        """
        far_generated = self._nearest.kneighbors(generated)[0].ravel()
        n, m = len(self.test), len(generated)
        u = mannwhitneyu(far_generated, self._far_test, alternative="less", method="asymptotic").statistic
        return float((u - (n * m / 2 - 0.5)) / np.sqrt(n * m * (n + m + 1) / 12))

    @cached_property
    def _nearest(self) -> NearestNeighbors:
        return NearestNeighbors(n_neighbors=1).fit(self.train)

    @cached_property
    def _far_test(self) -> np.ndarray:
        distances: np.ndarray = self._nearest.kneighbors(self.test)[0].ravel()
        return distances


def _state(seed: int, purpose: str) -> int:
    """A 32-bit random state for scikit-learn."""
    return seeds.derive(seed, "data copying", purpose) % 2**32
