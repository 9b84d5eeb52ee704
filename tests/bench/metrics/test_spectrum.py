"""The Vendi score against its definition and closed forms."""

import sys

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.metrics.eigenvalues import symmetric_eigenvalues
from bench.metrics.spectrum import vendi_score


def by_definition(features):
    directions = features.astype(float) / np.linalg.norm(features.astype(float), axis=1, keepdims=True)
    eigenvalues = np.linalg.svd(directions @ directions.T / len(features), compute_uv=False)
    eigenvalues = eigenvalues[eigenvalues > 1e-15]
    return np.exp(-(eigenvalues * np.log(eigenvalues)).sum())


def test_the_definition_on_real_features(narrow, wide):
    """More images than dimensions, and fewer: the smaller matrix has the same eigenvalues."""
    for features in (narrow[1], wide[1]):
        assert vendi_score(features) == pytest.approx(by_definition(features), rel=1e-9)


def test_closed_forms(monkeypatch):
    assert vendi_score(np.eye(7) * 3) == pytest.approx(7, rel=1e-12)  # orthogonal: as many as there are
    assert vendi_score(np.ones((50, 4))) == pytest.approx(1, rel=1e-12)  # one, however often
    monkeypatch.setattr("bench.metrics.spectrum.ROWS", 3)
    mixed = np.repeat(np.eye(2), [30, 10], axis=0)  # two kinds, shares 3/4 and 1/4
    assert vendi_score(mixed) == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))), rel=1e-12)
    pair = np.array([[1, 0], [np.cos(0.6), np.sin(0.6)]])  # eigenvalues (1 +- cos) / 2
    halves = (1 + np.array([1, -1]) * np.cos(0.6)) / 2
    assert vendi_score(pair) == pytest.approx(np.exp(-(halves * np.log(halves)).sum()), rel=1e-12)


def test_features_without_a_direction_are_alike_and_unlike_others():
    with_zeros = np.concatenate([np.repeat([[0.0, 2.0]], 30, axis=0), np.zeros((10, 2))])
    assert vendi_score(with_zeros) == pytest.approx(vendi_score(np.repeat(np.eye(2), [30, 10], axis=0)), rel=1e-12)
    assert vendi_score(np.zeros((9, 3))) == pytest.approx(1)
    with pytest.raises(UserError, match="generated features hold NaN"):
        vendi_score(np.full((9, 3), np.nan))


def test_less_variety_scores_lower(narrow):
    fresh = narrow[0][:400]
    dropped = fresh[np.argsort(fresh[:, 3])][:100].repeat(4, 0)
    few, one = np.repeat(fresh[:10], 40, axis=0), np.repeat(fresh[:1], 400, axis=0)
    values = [vendi_score(features) for features in (fresh, dropped, few, one)]
    assert values == sorted(values, reverse=True) and values[3] == pytest.approx(1)
    assert vendi_score(fresh[::-1]) == pytest.approx(values[0], rel=1e-12)


def test_eigenvalues_with_and_without_torch(monkeypatch):
    """Both LAPACKs read the upper triangle alone; float64's rounding of the largest eigenvalue between them."""
    matrix = np.random.default_rng(0).standard_normal((40, 40))
    matrix += matrix.T
    expected = np.linalg.eigvalsh(matrix)
    monkeypatch.setitem(sys.modules, "torch", torch)
    with_torch = symmetric_eigenvalues(np.triu(matrix))
    monkeypatch.delitem(sys.modules, "torch")
    for found in (with_torch, symmetric_eigenvalues(np.asfortranarray(np.triu(matrix)))):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())
