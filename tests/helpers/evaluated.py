"""Tiny finished runs, and measures taken of them, in a store of a test's own."""

from __future__ import annotations

from typing import Any

import torch

from bench.evaluate.registry import parse_measure
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.spec.run import RunSpec, WeightsFile, evaluation_run
from bench.store.runs import RunFolder, Store


def finished(store: Store, spec: RunSpec) -> RunFolder:
    """The folder of a run that has been brought to its end, after all that it starts from."""
    torch.set_num_threads(1)
    for source in spec.run_sources.values():
        finished(store, source)
    folder = store.open(spec)
    outcome = execute(spec.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None)
    assert outcome == "done", folder.error()
    return folder


def evaluation(run: RunSpec, sources: dict[str, RunSpec | WeightsFile] | None = None, **measure: Any) -> RunSpec:
    """The task that takes a measure, `measure=NAME, SETTING=VALUE, ...`, of a run with a protocol."""
    assert run.protocol is not None
    return evaluation_run(parse_measure(measure), run, run.protocol, sources)


def values(folder: RunFolder) -> dict[str, float]:
    """What an evaluation has recorded: output -> value."""
    return {line["metric"]: line["value"] for line in folder.metrics()}
