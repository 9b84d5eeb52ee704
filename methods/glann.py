"""GLANN with data instance priors: a perceptual fit of G, then IMLE (Hoshen et al. 2019; DIP, Eq 7).

First G and G_emb are fitted so that G(G_emb(C(x_i))) looks like x_i; then a small network T learns, by
implicit maximum likelihood, to turn noise into such embeddings. No discriminator is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.contract.base import Sampler
from bench.errors import UserError
from bench.features.perceptual import VGG16Activations
from bench.features.residual import initialise
from bench.networks.common import noise
from bench.networks.interface import Generator, Styled
from bench.train import Context, Logged, Method
from bench.train.batches import Batches

from .common.perceptual import l1_distances
from .common.priors import prior_spec, prior_table
from .transfergan import copy_weights, source_member

LAYERS = (2, 7, 12, 21, 30)  # of VGG16: GLANN's perceptual loss
IMLE_BATCH = 128
HIDDEN = 128  # of T
BETAS = (0.5, 0.999)


class Glann(Method):
    """Replaces the adversarial loop; needs a source `network`, whose averaged generator is fine-tuned.

    prior, prior_size, scale: as in `disp`. fit_share: share of the run's steps that fits G, one batch a step
    (4,000 epochs of two batches in DIP); each step of the rest is one epoch of IMLE over all embeddings (500
    in DIP). lr, imle_lr: of the two Adam optimisers (0.01 and 0.05 in DIP); the rates of the run's spec are
    not used. z_dim: size of the noise that T starts from. halve_every: epochs after which both rates are halved and
    every epoch begins with a new Adam, as in the authors' code (yedidh/glann, glo.py and icp.py: 50); null: neither.

    Declared: the embedding enters by conditional batch norm with z = 0, and rates are constant by default. Of a
    generator that mixes styles, the fit has one w an image. Noise is the network's `noise`, in the fit and the samples.
    """

    in_graphs = "has a loop of its own"
    splits = "it trains in a loop of its own, which runs on one card"
    papers = (
        (
            "Hoshen et al.",
            2019,
            "Non-Adversarial Image Synthesis with Generative Latent Nearest Neighbors",
            "arXiv:1812.08985",
        ),
    )

    later: ClassVar[tuple[str, ...]] = ("halve_every",)
    sources: ClassVar[dict[str, str]] = {
        "network": "",
        "simclr": "prior=simclr",
        "classifier": "prior=classifier",
    }

    def __init__(
        self,
        *,
        prior: str = "vgg16",
        prior_size: int | str = 64,
        scale: str | float = "rms",
        fit_share: float = 0.8,
        lr: float = 0.01,
        imle_lr: float = 0.05,
        z_dim: int = 64,
        halve_every: int | None = None,
    ) -> None:
        if not 0 < fit_share < 1:
            raise UserError(f"method 'glann': fit_share is {fit_share}, must be between 0 and 1")
        if halve_every is not None and halve_every < 1:
            raise UserError(f"method 'glann': halve_every is {halve_every}, must be 1 or more epochs")
        prior_spec(prior, prior_size)
        self.prior = (prior, prior_size, scale)
        self.fit_share = fit_share
        self.lr = lr
        self.imle_lr = imle_lr
        self.z_dim = z_dim
        self.halve_every = halve_every
        self._vectors_MK: Tensor | None = None

    def networks(self, ctx: Context) -> dict[str, Any]:
        return {"condition_dim": self.vectors(ctx).shape[1]}

    def prepare(self, ctx: Context) -> None:
        generator, _ = ctx.networks()
        copy_weights(source_member(ctx.source("network"), "ema"), generator, "generator")
        with torch.no_grad():
            embedding_dim = generator.embed(self.vectors(ctx)[:1]).shape[1]
        self.mapping = _mapping(self.z_dim, embedding_dim, ctx.stream("glann-mapping")).to(ctx.device)
        self.perceptual = VGG16Activations(LAYERS, str(ctx.device))
        self.fit_optimizer = torch.optim.Adam(generator.parameters(), lr=self.lr, betas=BETAS)
        self.imle_optimizer = torch.optim.Adam(
            self.mapping.parameters(), lr=self.imle_lr, betas=BETAS, weight_decay=1e-5
        )

    def fit(self, ctx: Context) -> Iterator[Logged]:
        train = ctx.spec.train
        assert train is not None
        fit_steps = round(self.fit_share * train.steps)
        # First G is fitted, a batch a step; then T, an epoch of IMLE a step.
        with Batches(ctx.images_u8_NHWC, train.batch, ctx.spec.seed, flip=train.flip, device=ctx.device) as batches:
            while ctx.step < min(fit_steps, train.steps):
                first = ctx.step * train.batch  # of this batch's images, counted over all passes
                epoch = first // len(ctx.images_u8_NHWC)
                begins = epoch > (first - train.batch) // len(ctx.images_u8_NHWC)
                self._set_rate(self.fit_optimizer, self.lr, epoch, begins=begins)
                yield {"perceptual": self._fit_generator(ctx, batches)}
        while ctx.step < train.steps:
            self._set_rate(self.imle_optimizer, self.imle_lr, ctx.step - fit_steps, begins=True)
            yield {"imle": self._fit_mapping(ctx)}

    def _set_rate(self, optimizer: torch.optim.Adam, rate: float, epoch: int, *, begins: bool) -> None:
        """Halve the rate after every `halve_every` epochs; begins: an epoch begins, and with it a new Adam."""
        if self.halve_every is None:
            return
        optimizer.param_groups[0]["lr"] = rate * 0.5 ** (epoch // self.halve_every)
        if begins:
            optimizer.state.clear()

    def _fit_generator(self, ctx: Context, batches: Batches) -> Tensor:
        """One batch of DIP's Eq 7: arg min over G and G_emb of L_perceptual(G(G_emb(C(x))), x)."""
        generator, _ = ctx.networks()
        batch = batches.at(ctx.step)
        embedding_NE = generator.embed(self.vectors(ctx)[batch.index_N])
        z_NZ = torch.zeros(len(embedding_NE), generator.z_dim, device=ctx.device)
        with noise.drawn_from(ctx.numbers("noise")):
            # A generator that mixes styles in training has to leave it here: the fit has one image for each e.
            fit = generator.reconstruct if isinstance(generator, Styled) else generator.synthesize
            images_NCHW = fit(z_NZ, embedding_NE)
        loss = self.distance(images_NCHW, batch.images_NCHW)
        self.fit_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.fit_optimizer.step()
        return loss.detach()

    def distance(self, images_NCHW: Tensor, wanted_NCHW: Tensor) -> Tensor:
        """L1 on pixels plus L1 on each of VGG16's layers, each a mean over its entries (GLANN)."""
        distance, *layers = l1_distances(self.perceptual, images_NCHW, wanted_NCHW)
        for layer in layers:
            distance = distance + layer
        return distance

    def _fit_mapping(self, ctx: Context) -> Tensor:
        """One epoch of IMLE: each embedding draws its nearest T(noise) closer (GLANN: 2M candidates, MSE).

        The embeddings are those of the averaged generator, which is the one that is sampled from.
        """
        # The nearest candidate of each embedding.
        embedding_ME = self._embeddings(ctx)
        numbers = ctx.numbers("glann-imle")
        noise_CZ = numbers.normal(2 * len(embedding_ME), self.z_dim)
        self.mapping.train()
        with torch.no_grad():
            candidates_CE = self.mapping(noise_CZ)
        nearest_M = torch.cat([torch.cdist(part, candidates_CE).argmin(1) for part in embedding_ME.split(1024)])

        # T is fitted to these pairs, in random order.
        order_M = numbers.permutation(len(embedding_ME))
        losses = []
        for chosen_N in order_M.tensor_split(-(-len(order_M) // IMLE_BATCH)):
            loss = functional.mse_loss(self.mapping(noise_CZ[nearest_M[chosen_N]]), embedding_ME[chosen_N])
            self.imle_optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.imle_optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean()

    def _embeddings(self, ctx: Context) -> Tensor:
        generator = ctx.ema or ctx.networks()[0]
        with torch.no_grad():
            embedding_ME = generator.embed(self.vectors(ctx))
        return embedding_ME.float()

    def sampler(self, ctx: Context) -> Sampler:
        """Images at z = 0 and embeddings T(noise): in the first phase T is still untrained."""

        def sample(generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
            noise_NZ = torch.randn(len(z_NZ), self.z_dim, generator=stream).to(z_NZ.device)
            embedding_NE = self.mapping.eval()(noise_NZ)
            return generator.synthesize(torch.zeros_like(z_NZ), embedding_NE)

        return sample

    def vectors(self, ctx: Context) -> Tensor:
        """The table of priors (M, K) on the run's device; extracted when first asked for."""
        if self._vectors_MK is None:
            self._vectors_MK = prior_table(ctx, *self.prior)
        return self._vectors_MK

    def state_dict(self) -> dict[str, Any]:
        return {
            "mapping": self.mapping.state_dict(),
            "fit_optimizer": self.fit_optimizer.state_dict(),
            "imle_optimizer": self.imle_optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mapping.load_state_dict(state["mapping"])
        self.fit_optimizer.load_state_dict(state["fit_optimizer"])
        self.imle_optimizer.load_state_dict(state["imle_optimizer"])


def _mapping(z_dim: int, embedding_dim: int, stream: torch.Generator) -> nn.Sequential:
    """T: three linear layers with batch norm and ReLU between (GLANN; DIP: "a 3-layer MLP")."""
    with torch.device("meta"):
        network = nn.Sequential(
            nn.Linear(z_dim, HIDDEN),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, embedding_dim),
        )
    initialise(network, stream)
    return network
