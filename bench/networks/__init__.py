"""Networks by name: `build("sngan-128", condition_dim=512)` -> generator, discriminator.

A table entry is "module:recipe" (bench/networks/common/recipe.py); a recipe takes keyword settings with defaults (the
overrides a spec may write) and returns two functions without arguments that make the generator and the discriminator.
What a generator and a discriminator are is written in bench/networks/interface.py.
Listing imports no network and no torch.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench import seeds
from bench.errors import UserError, did_you_mean
from bench.registry import Registry

if TYPE_CHECKING:
    from bench.networks.interface import Discriminator, Generator

NETWORKS = Registry("network")
NETWORKS.add(
    "sngan-48",
    "bench.networks.sngan.recipes_48:sngan_48",
    "SNGAN residual networks at 48 px (Miyato et al. 2018)",
)


def _add_family(family: str, home: str, sizes: Sequence[int], summary: str) -> None:
    for size in sizes:
        NETWORKS.add(f"{family}-{size}", f"bench.networks.{home}:{family}_{size}", summary.format(size=size))


_add_family("sngan", "sngan.recipes", (32, 64, 128), "SNGAN residual networks at {size} px (Miyato and Koyama 2018)")
_add_family(
    "sndcgan",
    "sngan.sndcgan_recipes",
    (32, 128),
    "SNDCGAN at {size} px, convolutions without residuals (Miyato et al. 2018)",
)
_add_family(
    "biggan",
    "biggan.recipes",
    (32, 64, 128),
    "BigGAN at {size} px, by class, by prior or self-modulated (Brock et al. 2019)",
)
_add_family(
    "stylegan1",
    "stylegan1.recipes",
    (32, 128, 256),
    "StyleGAN, progressively grown, at {size} px (Karras et al. 2019)",
)
_add_family(
    "stylegan2",
    "stylegan2.recipes",
    (32, 64, 128, 256, 512, 1024),
    "StyleGAN2, config F, at {size} px (Karras et al. 2020)",
)
_add_family(
    "fastgan",
    "fastgan.recipes",
    (64, 128, 256, 512, 1024),
    "FastGAN at {size} px, SLE and auto-encoding D (Liu et al. 2021)",
)


def names() -> list[str]:
    """Every network's name, sorted."""
    return [entry.name for entry in NETWORKS]


def summaries() -> dict[str, str]:
    """Network name -> one line about it."""
    return {entry.name: entry.summary for entry in NETWORKS}


def resolution(name: str) -> int:
    """The side of the images that a network makes, in pixels, which its name ends with."""
    return int(NETWORKS.entry(name).name.rpartition("-")[2])


def settings(name: str) -> dict[str, Any]:
    """The overrides that a network takes, with their defaults. Raises UserError for an unknown name."""
    return {key: value.default for key, value in inspect.signature(NETWORKS.load(name)).parameters.items()}


def build(
    name: str, *, seed: int | None = None, d_overrides: Mapping[str, Any] | None = None, **overrides: Any
) -> tuple[Generator, Discriminator]:
    """The generator and the discriminator of a network, in training mode.

    d_overrides: further settings, of the discriminator alone.
    seed: weights then depend on the seed alone, are drawn on the CPU (equal for every device), and the global
    random state stays as it was. D has its own stream, so its weights do not depend on G's settings.
    Without a seed the weights are drawn from torch's global random state, on its default device.
    Raises UserError for an unknown name, an unknown override or an impossible value.
    """
    defaults = settings(name)
    for key in {**overrides, **(d_overrides or {})}:
        if key not in defaults:
            raise UserError(f"network '{name}' has no setting '{key}'; {did_you_mean(key, defaults)}")
    make_generator, make_discriminator = NETWORKS.load(name)(**overrides)
    if d_overrides:
        _, make_discriminator = NETWORKS.load(name)(**{**overrides, **d_overrides})
    if seed is None:
        return make_generator(), make_discriminator()
    with initialised(seed, "network", "generator"):
        generator = make_generator()
    with initialised(seed, "network", "discriminator"):
        discriminator = make_discriminator()
    return generator, discriminator


@contextmanager
def initialised(seed: int, *purpose: str) -> Iterator[None]:
    """Inside, layer constructors draw their weights from the stream of (seed, purpose), on the CPU.

    They draw from torch's global CPU generator, which has the stream's state meanwhile and its own again afterwards.
    """
    import torch

    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seeds.derive(seed, *purpose))
        yield


__all__ = ["NETWORKS", "build", "initialised", "names", "resolution", "settings", "summaries"]


def __getattr__(name: str) -> Any:
    """`bench.networks.noise`, the old home of `bench.networks.common.noise`, is kept for a release."""
    if name == "noise":
        return importlib.import_module("bench.networks.common.noise")
    raise AttributeError(f"module 'bench.networks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
