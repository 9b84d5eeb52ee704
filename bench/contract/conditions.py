"""Tables of condition vectors, one row per training image: their scale, and how an inference draws from them.

The norm of the condition is a setting of its own because it matters by itself: a learned embedding of norm 1
and a feature vector of norm 20 train at very different speeds under spectral normalisation and Adam, whatever
they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from bench.errors import UserError, did_you_mean


class Vectors(Protocol):
    """M vectors of K numbers: a tensor (M, K), or anything that yields rows by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index_N: Tensor, /) -> Tensor: ...


class OneHots:
    """The rows of `norm` times an identity matrix (M, M), which is never built: M may be large.

    A linear layer on a one-hot vector of norm 1 is a learned embedding.
    """

    def __init__(self, count: int, norm: float = 1.0) -> None:
        self.count = count
        self.norm = norm

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index_N: Tensor, /) -> Tensor:
        return functional.one_hot(index_N, self.count).float() * self.norm


def scaled(vectors_MK: Tensor, scale: str | float, others_NK: Tensor | None = None) -> Tensor:
    """Vectors with a declared size; rows keep their relative lengths.

    others: further vectors (N, K), which are returned instead, moved and divided as `vectors` would be.

    scale:
    "rms"       centred on their mean and divided by one number, so that the root mean square of all entries is 1
                (a mean norm near sqrt(K))
    "unit"      centred, mean norm 1
    a number    centred, that mean norm
    "raw"       unchanged
    """
    if scale == "raw":
        return vectors_MK if others_NK is None else others_NK
    mean_K = vectors_MK.mean(dim=0)
    centred_MK = vectors_MK - mean_K
    returned = centred_MK if others_NK is None else others_NK - mean_K  # (M, K) or (N, K)
    if scale == "rms":
        return returned.div_(_size(centred_MK.square().mean().sqrt()))
    if scale == "unit":
        scale = 1.0
    if isinstance(scale, str | bool) or scale <= 0:
        raise UserError(f"scale '{scale}' must be rms, unit, raw or a positive mean norm")
    return returned.mul_(scale / _size(centred_MK.norm(dim=1).mean()))


def _size(value: Tensor) -> Tensor:
    if value == 0:
        raise UserError("condition vectors of a single image, or of equal images, cannot be centred; use raw")
    return value


def vicinal_mix(vectors: Vectors, count: int, stream: torch.Generator) -> Tensor:
    """Random mixtures lambda p1 + (1 - lambda) p2 of two rows, lambda ~ U(0, 1): (count, K). DIP, Eq 5."""
    first_N = torch.randint(len(vectors), (count,), generator=stream)
    second_N = torch.randint(len(vectors), (count,), generator=stream)
    share_N1 = torch.rand(count, 1, generator=stream)
    return share_N1 * vectors[first_N] + (1 - share_N1) * vectors[second_N]


def pure(vectors: Vectors, count: int, stream: torch.Generator) -> Tensor:
    """Random rows, with repetition: (count, K)."""
    return vectors[torch.randint(len(vectors), (count,), generator=stream)]


_SAMPLINGS: dict[str, Callable[[Vectors, int, torch.Generator], Tensor]] = {"mix": vicinal_mix, "pure": pure}


def sampling_named(name: str) -> Callable[[Vectors, int, torch.Generator], Tensor]:
    """How conditions are drawn at inference: "mix" or "pure". Raises UserError for another name."""
    if name not in _SAMPLINGS:
        raise UserError(f"unknown sampling '{name}'; {did_you_mean(str(name), _SAMPLINGS)}")
    return _SAMPLINGS[name]
