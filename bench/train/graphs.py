"""`train.graphs`: the updates of a step are recorded once and then repeated as one launch (CUDA graphs).

What a small network's step costs on a GPU is Python and a thousand launches; a repeated recording has neither. It does
the same operations on the same memory, so all that differs from step to step has to lie in that memory: the random
numbers and the places of the batch are copied there before each repetition, Adam counts its steps there. What the hooks
decide in Python by the step (a lazy regulariser) makes another recording, by `Method.variant`; `begin_step` and
`after_step` run in Python as always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.contract.composition import Composition
from bench.contract.context import Batch, Context
from bench.contract.numbers import Draw, Key, Supply
from bench.errors import UserError
from bench.train.batches import Batches

Values = dict[str, Tensor]
Use = tuple[Key, int]  # a draw: its stream, and its place there
Step = Callable[[Callable[[int], Batch]], Values]  # makes the updates of a step, of batches by their number in it


class Recorder(NamedTuple):
    """How a device's work is recorded.

    capture: runs a step, and returns what it returns and the function that does the same again on the same memory.
    aside: what steps that are not recorded run in, so that nothing of theirs is in the way of a recording.
    """

    capture: Callable[[Callable[[], Values]], tuple[Values, Callable[[], None]]]
    aside: Callable[[], AbstractContextManager[None]]


WARM = 3  # steps of a variant that run in Python first: Adam's state, cuDNN's choice and what they draw are then known
MOST = 8  # recordings that are kept, each with its memory; steps of further variants run in Python


def refuse(ctx: Context, method: Composition) -> None:
    """UserError, with the reason, where the updates of this run cannot be recorded."""
    for name, reason in method.not_in_graphs():
        raise UserError(f"train: graphs is true, but method '{name}' {reason}; leave graphs out")
    if ctx.ranks.size > 1:
        raise UserError("train: graphs is true, but several cards share this run; leave graphs or gpus out")
    if ctx.device.type != "cuda":
        raise UserError(f"train: graphs is true, but this run is on '{ctx.device}': only a GPU's work can be recorded")


def on_gpu(device: torch.device) -> Recorder:
    """Recordings as CUDA graphs of this device."""
    stream = torch.cuda.Stream(device)

    def capture(run: Callable[[], Values]) -> tuple[Values, Callable[[], None]]:
        graph = torch.cuda.CUDAGraph()
        # Other threads may copy numbers to the device meanwhile
        with torch.cuda.device(device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            values = run()
        graph.replay()
        return values, graph.replay

    @contextmanager
    def aside() -> Iterator[None]:
        # A recording cannot reach into the default stream, where autograd's nodes for the parameters would else be
        usual = torch.cuda.current_stream(device)
        stream.wait_stream(usual)
        with torch.cuda.device(device), torch.cuda.stream(stream):
            yield
        usual.wait_stream(stream)

    return Recorder(capture, aside)


class _Recording(NamedTuple):
    """A variant's updates: how to repeat them, and where their inputs and results lie."""

    repeat: Callable[[], None]
    numbers: dict[Use, tuple[Draw, Tensor]]
    places: list[tuple[Tensor, Tensor]]
    values: Values
    real_logits: list[Tensor]
    left: dict[str, list[Tensor]]


class _Noting:
    """A supply that notes what is asked for, and leaves it to another to answer."""

    def __init__(self, supply: Supply | None) -> None:
        self.supply = supply
        self.draws: dict[Use, Draw] = {}

    def begin_step(self, step: int) -> None:
        """Nothing of its own."""

    def take(self, key: Key, place: int, draw: Draw) -> Tensor | None:
        """See `Supply`."""
        self.draws[key, place] = draw
        return None if self.supply is None else self.supply.take(key, place, draw)


class _Given:
    """A supply of numbers that lie at fixed places."""

    def __init__(self, numbers: dict[Use, tuple[Draw, Tensor]]) -> None:
        self.numbers = numbers

    def begin_step(self, step: int) -> None:
        """Nothing of its own."""

    def take(self, key: Key, place: int, draw: Draw) -> Tensor | None:
        """See `Supply`. RuntimeError for numbers that the steps before have not asked for."""
        known, tensor = self.numbers.get((key, place), (None, None))
        if known != draw:
            raise RuntimeError(f"a recorded step draws {draw} from {key}, which the steps before it did not")
        return tensor


