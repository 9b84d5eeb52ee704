"""The task of a measure that looks at no finished run."""

from __future__ import annotations

from collections.abc import Mapping

from bench.spec.run import (
    DataSpec,
    MeasureSpec,
    NetworkSpec,
    Part,
    Protocol,
    RunSpec,
    TrainSettings,
    WeightsFile,
    unscheduled,
)


def measurement_run(
    measure: MeasureSpec,
    data: DataSpec,
    seed: int,
    *,
    method: tuple[Part, ...] = (),
    network: NetworkSpec | None = None,
    train: TrainSettings | None = None,
    protocol: Protocol | None = None,
    sources: Mapping[str, RunSpec | WeightsFile] | None = None,
) -> RunSpec:
    """The task that takes a measure which looks at no finished run; what the measure does not ask for is left out."""
    return RunSpec(
        kind="evaluate",
        method=method,
        network=network,
        data=data,
        train=train,
        protocol=None if protocol is None else unscheduled(protocol),
        seed=seed,
        sources=dict(sources or {}),
        measure=measure,
    )
