"""The Vendi score: how many different images a set holds (Friedman and Dieng 2023, arXiv 2210.02410)."""

from __future__ import annotations

import numpy as np

from bench.metrics.checks import check_features
from bench.metrics.eigenvalues import symmetric_eigenvalues

ROWS = 2048  # features that are converted to float64 at once


def vendi_score(features: np.ndarray) -> float:
    """exp of the entropy of the eigenvalues of K / N, K the cosines between features (N, D): from 1 to min(N, D).

    (Definition 3.1.) The eigenvalues that are not 0 are those of the D x D matrix too, so the smaller one is
    decomposed. Features of length 0 have no direction: they count as equal to each other and unlike all others.
    Raises UserError for fewer than 2 rows, NaN or infinity.
    """
    features = np.asarray(features)
    check_features(generated=features)
    lengths = np.sqrt(np.einsum("nd,nd->n", features, features, dtype=np.float64))
    pointed = lengths > 0
    eigenvalues = symmetric_eigenvalues(_gram(features[pointed], lengths[pointed])) / len(features)
    shares = np.append(eigenvalues, np.mean(~pointed)).clip(0)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _gram(features: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """X X' or X'X of the directions X, whichever is smaller, in float64."""
    count, width = features.shape
    if count <= width:
        directions = features / lengths[:, None].astype(np.float64)
        return np.asarray(directions @ directions.T)
    gram = np.zeros((width, width))
    for first in range(0, count, ROWS):
        part = features[first : first + ROWS] / lengths[first : first + ROWS, None]
        gram += part.T @ part
    return gram
