"""The random numbers of the steps to come, drawn for many steps at once on the CPU and copied to the device once.

What a step will ask for is learned from the steps before it: the streams that it used, what it drew from each, and how
many steps lay between two uses. A number is a function of (seed, purpose, step) and what was drawn before it, so it is
the same whether it lies ready or is drawn when it is asked for; a wrong guess costs time alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from bench import seeds
from bench.contract.base import Logged
from bench.contract.context import Context
from bench.contract.numbers import Draw, Key

STEPS, BYTES = 16, 2**26  # so many steps at once at most, and so many bytes of numbers


@dataclass
class _Use:
    """How a stream is used: what the last step drew from it, and when."""

    draws: list[Draw] = field(default_factory=list)
    last: int = -1
    gap: int | None = None  # steps from one use to the next

    def expected_at(self, step: int) -> bool:
        return self.gap is not None and step > self.last and (step - self.last) % self.gap == 0


class _Chunk(NamedTuple):
    """Steps first ... end - 1, and what lies ready for them: of (key, step) the draws and their numbers."""

    first: int
    end: int
    ready: dict[tuple[Key, int], list[tuple[Draw, Tensor]]]


class DrawnAhead:
    """A supply of a context's numbers; one chunk of steps is used while a thread draws the next."""

    def __init__(self, ctx: Context, last: int, *, steps: int = STEPS) -> None:
        self._ctx, self._last, self._steps = ctx, last, steps
        self._uses: dict[Key, _Use] = defaultdict(_Use)
        self._thread = ThreadPoolExecutor(1, "numbers")
        self._chunk = _Chunk(0, 0, {})
        self._next: Future[_Chunk] | None = None
        self.missed = 0  # draws that did not lie ready

    def begin_step(self, step: int) -> None:
        """Have the numbers of this step ready, as far as they can be foreseen."""
        if self._chunk.first <= step < self._chunk.end:
            return
        chunk = self._next.result() if self._next is not None else None
        if chunk is None or not chunk.first <= step < chunk.end:
            chunk = self._made(step, self._planned(step))
        self._chunk = chunk
        plan = self._planned(chunk.end)
        self._next = self._thread.submit(self._made, chunk.end, plan) if plan else None

    def take(self, key: Key, place: int, draw: Draw) -> Tensor | None:
        """See `bench.contract.numbers.Supply`."""
        use, step = self._uses[key], self._ctx.step
        if use.last != step:
            use.gap, use.last, use.draws = None if use.last < 0 else step - use.last, step, []
        if place == len(use.draws):
            use.draws.append(draw)
        ready = self._chunk.ready.get((key, step), ())
        if place < len(ready) and ready[place][0] == draw:
            return ready[place][1]
        self.missed += 1
        return None

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _planned(self, first: int) -> dict[tuple[Key, int], list[Draw]]:
        """What the steps from `first` on are expected to draw, within the bounds of a chunk."""
        plan: dict[tuple[Key, int], list[Draw]] = {}
        held = 0
        for step in range(first, min(first + self._steps, self._last)):
            due = {(key, step): list(use.draws) for key, use in self._uses.items() if use.expected_at(step)}
            held += sum(draw.size * (8 if draw.whole else 4) for draws in due.values() for draw in draws)
            if plan and held > BYTES:
                break
            plan |= due
        return plan

    def _made(self, first: int, plan: dict[tuple[Key, int], list[Draw]]) -> _Chunk:
        """Draw what is planned, into one tensor of floats and one of integers, and copy each once."""
        end = max((step for _, step in plan), default=first) + 1
        drawn: list[Tensor] = []
        for (key, step), draws in plan.items():
            purpose, call = key
            stream = seeds.torch_stream(self._ctx.spec.seed, *purpose, step, call)
            drawn += [draw.drawn(stream) for draw in draws]
        on_device = iter(_copied(drawn, self._ctx.device))
        ready = {use: [(draw, next(on_device)) for draw in draws] for use, draws in plan.items()}
        return _Chunk(first, end, ready)


def _copied(drawn: list[Tensor], device: torch.device) -> list[Tensor]:
    """The tensors on the device, by one copy of each dtype for which nothing waits."""
    copies: dict[int, Tensor] = {}
    for dtype in {tensor.dtype for tensor in drawn}:
        places = [place for place, tensor in enumerate(drawn) if tensor.dtype == dtype]
        sizes = [drawn[place].numel() for place in places]
        host = torch.empty(sum(sizes), dtype=dtype, pin_memory=device.type == "cuda")
        for part, place in zip(host.split(sizes), places, strict=True):
            part.copy_(drawn[place].flatten())
        there = host.to(device, non_blocking=True)
        copies |= {place: part.view(drawn[place].shape) for place, part in zip(places, there.split(sizes), strict=True)}
    return [copies[place] for place in range(len(drawn))]


@contextmanager
def drawing_ahead(ctx: Context, last: int) -> Iterator[DrawnAhead]:
    """Inside, the numbers of the context's steps up to `last` are drawn ahead."""
    supply = ctx.supply = DrawnAhead(ctx, last)
    try:
        yield supply
    finally:
        ctx.supply = None
        supply.close()


def fed(ctx: Context, steps: Iterator[Logged]) -> Iterator[Logged]:
    """The steps of a loop, an item each, with their numbers drawn ahead where the device is no CPU.

    Closing this iterator closes the loop, and ends the thread.
    """
    if ctx.device.type == "cpu":
        yield from steps
        return
    with drawing_ahead(ctx, ctx.train.steps):
        yield from steps
