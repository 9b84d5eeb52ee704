"""From a checkpoint's names and layouts to ours: copied tensors that remember where they came from.

Spectral norm (Miyato et al. 2018, algorithm 1) has three forms. torch's parametrisation, ours, keeps the weight W and
unit vectors u and v, and divides by u^T W v outside training. torch's older hook keeps the same under other names.
BigGAN-PyTorch and mimicry's own layer keep u alone and iterate once whenever they compute a weight, outside training
too: v = W^T u / |W^T u|, u' = W v / |W v|; sigma = u'^T W v. So u' and v are what we keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.convert.foreign_state import ForeignState, Shape
from bench.errors import UserError

Change = Callable[[Tensor], Tensor]
NORM = "parametrizations.weight"


def same(x: Tensor) -> Tensor:
    """As it is."""
    return x


def transposed(x: Tensor) -> Tensor:
    """The first two axes swapped: (A, B, ...) -> (B, A, ...)."""
    return x.transpose(0, 1)


@dataclass
class Translation:
    """The translation of one network so far: our names -> tensors, and the keys that they come from."""

    foreign: ForeignState
    tensors: dict[str, Tensor] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)  # our names -> optional keys that were missing

    def put(self, ours: str, tensor: Tensor, origin: str) -> None:
        """Our tensor of that name."""
        self.tensors[ours] = tensor.detach().clone(memory_format=torch.contiguous_format)
        self.origins[ours] = origin

    def copy(
        self,
        ours: str,
        theirs: str,
        change: Change = same,
        dtype: torch.dtype = torch.float32,
        shape: Shape | None = None,
    ) -> None:
        """Take their tensor, change its layout, put it under our name. UserError as `ForeignState.take`.

        shape: must be given where the change makes one shape of several, so that ours does not tell theirs.
        """
        value = self.foreign.take(theirs, dtype, shape)
        try:
            self.put(ours, change(value), theirs)
        except (RuntimeError, IndexError) as error:
            raise UserError(
                f"{self.foreign.where}: '{theirs}' has shape {tuple(value.shape)}, "
                f"which a {self.foreign.what} never has"
            ) from error

    def plain(self, ours: str, theirs: str) -> None:
        """A layer without spectral norm: weight, and bias where there is one."""
        self.copy(f"{ours}.weight", f"{theirs}.weight")
        self._bias(ours, theirs)

    def hooked(self, ours: str, theirs: str) -> None:
        """A layer with torch's older spectral norm: weight_orig, weight_u, weight_v."""
        self.copy(f"{ours}.{NORM}.original", f"{theirs}.weight_orig")
        self.copy(f"{ours}.{NORM}.0._u", f"{theirs}.weight_u")
        self.copy(f"{ours}.{NORM}.0._v", f"{theirs}.weight_v")
        for vector in ("weight_u", "weight_v"):
            self._check_vector(f"{theirs}.{vector}", self.tensors[f"{ours}.{NORM}.0.{vector[-2:]}"])
        self._bias(ours, theirs)

    def iterated(self, ours: str, theirs: str, vector: str, sigma: str, *, turned: bool = False) -> None:
        """A layer with u alone, under the name `vector`; `sigma` is a record of the last sigma, which is not needed.

        turned: their weight is the transpose of ours, as a table of embeddings is a linear map's of one-hot vectors.
        """
        weight, u_1O = self.foreign.take(f"{theirs}.weight"), self.foreign.take(f"{theirs}.{vector}")
        self.foreign.take(f"{theirs}.{sigma}", shape=(1,))
        if weight.ndim < 2 or u_1O.shape != (1, weight.shape[0]):
            raise UserError(
                f"{self.foreign.where}: '{theirs}.{vector}' has shape {tuple(u_1O.shape)}, must be (1, outputs) "
                f"of the weight {tuple(weight.shape)}"
            )
        self._check_vector(f"{theirs}.{vector}", u_1O)
        weight_OI = weight.flatten(1)
        v_1I = F.normalize(u_1O @ weight_OI, dim=1)
        u_1O = F.normalize(v_1I @ weight_OI.T, dim=1)
        left, right = (v_1I, u_1O) if turned else (u_1O, v_1I)
        self.put(f"{ours}.{NORM}.original", transposed(weight) if turned else weight, f"{theirs}.weight")
        self.put(f"{ours}.{NORM}.0._u", left.flatten(), f"{theirs}.{vector}")
        self.put(f"{ours}.{NORM}.0._v", right.flatten(), f"{theirs}.{vector}")
        self._bias(ours, theirs)

    def _check_vector(self, key: str, vector: Tensor) -> None:
        """A vector of zeros has no direction: every weight would be divided by zero."""
        if not bool(vector.any()):
            raise UserError(f"{self.foreign.where}: '{key}' is all zeros, must be a vector of unit length")

    def variance(self, ours: str, theirs: str) -> None:
        """A running variance, which has no negative number."""
        self.copy(ours, theirs)
        if bool((self.tensors[ours] < 0).any()):
            raise UserError(f"{self.foreign.where}: '{theirs}' holds negative numbers; no variance has")

    def batch_norm(self, ours: str, theirs: str) -> None:
        """torch's BatchNorm2d with a gain and a bias."""
        for name in ("weight", "bias", "running_mean"):
            self.copy(f"{ours}.{name}", f"{theirs}.{name}")
        self.variance(f"{ours}.running_var", f"{theirs}.running_var")
        self.copy(f"{ours}.num_batches_tracked", f"{theirs}.num_batches_tracked", dtype=torch.int64)

    def check_shapes(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Our tensors are these, in these shapes: for what no network here tells. UserError naming their key."""
        for ours, tensor in self.tensors.items():
            if ours not in shapes or tuple(tensor.shape) != tuple(shapes[ours]):
                right = f"must be {tuple(shapes[ours])}" if ours in shapes else "must not be there"
                theirs = self.origins[ours]
                raise UserError(
                    f"{self.foreign.where}: '{theirs}' becomes {ours} of shape {tuple(tensor.shape)}, which {right}"
                )

    def _bias(self, ours: str, theirs: str) -> None:
        if f"{theirs}.bias" in self.foreign:
            self.copy(f"{ours}.bias", f"{theirs}.bias")
        else:
            self.absent[f"{ours}.bias"] = f"{theirs}.bias"


@dataclass(frozen=True)
class Converted:
    """A checkpoint as weights of one of our networks.

    options: the settings that the tensors' shapes and the file imply. notes: what a user should know, a line each.
    files: those that were read, where they are not the ones that the user named.
    """

    network: str
    options: dict[str, Any]
    generator: Translation
    discriminator: Translation | None
    notes: Sequence[str] = ()
    files: Sequence[Path] = ()
