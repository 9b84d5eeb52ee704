"""Random numbers inside a forward pass (noise injection, style mixing), from a stream that the caller lends.

A network never draws from the global generators: a run that resumes must see the same noise, and two methods at one
seed should. The engine wraps every call of a generator in `drawn_from(stream)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_ACTIVE: ContextVar[torch.Generator | None] = ContextVar("noise stream", default=None)


@contextmanager
def drawn_from(stream: torch.Generator) -> Iterator[None]:
    """Inside, `normal` and `uniform` draw from this CPU generator."""
    token = _ACTIVE.set(stream)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def normal(shape: Sequence[int], like: Tensor) -> Tensor:
    """Standard normal numbers with the device and dtype of `like`.

    Drawn on the CPU, so that every device sees the same. Raises RuntimeError where no stream is active.
    """
    if like.is_meta:
        return like.new_empty(tuple(shape))
    return torch.randn(tuple(shape), generator=_stream()).to(like)


def uniform(shape: Sequence[int], like: Tensor) -> Tensor:
    """Numbers in [0, 1) with the device and dtype of `like`; as `normal` otherwise."""
    if like.is_meta:
        return like.new_empty(tuple(shape))
    return torch.rand(tuple(shape), generator=_stream()).to(like)


def _stream() -> torch.Generator:
    stream = _ACTIVE.get()
    if stream is None:
        raise RuntimeError("this network draws noise: call it within bench.networks.common.noise.drawn_from(stream)")
    return stream
