"""Impossible plans, found before anything trains: counts, resolutions, options and files that do not fit together.

A problem has its place in the table's YAML. Something that is only absent on this machine (a data set that is not
built, weights of the user's) is not a mistake in the table: the plan can be shown without it, but not run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import Literal

from bench import features, networks
from bench.contract.signature import needing
from bench.data import counting, draw_counts
from bench.data.points import is_its_own_reference
from bench.errors import UserError, did_you_mean
from bench.evaluate.registry import refuse_impossible, refuse_sources, run_measure
from bench.features.cache_bound import bound
from bench.files.yamlfile import Keys
from bench.metrics.measures import measure, measures, neighbour
from bench.metrics.of_training import nothing_held_out
from bench.plan.problem_places import Places, contexts
from bench.plan.runs import Plan
from bench.plan.several import unshared
from bench.spec.run import DataSpec, NetworkSpec, Part, Protocol, RunSpec

_Reasons = dict[str, str | None]  # why an extractor cannot be used here, for those that have been looked at


@dataclass(frozen=True)
class Problem:
    """What is impossible, and the keys in the table's YAML that cause it; no keys where no file has them."""

    keys: Keys
    text: str
    absent: bool = False  # the table is right, but something is not on this machine


def problems(plan: Plan, *, deep: bool = False, build: bool = True) -> list[Problem]:
    """What is wrong with the runs of a plan that are not done, each problem once.

    deep: also construct the methods, and the networks without weights. That finds impossible settings and values,
    and it imports torch. build: also build an embedded data set that is absent, where labels decide whether a draw can
    be; else it is said that this is not known yet.
    """
    bound()  # a mistake in a variable of the machine ends a plan, not a run
    of_runs = contexts(plan)
    distinct: dict[Problem, None] = {}
    checked: set[tuple[str | int, ...]] = set()
    built: set[str] = set()
    reasons: _Reasons = {}
    for run in plan.runs:
        first = run.cells[0] if run.cells else None
        kind: tuple[str | int, ...] = (first.row, first.column) if first else ("", run.uid)
        if run.spec.data.balanced:  # which classes the holdout leaves depends on the seed
            kind = (*kind, run.spec.seed)
        if run.status in ("done", "diverged") or kind in checked or (run.spec.kind == "train" and not plan.trains):
            continue
        checked.add(kind)  # the seeds of a cell differ in nothing else that is checked here
        context = of_runs[run.uid]
        places = Places(context, plan.scale)
        found = [*_of_run(run.spec, places, build, reasons), *(_deep(run.spec, places, built) if deep else ())]
        if context.table is not plan.table:  # the keys are those of another file
            found = [Problem((), f"runs of {context.table.name}: {one.text}", one.absent) for one in found]
        distinct |= dict.fromkeys(found)
    return list(distinct)


def _of_run(spec: RunSpec, places: Places, build: bool, reasons: _Reasons) -> Iterator[Problem]:
    # The images: how many there are, and of which classes.
    try:
        counts = counting.counts(spec.data.name, spec.data.resolution)
    except UserError as error:
        yield Problem((*places.data, "resolution"), str(error))
        return
    if counts is None:
        yield Problem(places.data, counting.not_built(spec.data.name, spec.data.resolution), absent=True)
    else:
        yield from _counts(spec, places, build, *counts)
        yield from _labels(spec, places)

    # What the scores need.
    if spec.protocol is not None:
        yield from _neighbours(spec.protocol, places)
        yield from _selects(spec.protocol, places)
        yield from _held_out(spec.protocol, spec.data, places)
        extractors = {metric.extractor: None for metric in spec.protocol.metrics}
        yield from _extractors(list(extractors), lambda: places.metrics, reasons)

    # What the training, or the look at one, needs.
    yield from _extractors(_priors(spec.method), lambda: places.method, reasons)
    if spec.network is not None:
        yield from _resolution(spec.network, spec.data, places)
    if (unable := unshared(spec)) is not None:
        yield Problem(places.gpus, unable)
    if spec.measure is not None:
        named = [*filter(None, [spec.measure.settings.get("extractor")])]
        yield from _extractors(named, lambda: places.evaluate, reasons)
        try:
            refuse_sources(spec)
        except UserError as error:
            yield Problem(places.evaluate, str(error))


def _counts(spec: RunSpec, places: Places, build: bool, train: int, test: int) -> Iterator[Problem]:
    """The problems of counts, and of labels where a draw needs them."""
    problem = draw_counts.impossible(spec.data, train)
    if problem is None and (spec.data.balanced or spec.data.corrupt_labels is not None):
        if build or counting.is_built(spec.data.name, spec.data.resolution):
            from bench.data import (  # here, for they import numpy; an embedded set that is absent is built
                draws,
                imageset,
            )

            problem = draws.label_problem(imageset.load(spec.data.name, spec.data.resolution), spec.data, spec.seed)
        else:
            key = "balanced" if spec.data.balanced else "corrupt_labels"
            unknown = counting.not_built(spec.data.name, spec.data.resolution)
            yield Problem((*places.data, key), f"{unknown} to know whether {key} fits its labels", absent=True)
    if problem is not None:
        yield Problem((*places.data, problem[0]), problem[1])
    if spec.protocol is None or (problem is not None and spec.protocol.split in ("training-images", "train-pool")):
        return  # how many images such a reference is of depends on the draw
    if spec.protocol.split == "all" and is_its_own_reference(spec.data.name):
        text = f"data set '{spec.data.name}' has its training images in its test split already; leave this out"
        yield Problem(places.split, text)
    elif (too_few := draw_counts.too_few_for_reference(spec.protocol, spec.data, train, test)) is not None:
        yield Problem((*places.counts, "reference"), too_few)


