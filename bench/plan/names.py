"""Check that everything a table names exists: methods, networks, data sets, scores, extractors, reference points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench import features, networks
from bench.contract.expression import parse_method
from bench.data.known import datasets
from bench.data.points import POINTS
from bench.errors import UserError, did_you_mean
from bench.evaluate.registry import output_card
from bench.evaluate.traces import traces
from bench.files.yamlfile import Keys
from bench.metrics.measures import measures
from bench.plan import ids, waiting
from bench.spec.patch import Patch
from bench.spec.run import NetworkSpec
from bench.spec.scale import PLACES
from bench.spec.source import SourceRun
from bench.spec.table import TableSpec

# The name's place in the YAML, the function that looks it up, the name
Check = tuple[Keys, Callable[[Any], object], Any]


def names_problem(table: TableSpec) -> tuple[Keys, str] | None:
    """The place of the first unknown name in the table's YAML, with the message for the user; None if all are known."""
    known: set[tuple[object, str]] = set()  # a name stands in many places, and is looked up once
    for keys, look_up, name in (*waiting.checks(table), *_checks(table), *ids.checks(table)):
        if (look_up, repr(name)) in known:
            continue
        known.add((look_up, repr(name)))
        try:
            look_up(name)
        except UserError as error:
            return keys, str(error)
    return None


def _checks(table: TableSpec) -> Iterator[Check]:
    for number, row in enumerate(table.rows):
        if row.method is not None:
            yield ("rows", number, "method"), parse_method, row.method
    if waiting.to_come(table) is None:  # the outputs of a measure that is to come are not known either
        for number, metric in enumerate(table.metrics):
            yield ("metrics", number), output_card, metric
    for number, point in enumerate(table.references):
        yield ("references", number), _reference_point, point
    for scale, settings in table.scales.items():
        yield from _of_patch(("scales", scale), settings)
        for place in PLACES:
            for name, patch in getattr(settings, place).items():
                yield from _of_patch(("scales", scale, place, name), patch)


def _of_patch(keys: Keys, patch: Patch) -> Iterator[Check]:
    if patch.method is not None:
        yield (*keys, "method"), parse_method, patch.method
    yield from _network((*keys, "network"), patch.network)
    if patch.protocol is not None:
        for number, metric in enumerate(patch.protocol.metrics or ()):
            yield (*keys, "protocol", "metrics", number, "name"), measures().entry, metric.name
            yield (*keys, "protocol", "metrics", number, "extractor"), features.parse_spec, metric.extractor
        for number, name in enumerate(patch.protocol.traces or ()):
            yield (*keys, "protocol", "traces", number), traces().entry, name
    if patch.data is not None and patch.data.name is not None:
        yield (*keys, "data", "name"), datasets().entry, patch.data.name
    for role, source in patch.sources.items():
        if isinstance(source, SourceRun):
            yield (*keys, "sources", role, "method"), parse_method, source.method
            yield (*keys, "sources", role, "data", "name"), datasets().entry, source.data.name
            yield from _network((*keys, "sources", role, "network"), source.network)


def _network(keys: Keys, network: NetworkSpec | None) -> Iterator[Check]:
    if network is not None:
        yield (*keys, "name"), networks.NETWORKS.entry, network.name


def _reference_point(name: str) -> None:
    if name not in POINTS:
        raise UserError(f"unknown reference point '{name}'; {did_you_mean(name, POINTS)}")
