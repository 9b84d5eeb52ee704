"""BigGAN at 32 and 128 pixels: by class, by an instance prior, or unconditional with self-modulation.

Layers, widths and parameter counts are those of BigGAN-PyTorch (Brock et al. 2019; the counts are tested): ReLU,
nearest up-sampling, means of 2x2 in D, batch norm eps 1e-5, spectral norm in G and D, orthogonal weights. Settings:

- `hierarchical`: z_dim is rounded down to a multiple of blocks + 1 and split evenly, as in BigGAN-PyTorch;
- `modulation`, of a generator without conditions: `self` (DISP's unconditional baselines: appendices B and C) or
  `none`, plain batch norms; `modulation_hidden`: the hidden width of self-modulation (compare_gan's 32), 0 for none;
- `attention`: the size of the maps that self-attention follows in G and D, once each; null for none;
- `init`: of all weights: `orthogonal`, `normal` (deviation 0.02, BigGAN-PyTorch's CIFAR scripts) or `glorot`;
- `d_wide`: hidden widths of D's blocks are their outputs' (BigGAN) or their inputs' (SNGAN);
- `sn_eps`: the least norm that the power iteration divides by (BigGAN-PyTorch's launch scripts have these).

Declared choices: torch's spectral norm updates u before v and keeps both in evaluation, where BigGAN-PyTorch updates v
first and iterates once more (same equation, same limit); D's embedding of classes is a linear map of one-hot vectors.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, get_args

from bench.errors import UserError
from bench.networks.biggan.layers import INITS, Maker, Spectral
from bench.networks.biggan.pair import BOTTOM, Discriminator, Generator, Modulation
from bench.networks.common.checks import check_choice, check_sizes, check_switches
from bench.networks.common.layers import plain
from bench.networks.interface import Makers


class _Layout(NamedTuple):
    """Widths in units of `channels`: G's first map and block outputs, D's block outputs; D's halving blocks."""

    g: tuple[int, ...]
    d: tuple[int, ...]
    down: int


def _biggan(
    layout: _Layout,
    *,
    z_dim: int = 120,
    condition_dim: int | None = None,
    shared_dim: int | None = 128,
    hierarchical: bool = True,
    modulation: Modulation = "self",
    modulation_hidden: int = 32,
    g_channels: int = 96,
    d_channels: int = 96,
    d_feature: int | None = None,
    d_wide: bool = True,
    attention: int | None = None,
    init: str = "orthogonal",
    sn_generator: bool = True,
    sn_eps: float = 1e-6,
) -> Makers:
    """The networks of one layout; settings: see the module. Raises UserError for an impossible one.

    g_channels, d_channels: the unit of the layout's widths. d_feature: the width of D's last block, where it is
    another: DISP names 1024 for its 32 px networks, whose layers it does not list; the last block then widens.
    """
    sizes = {"condition_dim": condition_dim, "shared_dim": shared_dim, "d_feature": d_feature}
    check_sizes(1, z_dim=z_dim, g_channels=g_channels, d_channels=d_channels)
    check_sizes(1, **{key: size for key, size in sizes.items() if size is not None})
    check_switches(hierarchical=hierarchical, d_wide=d_wide, sn_generator=sn_generator)
    check_choice(modulation, "modulation", get_args(Modulation))
    check_choice(init, "init", list(INITS))
    _check_numbers(modulation_hidden, sn_eps)
    _check_chunks(len(layout.g), z_dim, condition_dim, shared_dim, hierarchical, modulation)
    resolution = BOTTOM * 2 ** (len(layout.g) - 1)
    _check_attention(attention, resolution, layout.down, g_channels, d_channels)
    spectral = Spectral(sn_eps)
    generator = partial(
        Generator,
        [g_channels * multiple for multiple in layout.g],
        z_dim=z_dim,
        hierarchical=hierarchical,
        condition_dim=condition_dim,
        shared_dim=shared_dim,
        modulation=modulation,
        modulation_hidden=modulation_hidden,
        attention=attention,
        make=Maker(INITS[init], spectral if sn_generator else plain),
    )
    d_widths = [d_channels * multiple for multiple in layout.d]
    discriminator = partial(
        Discriminator,
        d_widths if d_feature is None else [*d_widths[:-1], d_feature],
        resolution=resolution,
        down=layout.down,
        wide=d_wide,
        condition_dim=condition_dim,
        attention=attention,
        make=Maker(INITS[init], spectral),
    )
    return generator, discriminator


def _check_numbers(modulation_hidden: int, sn_eps: float) -> None:
    if modulation_hidden != 0:
        check_sizes(1, modulation_hidden=modulation_hidden)
    if isinstance(sn_eps, bool) or not isinstance(sn_eps, int | float) or not 0 < sn_eps < 1:
        raise UserError(f"sn_eps={sn_eps!r} must be a number between 0 and 1")


def _check_chunks(
    slots: int,
    z_dim: int,
    condition_dim: int | None,
    shared_dim: int | None,
    hierarchical: bool,
    modulation: Modulation,
) -> None:
    if not hierarchical:
        return
    if z_dim < slots:
        raise UserError(
            f"z_dim={z_dim} must be at least {slots}: hierarchical z has a chunk for the first map and each block"
        )
    if condition_dim is not None and shared_dim is None:
        raise UserError(
            "shared_dim=None needs hierarchical=false: a norm's own table of gains has no place for z"
        )
    if condition_dim is None and modulation == "none":
        raise UserError(
            "modulation='none' needs hierarchical=false: no norm would read the blocks' chunks of z"
        )


def _check_attention(
    attention: int | None, resolution: int, down: int, g_channels: int, d_channels: int
) -> None:
    if attention is None:
        return
    known = [size for size in (resolution >> halvings for halvings in range(1, down + 1)) if size > BOTTOM]
    if isinstance(attention, bool) or attention not in known:
        raise UserError(
            f"attention={attention!r} must be null or one of the sizes {', '.join(map(str, known))}"
        )
    check_sizes(8, g_channels=g_channels, d_channels=d_channels)


# Three up blocks of 4 * g_channels; D has four blocks of 4 * d_channels, the first two down. BigGAN-PyTorch's CIFAR-10
# networks have `z_dim: 128, condition_dim: 10, shared_dim: null, hierarchical: false, init: normal`: G then has
# 4,304,387 and D 4,207,361 parameters. With ten classes and the defaults G has 4,358,915.
biggan_32 = partial(
    _biggan, _Layout(g=(4, 4, 4, 4), d=(4, 4, 4, 4), down=2), g_channels=64, d_channels=64, sn_eps=1e-8
)
# All of D's blocks but the last are down. With 1000 classes (`condition_dim: 1000`) G has 70,433,988 and D 87,982,370
# parameters, as BigGAN-PyTorch's ImageNet networks; with 64 channels 31,978,628 and 39,448,258. D has 1536 features,
# with 64 channels 1024.
biggan_128 = partial(_biggan, _Layout(g=(16, 16, 8, 4, 2, 1), d=(1, 2, 4, 8, 16, 16), down=5), attention=64)
