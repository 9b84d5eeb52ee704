"""The interface of networks: what every generator and discriminator has, and the capabilities that some add.

`Generator` and `Discriminator` are the base classes of every registered pair. Each protocol below is one capability;
`isinstance(network, Growing)` is how the engine and the methods ask for it. A network names a capability among its
bases where a member is a submodule: torch keeps those where Python's own look-up of protocol members (3.12 and later)
does not see them. `bench networks NAME` prints what a network can do. The letters of shapes (`z_NZ`) are in
docs/shape-letters.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeGuard, runtime_checkable

from torch import Tensor, nn


class Generator(nn.Module):
    """z and an optional condition -> images: `generator(z_NZ, condition_NK)`."""

    z_dim: int  # size of a latent; latents are N(0, I)
    condition_dim: int | None  # size of a condition; None: the generator takes none
    resolution: int  # height and width of the images
    condition_embedding: nn.Module | None  # turns a condition into an embedding; drawn last (see conditioning.py)
    bounded: bool = True  # whether images lie in [-1, 1] by construction; StyleGANs' and most FastGANs' do not

    def embed(self, condition_NK: Tensor) -> Tensor:
        """G_emb: (N, condition_dim) -> embeddings (N, E). Raises ValueError where there is no condition."""
        raise NotImplementedError

    def synthesize(self, z_NZ: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, E) -> images (N, 3, resolution, resolution), from an embedding in place of a condition.

        Raises ValueError where an embedding is missing or superfluous.
        """
        raise NotImplementedError

    def forward(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, condition_dim) -> images (N, 3, resolution, resolution)."""
        return self.synthesize(z_NZ, None if condition_NK is None else self.embed(condition_NK))


class Discriminator(nn.Module):
    """Images and an optional condition -> logits, (N,) or (N, L): `discriminator(images_NCHW, condition_NK)`.

    Every registered discriminator also is `HasBlocks` and `Penultimate`. They are capabilities and not part of this
    class because a method may put a module of its own before a discriminator, which then hides them.
    """

    condition_dim: int | None  # size of a condition; None: the discriminator takes none
    condition_embedding: nn.Module | None  # D_emb, turns a condition into the vector that features are projected on

    def unconditional_logits(self, images_NCHW: Tensor) -> Tensor:
        """The score of images without a condition: (N,). Raises ValueError where D has no such score."""
        raise NotImplementedError


Noise = Literal["random", "const", "none"]


@runtime_checkable
class HasBlocks(Protocol):
    """`blocks` are the layers in order, of a D from the image on: what FreezeD freezes, LT-GAN reads, BSA adapts.

    Every D; the G of SNGAN, SNDCGAN, BigGAN and FastGAN.
    """

    blocks: nn.ModuleList


@runtime_checkable
class Penultimate(Protocol):
    """D_f, what D's linear head reads: heads of self-supervision are put on it. Every D."""

    feature_dim: int

    def feature_maps(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the last map that the features are made of, (N, C, h, w)."""
        ...

    def features(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> (N, feature_dim)."""
        ...


@runtime_checkable
class BatchStatistics(Protocol):
    """Whether D's logits of an image depend on the other images of its call: reals and fakes then get one each.

    They do in StyleGAN and StyleGAN2 (minibatch deviation), FastGAN (batch norm), and a method's own D that sets it.
    """

    batch_statistics: bool


@runtime_checkable
class JudgesInGroups(Protocol):
    """A D whose logits of an image depend on some images of its call: those of its group. Both StyleGANs'.

    Images n, n + M, n + 2M, ... with M = count / `images_together(count)` are a group, which cards must not part.
    """

    def images_together(self, count: int) -> int:
        """How many of `count` images are judged together; it divides `count`."""
        ...


@runtime_checkable
class HasMaps(Protocol):
    """A D that gives the maps of its pass beside the logits, for the terms of a method (`DStep.maps`). FastGAN's."""

    def forward_with_maps(
        self, images_NCHW: Tensor, condition_NK: Tensor | None = None, *, small_NCHW: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """The logits of a call, and the maps of the same pass."""
        ...


class Reconstruction(NamedTuple):
    """A decoder's image and what it should be, both (N, 3, r, r)."""

    decoded_NCHW: Tensor
    target_NCHW: Tensor


@runtime_checkable
class Decoding(Protocol):
    """A D with decoders, which turn its maps back into images (AE-D). FastGAN's."""

    @property
    def parts(self) -> int:
        """How many crops of an image `reconstruct` can be asked for."""
        ...

    def reconstruct(self, maps: Any, images_NCHW: Tensor, part: int) -> list[Reconstruction]:
        """Decodings of the maps of these images, beside their targets."""
        ...

    def decode(self, images_NCHW: Tensor, part: int) -> list[Reconstruction]:
        """`reconstruct` after a pass of its own over these images."""
        ...


@runtime_checkable
class Growing(Protocol):
    """A network grown progressively: `level` doublings of 4x4 pixels, the last faded in by `alpha`. StyleGAN's G and D.

    `top` is the level of the network's full resolution. A new network is fully grown.
    """

    @property
    def level(self) -> int:
        """How many doublings there are now, 0 to `top`."""
        ...

    @property
    def alpha(self) -> float:
        """Weight of the last doubling, 0 (not to be seen) to 1 (whole)."""
        ...

    @property
    def top(self) -> int:
        """The level of the full resolution."""
        ...

    def grow(self, level: int, alpha: float) -> None:
        """Set how far the network has grown. Raises ValueError for an impossible level or alpha."""
        ...


@runtime_checkable
class ScalesGradients(Protocol):
    """A D whose gradient with respect to its input is to be scaled in a penalty. StyleGAN's, while it grows.

    gradient_factor: what the squared norm is multiplied by: the gradient of one of a small image's pixels is spread
    over many of the input's.
    """

    @property
    def gradient_factor(self) -> int:
        """What the squared norm is multiplied by, at the network's level."""
        ...


@runtime_checkable
class TwoScales(Protocol):
    """A G that can have two outputs: the images, and the same ones at `small_resolution` for D (None: one output).

    FastGAN's; of its variants `released` has two. See `has_two_scales`.
    """

    small_resolution: int | None

    def both_scales(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images (N, 3, R, R) as a call gives them, and (N, 3, S, S) with S = small_resolution."""
        ...


@runtime_checkable
class MixesStyles(Protocol):
    """A G of which single layers can read another image's maps. FastGAN's with skip-layer excitation."""

    @property
    def style_sizes(self) -> tuple[int, ...]:
        """The sizes of the maps that such layers change, small ones first; none where it has no such layer."""
        ...

    def style_maps(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> dict[int, Tensor]:
        """What such layers read of these images, by those sizes."""
        ...

    def with_styles(self, z_NZ: Tensor, style_maps: Mapping[int, Tensor], condition_NK: Tensor | None = None) -> Tensor:
        """Images (N, 3, R, R) of which the layers at the sizes of `style_maps` read these, the others their own."""
        ...


class Synthesis(nn.Module):
    """The half of a style-based G that turns w of every layer, (N, layers, w_dim), into images (N, 3, R, R)."""

    noise: Noise  # what is injected outside training; "const" is a fixed map of each layer

    @property
    def layers(self) -> int:
        """How many w an image takes."""
        raise NotImplementedError


@runtime_checkable
class Styled(Protocol):
    """A style-based G: a mapping network from z to w, and `synthesis`, which reads one w a layer. Both StyleGANs.

    truncation: outside training, w' = average + truncation (w - average); 1 for none.
    mixing: the probability in training that layers from a random crossover on take the w of a second z;
    mixing_per: whether there is one crossover for a "batch" or for each "image".
    on_latent: what every latent goes through before it is mapped, (generator, z_NZ) -> z_NZ; a plain function, so that
    a copy of the generator calls it with itself.
    """

    synthesis: Synthesis
    truncation: float
    mixing: float
    mixing_per: str
    on_latent: Callable[[nn.Module, Tensor], Tensor] | None

    def map(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, condition_dim) -> w (N, w_dim), neither mixed nor truncated."""
        ...

    def styles(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """What a call hands to `synthesis`: w of every layer, (N, synthesis.layers, w_dim)."""
        ...

    def reconstruct(self, z_NZ: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        """As `synthesize`, for a fit of given images: one latent an image, never a mixture of two."""
        ...


@runtime_checkable
class CountsMacs(Protocol):
    """A layer whose convolution is a function call and which therefore counts its own multiply-accumulates."""

    def macs(self, x: Tensor, output: Tensor) -> int:
        """Multiply-accumulates of one call on a batch of one, from its input and output."""
        ...


CAPABILITIES: tuple[type, ...] = (
    HasBlocks,
    Penultimate,
    BatchStatistics,
    JudgesInGroups,
    HasMaps,
    Decoding,
    Growing,
    ScalesGradients,
    TwoScales,
    MixesStyles,
    Styled,
)


def capabilities(network: nn.Module) -> tuple[str, ...]:
    """The names of the protocols above that a network satisfies."""
    return tuple(protocol.__name__ for protocol in CAPABILITIES if isinstance(network, protocol))


def has_two_scales(generator: nn.Module) -> TypeGuard[TwoScales]:
    """Whether a generator, as it is built, has a second output."""
    return isinstance(generator, TwoScales) and generator.small_resolution is not None


def looks_at_the_batch(discriminator: nn.Module) -> bool:
    """Whether a discriminator needs real and generated images in separate calls."""
    return isinstance(discriminator, BatchStatistics) and discriminator.batch_statistics
