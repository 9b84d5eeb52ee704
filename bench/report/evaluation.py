"""Scores of pictures made elsewhere, or of a finished run again, under a table's protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol as Interface

import numpy as np

from bench.data.image_digests import image_digests
from bench.data.picture_folder import Wanted, fit_of, opened_pictures
from bench.data.points import FLOOR
from bench.data.reference_split import depends_on_seed
from bench.errors import UserError
from bench.evaluate.registry import output_card
from bench.features import canonical
from bench.machine.long_work import progress
from bench.machine.threads import threads_of
from bench.metrics.measures import fewest_generated, label, measure
from bench.metrics.of_training import looks_at_training
from bench.metrics.scorers import make_scorer, seed_matters
from bench.metrics.scores import Score
from bench.plan.expand import Table
from bench.report.chosen_scores import chosen_scores
from bench.report.floors import Floor, Floors
from bench.report.floors_here import floors_here, key
from bench.report.picture_measures import measured, split_measures
from bench.spec.row_column import Column
from bench.spec.run import DataSpec, MeasureSpec, MetricSpec, Protocol, RunSpec
from bench.spec.words import REFERENCES, against
from bench.store.runs import RunFolder, Store


@dataclass(frozen=True)
class Line:
    """One score with what it is compared with."""

    score: Score
    label: str
    k: int | None
    floor: Floor | None
    recorded: float | None = None  # the run's own score at this snapshot
    counted: bool = True  # whether its counts are the protocol's; those of a measure are its own settings


@dataclass(frozen=True)
class Evaluation:
    """All scores of one set of images.

    subject: what was scored.
    method: the name that its owner gives it.
    asked: the protocol's name, its table and column.
    data: what it is scored against; None where that is a folder.
    wanted: how many images the protocol generates; None where no protocol says it.
    of: which images the reference is of, in words.
    notes: what was left out or changed.
    floor_hint: how to get a floor that is not known.
    images_sha256: over the digests of the images' pixels, in order; "" of a run's, which its record names.
    """

    subject: str
    method: str | None
    asked: str
    data: DataSpec | None
    wanted: int | None
    of: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    floor_hint: str
    images_sha256: str = ""


@dataclass(frozen=True)
class Setting:
    """A column under whose protocol images are scored. metrics: which scores; seed: of runs with a reference each."""

    table: Table
    scale: str
    column: Column
    metrics: Sequence[str] | None = None  # as --measures has them; None: the protocol's
    seed: int = 0
    command_for_floor: str = ""  # the command that runs the column's reference points

    @property
    def data(self) -> DataSpec:
        """The column's images."""
        return self.table.scored(self.column, self.scale).data

    @property
    def protocol(self) -> Protocol:
        """The column's protocol."""
        return self.table.scored(self.column, self.scale).protocol

    @property
    def scores(self) -> tuple[MetricSpec, ...]:
        """The scores to take."""
        return chosen_scores(split_measures(self.metrics)[0], self.protocol.metrics)

    @property
    def measures(self) -> list[MeasureSpec]:
        """The measures to take beside them."""
        return split_measures(self.metrics)[1]

    @property
    def seed_matters(self) -> bool:
        """Whether the same images score otherwise beside runs of another seed."""
        return bool(self.measures) or seed_matters(self.protocol.model_copy(update={"metrics": self.scores}), self.data)

    @property
    def asked(self) -> str:
        """The protocol, in words."""
        name = f"{self.protocol.name} v{self.protocol.version}"
        return f"{name} of {self.table.name} · {self.column.id} at scale {self.scale}"


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
    def snapshot(self) -> str | int:
        """Which of its weights: best or final."""
        ...

    @property
    def step(self) -> int:
        """The step of the snapshot."""
        ...

    def all_images(self, count: int) -> np.ndarray:
        """The first `count` uint8 images (count, H, W, 3), those that were scored first."""
        ...


def evaluate_folder(
    setting: Setting,
    root: Path,
    store: Store,
    device: str = "cpu",
    *,
    method: str | None = None,
    resize: bool = False,
    allow_fewer: bool = False,
) -> Evaluation:
    """Score a folder, an archive or an array of pictures as the runs of a column are scored.

    The extractors, metrics, k and reference are the same. Raises UserError for pictures that do not fit the protocol:
    see bench.data.picture_folder.
    """
    data, protocol = setting.data, setting.protocol
    wanted = Wanted(data.resolution, protocol.generated, fit=fit_of(data.name), resize=resize, allow_fewer=allow_fewer)
    with opened_pictures(root, wanted) as pictures:
        return evaluate_images(setting, pictures.images, str(root), store, device, method=method, notes=pictures.notes)  # type: ignore[arg-type]  # has what is asked of images


