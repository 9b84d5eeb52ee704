"""Conditions at inference: rows of the table of priors, or draws from a distribution fitted to their embeddings.

DIP, equation 6, for sets whose table is too large to keep: G(z | mu + N(0, I)), mu one of the K-means centroids of
G_emb(D_prior), or G(z | N(mu, Sigma)), mu and Sigma those of a component of a Gaussian mixture fitted to it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from bench import seeds
from bench.contract.base import Sampler
from bench.contract.conditions import Vectors, sampling_named
from bench.errors import UserError, did_you_mean
from bench.networks.interface import Generator

ROWS = ("mix", "pure")
CHUNK = 4096  # priors embedded at once


@dataclass(frozen=True)
class Default:
    """DIP's number of clusters, and how many vectors each has in its smallest large set (50,000 images)."""

    clusters: int
    vectors_each: int


DEFAULTS = {"gmm": Default(1_000, 50), "kmeans": Default(10_000, 5)}
FITTED_IMAGES = 200_000  # DIP, appendix C: of a larger set, a random subset of this size is fitted


class Fitted(Protocol):
    """A distribution of embeddings."""

    def draw(self, count: int, stream: torch.Generator) -> Tensor:
        """Embeddings (count, E), float32 on the CPU."""
        ...


@dataclass(frozen=True)
class Mixture:
    """C Gaussians: their weights, means, and lower triangular factors L of their covariances L L^T."""

    weights_C: Tensor
    means_CE: Tensor
    factors_CEE: Tensor

    @classmethod
    def fit(cls, embedding_ME: np.ndarray, clusters: int, seed: int) -> Mixture:
        """Expectation maximisation from a K-means start, full covariances (scikit-learn).

        The embeddings are divided by their root mean square for the fit, so that the constant which keeps
        covariances regular (1e-6) does not depend on their scale.
        """
        size = float(np.sqrt(np.mean(np.square(embedding_ME)))) or 1.0
        mixture = GaussianMixture(clusters, covariance_type="full", random_state=seed)
        mixture.fit(embedding_ME / size)
        factors_CEE = size * np.linalg.cholesky(mixture.covariances_)
        return cls(
            torch.from_numpy(mixture.weights_),
            torch.from_numpy(size * mixture.means_).float(),
            torch.from_numpy(factors_CEE).float(),
        )

    def draw(self, count: int, stream: torch.Generator) -> Tensor:
        """mu_c + L_c N(0, I), c by weight."""
        cluster_N = torch.multinomial(self.weights_C, count, replacement=True, generator=stream)
        noise = torch.randn(count, self.means_CE.shape[1], 1, generator=stream)  # (N, E, 1)
        return self.means_CE[cluster_N] + (self.factors_CEE[cluster_N] @ noise).squeeze(2)


@dataclass(frozen=True)
class Centroids:
    """The C centroids of a clustering."""

    means_CE: Tensor

    @classmethod
    def fit(cls, embedding_ME: np.ndarray, clusters: int, seed: int) -> Centroids:
        """Web-scale K-means (Sculley 2010, which DIP cites), by scikit-learn."""
        clustering = MiniBatchKMeans(clusters, random_state=seed, n_init=1).fit(embedding_ME)
        return cls(torch.from_numpy(clustering.cluster_centers_).float())

    def draw(self, count: int, stream: torch.Generator) -> Tensor:
        """mu_c + N(0, I), c evenly."""
        cluster_N = torch.randint(len(self.means_CE), (count,), generator=stream)
        return self.means_CE[cluster_N] + torch.randn(count, self.means_CE.shape[1], generator=stream)


