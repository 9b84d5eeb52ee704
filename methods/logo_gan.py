"""Logo-GAN: class-conditional training on clusters of pre-trained features (Sage et al. 2018; DISP, table 11).

DISP's question is whether the features say more than the label of their cluster. The label is all that differs
from `class-conditional`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.contract.base import Sampler
from bench.errors import UserError
from bench.train import Batch, Context, Method

from .common.clusters import check_clusters, kmeans, label_condition, label_sampler
from .common.priors import prior_spec, prior_table


class LogoGan(Method):
    """The condition is the one-hot number of the image's k-means cluster; sampling draws by cluster size.

    clusters: K, 5 or 10 in DISP, table 11. prior, prior_size: the features that are clustered, as they are; see
    `disp` (DISP: VGG16's).
    """

    in_graphs = True
    splits = True
    papers = (
        (
            "Sage et al.",
            2018,
            "Logo Synthesis and Manipulation with Clustered Generative Adversarial Networks",
            "arXiv:1712.04407",
        ),
    )

    sources: ClassVar[dict[str, str]] = {"simclr": "prior=simclr", "classifier": "prior=classifier"}

    def __init__(self, *, clusters: int = 10, prior: str = "vgg16", prior_size: int | str = 64) -> None:
        if clusters < 1:
            raise UserError(f"method 'logo-gan': clusters is {clusters}, must be 1 or more")
        prior_spec(prior, prior_size)
        self.clusters = clusters
        self.prior = prior
        self.prior_size = prior_size
        self.label_M = torch.empty(0, dtype=torch.int64)

    def networks(self, ctx: Context) -> dict[str, Any]:
        check_clusters("logo-gan", ctx, self.clusters)
        return {"condition_dim": self.clusters}

    def prepare(self, ctx: Context) -> None:
        features_MF = prior_table(ctx, self.prior, self.prior_size, "raw").cpu().numpy()
        clustering = kmeans(features_MF, self.clusters, ctx.stream("logo-gan"))
        self.label_M = torch.from_numpy(clustering.labels_.astype("int64")).to(ctx.device)

    def condition(self, ctx: Context, batch: Batch) -> Tensor:
        return label_condition(ctx, batch, self.label_M, self.clusters)

    def sampler(self, ctx: Context) -> Sampler:
        return label_sampler(self.label_M.cpu(), self.clusters)

    # Saved although `prepare` computes them again: on another machine a last digit could rename the clusters.

    def state_dict(self) -> dict[str, Any]:
        return {"labels": self.label_M.cpu()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.label_M = state["labels"].to(self.label_M.device)
