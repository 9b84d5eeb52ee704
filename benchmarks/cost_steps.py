"""Counts the work of a step of every training at scales paper and midi: what bench/plan/cost/steps.json keeps.

Operations and bytes are those of the networks. What a method adds to the operations is known where `bench rehearse` has
counted a step of it (docs/reproduce/rehearsal.json): the measured operations less those of the networks. A method that
was not rehearsed on a network itself is taken to add what the rehearsed method adds that has the most of its parts and
no others. The bytes of what a method adds are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from bench.contract.base import Method
from bench.contract.discovery import methods
from bench.plan.cost.counting import per_image
from bench.plan.cost.steps import Step
from bench.plan.cost.work import Work, method_of, network_of, step_bytes, step_flops, step_key
from bench.plan.load import load_table, table_names
from bench.rehearsal.listing import load_configurations
from bench.spec.run import RunSpec
from docs import rehearsals

SCALES = ("paper", "midi")  # those whose trainings are a card's
IDLE = {"baseline", "unconditional", "transfergan"}  # parts that add nothing to a step


class Addition(NamedTuple):
    """What a rehearsed method adds to the operations of a step's networks."""

    configuration: str
    parts: frozenset[str]
    method: str
    network: str  # with its options
    d_steps: int
    batch: int
    flops: float  # below 0 where it saves some: FreezeD


def trainings() -> dict[str, RunSpec]:
    """One run of each step that a table trains at these scales, sources too, by its key."""
    found: dict[str, RunSpec] = {}
    for name in table_names():
        table = load_table(name)
        for scale in (scale for scale in SCALES if scale in table.scales):
            for row, column in table.trained_cells(scale):
                for spec in _with_sources(table.run_spec(row, column, 0, scale)):
                    found.setdefault(step_key(spec), spec)
    return found


def _with_sources(spec: RunSpec) -> Iterator[RunSpec]:
    for source in spec.run_sources.values():
        yield from _with_sources(source)
    if spec.kind == "train" and spec.network is not None:  # a classifier for others has no steps of two networks
        yield spec


@cache
def additions() -> tuple[Addition, ...]:
    """What each rehearsed configuration's method adds."""
    kept = rehearsals.read()
    return tuple(
        _addition(configuration, kept[configuration.id])
        for configuration in load_configurations()[1]
        if configuration.id in kept
    )


def _addition(configuration: Any, measured: dict[str, Any]) -> Addition:
    spec = configuration.run_spec()
    train = spec.train.model_copy(update={"batch": configuration.batch})
    # Measurements of an older digest are of a step in which G's update had images of its own: FastGAN's baseline adds
    # nothing to that step (tests/benchmarks/test_cost.py).
    if measured["digest"] != configuration.digest:
        train = train.model_copy(update={"share_fakes": None})
    alone = 0.0 if own_loop(spec) else step_flops(per_image(spec.network)[0], train)
    return Addition(
        configuration=configuration.id,
        parts=_busy(spec),
        method=method_of(spec),
        network=network_of(spec.network),
        d_steps=train.d_steps,
        batch=train.batch,
        flops=1e12 * measured["TFLOP a step"] - alone,
    )


def _busy(spec: RunSpec) -> frozenset[str]:
    return frozenset(part.name for part in spec.method) - IDLE


def own_loop(spec: RunSpec) -> bool:
    """Whether a part of the run's method replaces the adversarial loop."""
    return any(methods().load(part.name).fit is not Method.fit for part in spec.method)


def addition_of(spec: RunSpec) -> Addition | None:
    """The rehearsed method that tells what this run's adds: the same one, else the one with the most of its parts."""
    assert spec.network is not None and spec.train is not None
    there = [
        one for one in additions() if one.network == network_of(spec.network) and one.d_steps == spec.train.d_steps
    ]
    if same := [one for one in there if one.method == method_of(spec)]:
        return same[0]
    parts = _busy(spec)
    within = [one for one in there if one.parts <= parts and (not own_loop(spec) or one.parts == parts)]
    return max(within, key=lambda one: (len(one.parts), one.flops / one.batch), default=None)


def counted(spec: RunSpec, addition: Addition | None) -> Step:
    """A training's step with what a method adds; the work of a loop of its own that nobody rehearsed is unknown."""
    assert spec.network is not None and spec.train is not None
    if own_loop(spec) and addition is None:
        return Step(None, "", tuple(sorted(_busy(spec))))
    macs, kept = per_image(spec.network)
    flops = 0.0 if own_loop(spec) else step_flops(macs, spec.train)
    if addition is not None:
        flops += addition.flops * spec.train.batch / addition.batch
    work = Work(flops / 1e12, step_bytes(kept, spec.train) / 1e9)
    left_out = _busy(spec) - (addition.parts if addition else frozenset())
    return Step(work, addition.configuration if addition else "", tuple(sorted(left_out)))


def rows() -> dict[str, dict[str, Any]]:
    """The file's rows by key, with what they are in words."""
    lines = {}
    for key, spec in trainings().items():
        assert spec.network is not None
        step = counted(spec, addition_of(spec))
        lines[key] = {
            "network": spec.network.name,
            "method": " + ".join(part.name for part in spec.method),
            "tflop": None if step.work is None else float(f"{step.work.tflop:.4g}"),
            "gigabytes": None if step.work is None else float(f"{step.work.gigabytes:.4g}"),
            "rehearsed": step.rehearsed,
            "left_out": list(step.left_out),
        }
    return dict(sorted(lines.items(), key=lambda item: (item[1]["network"], item[1]["method"], item[0])))
