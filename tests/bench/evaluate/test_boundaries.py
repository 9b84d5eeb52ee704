"""Boundaries of attributes: against closed forms and an independent solver of the SVM; correlations against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from bench.errors import UserError
from bench.evaluate.boundaries import boundary, correlations

RNG = np.random.default_rng


def test_two_codes_have_the_plane_in_their_middle():
    """Of one code on each side the SVM is the middle plane, as long as C = 1 does not bend it: |w| = 2 / distance."""
    codes = np.array([[-2.0, 1], [4, 9], [0.3, 4.2], [1.7, 6.1]])
    found = boundary(codes, np.array([0.0, 1, 0.4, 0.6]), 1, 1.0, RNG(0))
    apart = codes[1] - codes[0]
    assert found.normal_Z == pytest.approx(apart / 10, abs=1e-3)  # libsvm stops at a tolerance of 1e-3
    assert found.offset == pytest.approx(-found.normal_Z @ (codes[0] + codes[1]) / 2, abs=1e-2)
    assert (found.accuracy, found.majority) == (1.0, 0.5)


def test_the_svm_minimises_the_published_objective():
    """1/2 |w|^2 + sum of hinge losses, by a dual solved independently (SLSQP), where the sides overlap."""
    rng = RNG(1)
    codes = rng.normal(size=(40, 3))
    scores = codes @ [1.0, -0.5, 0] + rng.normal(size=40)
    found = boundary(codes, scores, 15, 1.0, RNG(0))

    order = np.argsort(scores, kind="stable")
    x, y = codes[np.r_[order[:15], order[-15:]]], np.repeat([-1.0, 1.0], 15)
    gram = (y[:, None] * x) @ (y[:, None] * x).T
    dual = minimize(
        lambda a: a @ gram @ a / 2 - a.sum(), np.full(30, 0.1), jac=lambda a: gram @ a - 1, method="SLSQP",
        bounds=[(0, 1)] * 30, constraints={"type": "eq", "fun": lambda a: a @ y, "jac": lambda a: y},
        options={"maxiter": 500, "ftol": 1e-12},
    ).x  # fmt: skip
    w = (dual * y) @ x
    inside = (dual > 1e-4) & (dual < 1 - 1e-4)
    bias = (y[inside] - x[inside] @ w).mean()
    # Both solvers stop where the dual is met to 1e-3.
    assert found.normal_Z == pytest.approx(w / np.linalg.norm(w), abs=5e-3)
    assert found.offset == pytest.approx(bias / np.linalg.norm(w), abs=1e-2)
    between = order[15:-15]
    answer = scores[between] > (scores.min() + scores.max()) / 2
    assert found.accuracy == ((codes[between] @ w + bias > 0) == answer).mean()
    assert found.majority == max(answer.mean(), 1 - answer.mean())


def test_the_better_the_score_follows_a_direction_the_higher_the_accuracy():
    """Scores that a direction decides, and the same with more and more noise until nothing is left of it."""
    codes, rng = RNG(2).normal(size=(3000, 8)), RNG(3)
    direction = np.ones(8) / 8**0.5
    noise = rng.normal(size=3000)
    accuracies = []
    for share in (0.0, 0.5, 0.9, 1.0):
        found = boundary(codes, (1 - share) * codes @ direction + share * noise, 200, 0.7, RNG(0))
        accuracies.append(found.accuracy)
        if share == 0:
            assert found.normal_Z == pytest.approx(direction, abs=0.12) and abs(found.offset) < 0.1
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 0.97 and abs(accuracies[-1] - 0.5) < 4 * 0.5 / 2600**0.5


def test_only_the_drawn_share_trains_and_only_the_codes_between_are_counted():
    """A wrong score among the extremes changes nothing where it is not drawn; other draws give other planes."""
    codes = RNG(4).normal(size=(200, 4))
    scores = codes[:, 0] + 0.3 * RNG(5).normal(size=200)
    found = [boundary(codes, scores, 40, 0.5, RNG(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(found[0].normal_Z, found[1].normal_Z) and found[0].accuracy == found[1].accuracy
    assert not np.array_equal(found[0].normal_Z, found[2].normal_Z)
    order = np.argsort(scores)
    drawn = np.r_[order[:40], order[-40:]][RNG(0).permutation(80)[:40]]
    moved = codes.copy()
    left = np.setdiff1d(np.r_[order[:40], order[-40:]], drawn)
    moved[left] = 99.0
    assert np.array_equal(boundary(moved, scores, 40, 0.5, RNG(0)).normal_Z, found[0].normal_Z)
    assert np.isclose(np.linalg.norm(found[0].normal_Z), 1)


def test_what_has_no_boundary_is_refused():
    codes = RNG(0).normal(size=(10, 2))
    with pytest.raises(UserError, match="all 10 images have the same score, 0.5"):
        boundary(codes, np.full(10, 0.5), 2, 1.0, RNG(0))
    with pytest.raises(UserError, match="the 1 codes that were drawn for the SVM are all of one side"):
        boundary(codes, np.arange(10.0), 2, 0.25, RNG(0))


def test_correlations_are_numpys():
    scores = RNG(6).normal(size=(500, 4)) @ RNG(7).normal(size=(4, 4))
    found = correlations(scores.astype(np.float32))
    assert found == pytest.approx(np.corrcoef(scores.astype(np.float32), rowvar=False), abs=1e-12)
    assert np.diag(found) == pytest.approx(np.ones(4), abs=1e-12)
    opposite = correlations(np.stack([scores[:, 0], -2 * scores[:, 0] + 1], axis=1))
    assert opposite[0, 1] == pytest.approx(-1, abs=1e-12)
    with pytest.raises(UserError, match="attribute 1 has the same score on all images"):
        correlations(np.stack([scores[:, 0], np.ones(500)], axis=1))
