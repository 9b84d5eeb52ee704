"""Tiny finished runs, and measures taken of them, in a store of a test's own."""

from __future__ import annotations

import shutil
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


def copied(kept: Store, store: Store, spec: RunSpec) -> RunFolder:
    """The folder of a finished run in a test's own store: a copy of the one in `kept`, where it is trained once.

    A run that has a folder in the test's store is left as it is.
    """
    for source in spec.run_sources.values():
        copied(kept, store, source)
    folder = store.folder(spec.uid)
    if not folder.path.exists():
        shutil.copytree(finished(kept, spec).path, folder.path)
    return folder


def evaluation(run: RunSpec, sources: dict[str, RunSpec | WeightsFile] | None = None, **measure: Any) -> RunSpec:
    """The task that takes a measure, `measure=NAME, SETTING=VALUE, ...`, of a run with a protocol."""
    assert run.protocol is not None
    return evaluation_run(parse_measure(measure), run, run.protocol, sources)


def values(folder: RunFolder) -> dict[str, float]:
    """What an evaluation has recorded: output -> value."""
    return {line["metric"]: line["value"] for line in folder.metrics()}
