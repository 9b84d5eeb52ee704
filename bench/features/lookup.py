"""Extractors by name: ours, those of installed packages, those of loaded plug-ins; and the digest of what one is."""

from __future__ import annotations

import hashlib
import importlib
import re
from functools import cache

from bench.errors import UserError
from bench.features.entry import ExtractorEntry
from bench.features.known import OURS
from bench.files import readings
from bench.files.source_code import module_digest
from bench.registry import Registry

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@cache
def extractors() -> Registry:
    """Every known extractor by name."""
    registry = Registry("extractor")
    for card in OURS:
        registry.add(card.name, card.target, card.summary, card)
    registry.add_entry_points("bench.extractors")
    return registry


def add_extractors(registry: Registry, module: str) -> list[str]:
    """Register the entries that a module lists in EXTRACTORS, and return their names.

    Raises UserError for what is no entry, for a name that is taken or no lower-case word, and for an entry that calls
    itself an Inception of FID: which score is an FID is known of this project's own extractors.
    """
    cards = getattr(importlib.import_module(module), "EXTRACTORS", ())
    if not isinstance(cards, (list, tuple)) or not all(isinstance(card, ExtractorEntry) for card in cards):
        raise UserError(f"EXTRACTORS must be a list of bench.features.ExtractorEntry, not {cards!r:.80}")
    for card in cards:
        registry.add(card.name, f"{module}:{card.name}", card.summary, _checked(card))
    return [card.name for card in cards]


def entry(name: str) -> ExtractorEntry:
    """The entry of the extractor `name`. Raises UserError with the nearest known name."""
    card = extractors().load(name)
    if not isinstance(card, ExtractorEntry) or card.name != name:
        target = extractors().entry(name).target
        raise UserError(f"extractor '{name}' ({target}) must be a bench.features.ExtractorEntry of that name")
    return _checked(card) if is_from_outside(name) else card


def is_from_outside(name: str) -> bool:
    """Whether an extractor is a plug-in's or another package's. Raises UserError for an unknown name."""
    return not extractors().entry(name).target.startswith("bench.features.")


def digest(name: str) -> str:
    """The sha256 of the weights of the extractor `name` on this machine; from outside, of its weights and code.

    Of packaged weights it is the one that every reading is checked against. Raises UserError where there are none.
    """
    card = entry(name)
    weights = card.weights.digest() if card.weights is not None else ""
    if not is_from_outside(name):
        return weights
    # The module that lists the entry, and the one that makes the network, each with its own imports.
    modules = {target.partition(":")[0] for target in (extractors().entry(name).target, card.target)}
    code = [module_digest(module) for module in sorted(modules) if not module.startswith("bench.features.")]
    return hashlib.sha256(" ".join([weights, *code]).encode()).hexdigest()


def noted(name: str) -> None:
    """Note that the run at work takes the extractor `name`."""
    readings.note(f"extractor/{name}", digest(name))


def _checked(card: ExtractorEntry) -> ExtractorEntry:
    if not NAME.fullmatch(card.name):
        raise UserError(f"extractor '{card.name}': a name is lower-case letters, digits and _ . -")
    if card.inception is not None:
        raise UserError(f"extractor '{card.name}': inception must be left out; only this project's own are FID's")
    return card
