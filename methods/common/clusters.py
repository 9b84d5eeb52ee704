"""Clusters of the training images as classes: k-means, labels that keep their meaning, conditions by label.

Labels are tables (M,) long, one entry per training image: on the run's device in training, on the CPU to sample.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional

from bench.contract.base import Sampler
from bench.errors import UserError
from bench.train import Batch, Context

RESTARTS = 10  # starts of k-means++, of which the best is kept (Self-Conditional GAN's own setting)


def check_clusters(method: str, ctx: Context, clusters: int) -> None:
    """Raises UserError where there are fewer training images than clusters."""
    if clusters > len(ctx.images_u8_NHWC):
        raise UserError(
            f"method '{method}': clusters is {clusters}, must be at most the number of training images, "
            f"{len(ctx.images_u8_NHWC)}"
        )


def kmeans(points_NF: np.ndarray, clusters: int, stream: torch.Generator, start_KF: np.ndarray | None = None) -> KMeans:
    """A fitted k-means of N points, from `start_KF` or else the best of ten k-means++ starts.

    It uses one thread. Several would add up their partial sums in an order of chance, and a resumed run would differ.
    """
    seed = int(torch.randint(2**31, (), generator=stream))
    start: dict[str, object] = {"n_init": RESTARTS} if start_KF is None else {"init": start_KF, "n_init": 1}
    with threadpool_limits(limits=1):
        return KMeans(clusters, random_state=seed, **start).fit(points_NF)


def centres(points_NF: np.ndarray, label_N: np.ndarray, clusters: int, stream: torch.Generator) -> np.ndarray:
    """The mean of each label's points, (K, F); a label without points gets a random point."""
    random_K = torch.randint(len(points_NF), (clusters,), generator=stream).numpy()
    return np.stack(
        [
            points_NF[label_N == label].mean(axis=0) if (label_N == label).any() else points_NF[random_K[label]]
            for label in range(clusters)
        ]
    )


def matched(new_M: np.ndarray, old_M: np.ndarray, clusters: int) -> np.ndarray:
    """`new_M` under the permutation of its labels that agrees with `old_M` on the most images.

    The assignment problem of Self-Conditional GAN (Liu et al. 2020), solved by the Hungarian method.
    """
    agree_KK = np.zeros((clusters, clusters), dtype=np.int64)
    np.add.at(agree_KK, (new_M, old_M), 1)
    new_K, old_K = linear_sum_assignment(agree_KK, maximize=True)
    renamed_K = np.empty(clusters, dtype=np.int64)
    renamed_K[new_K] = old_K
    return renamed_K[new_M]


def label_condition(ctx: Context, batch: Batch, label_M: Tensor, clusters: int) -> Tensor:
    """The one-hot labels of a batch's images, (N, clusters) float; all on the run's device."""
    return functional.one_hot(label_M[batch.index_N], clusters).float()


def label_sampler(label_M: Tensor, clusters: int) -> Sampler:
    """Inference with labels drawn by the size of their clusters: the label of a random training image."""

    def sample(generator: nn.Module, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
        label_N = label_M[torch.randint(len(label_M), (len(z_NZ),), generator=stream)]
        images_NCHW: Tensor = generator(z_NZ, functional.one_hot(label_N, clusters).float().to(z_NZ.device))
        return images_NCHW

    return sample
