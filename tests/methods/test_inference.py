"""Inference from a distribution fitted to the embeddings of the priors: its fit, its draws, and how it is named."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.store.checkpoints import fingerprint

inference = importlib.import_module("bench.methods.common.inference")


def _stream(seed=0):
    return torch.Generator().manual_seed(seed)


def _two_clusters(scale=1.0):
    """900 and 300 points in three dimensions, far apart, with covariances of their own."""
    random = np.random.default_rng(0)
    shear = np.array([[2.0, 0, 0], [1, 1, 0], [0, -1, 0.5]])
    first = random.normal(size=(900, 3)) @ shear.T + [30, 0, 0]
    second = random.normal(size=(300, 3)) - [30, 10, 0]
    return [scale * first, scale * second]


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_mixture_of_separate_clusters_has_their_moments(scale):
    """Of clusters that do not touch, each component is its cluster's maximum likelihood estimate, in closed form."""
    clusters = _two_clusters(scale)
    fit = inference.Mixture.fit(np.concatenate(clusters), 2, seed=3)
    order = fit.means_CE[:, 0].argsort(descending=True)
    assert fit.weights_C[order].tolist() == pytest.approx([0.75, 0.25], abs=1e-6)
    for component, points in zip(order, clusters, strict=True):
        factor = fit.factors_CEE[component].double()
        np.testing.assert_allclose(fit.means_CE[component], points.mean(0), rtol=1e-5, atol=1e-5 * scale)
        # scikit-learn adds 1e-6, here of a mean square of about 350, to the variances: under 1 % of the least.
        np.testing.assert_allclose(factor @ factor.T, np.cov(points.T, bias=True), rtol=0.01, atol=0.01 * scale**2)


def test_draws_of_a_mixture_have_its_mean_and_covariance():
    means = torch.tensor([[1.0, 0.0], [-3.0, 2.0]])
    factors = torch.tensor([[[1.0, 0.0], [2.0, 0.5]], [[0.3, 0.0], [0.0, 0.1]]])
    weights = torch.tensor([0.2, 0.8], dtype=torch.float64)
    drawn = inference.Mixture(weights, means, factors).draw(100_000, _stream()).double()
    mean = weights @ means.double()
    within = (weights[:, None, None] * (factors @ factors.transpose(1, 2)).double()).sum(0)
    apart = means.double() - mean
    covariance = within + (weights[:, None, None] * apart[:, :, None] * apart[:, None, :]).sum(0)
    # Standard errors of 100,000 draws with variances of up to 3.5: 0.006 of the mean, below 0.02 of covariances.
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(torch.cov(drawn.T), covariance, atol=0.08)


def test_centroids_are_those_of_the_clusters_and_draws_lie_around_them():
    clusters = _two_clusters()
    fit = inference.Centroids.fit(np.concatenate(clusters), 2, seed=3)
    fit = inference.Centroids(fit.means_CE[fit.means_CE[:, 0].argsort(descending=True)])
    # Mini-batches estimate a mean: its error is within a few standard errors, 2.4 / sqrt(300).
    np.testing.assert_allclose(fit.means_CE, [points.mean(0) for points in clusters], atol=0.5)
    drawn = fit.draw(60_000, _stream())
    first = drawn[:, 0] > 0
    assert first.double().mean().item() == pytest.approx(0.5, abs=0.01)  # evenly, whatever the clusters' sizes
    for chosen, mean in ((first, fit.means_CE[0]), (~first, fit.means_CE[1])):
        np.testing.assert_allclose(drawn[chosen].mean(0), mean, atol=0.03)
        np.testing.assert_allclose(torch.cov(drawn[chosen].T), np.eye(3), atol=0.04)


@pytest.mark.parametrize(
    ("name", "vectors", "count"),
    [
        ("gmm", 50_000, 1000),  # DIP's numbers at CIFAR's size
        ("gmm", 1_200_000, 1000),
        ("gmm", 1000, 20),
        ("gmm", 40, 1),
        ("kmeans", 50_000, 10_000),
        ("kmeans", 100, 20),
        ("gmm-30", 100, 30),
        ("gmm-30", 20, 19),  # fewer than the images
        ("kmeans-7@50", 1000, 7),
    ],
)
def test_number_of_clusters(name, vectors, count):
    assert inference.inference_named(name).count(vectors) == count