class Graphs:
    """The updates of a run's steps, recorded by variant; see `Recorder`."""

    def __init__(self, ctx: Context, method: Composition, batches: Batches, step: Step, recorder: Recorder) -> None:
        if not batches.resident:
            raise UserError(
                "train: graphs is true, but the training images are too many to lie on the GPU; leave graphs out"
            )
        self.ctx, self.method, self.batches, self.step, self.recorder = ctx, method, batches, step, recorder
        self.recordings: dict[Hashable, _Recording] = {}
        self._noted: dict[Hashable, dict[Use, Draw]] = {}  # what the last step of a variant drew
        self._warm: Counter[Hashable] = Counter()

    def make(self) -> Values:
        """This step's updates, recorded or in Python; returns their values, which the next step overwrites."""
        variant = self.method.variant(self.ctx)
        if (recording := self.recordings.get(variant)) is not None:
            self._fill(recording.numbers, recording.places)
            recording.repeat()
            self.ctx.real_logits, self.ctx.left = recording.real_logits, recording.left
            return recording.values
        if self._warm[variant] < WARM or len(self.recordings) == MOST:
            return self._in_python(variant)
        self.recordings[variant] = recording = self._recorded(self._noted.pop(variant))
        return recording.values

    def _in_python(self, variant: Hashable) -> Values:
        """The step as it is without recordings, and a note of what it draws."""
        noting = _Noting(self.ctx.supply)
        with self.recorder.aside():
            step = lambda: self.step(lambda update: self.batches.picked(*self._places(update)))  # noqa: E731
            values = self._supplied(noting, step)
        self._warm[variant] += 1
        self._noted[variant] = noting.draws
        return values

    def _recorded(self, draws: dict[Use, Draw]) -> _Recording:
        """Make the step and record it, with its inputs at places of their own."""
        numbers = {use: (draw, tensor) for (use, draw), tensor in zip(draws.items(), self._drawn(draws), strict=True)}
        numbers = {use: (draw, tensor.clone()) for use, (draw, tensor) in numbers.items()}
        places = [(index_N.clone(), mirrored_N.clone()) for index_N, mirrored_N in self._all_places()]
        given, run = _Given(numbers), lambda: self.step(lambda update: self.batches.picked(*places[update]))
        values, repeat = self._supplied(given, lambda: self.recorder.capture(run))
        return _Recording(repeat, numbers, places, values, self.ctx.real_logits, self.ctx.left)

    def _fill(self, numbers: dict[Use, tuple[Draw, Tensor]], places: list[tuple[Tensor, Tensor]]) -> None:
        """Put this step's numbers and places where the recording reads them."""
        drawn = self._drawn({use: draw for use, (draw, _) in numbers.items()})
        pairs = [*zip((tensor for _, tensor in numbers.values()), drawn, strict=True)]
        for there, here in zip(places, self._all_places(), strict=True):
            pairs += zip(there, here, strict=True)
        for dtype in {there.dtype for there, _ in pairs}:
            there, here = zip(*(pair for pair in pairs if pair[0].dtype == dtype), strict=True)
            torch._foreach_copy_(list(there), list(here))

    def _drawn(self, draws: dict[Use, Draw]) -> list[Tensor]:
        """This step's numbers for these draws, in their order."""
        numbers = {key: self.ctx.numbers_of(*key) for key, _ in draws}
        return [numbers[key].give(draw) for (key, _), draw in draws.items()]

    def _places(self, update: int) -> tuple[Tensor, Tensor]:
        return self.batches.places(self.ctx.step * self.ctx.train.d_steps + update)

    def _all_places(self) -> list[tuple[Tensor, Tensor]]:
        return [self._places(update) for update in range(self.ctx.train.d_steps)]

    def _supplied(self, supply: Supply, make: Callable[[], Any]) -> Any:
        usual, self.ctx.supply = self.ctx.supply, supply
        try:
            return make()
        finally:
            self.ctx.supply = usual
