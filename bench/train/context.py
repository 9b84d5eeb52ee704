"""What a method sees of a run while it trains."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench import networks, seeds
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.spec import RunSpec

# Shape suffixes: N batch, C channels, H height, W width, Z latent size, K condition size, F feature size.
# Logits are (N,), or (N, L) from a discriminator that judges L patches of each image.

Role = Literal["generator", "discriminator"]
ADDED = "added"  # the child of a network that holds what methods have attached to it


@dataclass(frozen=True)
class Batch:
    """One mini-batch of training images."""

    images_NCHW: Tensor  # float, in [-1, 1], not augmented
    index_N: Tensor  # long, the position of each image among the run's training images


@dataclass(frozen=True)
class DStep:
    """One discriminator update, as `d_loss` sees it."""

    batch: Batch
    condition_NK: Tensor | None
    real_NCHW: Tensor  # what D saw of the real images, augmentations applied
    fake_NCHW: Tensor  # what D saw of the generated images, augmentations applied, no gradient to G
    real_logits_N: Tensor
    fake_logits_N: Tensor
    # D on further images with this update's weights (spectral norms are computed once an update)
    discriminate: Callable[[Tensor, Tensor | None], Tensor]
    # What D.forward_with_maps returned besides the logits of the real images; None from a D that has no such method
    maps: Any = None


@dataclass(frozen=True)
class GStep:
    """One generator update, as `g_loss` sees it."""

    z_NZ: Tensor
    condition_NK: Tensor | None
    images_NCHW: Tensor  # G's output, not augmented, with gradient
    logits_N: Tensor
    discriminate: Callable[[Tensor, Tensor | None], Tensor]


@dataclass
class Context:
    """A run in progress: its spec, data, networks and random streams.

    `generator` and `discriminator` are None in a run that trains neither (a SimCLR source run).
    """

    spec: RunSpec
    images_u8_NHWC: np.ndarray  # the run's training images (its few-shot draw), uint8
    labels_N: np.ndarray | None  # their class labels where the data set has them
    device: torch.device
    sources: dict[str, Path] = field(default_factory=dict)  # role -> weights file of a run or of the user
    generator: nn.Module | None = None
    discriminator: nn.Module | None = None
    ema: nn.Module | None = None
    step: int = 0  # generator updates done so far
    real_logits: list[Tensor] = field(
        default_factory=list
    )  # D's logits of this step's augmented reals, detached
    _calls: Counter[Any] = field(default_factory=Counter)

    def stream(self, *purpose: str | int) -> torch.Generator:
        """A fresh CPU generator from (seed, purpose, step, how often it was asked for in this step).

        Every random number of a method must come from here: that is what makes resuming exact.
        """
        self._calls[purpose] += 1
        return seeds.torch_stream(self.spec.seed, *purpose, self.step, self._calls[purpose])

    def begin_step(self, step: int) -> None:
        """Move to `step`; from here on the streams are those of this step."""
        self.step = step
        self.real_logits = []
        self._calls.clear()

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """The generator and the discriminator, of a run that has both."""
        assert self.generator is not None and self.discriminator is not None, "this run has no networks"
        return self.generator, self.discriminator

    def attach(self, role: Role, name: str, module: nn.Module) -> None:
        """Add a part's own trainable module to a network, as `network.added[name]`; for `Method.prepare`.

        It is trained by that network's optimiser, held while the other network is updated, saved and restored
        with it, averaged in the EMA of the generator, and left alone by TransferGAN's copying. Construct it
        inside `initialised(...)`. Raises UserError for a name that is taken or is no lower-case identifier.
        """
        network = dict(zip(("generator", "discriminator"), self.networks(), strict=True))[role]
        if not hasattr(network, ADDED):
            network.add_module(ADDED, nn.ModuleDict())
        added = network.get_submodule(ADDED)
        assert isinstance(added, nn.ModuleDict)
        if name in added or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            what = "is attached already" if name in added else "must be a lower-case identifier"
            raise UserError(f"a module named '{name}' cannot be attached to the {role}: the name {what}")
        added[name] = module.to(self.device)

    def initialised(self, purpose: str) -> AbstractContextManager[None]:
        """Inside, layer constructors draw their weights from a stream of (seed, purpose) on the CPU."""
        return networks.initialised(self.spec.seed, "initialised", purpose)

    def source(self, role: str) -> dict[str, Any]:
        """The checkpoint of the source that the spec names `role` ("network", "simclr"), loaded without code.

        Raises UserError where the run's spec names no such source.
        """
        if role not in self.sources:
            raise UserError(
                f"this run was given no source '{role}'; the method's class must name it in `sources`"
            )
        from bench.train.checkpoint import read_weights

        return read_weights(self.sources[role])
