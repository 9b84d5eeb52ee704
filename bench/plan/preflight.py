"""Impossible plans, found before anything trains: counts, resolutions, options and files that do not fit together.

A problem has its place in the table's YAML. Something that is only absent on this machine (a data set that is not
built, weights of the user's) is not a mistake in the table: the plan can be shown without it, but not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench import features, networks
from bench.contract.signature import needing
from bench.data import counting, draw_counts
from bench.data.points import is_its_own_reference
from bench.errors import UserError, did_you_mean
from bench.files.yamlfile import Keys
from bench.metrics.measures import measure, neighbour
from bench.plan.runs import Plan, PlannedCell, PlannedRun
from bench.spec.run import DataSpec, NetworkSpec, Part, Protocol, RunSpec

MORE_IMAGES = (
    ": build the set with more pictures or a larger --test-share, or take all of them as the reference "
    "(--set protocol.reference_split=all)"
)


@dataclass(frozen=True)
class Problem:
    """What is impossible, and the keys in the table's YAML that cause it; no keys where no file has them."""

    keys: Keys
    text: str
    absent: bool = False  # the table is right, but something is not on this machine


@dataclass(frozen=True)
class _Places:
    """The places of a run's settings in the YAML."""

    data: Keys
    counts: Keys
    metrics: Keys
    split: Keys
    network: Keys
    method: Keys
    own_network: bool  # whether the row, its group or the cell has a network of its own
    more_images: str = ""  # how a column that the user has added gets more reference images


def problems(plan: Plan, *, deep: bool = False) -> list[Problem]:
    """What is wrong with the runs of a plan that are not done, each problem once.

    deep: also construct the methods, and the networks without weights. That finds impossible settings and values,
    and it imports torch.
    """
    dependants = {
        source.uid: (role, run.cells[0])
        for run in reversed(plan.runs)
        for role, source in run.spec.run_sources.items()
        if run.cells
    }
    distinct: dict[Problem, None] = {}
    checked: set[tuple[str | int, ...]] = set()
    built: set[str] = set()
    for run in plan.runs:
        first = run.cells[0] if run.cells else None
        kind: tuple[str | int, ...] = (first.row, first.column) if first else ("", run.uid)
        if run.spec.data.balanced:  # which classes the holdout leaves depends on the seed
            kind = (*kind, run.spec.seed)
        if run.status in ("done", "diverged") or kind in checked:
            continue
        checked.add(kind)  # the seeds of a cell differ in nothing else that is checked here
        places = _places(plan, run, dependants.get(run.uid))
        distinct |= dict.fromkeys(_of_run(run.spec, places))
        if deep:
            distinct |= dict.fromkeys(_deep(run.spec, places, built))
    return list(distinct)


def _places(plan: Plan, run: PlannedRun, dependant: tuple[str, PlannedCell] | None) -> _Places:
    """dependant: of a source run the role and a cell that starts from it."""
    columns = {column.id: column for column in plan.table.columns}
    rows = {row.id: row for row in plan.table.rows}
    role, cell = dependant if not run.cells and dependant else ("", run.cells[0])
    column, row = columns[cell.column], rows.get(cell.row)  # a reference point is no row

    def place(*keys: str) -> Keys:
        return plan.table.place(keys, column, plan.scale, row)

    if not run.cells:
        source = place("sources", role)
        return _Places((*source, "data"), (), (), (), (*source, "network"), (*source, "method"), True)
    network = place("network")
    return _Places(
        data=place("data"),
        counts=place("reference")[:-1],
        metrics=place("protocol", "metrics"),
        split=place("protocol", "reference_split"),
        network=network,
        method=() if row is not None and row.added else place("method"),
        own_network=network[2] in ("groups", "rows", "cells"),
        more_images=MORE_IMAGES if column.added else "",
    )


def _of_run(spec: RunSpec, places: _Places) -> Iterator[Problem]:
    try:
        counts = counting.counts(spec.data.name, spec.data.resolution)
    except UserError as error:
        yield Problem((*places.data, "resolution"), str(error))
        return
    if counts is None:
        yield Problem(places.data, counting.not_built(spec.data.name, spec.data.resolution), absent=True)
    else:
        yield from _counts(spec, places, *counts)
        yield from _labels(spec, places)
    if spec.protocol is not None:
        yield from _neighbours(spec.protocol, places)
        extractors = {metric.extractor: None for metric in spec.protocol.metrics}
        yield from _extractors(list(extractors), places.metrics)
    yield from _extractors(_priors(spec.method), places.method)
    if spec.network is not None:
        yield from _resolution(spec.network, spec.data, places)


