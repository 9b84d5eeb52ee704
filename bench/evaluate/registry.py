"""Every measure of finished runs by name: ours, those of installed packages, those of loaded plug-ins.

Listing them, and asking for their cards, imports no torch.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import ValidationError

from bench import features
from bench.contract.expression import at_inference
from bench.errors import UserError
from bench.evaluate import cards
from bench.evaluate.card import PlainSettings, RunMeasure
from bench.evaluate.traces import Trace, trace, traces
from bench.files.source_code import module_digest
from bench.files.yamlfile import first_problem
from bench.metrics.measures import measure, measures
from bench.metrics.output import Output
from bench.registry import Registry
from bench.spec.run import MeasureSpec, MetricSpec, RunSpec, Snapshot


@cache
def run_measures() -> Registry:
    """Every known measure of finished runs."""
    registry = Registry("measure")
    for file in pkgutil.iter_modules(cards.__path__):
        add_measures(registry, f"{cards.__name__}.{file.name}")
    registry.add_entry_points("bench.measures")
    return registry


def add_measures(registry: Registry, module: str) -> list[str]:
    """Register the cards that a module lists in MEASURES, and return their names.

    Raises UserError if one is not a card, or has an output of the name of a score or of another measure's output.
    """
    listed = getattr(importlib.import_module(module), "MEASURES", ())
    if not isinstance(listed, (list, tuple)) or not all(isinstance(card, RunMeasure) for card in listed):
        raise UserError(f"MEASURES must be a list of bench.evaluate.card.RunMeasure cards, not {listed!r:.80}")
    for card in listed:
        registry.add(card.name, f"{module}:{card.name}", card.summary, card)
    _refuse_same_names(registry)
    return [card.name for card in listed]


def _refuse_same_names(registry: Registry) -> None:
    """Tables know a number by its name alone."""
    whose: dict[str, str] = {}
    for name in (entry.name for entry in traces()):
        for output in trace(name).outputs:
            if output.name in measures() or output.name in whose:
                raise UserError(f"trace '{name}': its output '{output.name}' is there already; rename it")
            whose[output.name] = name
    for entry in registry:
        for output in registry.load(entry.name).outputs:
            if output.name in measures() or output.name in whose:
                other = f"of the measure '{whose[output.name]}'" if output.name in whose else "a score"
                raise UserError(f"measure '{entry.name}': its output '{output.name}' is {other} already; rename it")
            whose[output.name] = entry.name


def run_measure(name: str) -> RunMeasure:
    """The card of a measure. UserError for an unknown name, or if what a package offers is not a card."""
    card = run_measures().load(name)
    if not isinstance(card, RunMeasure) or card.name != name:
        raise UserError(f"measure '{name}' ({run_measures().entry(name).target}) must be a RunMeasure of that name")
    return card


def looks_at_no_run(name: object) -> bool:
    """Whether a name, as a table has it, is that of a known measure that is taken of no finished run."""
    return isinstance(name, str) and name in run_measures() and not run_measure(name).of_run


def is_exclusive(task: RunSpec) -> bool:
    """Whether a task is to run alone on its machine, as it measures time."""
    return task.measure is not None and run_measure(task.measure.name).exclusive


def source_digest(name: str) -> str | None:
    """The digest of the code of a measure from outside this project; None for our own, which has its `version`."""
    module = module_of(name)
    return None if module.startswith("bench.evaluate.") else module_digest(module)


def module_of(name: str) -> str:
    """The module in which a measure is written."""
    return run_measures().entry(name).target.partition(":")[0]


def output_card(name: str) -> Output:
    """The card of a number that a table shows: of a score, or of the output of a measure or a trace, with its version.

    Raises UserError for an unknown name.
    """
    if name in measures():
        return measure(name)
    every: list[RunMeasure | Trace] = [run_measure(entry.name) for entry in run_measures()]
    for card in [*every, *(trace(entry.name) for entry in traces())]:
        for output in card.outputs:
            if output.name == name:
                return replace(output, version=card.version)
    return measure(name)  # which raises, with the nearest name


def is_known(name: str) -> bool:
    """Whether a number that tables may show has a card: a score, or an output of a measure or a trace."""
    outputs = [output for entry in run_measures() for output in run_measure(entry.name).outputs]
    outputs += [output for entry in traces() for output in trace(entry.name).outputs]
    return name in measures() or any(output.name == name for output in outputs)


def on_features(extractor: str) -> str:
    """The extractor of a number as records name it, with its size; "" for a number that is on no features."""
    return features.canonical(extractor) if extractor else ""


def parse_measure(values: Mapping[str, Any], snapshot: Snapshot | None = None) -> MeasureSpec:
    """A measure as a table has it (`{measure: NAME, SETTING: VALUE, ...}`) with all its settings.

    snapshot: whose weights are looked at where the settings do not say it. Raises UserError for an unknown measure or
    setting, and for a value that a setting cannot have.
    """
    rest = dict(values)
    if not isinstance(name := rest.pop("measure", None), str):
        raise UserError("evaluate names no measure; write measure: rescore, or another of `bench list measures`")
    card = run_measure(name)
    if snapshot is not None and card.of_run:
        rest.setdefault("snapshot", snapshot)
    try:
        settings = card.settings.model_validate(rest)
    except ValidationError as error:
        keys, message = first_problem(card.settings, error)
        raise UserError(f"measure '{name}': {'.'.join(map(str, keys))}: {message}") from error
    return MeasureSpec(name=name, version=card.version, settings=settings.model_dump(mode="json", exclude_none=True))


def settings_of(spec: MeasureSpec) -> PlainSettings:
    """The settings of a planned evaluation, as the measure takes them. Raises UserError where it no longer does."""
    card = run_measure(spec.name)
    if card.version != spec.version:
        raise UserError(
            f"measure '{spec.name}' is of version {card.version} here, this evaluation was planned with version "
            f"{spec.version}; plan it again: it is another evaluation"
        )
    return card.settings.model_validate(spec.settings)


def source_roles(spec: MeasureSpec) -> tuple[str, ...]:
    """The roles of the further runs or weights that a measure reads with its settings."""
    card = run_measure(spec.name)
    return card.sources if card.reads is None else card.reads(settings_of(spec))


def refuse_impossible(task: RunSpec) -> None:
    """Raise UserError for an evaluation that cannot be: its run's method is not sampled like this, or as its card says.

    Imports torch, to construct the method.
    """
    from bench.contract.composition import build_method  # here, for it imports torch

    assert task.measure is not None
    card, settings, run = run_measure(task.measure.name), settings_of(task.measure), task.evaluated
    if run is None:
        if task.method:
            build_method(task.method)
        if card.check is not None:
            card.check(task, settings)
        return
    build_method(at_inference(run.method, settings.inference))
    if run.network is None:
        raise UserError(f"measure '{card.name}' needs a generator, and run {run.uid} trains none")
    if card.check is not None:
        card.check(run, settings)
    refuse_sources(task)


def refuse_sources(task: RunSpec) -> None:
    """Raise UserError for an evaluation whose settings do not fit what it reads beside its run, as its card says."""
    assert task.measure is not None
    if (check := run_measure(task.measure.name).check_sources) is not None:
        check(task.sources, settings_of(task.measure))


def gives(task: RunSpec) -> tuple[MetricSpec, ...]:
    """The numbers that an evaluation gives, each with the features that it is on: "" for none.

    A measure without outputs gives the protocol's scores, or pictures alone.
    """
    assert task.measure is not None
    card, scores = run_measure(task.measure.name), task.protocol.metrics if task.protocol is not None else ()
    if not card.outputs:
        return () if card.pictures else scores
    extractor = on_features(task.measure.settings.get("extractor") or "")
    given = None if card.gives is None else card.gives(card.settings.model_validate(task.measure.settings))
    shown = [one for one in card.outputs if given is None or one.name in given]
    outputs = (MetricSpec(name=one.name, extractor="" if one.featureless else extractor) for one in shown)
    return (*(scores if card.scores else ()), *outputs)
