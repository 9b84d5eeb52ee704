"""A linear classifier on features: multinomial logistic regression, as probes of frozen networks have it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from bench.errors import UserError
from bench.metrics.checks import check_features


@dataclass(frozen=True)
class Probe:
    """A fitted classifier of features (N, D), which are standardised by the features it was fitted on."""

    mean_D: np.ndarray
    deviation_D: np.ndarray
    weights_KD: np.ndarray
    bias_K: np.ndarray

    def logits(self, features_ND: np.ndarray) -> np.ndarray:
        """(N, K) float64, of the classes in their order."""
        standard_ND = (features_ND.astype(np.float64) - self.mean_D) / self.deviation_D
        return standard_ND @ self.weights_KD.T + self.bias_K


def fit_probe(features_ND: np.ndarray, labels_N: np.ndarray, classes: int, inverse_penalty: float, steps: int) -> Probe:
    """The minimum of the summed cross entropy + |W|^2 / (2 C), the bias free, by L-BFGS (scikit-learn).

    features_ND: of training images; each number is shifted and scaled to mean 0 and deviation 1 (a constant one to 0),
    as numbers of one layer may differ in size by orders. labels_N: 0 to classes - 1. inverse_penalty: C. steps: at most
    so many iterations.

    Raises UserError for features that are not finite, labels of other classes, a class without an image, and where the
    iterations end before the minimum.
    """
    check_features(training=features_ND)
    labels_N = np.asarray(labels_N)
    present = np.unique(labels_N)
    if len(labels_N) != len(features_ND) or present[0] < 0 or present[-1] >= classes:
        raise UserError(f"{len(labels_N)} labels from {present[0]} to {present[-1]} do not fit {len(features_ND)} "
                        f"images of classes 0 to {classes - 1}")  # fmt: skip
    if len(present) < classes:
        missing = min(set(range(classes)) - set(present.tolist()))
        raise UserError(f"class {missing} has no training image; every class needs one to be told")

    # Standardised in float64, of which the solver's stopping rule does not depend on the layer's scale.
    mean_D = features_ND.mean(axis=0, dtype=np.float64)
    deviation_D = features_ND.std(axis=0, dtype=np.float64)
    deviation_D[deviation_D <= 1e-12 * np.abs(mean_D).max(initial=1.0)] = 1.0
    standard_ND = (features_ND - mean_D) / deviation_D
    model = LogisticRegression(C=inverse_penalty, max_iter=steps)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(standard_ND, labels_N)
        except ConvergenceWarning as warning:
            raise UserError(
                f"the linear classifier is not at its minimum after {steps} steps; give it more"
            ) from warning

    # Of two classes scikit-learn has one logit, of the second: the first one's is 0.
    weights_KD, bias_K = model.coef_, model.intercept_
    if classes == 2:
        weights_KD, bias_K = np.concatenate([0 * weights_KD, weights_KD]), np.concatenate([0 * bias_K, bias_K])
    return Probe(mean_D, deviation_D, weights_KD, bias_K)
