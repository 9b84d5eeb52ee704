"""Data instance priors: the condition is a pre-trained network's features of the image (DISP; DIP 2021).

G(z | C(x)) sees C(x) through G_emb and conditional batch norm, D(x, y) = D_emb(y) . D_f(x) + D_l(D_f(x)) (Eq
2-4); both embeddings are the networks' own `condition_embedding`, so this part only supplies y = C(x). The
training procedure is Algorithm 1 (bench.train.adversarial), few-shot inference Eq 5, large-scale inference Eq 6.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from bench.contract.base import QueryCondition, Sampler
from bench.train import Batch, Context, Method

from .common.inference import inference_named
from .common.priors import CONTROLS, prior_spec, prior_table, query_priors


class Disp(Method):
    """The condition is the prior of the image, for the real image and for the fake made from it alike.

    prior: an extractor (vgg16, vgg16_fc7, effnet_lite0, ...), simclr, classifier, random or shuffled: `prior_table`.
    prior_size: pixels at which the extractor sees the images, or "own", the size it was trained at (declared, as the
    paper gives none). control_of: the prior that random and shuffled are controls of.
    scale: size of the centred priors (declared, as the paper gives none); see `bench.contract.conditions.scaled`.
    sampling: "mix" (Eq 5) or "pure", the priors of the training images as they are; "gmm" or "kmeans" (Eq 6, with
    its numbers of clusters), "gmm-COUNT", "kmeans-COUNT", "gmm-COUNT@IMAGES" or "gmm-COUNT@IMAGES#FIT"; see
    `inference.inference_named`.
    """

    in_graphs = True
    splits = True
    papers = (
        ("Mangla et al.", 2022, "Data Instance Prior (DISP) in Generative Adversarial Networks", "arXiv:2012.04256"),
    )

    sources: ClassVar[dict[str, str]] = {"simclr": "prior=simclr", "classifier": "prior=classifier"}
    later: ClassVar[tuple[str, ...]] = ("control_of",)
    of_sampler: ClassVar[tuple[str, ...]] = ("sampling",)

    def __init__(
        self,
        *,
        prior: str = "vgg16",
        prior_size: int | str = 64,
        scale: str | float = "rms",
        sampling: str = "mix",
        control_of: str = "vgg16",
    ) -> None:
        prior_spec(prior, prior_size, control_of)
        self.prior = (prior, prior_size, scale, control_of)
        self.inference = inference_named(sampling)
        self._vectors_MK: Tensor | None = None

    def networks(self, ctx: Context) -> dict[str, Any]:
        return {"condition_dim": self.vectors(ctx).shape[1]}

    def prepare(self, ctx: Context) -> None:
        self.vectors(ctx)

    def condition(self, ctx: Context, batch: Batch) -> Tensor:
        return self.vectors(ctx)[batch.index_N]

    def sampler(self, ctx: Context) -> Sampler:
        return self.inference.sampler(self.vectors(ctx).cpu(), ctx.spec.seed)

    def query_condition(self) -> QueryCondition | None:
        prior, prior_size, scale, _ = self.prior
        if prior in CONTROLS:  # whose vectors are drawn for, or taken from, the training images
            return None
        return lambda ctx, images_NHWC: query_priors(ctx, images_NHWC, prior, prior_size, scale)

    def vectors(self, ctx: Context) -> Tensor:
        """The table of priors (M, K) on the run's device; extracted when first asked for."""
        if self._vectors_MK is None:
            self._vectors_MK = prior_table(ctx, *self.prior)
        return self._vectors_MK