@dataclass(frozen=True)
class Rows:
    """Conditions from rows of the table itself, by a function (vectors, count, stream) -> (count, K)."""

    draw: Callable[[Vectors, int, torch.Generator], Tensor]

    def sampler(self, vectors: Vectors, seed: int) -> Sampler:
        """The sampler of a method whose table this is."""

        def sample(generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
            images_NCHW: Tensor = generator(z_NZ, self.draw(vectors, len(z_NZ), stream).to(z_NZ.device))
            return images_NCHW

        return sample


KINDS: dict[str, type[Mixture] | type[Centroids]] = {"gmm": Mixture, "kmeans": Centroids}


@dataclass(frozen=True)
class Clustering:
    """What to fit: the kind, the number of clusters (None: DIP's) and at most how many images.

    number: of the fit; each has other images, where not all are fitted, and another random start.
    """

    kind: str
    clusters: int | None
    images: int
    number: int = 1

    def count(self, vectors: int) -> int:
        """The number of clusters for this many vectors: the one of the setting, but always fewer than vectors.

        DIP's number is cut so that every cluster has at least as many vectors as in DIP (50 for a component, 5 for
        a centroid), which is a declared choice for sets smaller than DIP's.
        """
        default = DEFAULTS[self.kind]
        clusters = self.clusters or min(default.clusters, vectors // default.vectors_each)
        return max(1, min(clusters, vectors - 1))

    def fit(self, embedding_ME: Tensor, seed: int) -> Fitted:
        """The distribution of these embeddings (float64 arithmetic). Raises UserError for fewer than two."""
        if len(embedding_ME) < 2:
            raise UserError(f"sampling '{self.kind}' needs at least two training images, this run has one")
        vectors = embedding_ME.double().numpy()
        with warnings.catch_warnings():
            # A fit that has not converged is used too: DIP names no tolerance, and a user can do nothing about it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return KINDS[self.kind].fit(vectors, self.count(len(vectors)), seed)

    def sampler(self, vectors: Vectors, seed: int) -> Sampler:
        """The sampler of a method whose table this is, on any run with this seed.

        It fits when it first draws from a generator, and again for another generator or changed weights. The fit
        depends on the run's seed alone, not on a step: a snapshot that is sampled again gives the same images.
        """
        return FittedSampler(self, vectors, seed)


class FittedSampler:
    """Images of conditions drawn from a distribution that is fitted to a table's embeddings: a `FittingSampler`."""

    def __init__(self, clustering: Clustering, vectors: Vectors, seed: int) -> None:
        self._clustering, self._vectors, self._seed = clustering, vectors, seed
        self._weights: tuple[int, ...] = ()
        self._fitted: Fitted | None = None

    def fit(self, generator: Generator) -> int:
        """Fit the distribution to these weights, unless it is; how many images it is fitted to."""
        images = min(len(self._vectors), self._clustering.images)
        weights = (id(generator), *(parameter._version for parameter in generator.parameters()))
        if self._fitted is None or weights != self._weights:
            # The first fit has the streams that it had when there was no other
            which = () if self._clustering.number == 1 else (self._clustering.number,)
            embedding_ME = _embeddings(generator, self._vectors, images, self._seed, *which)
            self._fitted = self._clustering.fit(embedding_ME, _sklearn(self._seed, *which))
            self._weights = weights
        return images

    def __call__(self, generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
        """Images (N, C, H, W) of conditions drawn from the fit."""
        self.fit(generator)
        assert self._fitted is not None
        embedding_NE = self._fitted.draw(len(z_NZ), stream).to(z_NZ.device)
        return generator.synthesize(z_NZ, embedding_NE)


def inference_named(sampling: str) -> Rows | Clustering:
    """How conditions are drawn, by name.

    sampling: "mix" or "pure", rows of the table (bench.contract.conditions); "gmm" or "kmeans", with DIP's numbers;
    "gmm-COUNT" or "kmeans-COUNT", with another number of clusters; each of these followed by @IMAGES, where another
    number of images than 200,000 is fitted at most: "gmm-1000@50000"; and by #N, where it is another fit than the
    first, of other images and from another start: "gmm-1000@50000#2". Raises UserError for anything else.
    """
    name = str(sampling)
    match = re.fullmatch(
        r"(gmm|kmeans)(?:-([1-9][0-9]{0,6}))?(?:@([1-9][0-9]{0,8}))?(?:#([2-9]|[1-9][0-9]{1,3}))?", name
    )
    if match is not None:
        kind, clusters, images, number = match.groups()
        return Clustering(kind, int(clusters) if clusters else None, int(images or FITTED_IMAGES), int(number or 1))
    if name not in ROWS:
        raise UserError(_unknown(name))
    return Rows(sampling_named(name))


def _unknown(name: str) -> str:
    if name.startswith(tuple(KINDS)):
        return f"unknown sampling '{name}'; write gmm or kmeans, gmm-COUNT, gmm-COUNT@IMAGES, or gmm-COUNT@IMAGES#FIT"
    return f"unknown sampling '{name}'; {did_you_mean(name, [*ROWS, *KINDS])}"


@torch.no_grad()
def _embeddings(generator: Generator, vectors: Vectors, images: int, seed: int, *which: int) -> Tensor:
    """G_emb of the priors of all images, or of `images` of them drawn without repetition: (M, E) on the CPU."""
    chosen_M = torch.arange(len(vectors))
    if len(vectors) > images:
        stream = seeds.torch_stream(seed, "inference", "images", *which)
        chosen_M = torch.randperm(len(vectors), generator=stream)[:images]
    device = next(generator.parameters()).device
    parts = [generator.embed(vectors[index_N].to(device)) for index_N in chosen_M.split(CHUNK)]
    return torch.cat(parts).float().cpu()


def _sklearn(seed: int, *which: int) -> int:
    """scikit-learn's seeds have 32 bits."""
    return seeds.derive(seed, "inference", "fit", *which) % 2**32
