"""BigGAN at 32, 64 and 128 pixels: by class, by an instance prior, or unconditional with self-modulation.

Layers, widths and parameter counts are those of BigGAN-PyTorch (Brock et al. 2019; the counts are tested): ReLU,
nearest up-sampling, means of 2x2 in D, batch norm eps 1e-5, spectral norm in G and D, orthogonal weights.

Declared choices: torch's spectral norm updates u before v and keeps both in evaluation, where BigGAN-PyTorch updates v
first and iterates once more (same equation, same limit). D's embedding of classes is a linear map of one-hot vectors.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple, get_args

from bench.errors import UserError
from bench.networks import interface
from bench.networks.biggan.layers import INITS, Maker, Spectral
from bench.networks.biggan.pair import BOTTOM, Discriminator, Generator, Modulation
from bench.networks.common.checks import check_choice, check_optional_sizes, check_sizes, check_switches
from bench.networks.common.layers import plain
from bench.networks.common.recipe import Recipe


class Layout(NamedTuple):
    """Widths in units of `channels`: G's first map and block outputs, D's block outputs; D's halving blocks."""

    g: tuple[int, ...]
    d: tuple[int, ...]
    down: int

    @property
    def resolution(self) -> int:
        """Every block of G doubles the first map."""
        return BOTTOM * 2 ** (len(self.g) - 1)


@dataclass(frozen=True)
class BigGANSettings:
    """The networks of one layout."""

    layout: Layout
    _: KW_ONLY
    z_dim: int = 120  # BigGAN-PyTorch: 120, its CIFAR scripts 128
    condition_dim: int | None = None  # size of a condition; a class is one-hot: ImageNet's 1000, CIFAR's 10
    # Size of the embedding that all norms share; None, each norm has its own table of gains and biases (CIFAR scripts).
    shared_dim: int | None = 128
    hierarchical: bool = True  # z, cut to a multiple of blocks + 1, is split evenly; CIFAR scripts: not
    # What the norms of a generator without conditions read: "self", z (DISP's unconditional baselines: appendices B
    # and C), or "none", plain batch norms.
    modulation: Modulation = "self"
    modulation_hidden: int = 32  # the hidden width of self-modulation, 0 for none; compare_gan: 32
    g_channels: int = 96  # the unit of G's widths; BigGAN-PyTorch's ImageNet networks: 96, its CIFAR ones: 64
    d_channels: int = 96  # the unit of D's widths; the same
    # The width of D's last block, where it differs: DISP names 1024 for its 32 px networks, whose layers it does
    # not list; the last block then widens.
    d_feature: int | None = None
    d_wide: bool = True  # hidden widths of D's blocks are their outputs' (BigGAN) or their inputs' (SNGAN)
    attention: int | None = None  # the size of the maps that self-attention follows in G and D, once each
    init: str = "orthogonal"  # of all weights; CIFAR scripts: "normal" (deviation 0.02); or "glorot"
    sn_generator: bool = True  # spectral norm in G; BigGAN: yes
    # The least norm that the power iteration divides by; BigGAN-PyTorch's launch scripts: 1e-6, CIFAR 1e-8.
    sn_eps: float = 1e-6

    def __post_init__(self) -> None:
        """Raises UserError for an impossible value."""
        check_sizes(1, z_dim=self.z_dim, g_channels=self.g_channels, d_channels=self.d_channels)
        check_optional_sizes(condition_dim=self.condition_dim, shared_dim=self.shared_dim, d_feature=self.d_feature)
        check_switches(hierarchical=self.hierarchical, d_wide=self.d_wide, sn_generator=self.sn_generator)
        check_choice(self.modulation, "modulation", get_args(Modulation))
        check_choice(self.init, "init", list(INITS))
        if self.modulation_hidden != 0:
            check_sizes(1, modulation_hidden=self.modulation_hidden)
        eps = self.sn_eps
        if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 < eps < 1:
            raise UserError(f"sn_eps={eps!r} must be a number between 0 and 1")
        if self.hierarchical:
            self._check_chunks()
        if self.attention is not None:
            self._check_attention()

    def _check_chunks(self) -> None:
        slots = len(self.layout.g)
        if self.z_dim < slots:
            raise UserError(
                f"z_dim={self.z_dim} must be at least {slots}: hierarchical z has a chunk for the first map and each "
                "block"
            )
        if self.condition_dim is not None and self.shared_dim is None:
            raise UserError("shared_dim=None needs hierarchical=false: a norm's own table of gains has no place for z")
        if self.condition_dim is None and self.modulation == "none":
            raise UserError("modulation='none' needs hierarchical=false: no norm would read the blocks' chunks of z")

    def _check_attention(self) -> None:
        sizes = (self.layout.resolution >> halvings for halvings in range(1, self.layout.down + 1))
        allowed = [size for size in sizes if size > BOTTOM]
        if isinstance(self.attention, bool) or self.attention not in allowed:
            raise UserError(
                f"attention={self.attention!r} must be null or one of the sizes {', '.join(map(str, allowed))}"
            )
        check_sizes(8, g_channels=self.g_channels, d_channels=self.d_channels)

    def generator(self) -> interface.Generator:
        """A new generator."""
        return Generator(
            [self.g_channels * multiple for multiple in self.layout.g],
            z_dim=self.z_dim,
            hierarchical=self.hierarchical,
            condition_dim=self.condition_dim,
            shared_dim=self.shared_dim,
            modulation=self.modulation,
            modulation_hidden=self.modulation_hidden,
            attention=self.attention,
            make=Maker(INITS[self.init], Spectral(self.sn_eps) if self.sn_generator else plain),
        )

    def discriminator(self) -> interface.Discriminator:
        """A new discriminator."""
        widths = [self.d_channels * multiple for multiple in self.layout.d]
        return Discriminator(
            widths if self.d_feature is None else [*widths[:-1], self.d_feature],
            resolution=self.layout.resolution,
            down=self.layout.down,
            wide=self.d_wide,
            condition_dim=self.condition_dim,
            attention=self.attention,
            make=Maker(INITS[self.init], Spectral(self.sn_eps)),
        )


# Three up blocks of 4 * g_channels; D has four blocks of 4 * d_channels, the first two down. BigGAN-PyTorch's CIFAR-10
# networks have `z_dim: 128, condition_dim: 10, shared_dim: null, hierarchical: false, init: normal`: G then has
# 4,304,387 and D 4,207,361 parameters. With ten classes and the defaults G has 4,358,915.
biggan_32 = Recipe(
    BigGANSettings, Layout(g=(4, 4, 4, 4), d=(4, 4, 4, 4), down=2), g_channels=64, d_channels=64, sn_eps=1e-8
)
# BigGAN-PyTorch's layout for 64 px; declared: attention at 32 px, half the output's side, as at 128 px.
biggan_64 = Recipe(BigGANSettings, Layout(g=(16, 16, 8, 4, 2), d=(1, 2, 4, 8, 16), down=4), attention=32)
# All of D's blocks but the last are down. With 1000 classes (`condition_dim: 1000`) G has 70,433,988 and D 87,982,370
# parameters, as BigGAN-PyTorch's ImageNet networks; with 64 channels 31,978,628 and 39,448,258. D has 1536 features,
# with 64 channels 1024.
biggan_128 = Recipe(BigGANSettings, Layout(g=(16, 16, 8, 4, 2, 1), d=(1, 2, 4, 8, 16, 16), down=5), attention=64)
