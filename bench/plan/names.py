"""Check that everything a table names exists: methods, networks, data sets, scores, extractors, reference points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pydantic import ValidationError

from bench import features, networks
from bench.contract.expression import parse_method
from bench.data.known import datasets
from bench.data.points import POINTS
from bench.errors import UserError, did_you_mean
from bench.files.yamlfile import Keys, first_problem
from bench.metrics.measures import measures
from bench.spec.run import NetworkSpec, TrainSettings
from bench.spec.table import ScaleSpec, SourceRun, TableSpec

Check = tuple[
    Keys, Callable[[Any], object], Any
]  # the name's place in the YAML, the function that looks it up, the name


def names_problem(table: TableSpec) -> tuple[Keys, str] | None:
    """The place of the first unknown name in the table's YAML, with the message for the user; None if all are known."""
    for keys, look_up, name in _checks(table):
        try:
            look_up(name)
        except UserError as error:
            return keys, str(error)
    return None


def _checks(table: TableSpec) -> Iterator[Check]:
    for number, row in enumerate(table.rows):
        if row.method is not None:
            yield ("rows", number, "method"), parse_method, row.method
    for number, metric in enumerate(table.metrics):
        yield ("metrics", number), measures().entry, metric
    for number, claim in enumerate(table.claims):
        for order in claim.orders:
            if order.metric is not None:
                yield ("claims", number), partial(_claimed, claim.id, table.metrics), order.metric
    for number, point in enumerate(table.references):
        yield ("references", number), _reference_point, point
    for scale, settings in table.scales.items():
        for keys, look_up, name in _checks_of_scale(settings):
            yield ("scales", scale, *keys), look_up, name


def _checks_of_scale(scale: ScaleSpec) -> Iterator[Check]:
    yield from _network(("network",), scale.network)
    for number, metric in enumerate(scale.protocol.metrics):
        yield ("protocol", "metrics", number, "name"), measures().entry, metric.name
        yield ("protocol", "metrics", number, "extractor"), features.parse_spec, metric.extractor
    for name, column in scale.columns.items():
        yield ("columns", name, "data", "name"), datasets().entry, column.data.name
    for role, source in scale.sources.items():
        if isinstance(source, SourceRun):
            yield ("sources", role, "method"), parse_method, source.method
            yield ("sources", role, "data", "name"), datasets().entry, source.data.name
            yield from _network(("sources", role, "network"), source.network)
    for name, override in scale.rows.items():
        if override.method is not None:
            yield ("rows", name, "method"), parse_method, override.method
        yield from _network(("rows", name, "network"), override.network)
        yield ("rows", name, "train"), _train_settings, {**scale.train.model_dump(), **override.train}


def _network(keys: Keys, network: NetworkSpec | None) -> Iterator[Check]:
    if network is not None:
        yield (*keys, "name"), networks.NETWORKS.entry, network.name


def _claimed(claim: str, metrics: tuple[str, ...], name: str) -> None:
    if name not in metrics:
        raise UserError(f"claim {claim} names the unknown metric '{name}'; {did_you_mean(name, metrics)}")


def _reference_point(name: str) -> None:
    if name not in POINTS:
        raise UserError(f"unknown reference point '{name}'; {did_you_mean(name, POINTS)}")


def _train_settings(values: dict[str, Any]) -> None:
    try:
        TrainSettings.model_validate(values)
    except ValidationError as error:
        keys, message = first_problem(TrainSettings, error)
        raise UserError(f"{'.'.join(map(str, keys))}: {message}") from error
