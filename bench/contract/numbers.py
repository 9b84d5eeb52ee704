"""Random numbers of a stream of a run, drawn on the CPU and given on the run's device: the same on every device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

Key = tuple[tuple[str | int, ...], int]  # of a stream: its purpose, and how often it was asked for in the step


class Draw(NamedTuple):
    """One draw: what kind of numbers, and how many; low and high are of integers alone."""

    kind: Literal["normal", "uniform", "integers", "permutation"]
    shape: tuple[int, ...]
    low: int = 0
    high: int = 0

    @property
    def whole(self) -> bool:
        """Whether the numbers are integers (int64), and not floats."""
        return self.kind in ("integers", "permutation")

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)

    def drawn(self, stream: torch.Generator) -> Tensor:
        """The numbers, on the CPU."""
        if self.kind == "normal":
            return torch.randn(self.shape, generator=stream)
        if self.kind == "uniform":
            return torch.rand(self.shape, generator=stream)
        if self.kind == "integers":
            return torch.randint(self.low, self.high, self.shape, generator=stream)
        return torch.randperm(self.size, generator=stream)


class Supply(Protocol):
    """What has numbers ready on the device before they are asked for (bench.train.drawn_ahead)."""

    def begin_step(self, step: int) -> None:
        """What is taken from here on is of this step."""
        ...

    def take(self, key: Key, place: int, draw: Draw) -> Tensor | None:
        """The numbers of the draw number `place` (from 0) of this step's stream `key`; None if they are not ready."""
        ...


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor's copy on the device, for which Python does not wait; the tensor itself on a CPU.

    A plain `.to(device)` waits until the device has done all that it was asked before.
    """
    if device.type == "cpu":
        return tensor
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


class Numbers:
    """The numbers of one stream, in the order in which they are asked for.

    They are those of `torch.randn(shape, generator=stream)` and so forth, whether they are drawn now or lay ready.
    """

    def __init__(
        self,
        open_stream: Callable[[], torch.Generator],
        device: torch.device,
        key: Key = ((), 0),
        supply: Supply | None = None,
    ) -> None:
        self._open, self._device, self._key, self._supply = open_stream, device, key, supply
        self._stream: torch.Generator | None = None
        self._given: list[Draw] = []  # what has been asked for
        self._drawn = 0  # how many of those the stream itself has drawn

    @classmethod
    def of(cls, stream: torch.Generator, device: torch.device | None = None) -> Numbers:
        """The numbers that a generator draws from here on."""
        return cls(lambda: stream, device or torch.device("cpu"))

    @property
    def used(self) -> bool:
        """Whether anything has been asked for."""
        return bool(self._given)

    def again(self) -> Numbers:
        """The same numbers from the beginning."""
        return Numbers(self._open, self._device, self._key, self._supply)

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1)."""
        return self.give(Draw("normal", shape))

    def uniform(self, *shape: int) -> Tensor:
        """U[0, 1)."""
        return self.give(Draw("uniform", shape))

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """low ... high - 1, each equally likely; int64."""
        return self.give(Draw("integers", shape, low, high))

    def permutation(self, count: int) -> Tensor:
        """0 ... count - 1 in random order; int64."""
        return self.give(Draw("permutation", (count,)))

    def give(self, draw: Draw) -> Tensor:
        """The next numbers."""
        place = len(self._given)
        self._given.append(draw)
        if self._supply is not None and (ready := self._supply.take(self._key, place, draw)) is not None:
            return ready
        # The stream catches up with what lay ready
        if self._stream is None:
            self._stream = self._open()
        for earlier in self._given[self._drawn : place]:
            earlier.drawn(self._stream)
        self._drawn = place + 1
        return to_device(draw.drawn(self._stream), self._device)