def _labels(spec: RunSpec, places: Places) -> Iterator[Problem]:
    """The problem of a method that needs classes or attributes of images without any, or to be used without."""
    kinds: dict[Literal["labels", "attributes"], str] = {"labels": "class labels", "attributes": "attributes"}
    for kind, shown in kinds.items():
        method = needing(kind, spec.method) if spec.kind != "reference" else None
        what = f"method '{method}'"
        if spec.measure is not None and kind in run_measure(spec.measure.name).needs:
            what = f"measure '{spec.measure.name}'"
        elif method is None:
            continue
        if spec.data.labels == "none":
            yield Problem((*places.data, "labels"), f"{what} needs {shown}; leave out labels: none")
        elif counting.has(kind, spec.data.name, spec.data.resolution) is False:
            yield Problem(places.data, f"{what} needs {shown}, data set '{spec.data.name}' has none")


def _neighbours(protocol: Protocol, places: Places) -> Iterator[Problem]:
    """The problems of scores whose k-th neighbour does not exist.

    Some scores look for it among the generated images, the others among the reference images.
    """
    for at, metric in enumerate(protocol.metrics):
        try:
            k = neighbour(metric)
        except UserError as error:
            yield Problem((*places.metrics, at, "k"), str(error))
            continue
        counts = {"generated": (protocol.generated, measure(metric.name).fewest), "reference": (protocol.reference, 2)}
        for which, (given, fewest) in counts.items():
            if given < fewest:
                text = f"{metric.name} needs at least {fewest} {which} images, and there are {given}"
                yield Problem((*places.counts, which), text)
        kind = measure(metric.name).k_among
        count = protocol.generated if kind == "generated" else protocol.reference
        if k is not None and k >= count:
            text = f"{metric.name} wants neighbour {k} of {count} {kind} images; k must be below {count}"
            few_tests = kind == "reference" and protocol.split == "test"
            yield Problem((*places.metrics, at, "k"), text + (places.more_images if few_tests else ""))


def _selects(protocol: Protocol, places: Places) -> Iterator[Problem]:
    """The problem of a first score, by which the best snapshot is chosen, that ranks nothing."""
    if protocol.selects is None or protocol.selects.name not in measures():
        return
    card = measure(protocol.selects.name)
    if not card.ranks:
        text = f"the first score picks the best snapshot, and of {card.name} {card.direction}; put another one first"
        yield Problem((*places.metrics, 0, "name"), text)


def _held_out(protocol: Protocol, data: DataSpec, places: Places) -> Iterator[Problem]:
    """The problems of scores that compare training images with others, where the reference has no others."""
    for at, metric in enumerate(protocol.metrics):
        if metric.name in measures() and (text := nothing_held_out(metric, protocol, data)) is not None:
            yield Problem((*places.metrics, at, "name"), text)


def _priors(method: tuple[Part, ...]) -> list[str]:
    """The extractors that parts name in their settings."""
    texts = [value for part in method for value in part.settings.values() if isinstance(value, str)]
    return [value for value in texts if value.partition("@")[0] in features.EXTRACTORS]


def _extractors(specs: list[str], place: Callable[[], Keys], reasons: _Reasons) -> Iterator[Problem]:
    for spec in specs:
        try:
            if spec not in reasons:
                reasons[spec] = features.available(spec)
            reason = reasons[spec]
        except UserError as error:
            yield Problem(place(), str(error))
            continue
        if reason is not None:
            yield Problem(place(), f"extractor '{spec}': {reason}", absent=True)


def _resolution(network: NetworkSpec, data: DataSpec, places: Places) -> Iterator[Problem]:
    makes = networks.resolution(network.name)
    if makes != data.resolution:
        text = (
            f"network '{network.name}' makes {makes} px images, data set '{data.name}' is asked for at "
            f"{data.resolution} px"
        )
        place = (*places.network, "name") if places.own_network and places.counts else (*places.data, "resolution")
        yield Problem(place, text)


def _deep(spec: RunSpec, places: Places, built: set[str]) -> Iterator[Problem]:
    """The problems found by building what is not in `built` yet: rows share networks, columns share methods."""
    from bench.contract.composition import build_method  # here, for it imports torch

    if spec.kind == "train" and (key := f"{places.method} {spec.method}") not in built:
        built.add(key)
        try:
            build_method(spec.method)
        except UserError as error:
            yield Problem(places.method, str(error))
    if spec.measure is not None:
        try:
            refuse_impossible(spec)
        except UserError as error:
            yield Problem(places.evaluate, str(error))
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
    wanted = [json.dumps({**network.options, **condition}, sort_keys=True, default=str) for condition in conditions]
    # As soon as it accepts them in one, the other is not built
    refusals = [] if odd else list(takewhile(bool, (_refusal(network.name, options) for options in wanted)))
    if refusals and len(refusals) == len(wanted):
        yield Problem(keys, refusals[0] or "")


@cache
def _refusal(network: str, options: str) -> str | None:
    """The reason why the network cannot be built with options, as JSON; None if it can. Most tables have the same."""
    from bench.networks.describe import weightless

    try:
        with weightless():
            networks.build(network, **json.loads(options))
    except (UserError, TypeError, ValueError, RuntimeError) as error:
        return f"network '{network}' cannot be built: {str(error).splitlines()[0]}"
    return None