def evaluate_images(
    setting: Setting,
    images_NHWC: np.ndarray,
    subject: str,
    store: Store,
    device: str = "cpu",
    *,
    method: str | None = None,
    notes: Sequence[str] = (),
) -> Evaluation:
    """Score uint8 images (N, H, W, 3) under a column's protocol. notes: on how the images came about.

    A score that needs more images is left out, and said. Of fewer images than the protocol generates, and of a score
    that it does not have, the floor is that of as many real images, which is computed.
    """
    data, protocol = setting.data, setting.protocol
    scored = protocol.model_copy(update={"metrics": setting.scores})
    count = len(images_NHWC)
    few = left_out(scored.metrics, count) if scored.metrics or not setting.measures else []
    scores = make_scorer(scored, data, setting.seed, device, count, progress).score(images_NHWC)
    whose = [f"the reference is that of seed {setting.seed}"] if depends_on_seed(data, protocol) else []
    whose += [f"the training images are those of seed {setting.seed}"] if setting.seed_matters and not whose else []
    lines = lines_of(scored.metrics, scores, protocol, Floors(data, protocol, store))
    # Floors that no reference point has: at fewer images, and of scores that the protocol does not have
    own = {key(metric) for metric in protocol.metrics} if count >= protocol.generated else set()
    others = [metric for metric in scored.metrics if key(metric) not in own and count >= fewest_generated(metric)]
    floors = floors_here(others, protocol, data, setting.seed, count, device)
    lines = tuple(
        replace(line, floor=floors.get((line.score.metric, line.score.extractor), line.floor)) for line in lines
    )
    # The measures beside them
    for each in setting.measures:
        taken = measured(each, images_NHWC, data, protocol, setting.seed, device)
        names = (output_card(score.metric).label(score.extractor) for score in taken)
        lines += tuple(Line(score, name, None, None, counted=False) for score, name in zip(taken, names, strict=True))
    return Evaluation(
        subject=subject,
        method=method,
        asked=setting.asked,
        data=data,
        wanted=protocol.generated,
        of=REFERENCES[protocol.split],
        lines=lines,
        notes=(*notes, *few, *whose),
        floor_hint=_floor_hint(setting, count),
        images_sha256=hashlib.sha256(b"".join(image_digests(images_NHWC))).hexdigest(),
    )


def evaluate_run(
    run: Sampled,
    store: Store,
    device: str = "cpu",
    *,
    method: str | None = None,
    metrics: Sequence[str] | None = None,
) -> Evaluation:
    """Score a run's snapshot again under its own protocol, beside the scores it recorded at that step.

    It computes with as many threads as the run did, so that on its machine the values are the recorded ones.
    metrics: which scores, as --measures has them. Raises UserError for a run that is not scored (a source of others).
    """
    protocol, data = run.spec.protocol, run.spec.data
    if protocol is None:
        raise UserError(f"run {run.folder.uid} has no protocol: other runs start from it, it is never scored")
    scored = protocol.model_copy(update={"metrics": chosen_scores(metrics, protocol.metrics)})
    with threads_of(run.folder.threads()):
        images = run.all_images(protocol.generated)
        scores = make_scorer(scored, data, run.spec.seed, device, watch=progress).score(images)
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
        of=REFERENCES[protocol.split],
        lines=lines_of(scored.metrics, scores, protocol, Floors(data, protocol, store), recorded),
        notes=(),
        floor_hint="`bench run` of its table scores it, unless with --no-references",
    )


def evaluate_run_under(
    run: Sampled, setting: Setting, store: Store, device: str = "cpu", *, method: str | None = None
) -> Evaluation:
    """Score a run's snapshot under a column's protocol, which may be another than its own and on other data.

    Raises UserError for a score or a measure that looks at training images, where the run was trained on others than
    those of the column.
    """
    taken = setting.protocol.model_copy(update={"metrics": setting.scores})
    if (setting.measures or looks_at_training(taken)) and run.spec.data != setting.data:
        raise UserError(
            f"run {run.folder.uid} was trained on other images than those of {setting.asked}, and what is asked for "
            "looks at training images; --measures leaves it out"
        )
    with threads_of(run.folder.threads()):
        images = run.all_images(setting.protocol.generated)
        subject = f"{run.folder.uid}, its {run.snapshot} snapshot (step {run.step:,})"
        return evaluate_images(setting, images, subject, store, device, method=method)


def _floor_hint(setting: Setting, count: int) -> str:
    """How to get the floor that a score is compared with, where it is not there yet."""
    if count < setting.protocol.generated or FLOOR not in setting.table.points(setting.column, setting.scale):
        return f"{setting.table.name} has no reference point '{FLOOR}' in this column"
    if not setting.command_for_floor:
        return ""
    return f"`{setting.command_for_floor}` scores it, before it trains anything"


def left_out(metrics: Sequence[MetricSpec], count: int) -> list[str]:
    """Notes on the scores that need more than so many generated images. UserError where all of them do."""
    few = [metric for metric in metrics if count < fewest_generated(metric)]
    notes = [f"{_name(metric)} left out: it needs {fewest_generated(metric):,} images" for metric in few]
    if len(few) == len(metrics):
        raise UserError(f"{count:,} images are too few for every score: {'; '.join(notes) or 'there is none'}")
    return notes


def lines_of(
    metrics: Sequence[MetricSpec],
    scores: Sequence[Score],
    protocol: Protocol | None = None,
    floors: Floors | None = None,
    recorded: Mapping[tuple[str, str, int], float] | None = None,
) -> tuple[Line, ...]:
    """A line for each score. Floors and recorded values are those of a protocol's own scores: another k has others."""
    specs = {(metric.name, canonical(metric.extractor)): metric for metric in metrics}
    lines = []
    for score in scores:
        spec = specs[score.metric, score.extractor]
        own = protocol is not None and spec in protocol.metrics
        name = label(score.metric, score.extractor)
        lines.append(
            Line(
                score,
                against(name, protocol.split) if protocol else name,
                spec.k or measure(score.metric).default_k,
                floors.of(score) if floors and own else None,
                (recorded or {}).get((score.metric, score.extractor, score.version)) if own else None,
            )
        )
    return tuple(lines)


def _name(metric: MetricSpec) -> str:
    return label(metric.name, metric.extractor)
