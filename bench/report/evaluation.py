"""Scores of a folder of pictures made elsewhere, or of a finished run again, under a table's protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface

import numpy as np

from bench.data.picture_folder import read_pictures
from bench.data.points import FLOOR
from bench.data.reference_split import depends_on_seed
from bench.errors import UserError, did_you_mean
from bench.features import canonical
from bench.machine.long_work import progress
from bench.metrics.measures import fewest_generated, label, measure
from bench.metrics.scorers import make_scorer
from bench.metrics.scores import Score
from bench.plan.expand import Table
from bench.report.floors import Floor, Floors
from bench.spec.row_column import Column
from bench.spec.run import DataSpec, MetricSpec, Protocol, ReferenceSplit, RunSpec
from bench.spec.words import against
from bench.store.runs import RunFolder, Store


@dataclass(frozen=True)
class Line:
    """One score with what it is compared with."""

    score: Score
    label: str
    k: int | None
    floor: Floor | None
    recorded: float | None = None  # the run's own score at this snapshot


@dataclass(frozen=True)
class Evaluation:
    """All scores of one set of images.

    subject: what was scored.
    method: the name that its owner gives it.
    asked: the protocol's name, its table and column.
    wanted, split: how many images the protocol generates, and which images its reference is of.
    notes: what was left out or changed.
    floor_hint: how to get a floor that is not known.
    """

    subject: str
    method: str | None
    asked: str
    data: DataSpec
    wanted: int
    split: ReferenceSplit
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    floor_hint: str


class Sampled(Interface):
    """A finished run at one of its snapshots, as it is scored again: bench.run.reopen.Reopened is one."""

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        ...

    @property
    def spec(self) -> RunSpec:
        """The run's spec."""
        ...

    @property
    def snapshot(self) -> str:
        """Which of its weights: best or final."""
        ...

    @property
    def step(self) -> int:
        """The step of the snapshot."""
        ...

    def all_images(self, count: int) -> np.ndarray:
        """The first `count` uint8 images (count, H, W, 3), those that were scored first."""
        ...


def pick_column(table: Table, scale: str, dataset: str | None, resolution: int | None, column: str | None) -> Column:
    """The column of a table that has this data set at a scale; the first of several with the same protocol.

    Raises UserError if no column fits (the message lists the columns), or if several with different protocols do.
    """
    columns = table.scored_columns(scale)
    candidates = table.pick_columns(None if column is None else [column])
    if column is not None:
        table.scored(candidates[0], scale)  # which raises, where its rows have the images or the protocol
    matches = [
        candidate
        for candidate in candidates
        if candidate.id in columns
        and dataset in (None, columns[candidate.id].data.name)
        and resolution in (None, columns[candidate.id].data.resolution)
    ]
    available = ", ".join(f"{name}: {_set_text(scored.data)}" for name, scored in columns.items()) or "none of its own"
    where = f"{table.name} at scale {scale}"
    # Nothing fits: name what was asked for, and the nearest data set or all that the table has.
    if not matches:
        request = " ".join([*([f"'{dataset}'"] if dataset else []), *([f"at {resolution} px"] if resolution else [])])
        sets = {candidate.data.name for candidate in columns.values()}
        slip = did_you_mean(dataset, sets) if dataset is not None and dataset not in sets else ""
        if slip.startswith("did you mean"):
            raise UserError(f"no column of {where} is {request}; {slip}")
        raise UserError(
            f"no column{f' {column}' if column else ''} of {where} is {request}; it has {available}. "
            "Another --table or --scale, or a table of your own (--table mine.yaml), has other sets"
        )
    # Several columns fit: any will do if they agree in data set and protocol.
    kinds = [_kind(columns[candidate.id].data, columns[candidate.id].protocol) for candidate in matches]
    if any(kind != kinds[0] for kind in kinds):
        raise UserError(f"several columns of {where} fit: {available}; name one by --column or --dataset")
    return matches[0]


