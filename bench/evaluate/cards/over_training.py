"""Pictures: the same latents at several snapshots of a training, from the pictures that it has kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from bench.data.picture_grid import PictureGrid
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject


class Settings(MeasureSettings):
    """snapshots: so many rows, at equal distances from the first to the last (all, where there are fewer).

    columns: images of each.
    """

    snapshots: PositiveInt = 5
    columns: int = Field(default=8, ge=1, le=50)


def over_training(subject: Subject, settings: Settings) -> Result:
    """The first images of snapshots, which have the same latents at each; a run keeps at most 50 of them."""
    import numpy as np

    sheets = subject.opened.sheets()
    if not sheets:
        raise UserError(f"run {subject.run.uid} has kept no pictures of its snapshots")
    count = min(settings.snapshots, len(sheets))
    chosen = [sheets[round(place * (len(sheets) - 1) / max(1, count - 1))] for place in range(count)]
    pictures = np.concatenate([images[: settings.columns] for _, images in chosen])
    names = tuple(f"step {step:,}" for step, _ in chosen)
    shows = "samples at the same latents over the training"
    return Result(grid=PictureGrid(pictures, names, ("",) * settings.columns, shows))


def _keeps_pictures(run: RunSpec, settings: Settings) -> None:
    """UserError for a run without snapshots, or with fewer images at each than are asked for."""
    if run.protocol is None or run.protocol.generated < settings.columns:
        kept = run.protocol.generated if run.protocol else 0
        raise UserError(f"a snapshot of run {run.uid} has {kept} images, {settings.columns} are asked for")


MEASURES = [
    RunMeasure(
        name="over-training",
        summary="pictures: the same latents at several snapshots of a training",
        settings=Settings,
        pictures=True,
        compute=over_training,
        check=_keeps_pictures,
    )
]
