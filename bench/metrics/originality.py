"""Who is a copy: authenticity, and whether a generated image is nearer to training images than to held-out ones."""

from __future__ import annotations

import numpy as np

from bench.metrics.checks import check_features
from bench.metrics.distances import SquaredDistances


def authentic_share(train: np.ndarray, fake: np.ndarray) -> float:
    """The share of fakes (M, D) that are no copies of their nearest training feature (T, D); in [0, 1].

    A fake is a copy if it is at most as far from that training feature as the nearest other training feature is (Alaa
    et al. 2022, arXiv 2102.08921, without their one-class embedding). A generator that is merely bad copies
    nothing: all its images may be authentic. Raises UserError for differing D, fewer than 2 rows, NaN or infinity.
    """
    train, fake = np.asarray(train), np.asarray(fake)
    check_features(training=train, fake=fake)
    places, distances = SquaredDistances(train, fake).nearest()
    # Only of training features that are some fake's nearest the distance to another one is needed.
    asked, back = np.unique(places, return_inverse=True)
    to_another = SquaredDistances(train, train[asked]).smallest(1)
    return float(np.mean(distances > to_another[back]))


def nearest_training_share(train: np.ndarray, test: np.ndarray, fake: np.ndarray) -> float:
    """The share of fakes (M, D) whose nearest of all training (T, D) and test features (N, D) is a training one.

    About T / (T + N) for fakes from the distribution of both, 1 for copies; equally near to both counts half.
    Raises UserError for differing D, fewer than 2 rows, NaN or infinity.
    """
    train, test, fake = (np.asarray(part) for part in (train, test, fake))
    check_features(training=train, test=test, fake=fake)
    to_train, to_test = (SquaredDistances(part, fake).smallest(0) for part in (train, test))
    return float(np.mean((to_train < to_test) + 0.5 * (to_train == to_test)))
