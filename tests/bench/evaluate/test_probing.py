"""A linear classifier on features: against an independent minimisation and what its minimum must fulfil."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from bench.errors import UserError
from bench.evaluate.probing import fit_probe
from bench.metrics.classes import top_accuracy


def clusters(count, classes=3, apart=2.0, seed=0, dims=4):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return rng.normal(size=(count, dims)) + apart * np.eye(classes, dims)[labels], labels


def standard(features):
    return (features - features.mean(0)) / features.std(0)


def test_it_is_the_minimum_of_the_penalised_cross_entropy():
    features, labels = clusters(60)
    x, one_hot = standard(features), np.eye(3)[labels]

    def loss(flat):
        weights, bias = flat[:12].reshape(3, 4), flat[12:]
        return -(one_hot * log_softmax(x @ weights.T + bias, axis=1)).sum() + (weights**2).sum() / (2 * 0.5)

    best = minimize(loss, np.zeros(15), method="BFGS", options={"gtol": 1e-6})
    probe = fit_probe(features, labels, 3, 0.5, 500)
    found = np.concatenate([probe.weights_KD.ravel(), probe.bias_K])
    assert loss(found) == pytest.approx(best.fun, rel=1e-6)
    # L-BFGS stops at a gradient of 1e-4; a constant on all biases is free.
    assert probe.weights_KD == pytest.approx(best.x[:12].reshape(3, 4), abs=1e-3)
    assert probe.bias_K - probe.bias_K.mean() == pytest.approx(best.x[12:] - best.x[12:].mean(), abs=1e-3)


@pytest.mark.parametrize("classes", [2, 5])
def test_at_the_minimum_the_gradient_is_zero_and_classes_are_as_frequent_as_predicted(classes):
    features, labels = clusters(200, classes, dims=6)
    probe = fit_probe(features, labels, classes, 1.0, 500)
    wrong = softmax(probe.logits(features), axis=1) - np.eye(classes)[labels]
    assert wrong.sum(0) == pytest.approx(np.zeros(classes), abs=0.05)
    if classes > 2:  # of two classes scikit-learn's weights are of their difference
        assert wrong.T @ standard(features) + probe.weights_KD == pytest.approx(np.zeros((classes, 6)), abs=0.05)


def test_scale_and_place_of_a_feature_change_nothing():
    features, labels = clusters(90)
    moved = features * [1e4, 1e-3, 1.0, 7.0] + [5.0, 0.0, -300.0, 1.0]
    one, other = (fit_probe(given, labels, 3, 1.0, 500) for given in (features, moved))
    assert one.logits(features) == pytest.approx(other.logits(moved), abs=1e-3)
    constant = np.concatenate([features, np.full((90, 1), 3.7)], axis=1)
    assert fit_probe(constant, labels, 3, 1.0, 500).logits(constant) == pytest.approx(one.logits(features), abs=1e-3)


def test_features_that_say_less_are_told_less():
    """From clusters far apart to noise, on samples that were not fitted; the training images are told better."""
    shares = []
    for apart in (6.0, 2.0, 1.0, 0.0):
        features, labels = clusters(300, apart=apart)
        fresh, true = clusters(300, apart=apart, seed=1)
        probe = fit_probe(features, labels, 3, 1.0, 500)
        shares.append(top_accuracy(probe.logits(fresh), true))
    assert shares == sorted(shares, reverse=True) and shares[0] > 0.99 and abs(shares[-1] - 1 / 3) < 0.12
    wide, labels = clusters(60, apart=0.0, dims=100)
    probe = fit_probe(wide, labels, 3, 1.0, 500)
    assert top_accuracy(probe.logits(wide), labels) == 1, "100 numbers of 60 images tell any labels"


@pytest.mark.parametrize(
    ("labels", "steps", "message"),
    [
        ([0, 1, 3] * 10, 500, "from 0 to 3 do not fit 30 images of classes 0 to 2"),
        ([0, 1] * 15, 500, "class 2 has no training image"),
        ([0, 1, 2] * 10, 1, "not at its minimum after 1 steps"),
    ],
)
def test_what_cannot_be_fitted(labels, steps, message):
    with pytest.raises(UserError, match=message):
        fit_probe(clusters(30)[0], np.array(labels), 3, 1.0, steps)
