"""Traces: measures that are cheap enough for every snapshot of a training, and that see its discriminator too.

A protocol names them (`protocol.traces`); their numbers stand beside its scores in the record of each snapshot. A trace
is a card in `TRACES` of a file in bench/evaluate/cards/ or of a plug-in. Listing them imports no torch.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from bench.errors import UserError
from bench.evaluate import cards
from bench.evaluate.card import Value
from bench.files.source_code import module_digest
from bench.metrics.output import Output
from bench.registry import Registry
from bench.spec.run import MetricSpec, Protocol

if TYPE_CHECKING:
    from bench.evaluate.snapshot import AtSnapshot


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The card of a trace.

    compute: gives a value of every output, of a training at a snapshot. It must leave the training as it is: a run with
    a trace ends with the weights of one without. check: raises UserError, before the first step, for a training of
    which it cannot be taken; the training is then at its first step, without generated images.
    """

    name: str  # in `protocol.traces`
    summary: str
    compute: Callable[[AtSnapshot], Sequence[Value]]
    outputs: tuple[Output, ...]
    version: int = 1  # of its meaning, and of its outputs'
    check: Callable[[AtSnapshot], None] | None = None


@cache
def traces() -> Registry:
    """Every known trace by name: ours, and those of loaded plug-ins."""
    registry = Registry("trace")
    for file in pkgutil.iter_modules(cards.__path__):
        add_traces(registry, f"{cards.__name__}.{file.name}")
    return registry


def add_traces(registry: Registry, module: str) -> list[str]:
    """Register the cards that a module lists in TRACES, and return their names. UserError if one is not a card."""
    listed = getattr(importlib.import_module(module), "TRACES", ())
    if not isinstance(listed, (list, tuple)) or not all(isinstance(card, Trace) for card in listed):
        raise UserError(f"TRACES must be a list of bench.evaluate.traces.Trace cards, not {listed!r:.80}")
    for card in listed:
        registry.add(card.name, f"{module}:{card.name}", card.summary, card)
    return [card.name for card in listed]


def trace(name: str) -> Trace:
    """The card of a trace. UserError for an unknown name."""
    card = traces().load(name)
    assert isinstance(card, Trace)
    return card


def source_digest(name: str) -> str | None:
    """The digest of the code of a trace from outside this project; None for our own, which has its `version`."""
    module = traces().entry(name).target.partition(":")[0]
    return None if module.startswith("bench.evaluate.") else module_digest(module)


def traced(protocol: Protocol) -> tuple[MetricSpec, ...]:
    """The numbers of a protocol's traces, which are on no features."""
    return tuple(
        MetricSpec(name=output.name, extractor="") for name in protocol.traces or () for output in trace(name).outputs
    )
