"""Which images of a pass are this process's, where several train a run together: its share of the pass.

Random numbers are drawn for the whole pass and sliced, statistics of the batch are taken of the whole pass. Whoever
draws or takes some asks here; without a share, in a run of one process and outside of passes, nothing differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from bench.machine.ranks import Ranks

_ACTIVE: ContextVar[Share | None] = ContextVar("share of a pass", default=None)


class Share:
    """The images of a pass that are this rank's.

    whole: how many the pass has. group: images n, n + M, n + 2M, ... with M = whole / group are never parted; 1 where
    each image stands alone. The M groups are cut into pieces of equal size, the first ones larger by one where they are
    not divisible. row_N: this rank's positions in the pass, ascending.
    """

    def __init__(self, ranks: Ranks, whole: int, group: int = 1) -> None:
        if whole % group or whole // group < ranks.size:
            raise ValueError(f"{whole} images in groups of {group} cannot be shared out among {ranks.size} ranks")
        self.ranks, self.whole, self.group = ranks, whole, group
        groups = whole // group
        bounds = [groups * rank // ranks.size for rank in range(ranks.size + 1)]
        first, last = bounds[ranks.rank], bounds[ranks.rank + 1]
        self.row_N = torch.arange(whole).view(group, groups)[:, first:last].flatten()
        self.count = len(self.row_N)

    @property
    def weight(self) -> float:
        """What a mean over this rank's images weighs in the mean over the pass."""
        return self.count / self.whole

    def own(self, whole: Tensor, dim: int = 0) -> Tensor:
        """This rank's part of something that has an entry for each image of the pass along `dim`."""
        if whole.shape[dim] != self.whole:
            raise ValueError(f"there are {whole.shape[dim]} entries for a pass of {self.whole} images")
        return whole.index_select(dim, self.row_N.to(whole.device))

    def gathered(self, own: Tensor) -> Tensor:
        """The entries (count, ...) of all ranks in the order of the pass, (whole, ...); gradients flow back to them."""
        if len(own) != self.count:
            raise ValueError(f"there are {len(own)} entries for a share of {self.count} images")
        placed = own.new_zeros((self.whole, *own.shape[1:])).index_copy(0, self.row_N.to(own.device), own)
        return summed(self.ranks, placed)


class _Sum(torch.autograd.Function):
    """The sum over ranks. Each rank's loss reads the sum, so the gradient of a summand is the sum of the gradients."""

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, tensor: Tensor) -> Tensor:
        ctx.ranks = ranks
        return ranks.summed(tensor.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, summed(ctx.ranks, gradients[0])


def summed(ranks: Ranks, tensor: Tensor) -> Tensor:
    """The sum of every rank's tensor, differentiable, as often as is asked for."""
    summed: Tensor = _Sum.apply(ranks, tensor)
    return summed


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """Inside, a pass over the share's images is computed."""
    token = _ACTIVE.set(share)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def active() -> Share | None:
    """The share of the pass that is being computed; None where a pass is all here."""
    return _ACTIVE.get()


def whole(count: int) -> int:
    """How many images the pass has of which `count` are here. ValueError for a count that is not the share's."""
    share = active()
    if share is None:
        return count
    if count != share.count:
        raise ValueError(f"{count} images are looked at in a pass of which {share.count} of {share.whole} are here")
    return share.whole


def own(drawn: Tensor, dim: int = 0) -> Tensor:
    """Of numbers that were drawn for the whole pass, an entry an image along `dim`, those of the images here."""
    share = active()
    return drawn if share is None else share.own(drawn, dim)


def gathered(own: Tensor) -> Tensor:
    """The entries of all images of the pass, (N, ...), of those of the images here."""
    share = active()
    return own if share is None else share.gathered(own)


def mean(values: Tensor) -> Tensor:
    """The mean over the first axis of the whole pass, of the values (N, ...) of the images here."""
    share = active()
    return values.mean(dim=0) if share is None else summed(share.ranks, values.mean(dim=0) * share.weight)
