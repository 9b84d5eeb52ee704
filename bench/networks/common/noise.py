"""Random numbers inside a forward pass (noise injection, style mixing), from a stream that the caller lends.

A network never draws from the global generators: a run that resumes must see the same noise, and two methods at one
seed should. The engine wraps every call of a generator in `drawn_from(stream)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import torch
from torch import Tensor

from bench.networks.common import sharing


class Drawing(Protocol):
    """Numbers that come on a device of their own (bench.contract.numbers.Numbers)."""

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1)."""
        ...

    def uniform(self, *shape: int) -> Tensor:
        """U[0, 1)."""
        ...


Streams = torch.Generator | tuple[torch.Generator, ...] | Drawing
_ACTIVE: ContextVar[Streams | None] = ContextVar("noise stream", default=None)
_GIVEN: ContextVar[Iterator[Tensor] | None] = ContextVar("noise that was drawn before", default=None)
_NOTED: ContextVar[list[Tensor] | None] = ContextVar("what is drawn", default=None)


@contextmanager
def drawn_from(stream: torch.Generator | Drawing) -> Iterator[None]:
    """Inside, `normal` and `uniform` draw from this CPU generator, or give what these numbers give."""
    with _active(stream):
        yield


@contextmanager
def drawn_for_each(streams: Sequence[torch.Generator]) -> Iterator[None]:
    """Inside, each image of a batch draws from a CPU generator of its own: its noise does not depend on the others."""
    with _active(tuple(streams)):
        yield


@contextmanager
def _active(streams: Streams) -> Iterator[None]:
    token = _ACTIVE.set(streams)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


@contextmanager
def noted() -> Iterator[list[Tensor]]:
    """Inside, everything that `normal` gives is kept in a list, in order: what an export has to draw by itself."""
    drawn: list[Tensor] = []
    token = _NOTED.set(drawn)
    try:
        yield drawn
    finally:
        _NOTED.reset(token)


@contextmanager
def given(drawn: Sequence[Tensor]) -> Iterator[None]:
    """Inside, `normal` gives these, in order, in place of numbers of a stream."""
    token = _GIVEN.set(iter(drawn))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def normal(shape: Sequence[int], like: Tensor) -> Tensor:
    """Standard normal numbers with the device and dtype of `like`, an entry an image along the first axis.

    Where a pass is shared out among ranks, they are drawn for all of its images (bench.networks.common.sharing).
    Drawn on the CPU, so that every device sees the same. Raises RuntimeError where no stream is active, or where there
    is one for each image and another number of them.
    """
    if (ready := _GIVEN.get()) is not None:
        return next(ready)
    drawn = _drawn(torch.randn, shape, like, 0)
    if (kept := _NOTED.get()) is not None:
        kept.append(drawn)
    return drawn


def uniform(shape: Sequence[int], like: Tensor, images: int | None = 0) -> Tensor:
    """Numbers in [0, 1) with the device and dtype of `like`; as `normal` otherwise.

    images: the axis that has an entry an image; None where all images share the numbers.
    """
    return _drawn(torch.rand, shape, like, images)


def _drawn(draw: Callable[..., Tensor], shape: Sequence[int], like: Tensor, images: int | None) -> Tensor:
    if like.is_meta:
        return like.new_empty(tuple(shape))
    streams = _ACTIVE.get()
    if streams is None:
        raise RuntimeError("this network draws noise: call it within bench.networks.common.noise.drawn_from(stream)")
    if isinstance(streams, torch.Generator):
        if images is None or sharing.active() is None:
            return draw(tuple(shape), generator=streams).to(like)
        of_all = [sharing.whole(size) if axis == images else size for axis, size in enumerate(shape)]
        return sharing.own(draw(of_all, generator=streams), images).to(like)
    if not isinstance(streams, tuple):
        given = streams.normal if draw is torch.randn else streams.uniform
        if images is None or sharing.active() is None:
            return given(*shape).to(like)
        of_all = [sharing.whole(size) if axis == images else size for axis, size in enumerate(shape)]
        return sharing.own(given(*of_all), images).to(like)
    if len(streams) != shape[0]:
        raise RuntimeError(f"noise of shape {tuple(shape)} is drawn from streams for {len(streams)} images")
    return torch.stack([draw(tuple(shape[1:]), generator=stream) for stream in streams]).to(like)