def _counts(spec: RunSpec, places: _Places, train: int, test: int) -> Iterator[Problem]:
    """The problems of counts, and of labels where a draw needs them."""
    problem = draw_counts.impossible(spec.data, train)
    if problem is None and (spec.data.balanced or spec.data.corrupt_labels is not None):
        from bench.data import draws, imageset  # here, for they import numpy; an embedded set that is absent is built

        problem = draws.label_problem(imageset.load(spec.data.name, spec.data.resolution), spec.data, spec.seed)
    if problem is not None:
        yield Problem((*places.data, problem[0]), problem[1])
    if spec.protocol is None or (problem is not None and spec.protocol.split in ("training-images", "train-pool")):
        return  # how many images such a reference is of depends on the draw
    if spec.protocol.split == "all" and is_its_own_reference(spec.data.name):
        text = f"data set '{spec.data.name}' has its training images in its test split already; leave this out"
        yield Problem(places.split, text)
    elif (too_few := draw_counts.too_few_for_reference(spec.protocol, spec.data, train, test)) is not None:
        yield Problem((*places.counts, "reference"), too_few)


def _labels(spec: RunSpec, places: _Places) -> Iterator[Problem]:
    """The problem of a method that needs classes or attributes of images without any, or to be used without."""
    kinds: dict[Literal["labels", "attributes"], str] = {"labels": "class labels", "attributes": "attributes"}
    for kind, shown in kinds.items():
        method = needing(kind, spec.method) if spec.kind == "train" else None
        if method is None:
            continue
        if spec.data.labels == "none":
            yield Problem((*places.data, "labels"), f"method '{method}' needs {shown}; leave out labels: none")
        elif counting.has(kind, spec.data.name, spec.data.resolution) is False:
            yield Problem(places.data, f"method '{method}' needs {shown}, data set '{spec.data.name}' has none")


def _neighbours(protocol: Protocol, places: _Places) -> Iterator[Problem]:
    """The problems of scores whose k-th neighbour does not exist.

    Some scores look for it among the generated images, the others among the reference images.
    """
    for at, metric in enumerate(protocol.metrics):
        place = (*places.metrics, at, "k")
        try:
            k = neighbour(metric)
        except UserError as error:
            yield Problem(place, str(error))
            continue
        kind = measure(metric.name).k_among
        count = protocol.generated if kind == "generated" else protocol.reference
        if k is not None and k >= count:
            text = f"{metric.name} wants neighbour {k} of {count} {kind} images; k must be below {count}"
            few_tests = kind == "reference" and protocol.split == "test"
            yield Problem(place, text + (places.more_images if few_tests else ""))


def _priors(method: tuple[Part, ...]) -> list[str]:
    """The extractors that parts name in their settings."""
    texts = [value for part in method for value in part.settings.values() if isinstance(value, str)]
    return [value for value in texts if value.partition("@")[0] in features.EXTRACTORS]


def _extractors(specs: list[str], keys: Keys) -> Iterator[Problem]:
    for spec in specs:
        try:
            reason = features.available(spec)
        except UserError as error:
            yield Problem(keys, str(error))
            continue
        if reason is not None:
            yield Problem(keys, f"extractor '{spec}': {reason}", absent=True)


def _resolution(network: NetworkSpec, data: DataSpec, places: _Places) -> Iterator[Problem]:
    makes = networks.resolution(network.name)
    if makes != data.resolution:
        text = (
            f"network '{network.name}' makes {makes} px images, data set '{data.name}' is asked for at "
            f"{data.resolution} px"
        )
        place = (*places.network, "name") if places.own_network and places.counts else (*places.data, "resolution")
        yield Problem(place, text)


def _deep(spec: RunSpec, places: _Places, built: set[str]) -> Iterator[Problem]:
    """The problems found by building what is not in `built` yet: rows share networks, columns share methods."""
    from bench.contract.composition import build_method  # here, for it imports torch

    if spec.kind == "train" and (key := f"{places.method} {spec.method}") not in built:
        built.add(key)
        try:
            build_method(spec.method)
        except UserError as error:
            yield Problem(places.method, str(error))
    if spec.network is not None and (key := f"{places.network} {spec.network}") not in built:
        built.add(key)
        yield from _options(spec.network, (*places.network, "options"))


def _options(network: NetworkSpec, keys: Keys) -> Iterator[Problem]:
    """Unknown options of a network, and values that it refuses both with and without a condition.

    The condition comes from the method, so a network only has to accept the options in one of the two cases.
    """
    settings = networks.settings(network.name)
    odd = [key for key in network.options if key not in settings]
    for key in odd:
        yield Problem((*keys, key), f"network '{network.name}' has no setting '{key}'; {did_you_mean(key, settings)}")
    conditions: list[dict[str, int]] = [{}] if "condition_dim" in network.options else [{}, {"condition_dim": 8}]
    refusals = [] if odd else [_refusal(network, condition) for condition in conditions]
    if refusals and all(refusals):
        yield Problem(keys, refusals[0] or "")


def _refusal(network: NetworkSpec, condition: dict[str, int]) -> str | None:
    """The reason why the network cannot be built; None if it can."""
    from bench.networks.describe import weightless

    try:
        with weightless():
            networks.build(network.name, **network.options, **condition)
    except (UserError, TypeError, ValueError, RuntimeError) as error:
        return f"network '{network.name}' cannot be built: {str(error).splitlines()[0]}"
    return None
