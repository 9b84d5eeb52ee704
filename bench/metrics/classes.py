"""The inception score: how sure and how varied a classifier's predictions on generated images are."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy.special import rel_entr

from bench.errors import UserError
from bench.metrics.checks import check_features


class InceptionScore(NamedTuple):
    """Mean and deviation (ddof 0, as published) over the splits; from 1 to the number of classes."""

    mean: float
    sd: float


def inception_score(probabilities: np.ndarray, splits: int = 10) -> InceptionScore:
    """exp of the mean KL divergence between p(class | image) and p(class) (Salimans et al. 2016, 1606.03498).

    probabilities: (N, classes), rows that sum to 1, in the order of generation; `splits` consecutive parts
    are scored one by one. Raises UserError for rows that are no distributions, and for splits < 1 or > N / 2.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    check_features(probabilities=probabilities)
    if probabilities.min() < 0 or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-4):
        raise UserError("probabilities must be at least 0 and sum to 1 in each row (apply the softmax first)")
    if not 1 <= splits <= len(probabilities) // 2:
        raise UserError(f"splits={splits} must be 1 to {len(probabilities) // 2} with {len(probabilities)} rows")
    # Consecutive parts whose sizes differ by at most one.
    edges = [len(probabilities) * i // splits for i in range(splits + 1)]
    scores = []
    for start, stop in itertools.pairwise(edges):
        part = probabilities[start:stop]
        scores.append(np.exp(rel_entr(part, part.mean(axis=0)).sum(axis=1).mean()))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))


def top_accuracy(logits_NK: np.ndarray, labels_N: np.ndarray, k: int = 1) -> float:
    """The share of images whose class is among the k largest logits; of equal ones the first class is the larger.

    Raises UserError for a k that is not from 1 to K, other counts of labels, and logits that are not finite.
    """
    logits_NK, labels_N = np.asarray(logits_NK), np.asarray(labels_N)
    if logits_NK.ndim != 2 or labels_N.shape != logits_NK.shape[:1] or not len(labels_N):
        raise UserError(f"logits have shape {logits_NK.shape} and labels {labels_N.shape}, must be (N, K) and (N,)")
    if not 1 <= k <= logits_NK.shape[1]:
        raise UserError(f"k={k} must be 1 to {logits_NK.shape[1]}, the number of classes")
    if not np.isfinite(logits_NK).all():
        raise UserError("logits hold NaN or infinite values, must be finite")
    own_NK = logits_NK[np.arange(len(labels_N)), labels_N][:, None]
    before_NK = (logits_NK == own_NK) & (np.arange(logits_NK.shape[1]) < labels_N[:, None])
    return float((((logits_NK > own_NK) | before_NK).sum(axis=1) < k).mean())
