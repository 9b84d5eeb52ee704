"""MineGAN: a small network finds the part of a source's latent space that fits the target (Wang et al. 2020).

First only the miner M and D learn, through a frozen generator, until G(M(z)) looks like the target. Then all three
are fine-tuned. Facts are those of the authors' code, MineGAN at a810f2d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from bench.contract.context import ADDED
from bench.errors import UserError, did_you_mean
from bench.networks.common.layers import spectral
from bench.networks.interface import Discriminator, Generator, Styled, has_two_scales
from bench.train import Context

from .transfergan import EMBEDDING, TransferGAN, is_old, new_in, source_member

MINER = "miner"


class MineGAN(TransferGAN):
    """A source `network` as in TransferGAN, with M before G.

    miner: "biggan", four spectrally normalised linear layers with nothing between, or "stylegan", two linear layers
    with a ReLU between; as wide as z. mining_share: share of the run's steps in which G's own weights are frozen
    (the authors' code mines 300 iterations; declared). Attached layers and a condition's new embedding train in
    both stages, D too.

    classes: of a class-conditional source M also gives the class embedding, from the same z and by layers of its
    own, and D judges without a class, as in that code. Set it to false beside a part that sets a condition: M then
    gives z alone, as it does where the source has no classes.

    condition: as in `transfergan`; "keep" is for a target with the source's classes, beside a part that gives them.
    A kept embedding is the source's own, and frozen while M mines.

    M is part of G's call: every sampler that calls G uses it, `G.synthesize` does not. A generator that mixes styles
    has several latents an image; there M is part of the mapping network and maps each of them, as in FreezeD's code
    (its Miner takes the list of latents), so that `G.map`, `G.styles` and `G.synthesize` use it too.
    """

    in_graphs = True
    splits = True
    papers = (
        (
            "Wang et al.",
            2020,
            "MineGAN: Effective Knowledge Transfer from GANs to Target Domains with Few Images",
            "arXiv:1912.05270",
        ),
    )

    sources: ClassVar[dict[str, str]] = {"network": ""}
    later: ClassVar[tuple[str, ...]] = ("condition",)

    def __init__(
        self,
        *,
        miner: str = "biggan",
        mining_share: float = 0.1,
        classes: bool = True,
        condition: str = "new",
    ) -> None:
        if miner not in MINERS:
            raise UserError(f"method 'minegan': unknown miner '{miner}'; {did_you_mean(miner, MINERS)}")
        if not 0 <= mining_share < 1:
            raise UserError(f"method 'minegan': mining_share is {mining_share}, must be 0 or more and below 1")
        self.miner = miner
        self.mining_share = mining_share
        self.classes = classes
        self.new = new_in(condition, "minegan")
        if classes and EMBEDDING not in self.new:
            raise UserError("method 'minegan': condition=keep needs classes=false: else M gives the class embedding")
        self._of_the_source: list[nn.Parameter] = []

    def networks(self, ctx: Context) -> dict[str, Any]:
        # Any size would do: M replaces the embedding of the condition, but G's norms must be conditional.
        return {"condition_dim": 1} if self._mines_classes(ctx) else {}

    def prepare(self, ctx: Context) -> None:
        super().prepare(ctx)
        generator, discriminator = ctx.networks()
        if has_two_scales(generator):
            raise UserError("method 'minegan': a generator with two outputs cannot be mined; use variant 'paper'")
        embedding_dim = _mine_classes(generator, discriminator) if self._mines_classes(ctx) else None
        with ctx.initialised("minegan-miner"):
            miner = Miner(MINERS[self.miner], generator.z_dim, embedding_dim)
        ctx.attach("generator", MINER, miner)
        if isinstance(generator, Styled):
            generator.on_latent = _mined_latent
        else:
            generator.register_forward_pre_hook(_mined)

    def begin_step(self, ctx: Context) -> None:
        generator, _ = ctx.networks()
        if not self._of_the_source:
            self._of_the_source = [
                parameter
                for name, parameter in generator.named_parameters()
                if parameter.requires_grad and is_old(name, self.new)
            ]
        for parameter in self._of_the_source:
            parameter.requires_grad_(not self.variant(ctx))

    def variant(self, ctx: Context) -> bool:
        """Whether M is mined, with all else frozen."""
        return ctx.step < round(self.mining_share * ctx.train.steps)

    def _mines_classes(self, ctx: Context) -> bool:
        """Whether M also makes the class embedding: with `classes`, of a conditional source."""
        tensors = source_member(ctx.source("network"), "ema")
        return self.classes and any(EMBEDDING in name.split(".") for name in tensors)


class Miner(nn.Module):
    """M: z (N, Z) -> the z that G is given, (N, Z), and a class embedding (N, E), or None for no `embedding_dim`."""

    def __init__(self, stack: Callable[[int, int], nn.Sequential], z_dim: int, embedding_dim: int | None) -> None:
        super().__init__()
        self.latent = stack(z_dim, z_dim)
        self.embedding = None if embedding_dim is None else stack(z_dim, embedding_dim)

    def forward(self, z_NZ: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.latent(z_NZ), None if self.embedding is None else self.embedding(z_NZ)


def _linear_stack(z_dim: int, out_dim: int) -> nn.Sequential:
    """Orthogonal weights, as in the authors' code: at the start M(z) is a rotation of z, so normal as well."""
    layers = [nn.Linear(z_dim, size) for size in (z_dim, z_dim, z_dim, out_dim)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*map(spectral, layers))


def _rectified_stack(z_dim: int, out_dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(z_dim, z_dim), nn.ReLU(), nn.Linear(z_dim, out_dim))


MINERS = {"biggan": _linear_stack, "stylegan": _rectified_stack}


def _mine_classes(generator: Generator, discriminator: nn.Module) -> int:
    """Let G take an embedding where it took a condition, and D nothing; returns the embedding's size.

    Raises UserError for a generator whose condition enters by more than one linear layer, and for another part's D.
    """
    if not isinstance(discriminator, Discriminator):
        raise UserError(
            "method 'minegan': another part has put a discriminator of its own in place of the table's, from which the "
            "class cannot be taken away; set classes=false"
        )
    embedding = generator.condition_embedding
    if not isinstance(embedding, nn.Linear):
        raise UserError(
            "method 'minegan': the source is conditional and its generator has no linear embedding to mine; use an "
            "sngan, sndcgan, biggan or fastgan source, or one without conditions"
        )
    generator.condition_embedding = nn.Identity()
    generator.condition_dim = embedding.out_features
    discriminator.condition_embedding = None
    discriminator.condition_dim = None
    return embedding.out_features


def _mined(generator: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Before each call of G. A function and not a method: the averaged generator, a deep copy, has its own M."""
    z_NZ, *condition = arguments
    mined_NZ, embedding_NE = generator.get_submodule(f"{ADDED}.{MINER}")(z_NZ)
    return (mined_NZ, *condition) if embedding_NE is None else (mined_NZ, embedding_NE)


def _mined_latent(generator: nn.Module, z_NZ: Tensor) -> Tensor:
    """Each latent on its way into the mapping network; a function for the same reason."""
    mined_NZ: Tensor = generator.get_submodule(f"{ADDED}.{MINER}")(z_NZ)[0]
    return mined_NZ