def evaluate_folder(
    table: Table,
    scale: str,
    column: Column,
    root: Path,
    store: Store,
    device: str = "cpu",
    *,
    method: str | None = None,
    resize: bool = False,
    allow_fewer: bool = False,
    seed: int = 0,
    command_for_floor: str = "",
) -> Evaluation:
    """Score a folder of pictures as the runs of a column are scored: the same extractors, metrics, k and reference.

    seed: of the runs whose training images are the reference, where the protocol's are.
    command_for_floor: the command that runs the column's reference points.
    Raises UserError for pictures that do not fit the protocol: see bench.data.picture_folder.
    """
    # The pictures, scored as the column's runs are; a score that needs more of them is left out
    settings = table.scored(column, scale)
    data, protocol = settings.data, settings.protocol
    pictures = read_pictures(root, data.resolution, protocol.generated, resize=resize, allow_fewer=allow_fewer)
    count = len(pictures.images)
    scores = make_scorer(protocol, data, seed, device, count, progress).score(pictures.images)
    few = [
        f"{_name(metric)} left out: it needs {fewest_generated(metric):,} images"
        for metric in protocol.metrics
        if count < fewest_generated(metric)
    ]
    whose = [f"the reference is that of seed {seed}"] if depends_on_seed(data, protocol) else []
    # Where the floor to compare with comes from, if it is not there yet
    if count < protocol.generated:
        hint = f"a table of your own with `generated: {count}` in this column has one"
    elif FLOOR in table.points(column, scale):
        hint = f"`{command_for_floor}` scores it, before it trains anything" if command_for_floor else ""
    else:
        hint = f"{table.name} has no reference point '{FLOOR}' in this column"
    return Evaluation(
        subject=str(root),
        method=method,
        asked=f"{protocol.name} v{protocol.version} of {table.name} · {column.id} at scale {scale}",
        data=data,
        wanted=protocol.generated,
        split=protocol.split,
        lines=_lines(protocol, scores, Floors(data, protocol, store)),
        notes=(*pictures.notes, *few, *whose),
        floor_hint=hint,
    )


def evaluate_run(run: Sampled, store: Store, device: str = "cpu", *, method: str | None = None) -> Evaluation:
    """Score a run's snapshot again under its own protocol, beside the scores it recorded at that step.

    Raises UserError for a run that is not scored (a source of other runs).
    """
    protocol, data = run.spec.protocol, run.spec.data
    if protocol is None:
        raise UserError(f"run {run.folder.uid} has no protocol: other runs start from it, it is never scored")
    images = run.all_images(protocol.generated)
    scores = make_scorer(protocol, data, run.spec.seed, device, watch=progress).score(images)
    recorded = {
        (line["metric"], line["extractor"], line.get("version", 1)): float(line["value"])
        for line in run.folder.metrics()
        if line["step"] == run.step
    }
    return Evaluation(
        subject=f"{run.folder.uid}, its {run.snapshot} snapshot (step {run.step:,})",
        method=method,
        asked=f"{protocol.name} v{protocol.version}, the run's own",
        data=data,
        wanted=protocol.generated,
        split=protocol.split,
        lines=_lines(protocol, scores, Floors(data, protocol, store), recorded),
        notes=(),
        floor_hint="`bench run` of its table scores it, unless with --no-references",
    )


def _lines(
    protocol: Protocol,
    scores: Sequence[Score],
    floors: Floors,
    recorded: Mapping[tuple[str, str, int], float] | None = None,
) -> tuple[Line, ...]:
    ks: dict[tuple[str, str], int | None] = {
        (metric.name, canonical(metric.extractor)): metric.k for metric in protocol.metrics
    }
    return tuple(
        Line(
            score,
            against(label(score.metric, score.extractor), protocol.split),
            ks[score.metric, score.extractor] or measure(score.metric).default_k,
            floors.of(score),
            (recorded or {}).get((score.metric, score.extractor, score.version)),
        )
        for score in scores
    )


def _name(metric: MetricSpec) -> str:
    return label(metric.name, metric.extractor)


def _kind(data: DataSpec, protocol: Protocol) -> tuple[object, Protocol]:
    """What the scores of a column depend on: its draw too where the reference is of training images."""
    drawn = protocol.split in ("training-images", "train-pool")
    return (data if drawn else _set_text(data)), protocol


def _set_text(data: DataSpec) -> str:
    return f"{data.name} at {data.resolution} px"
