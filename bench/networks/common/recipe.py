"""What a network's name stands for: a settings class, with a size's own defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from bench.networks.interface import Discriminator, Generator

# A maker of the generator and one of the discriminator; each draws its network's weights when it is called.
Makers = tuple[Callable[[], Generator], Callable[[], Discriminator]]


class PairSettings(Protocol):
    """The checked settings of a pair: a frozen dataclass whose keyword fields are what a table may override."""

    def generator(self) -> Generator:
        """A new generator."""
        ...

    def discriminator(self) -> Discriminator:
        """A new discriminator."""
        ...


class Recipe:
    """`Recipe(StyleGAN2Settings, 32, channel_base=4096)`: the settings class, what this size fixes, its own defaults.

    Its signature has the remaining keyword fields; `bench.networks.settings` reads them there.
    """

    def __init__(self, settings: Callable[..., PairSettings], *fixed: Any, **defaults: Any) -> None:
        self._settings = partial(settings, *fixed, **defaults)
        self.__signature__ = inspect.signature(self._settings)

    def __call__(self, **settings: Any) -> Makers:
        """The makers of a pair with these settings. Raises UserError for an impossible one, before anything is made."""
        checked = self._settings(**settings)
        return checked.generator, checked.discriminator
