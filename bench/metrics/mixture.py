"""The generalisation gap: how much likelier training images are than test images, by the generated ones.

Jiralerspong et al. 2023 (arXiv 2302.04440), "FLD", section 3 and the settings of their code: a Gaussian around each
generated image in the space of features, its variance fitted to the training images. Copies get tiny variances, under
which the training images are likely and new images are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from bench import seeds
from bench.metrics.checks import check_features

MOST = 10_000  # generated images, as in the authors' code; and training images of the fit, which there come in batches
_STEPS, _RATE = 50, 0.5  # of Adam
_BETAS, _EPSILON = (0.9, 0.999), 1e-8
_OFFSET = 1e-3  # added to the smallest squared distances that the variances begin with
_RANGE = (-40.0, 20.0)  # of the logarithms of variances
_NEARER = 0.9  # how much of its distance to the training mean counts for the component that reaches everything
_LEAST = 10.0  # ours: how much less likely, per dimension, an image can count than under that component
_STILL = 1e-3  # ours: deviations below this share of the median one are no scale
_NEAR, _PAIRS = 1e-5, 4096  # which share of the squared lengths is nearly a copy; pairs computed at once
_ROWS = 256  # images whose likelihoods are held at once


class Fit(NamedTuple):
    """The mixture: log variances of the Gaussians at the fakes (M,), and of the component that reaches everything."""

    log_variances: np.ndarray
    further: float


def likelihood_gap(train: np.ndarray, test: np.ndarray, fake: np.ndarray, seed: int = 0) -> float:
    """100 (NLL of train - NLL of test) per dimension, of features train (T, D), test (N, D), fake (M, D).

    About 0 for a generator that does not know which images it was trained on, far below 0 for one that copies.
    More than 10,000 fakes, or training features, are thinned out by a stream of `seed`, by their places. Features are
    standardised with mean and deviation of the test features, dimensions in which these hardly differ with the median
    deviation. A feature counts as at most 1,000 points less likely than it is by the component that reaches
    everything, which else is of the fit alone: of a set of nothing but copies any number could come out.
    Raises UserError for differing D, fewer than 2 rows, NaN or infinity.
    """
    train, test, fake = (np.asarray(part) for part in (train, test, fake))
    check_features(training=train, test=test, fake=fake)
    mean, deviation = test.mean(axis=0, dtype=np.float64), _scales(test)
    train = (_thinned(train, seed, "train") - mean) / deviation
    fake = (_thinned(fake, seed, "fake") - mean) / deviation
    # A Gaussian around each fake, as wide as the training features want it.
    width, centre, squared = fake.shape[1], train.mean(axis=0), np.concatenate([*_squared_distances(train, fake)])
    fit = fit_mixture(squared, np.square(train - centre).sum(axis=1), width)
    # The mean log likelihoods, of test features block by block: they may be many.
    means = []
    for distances, points in ((_blocks(squared), train), (None, test)):
        logs = []
        for block in _blocks(points):
            standard = block if distances is not None else (block - mean) / deviation
            to_fakes = next(distances) if distances is not None else next(_squared_distances(standard, fake))
            logs.append(_log_likelihoods(to_fakes, np.square(standard - centre).sum(axis=1), fit, width))
        means.append(np.concatenate(logs).mean())
    return 100 * float(means[1] - means[0]) / width


def fit_mixture(squared: np.ndarray, to_mean: np.ndarray, width: int) -> Fit:
    """The variances of Gaussians at fakes under which the training features are likely.

    squared (T, M): distances of training features to fakes; to_mean (T,): to the training mean; width: D. Adam on the
    mean negative log likelihood per dimension, with one further component that gives no feature a likelihood of 0.
    """
    fakes = squared.shape[1]
    values = np.append(np.log((squared.min(axis=0) + _OFFSET) / width), 0.0)  # the last one is the further component
    first, second = np.zeros(fakes + 1), np.zeros(fakes + 1)
    for step in range(1, _STEPS + 1):
        gradient = _gradient(squared, _NEARER**2 * to_mean, values, width)
        first = _BETAS[0] * first + (1 - _BETAS[0]) * gradient
        second = _BETAS[1] * second + (1 - _BETAS[1]) * gradient**2
        root = np.sqrt(second / (1 - _BETAS[1] ** step))
        values -= _RATE * (first / (1 - _BETAS[0] ** step)) / (root + _EPSILON)
        values[:-1] = values[:-1].clip(*_RANGE)
    return Fit(values[:-1], float(values[-1]))


def _gradient(squared: np.ndarray, origin: np.ndarray, values: np.ndarray, width: int) -> np.ndarray:
    """d(mean NLL / D) / d(log variances), (M + 1,): sum over features of r (D - |x - mu|^2 / variance) / 2."""
    count, fakes = squared.shape
    weights, weighted = np.zeros(fakes + 1), np.zeros(fakes + 1)
    for block, own in zip(_blocks(squared), _blocks(origin), strict=True):
        distances = np.column_stack([block, own])
        logs = _log_densities(distances, values, width)
        logs[:, :-1] -= np.log(fakes)
        shares = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))  # each component's part of the likelihood
        weights += shares.sum(axis=0)
        weighted += np.einsum("tm,tm->m", shares, distances)
    return (width * weights - weighted * np.exp(-values)) / (2 * width * count)


def _log_densities(squared: np.ndarray, log_variances: np.ndarray | float, width: int) -> np.ndarray:
    return squared * (-0.5 * np.exp(-log_variances)) - (width / 2) * (log_variances + np.log(2 * np.pi))


def _log_likelihoods(squared: np.ndarray, to_mean: np.ndarray, fit: Fit, width: int) -> np.ndarray:
    """(T,) of features at `squared` (T, M) from the fakes and `to_mean` (T,) from the training mean."""
    logs = logsumexp(_log_densities(squared, fit.log_variances, width), axis=1) - np.log(squared.shape[1])
    least = _log_densities(_NEARER**2 * to_mean, fit.further, width) - _LEAST * width
    return np.maximum(logs, least)


def _scales(test: np.ndarray) -> np.ndarray:
    """The deviation (D,) of each dimension, the median one where there is hardly any."""
    deviation = test.std(axis=0, dtype=np.float64, ddof=1)
    median = float(np.median(deviation[deviation > 0])) if deviation.any() else 1.0
    return np.where(deviation < _STILL * median, median, deviation)


def _squared_distances(points: np.ndarray, centres: np.ndarray) -> Iterator[np.ndarray]:
    """(block, M) of points (T, D) to centres (M, D), block by block.

    What is nearly a copy goes by differences: variances get smaller than the rounding of a product.
    """
    lengths, others = (np.einsum("nd,nd->n", part, part) for part in (points, centres))
    for start in range(0, len(points), _ROWS):
        here = slice(start, start + _ROWS)
        both = lengths[here, None] + others
        squared = both - 2 * points[here] @ centres.T
        rows, columns = np.nonzero(squared < _NEAR * both)
        for some in np.array_split(np.arange(len(rows)), 1 + len(rows) // _PAIRS):
            gaps = points[start + rows[some]] - centres[columns[some]]
            squared[rows[some], columns[some]] = np.einsum("nd,nd->n", gaps, gaps)
        yield squared


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    return (values[start : start + _ROWS] for start in range(0, len(values), _ROWS))


def _thinned(features: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    if len(features) <= MOST:
        return features
    order = seeds.numpy_stream(seed, "generalisation gap", purpose).permutation(len(features))
    return features[np.sort(order[:MOST])]
