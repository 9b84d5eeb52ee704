"""An extractor's entry, ours or a user's: all that is known of it before it is loaded. Imports no torch."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from bench.errors import UserError
from bench.features.weights import PackagedWeights, UserWeights
from bench.spec.inception import Variant

if TYPE_CHECKING:
    from torch import nn

# The ways of resizing images in front of a network: see bench.features.resize.
Resize = Literal["clean", "bilinear", "aligned-bilinear", "inside"]


class Sizes(NamedTuple):
    """The input sizes an extractor takes, in pixels a side."""

    default: int
    least: int
    most: int
    own: int  # what the network was trained at
    step: int = 1  # a size is a multiple of it

    def allow(self, size: int) -> bool:
        """Whether the network takes images of this side."""
        return self.least <= size <= self.most and size % self.step == 0

    def __str__(self) -> str:
        if self.least == self.most:
            return str(self.least)
        kind = "a whole number" if self.step == 1 else f"a multiple of {self.step}"
        return f"{kind} from {self.least} to {self.most}"


@dataclass(frozen=True)
class ExtractorEntry:
    """An extractor: one frozen network, read at one layer, with the resizing in front of it."""

    name: str
    network: str  # what it is, and what it was trained on
    layer: str  # what is read of it; another layer of a network is another extractor
    dim: int
    sizes: Sizes
    weights: PackagedWeights | UserWeights | None  # None: no file; all of a user's own network is in its code
    licence: str  # of the weights
    target: str  # "module:function" that makes the network, from this entry
    package: str | None = None  # the import name of the package that holds the network's code, where one does
    inception: Variant | None = None  # which Inception of FID it is
    resize: Resize = "clean"
    logits: bool = False  # whether its numbers are logits of classes
    kept: bool = True  # whether a loaded network is kept for the process when its last user has gone

    @property
    def summary(self) -> str:
        """The entry in a line."""
        variant = f" (Inception: {self.inception})" if self.inception else ""
        only = self.sizes.least == self.sizes.most
        size = f"size {self.sizes.default} only" if only else f"default size {self.sizes.default}"
        yours = f"; weights are yours to supply ({self.licence})" if isinstance(self.weights, UserWeights) else ""
        return f"{self.network}{variant}, {self.layer}, {self.dim}-d ({size}){yours}"

    def lacking(self) -> str | None:
        """Why it cannot be used here, in one line; None where it can. Loads no weights."""
        if self.package and importlib.util.find_spec(self.package) is None:
            name = self.package.replace("_", "-")
            return f"the package {self.package} is not installed: run `pip install {name}`"
        try:
            if self.weights is not None:
                self.weights.find()
        except UserError as error:
            return str(error)
        return None

    def weights_file(self) -> Path:
        """The weights on this machine. Raises UserError where they are absent, and where the entry has none."""
        if self.weights is None:
            raise UserError(f"extractor '{self.name}' has no weights file")
        return self.weights.find()

    def build(self, device: str) -> nn.Module:
        """The network with its weights on `device`: images (N, 3, H, W) in [-1, 1] -> (N, dim).

        Raises UserError where weights are missing or do not fit.
        """
        module, _, function = self.target.partition(":")
        network: nn.Module = getattr(importlib.import_module(module), function)(self)
        return network.to(device)
