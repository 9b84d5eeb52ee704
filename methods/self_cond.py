"""Self-Conditional GAN: the condition is a cluster of D's own features, recomputed every k steps (Liu et al. 2020).

k-means on the discriminator's penultimate features gives every training image a label. Each later clustering
starts from the old labels' means, and its labels are renamed to agree with the old ones as far as they can, so
that a label keeps its meaning for G and D.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.contract.base import Sampler
from bench.errors import UserError
from bench.files.memory_map import rows
from bench.networks.common.pixels import to_signed
from bench.train import Batch, Context, Method

from .common.clusters import centres, check_clusters, kmeans, label_condition, label_sampler, matched
from .common.penultimate import evaluating, penultimate

CHUNK = 100  # images in one look at the features


class SelfCond(Method):
    """Class-conditional training on labels that come from D itself; sampling draws by cluster size.

    clusters: k (DISP, appendix C: 100). interval: steps from one clustering to the next, sample: random images
    that k-means is fitted to, at most all (DISP: 25,000 and 25,000 on CIFAR; 75,000 and 50,000 on ImageNet).
    The first clustering is of the untrained D.
    """

    in_graphs = "makes its labels anew while it trains"
    splits = "every card would cluster the images anew, by features in which a last digit can differ"
    papers = (("Liu et al.", 2020, "Diverse Image Generation via Self-Conditioned GANs", "arXiv:2006.10728"),)

    def __init__(self, *, clusters: int = 100, interval: int = 25000, sample: int = 25000) -> None:
        for name, value in {"clusters": clusters, "interval": interval}.items():
            if value < 1:
                raise UserError(f"method 'self-cond': {name} is {value}, must be 1 or more")
        if sample < clusters:
            raise UserError(
                f"method 'self-cond': sample is {sample}, must be at least the number of clusters, {clusters}"
            )
        self.clusters = clusters
        self.interval = interval
        self.sample = sample
        self.label_M: Tensor | None = None

    def networks(self, ctx: Context) -> dict[str, Any]:
        check_clusters("self-cond", ctx, self.clusters)
        return {"condition_dim": self.clusters}

    def begin_step(self, ctx: Context) -> None:
        if ctx.step % self.interval == 0:
            self.label_M = torch.from_numpy(self._clustered(ctx))
        self.label_M = self._labels().to(ctx.device)

    def condition(self, ctx: Context, batch: Batch) -> Tensor:
        return label_condition(ctx, batch, self._labels(), self.clusters)

    def sampler(self, ctx: Context) -> Sampler:
        return label_sampler(self._labels().cpu(), self.clusters)

    def state_dict(self) -> dict[str, Any]:
        return {"labels": None if self.label_M is None else self.label_M.cpu()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.label_M = state["labels"]

    def _labels(self) -> Tensor:
        if self.label_M is None:
            raise UserError("method 'self-cond': there are no clusters before the first step; train first")
        return self.label_M

    def _clustered(self, ctx: Context) -> np.ndarray:
        """New labels (M,) of all training images, int64."""
        # D's features of a random sample.
        images = len(ctx.images_u8_NHWC)
        order_M = torch.randperm(images, generator=ctx.stream("self-cond", "sample")).numpy()
        chosen_N = np.sort(order_M[: self.sample])
        points_NF = np.concatenate(list(_features(ctx, chosen_N)))

        # k-means, from the means of the old clusters where there are any.
        old_M = None if self.label_M is None else self.label_M.cpu().numpy()
        start_KF = None
        if old_M is not None:
            start_KF = centres(points_NF, old_M[chosen_N], self.clusters, ctx.stream("self-cond", "starved"))
        clustering = kmeans(points_NF, self.clusters, ctx.stream("self-cond", "k-means"), start_KF)

        # The label of every image, named as before where the old labels agree.
        parts = [clustering.predict(part_NF) for part_NF in _features(ctx, np.arange(images))]
        new_M = np.concatenate(parts).astype(np.int64)
        return new_M if old_M is None else matched(new_M, old_M, self.clusters)


@torch.no_grad()
def _features(ctx: Context, index_N: np.ndarray) -> Iterator[np.ndarray]:
    """D's features of these training images, neither mirrored nor augmented, in parts (CHUNK, F) float32."""
    _, discriminator = ctx.networks()
    features = penultimate("self-cond", discriminator).features
    with evaluating(discriminator):
        for start in range(0, len(index_N), CHUNK):
            images_u8_NHWC = rows(ctx.images_u8_NHWC, index_N[start : start + CHUNK])
            images_u8_NCHW = torch.from_numpy(images_u8_NHWC).to(ctx.device).permute(0, 3, 1, 2)
            yield features(to_signed(images_u8_NCHW)).float().cpu().numpy()