@pytest.mark.parametrize(
    "name", ["gmm-0", "gmm-", "gmm-1.5", "kmeans-3x", "gmm@", "gmm-12345678", "gmm-5@0", "kmeans ", "gmm#0", "gmm#1"]
)
def test_malformed_numbers_are_refused(name):
    with pytest.raises(UserError, match="write gmm or kmeans, gmm-COUNT, gmm-COUNT@IMAGES, or gmm-COUNT@IMAGES#FIT"):
        inference.inference_named(name)


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="unknown sampling 'kmean'; did you mean 'kmeans'"):
        build_method(parse_method("disp(sampling=kmean)"))
    with pytest.raises(UserError, match="unknown sampling '3'"):
        build_method(parse_method("disp(sampling='3')"))


class _Recorder(torch.nn.Module):
    """Embeds by a matrix and returns embeddings as images; counts what it embedded."""

    def __init__(self):
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        self.embedded = 0

    def embed(self, condition):
        self.embedded += len(condition)
        return condition @ self.matrix

    def synthesize(self, z, embedding):
        return embedding


def test_the_fit_is_of_the_embeddings_and_made_once_for_given_weights():
    generator, vectors = _Recorder(), torch.randn(200, 2, generator=_stream(1)) + 50
    sample = inference.inference_named("gmm-1").sampler(vectors, seed=0)
    with torch.no_grad():
        drawn = sample(generator, torch.zeros(5000, 4), _stream())
        assert torch.equal(drawn, sample(generator, torch.zeros(5000, 4), _stream()))
        assert not torch.equal(drawn, sample(generator, torch.zeros(5000, 4), _stream(1)))
        assert generator.embedded == 200
        # 200 vectors around (50, 50), doubled in the first direction; the error of the mean is 2 / sqrt(5000).
        np.testing.assert_allclose(drawn.mean(0), vectors.mean(0) * torch.tensor([2, 1]), atol=0.15)
        generator.matrix.mul_(10)
        moved = sample(generator, torch.zeros(5000, 4), _stream())
    assert generator.embedded == 400 and moved.mean() > 5 * drawn.mean()


def test_of_a_large_set_a_random_subset_is_fitted():
    generator, vectors = _Recorder(), torch.arange(400.0).repeat(2, 1).T
    fitted = []

    class Spy(inference.Clustering):
        def fit(self, embedding, seed):
            fitted.append(embedding)
            return super().fit(embedding, seed)

    for seed in (0, 0, 1):
        with torch.no_grad():
            Spy("kmeans", 2, images=50).sampler(vectors, seed)(generator, torch.zeros(3, 4), _stream())
    assert [len(one) for one in fitted] == [50, 50, 50]
    assert len(fitted[0][:, 1].unique()) == 50 and set(fitted[0][:, 1].tolist()) != set(range(50))
    assert torch.equal(fitted[0], fitted[1]) and not torch.equal(fitted[0], fitted[2])


def test_another_fit_has_other_images_and_another_start():
    generator, vectors = _Recorder(), torch.randn(300, 2, generator=_stream(1))
    drawn = []
    for name in ("gmm-3@100", "gmm-3@100", "gmm-3@100#2", "gmm-3@100#3"):
        sample = inference.inference_named(name).sampler(vectors, seed=0)
        with torch.no_grad():
            assert sample.fit(generator) == 100
            embedded = generator.embedded
            drawn.append(sample(generator, torch.zeros(50, 4), _stream()))
        assert generator.embedded == embedded, "what is fitted already is not fitted again"
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[2], drawn[3])


def test_what_cannot_be_fitted_is_refused():
    sample = inference.inference_named("gmm").sampler(torch.zeros(1, 2), 0)
    with pytest.raises(UserError, match="sampling 'gmm' needs at least two training images"):
        sample(_Recorder(), torch.zeros(3, 4), _stream())


@pytest.mark.slow
def test_disp_trains_alike_and_samples_otherwise(make_run):
    runs = {
        name: make_run(f"disp(prior_size=32, sampling={name})").advance(2)
        for name in ("mix", "pure", "gmm-2", "kmeans-3")
    }
    before = torch.random.get_rng_state(), str(np.random.get_state())
    images = {name: run.sample(4) for name, run in runs.items()}
    assert before[1] == str(np.random.get_state()) and torch.equal(before[0], torch.random.get_rng_state())
    assert len({fingerprint(run.state()) for run in runs.values()}) == 1
    names = list(images)
    assert all(images[name].shape == (4, 3, 32, 32) for name in names)
    assert not any(torch.equal(images[a], images[b]) for place, a in enumerate(names) for b in names[:place])
