"""Pictures: samples of a run, of a class each if asked for, or of its training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt, model_validator

from bench.data.picture_grid import PictureGrid
from bench.errors import RuleError, UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    import numpy as np

    from bench.evaluate.subject import Subject

ROWS = 4  # where neither rows nor classes are asked for


class Settings(MeasureSettings):
    """images: of the generator, or what it was trained on. rows [4], columns: of the grid.

    classes: so many rows, each of the images of one class: classes at equal distances among those of the run.
    """

    images: Literal["generated", "training"] = "generated"
    rows: PositiveInt | None = None
    columns: PositiveInt = 8
    classes: PositiveInt | None = None

    @model_validator(mode="after")
    def _rows_are_classes(self) -> Settings:
        if self.classes is not None and self.rows is not None:
            raise RuleError("rows", f"a row is a class, and there are {self.classes} classes; leave rows out")
        return self


def samples(subject: Subject, settings: Settings) -> Result:
    """The first images that a snapshot of the run was scored by: their latents depend on the seed alone.

    So two runs of one seed show the same latents, where theirs have one size. With `classes` every class has the same
    latents. Training images are drawn at random.
    """
    if settings.classes is not None:
        return Result(grid=_of_classes(subject, settings.classes, settings))
    rows = settings.rows or ROWS
    count = rows * settings.columns
    if settings.images == "training":
        images, shows = _drawn(subject, subject.train_images, count, "training"), "training images, drawn at random"
    else:
        images, shows = subject.images(count), "samples, the first of those that are scored"
    return Result(grid=PictureGrid(images, ("",) * rows, ("",) * settings.columns, shows))


def _of_classes(subject: Subject, count: int, settings: Settings) -> PictureGrid:
    import numpy as np

    label_M = subject.opened.ctx.labels_N
    have = [] if label_M is None else sorted(set(label_M.tolist()))
    if len(have) < count:
        raise UserError(f"run {subject.run.uid} has training images of {len(have)} classes, {count} are asked for")
    classes = [have[round(place * (len(have) - 1) / max(1, count - 1))] for place in range(count)]
    if settings.images == "training":
        groups = [
            _drawn(subject, subject.train_images[label_M == label], settings.columns, "training", label)
            for label in classes
        ]
    else:
        groups = [subject.class_images(label, settings.columns) for label in classes]
    shows = {"training": "training images of a class", "generated": "samples of a class, each at the same latents"}
    names = tuple(f"class {label}" for label in classes)
    return PictureGrid(np.concatenate(groups), names, ("",) * settings.columns, shows[settings.images])


def _drawn(subject: Subject, images_NHWC: np.ndarray, count: int, *purpose: str | int) -> np.ndarray:
    """Random images without repetition; UserError where there are fewer."""
    import numpy as np
    import torch  # here, for a list of measures does not need it

    if len(images_NHWC) < count:
        raise UserError(f"run {subject.run.uid} has {len(images_NHWC)} such training images, {count} are asked for")
    chosen_N = torch.randperm(len(images_NHWC), generator=subject.stream(*purpose))[:count].numpy()
    return np.stack([images_NHWC[place] for place in chosen_N])


def _can_be_asked_for_a_class(run: RunSpec, settings: Settings) -> None:
    """UserError where classes are asked for, and no part of the run's method draws by class."""
    from bench.contract.composition import build_method, overrides  # here, for it imports torch

    if settings.classes is None or settings.images == "training":
        return
    if not any(overrides(part, "class_sampler") for _, part in build_method(run.method).parts):
        raise UserError(f"run {run.uid} cannot be asked for a class; leave classes out")


MEASURES = [
    RunMeasure(
        name="samples",
        summary="pictures: first samples at the latents of the scores, by class if asked, or training images",
        settings=Settings,
        pictures=True,
        compute=samples,
        check=_can_be_asked_for_a_class,
    )
]
