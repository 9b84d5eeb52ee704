"""An evaluation of a finished run, or of none: its measure is taken, then all of its record is written at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from bench import features
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.evaluate.material import Material
from bench.evaluate.registry import gives, on_features, run_measure, settings_of
from bench.evaluate.sight import Sight
from bench.evaluate.subject import Opened, Subject
from bench.features.lookup import digest as extractor_digest
from bench.files.weights import write_weights
from bench.machine.host import machine_name
from bench.machine.memory import peak_bytes
from bench.metrics.scores import Score
from bench.plan import inputs
from bench.plan.inputs import Machine
from bench.run.build import build_context, source_files
from bench.run.reopen import reopen
from bench.run.settings import Outcome, Settings
from bench.spec.run import RunSpec
from bench.store.heartbeat import Heartbeat
from bench.store.runs import RunFolder, Store
from bench.train.bare_steps import BareSteps
from bench.train.sampling import save_sheet


class _Stopped(BaseException):
    """The evaluation is to stop. No Exception: a measure that catches those must let it pass."""


def evaluate(
    spec: RunSpec, folder: RunFolder, store: Store, settings: Settings, should_stop: Callable[[], bool]
) -> Outcome:
    """Take the measure and write its record; one that is stopped leaves nothing and begins again.

    The evaluation of a run that has diverged is recorded as diverged without being run. Raises UserError for a run that
    is not finished, that lacks the snapshot, or of which the measure cannot be taken.
    """
    assert spec.measure is not None
    begin, source = time.monotonic(), store.folder(spec.evaluated.uid) if spec.evaluated is not None else None
    result = source.result() if source is not None else None
    if source is not None and result is None:
        raise UserError(f"the run that it evaluates, {source.uid}, is not finished ({source.status()}): train it first")
    folder.rewind(-1)
    if result is not None and result["diverged_at"] is not None:
        _finish(folder, begin, result["diverged_at"], None)
        return "diverged"
    with Heartbeat(folder, 0) as heartbeat:

        def pause() -> None:
            if should_stop() or heartbeat.cancelled:
                raise _Stopped

        # Nothing is written before the measure has been taken, of inputs that are still the same.
        subject = _seen(spec, store, str(settings.device), pause)
        try:
            pause()
            taken = run_measure(spec.measure.name).compute(subject, settings_of(spec.measure))
        except _Stopped:
            return "cancelled" if heartbeat.cancelled else "stopped"
        _refuse_other_pictures(spec, taken)
        run_score = _run_score(source, spec.evaluated, subject.step) if source and spec.evaluated else None
        lines = _lines(spec, subject, taken, run_score, time.monotonic() - begin)
        inputs.confirm(folder, Machine(store))
        if taken.images_NHWC is not None:
            save_sheet(folder.sheet(subject.step), taken.images_NHWC)
        if taken.grid is not None:
            taken.grid.save(folder.pictures)
        if taken.arrays:
            tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in taken.arrays.items()}
            write_weights(folder.arrays, tensors, inside=folder.path)
        folder.append(folder.metrics_log, lines)
        _finish(folder, begin, None, subject.step)
        heartbeat.state = "done"
    return "done"


def _seen(spec: RunSpec, store: Store, device: str, pause: Callable[[], None]) -> Sight:
    """What the measure is given: the finished run at its snapshot, or what a measure without a run is taken of."""
    assert spec.measure is not None
    chosen, files = settings_of(spec.measure), source_files(spec, store)
    if spec.evaluated is None:
        return Material(spec, partial(_untrained, spec, store, device), device, pause, files)
    assert isinstance(chosen, MeasureSettings)
    snapshot, source = chosen.snapshot, store.folder(spec.evaluated.uid)

    def opened(inference: Mapping[str, Any]) -> Opened:
        return reopen(source, store, snapshot, device, inference=inference, protocol=spec.protocol)

    return Subject(spec, opened, device, pause, chosen.inference, files)


def _untrained(spec: RunSpec, store: Store, device: str, steps: int) -> BareSteps:
    """A training of at least so many steps, before its first one."""
    assert spec.train is not None
    train = spec.train.model_copy(update={"steps": max(steps, spec.train.steps)})
    return BareSteps(*build_context(spec.model_copy(update={"train": train}), store, torch.device(device)))


def _finish(folder: RunFolder, begin: float, diverged_at: int | None, step: int | None) -> None:
    """Write the result record; step: that of the snapshot that was looked at."""
    folder.finish(
        {
            "steps": 0,
            "diverged_at": diverged_at,
            "weights_sha256": None,
            "evaluated_step": step,
            "seconds": time.monotonic() - begin,
        }
    )
    folder.beat("done", 0, 0, None, memory=peak_bytes())


def _refuse_other_pictures(spec: RunSpec, taken: Result) -> None:
    """UserError for a measure that gives pictures where its card says that it does not, or none where it does."""
    assert spec.measure is not None
    card = run_measure(spec.measure.name)
    if card.pictures != (taken.grid is not None):
        gives = "a grid of pictures" if taken.grid is not None else "no grid of pictures"
        raise UserError(f"measure '{card.name}' gives {gives}, and its card says pictures={card.pictures}")


def _lines(
    spec: RunSpec, subject: Sight, taken: Result, run_score: float | None, seconds: float
) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, as a training has them, with the measure, its version and the run's own score.

    Where the measure takes time, they name the machine too.

    Raises UserError for a measure that gives other outputs than its card says.
    """
    assert spec.measure is not None
    card = run_measure(spec.measure.name)
    said = [(metric.name, on_features(metric.extractor)) for metric in gives(spec)]
    if sorted(_names(taken.values, said)) != sorted(said):
        given = ", ".join(name for name, _ in _names(taken.values, said)) or "nothing"
        raise UserError(
            f"measure '{card.name}' gives {given}, and its card says {', '.join(name for name, _ in said)}; "
            "each output must have one value"
        )
    further: dict[str, Any] = {"measure": card.name, "measure_version": card.version, "run_score": run_score}
    if card.exclusive:
        further["machine"] = machine_name(subject.device)
    extractors = dict(said)
    return [
        {"step": subject.step, **(vars(value) if isinstance(value, Score) else _line(value, card, extractors, seconds))}
        | further
        for value in taken.values
    ]


def _names(values: Sequence[Value | Score], said: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a measure gave: (name, features), those of an output as the card says."""
    extractors = dict(said)
    return [
        (value.metric, value.extractor)
        if isinstance(value, Score)
        else (value.output, extractors.get(value.output, ""))
        for value in values
    ]


def _line(value: Value, card: RunMeasure, extractors: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """A line of an output, with the fields of a score."""
    extractor = extractors[value.output]
    sha256 = extractor_digest(features.parse_spec(extractor)[0]) if extractor else ""
    score = Score(
        metric=value.output,
        extractor=extractor,
        value=float(value.value),
        error=None if value.error is None else float(value.error),
        n_generated=value.n_generated,
        n_reference=value.n_reference,
        seconds=seconds,
        extractor_sha256=sha256,
        reference_sha256=value.reference_sha256,
        version=card.version,
    )
    return vars(score)


def _run_score(source: RunFolder, run: RunSpec, step: int) -> float | None:
    """The value, at the snapshot, of the score by which the run's best snapshot is chosen; None without one."""
    if run.protocol is None or run.protocol.selects is None:
        return None
    selects = run.protocol.selects.name, features.canonical(run.protocol.selects.extractor)
    lines = [line for line in source.metrics() if line["step"] == step]
    return next((float(line["value"]) for line in lines if (line["metric"], line["extractor"]) == selects), None)
