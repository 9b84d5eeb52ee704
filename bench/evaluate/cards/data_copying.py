"""Data copying: whether a run's images lie nearer to its training images than test images do (Meehan et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from bench.data import counting, draw_counts
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output

if TYPE_CHECKING:
    import numpy as np

    from bench.evaluate.subject import Subject
    from bench.spec.run import RunSpec


class DataCopying(MeasureSettings):
    """C_T on features, averaged over trials.

    extractor: of the features. images: generated ones of a trial; each trial has others. cells: of k-means, and pca:
    the axes that are kept before. real: training images, and test images, that are looked at at most; of a larger set
    a random draw; None: all. A trial is what it is in the authors' code: axes, cells and real images stay.
    """

    extractor: str
    images: int = Field(default=2000, gt=20)  # a cell with 20 or fewer counts for nothing
    trials: PositiveInt = 5
    cells: PositiveInt = 3
    pca: PositiveInt = 64
    real: int | None = Field(default=None, ge=2)


def _check(run: RunSpec, settings: DataCopying) -> None:
    name = f"data set '{run.data.name}' at {run.data.resolution} px"
    if (counts := counting.counts(run.data.name, run.data.resolution)) is None:
        return  # a set that is not built is refused on its own account
    train, test = draw_counts.drawn(run.data, counts[0]), counts[1]
    if test < 2:
        raise UserError(f"measure 'data-copying' compares with test images, and {name} has {test}; it needs 2 or more")
    if settings.cells >= min(train, settings.real or train):
        raise UserError(
            f"measure 'data-copying': cells is {settings.cells}, must be fewer than the training images, {train} of "
            f"{name}" + (f", of which real takes {settings.real}" if settings.real else "")
        )


def _compute(subject: Subject, settings: DataCopying) -> Result:
    import numpy as np

    from bench.metrics.copying import CopyingTest

    # The real images, and the space and cells that they make
    real = {
        "train": _at_most(subject, subject.train_images, settings.real, "train"),
        "test": _at_most(subject, subject.test_images(), settings.real, "test"),
    }
    train, test = (subject.features(images, settings.extractor, keep=True) for images in real.values())
    copying = CopyingTest(train, test, settings.cells, subject.run.seed, components=settings.pca)
    # One statistic for each set of generated images
    made = subject.made_features(settings.images * settings.trials, settings.extractor)
    trials = []
    for features in np.split(made, settings.trials):
        trials.append(copying(features).c_t)
        subject.pause()
    spread = float(np.std(trials, ddof=1)) if settings.trials > 1 else None
    value = Value("ct", float(np.mean(trials)), spread, n_generated=len(made), n_reference=len(train) + len(test))
    return Result([value], subject.images(min(50, len(made))))


def _at_most(subject: Subject, images_NHWC: np.ndarray, most: int | None, purpose: str) -> np.ndarray:
    """The images, or so many of them drawn without repetition, in the order of the set."""
    import torch

    from bench.files.memory_map import rows

    if most is None or len(images_NHWC) <= most:
        return images_NHWC
    chosen = torch.randperm(len(images_NHWC), generator=subject.stream(purpose))[:most]
    return rows(images_NHWC, chosen.sort().values.numpy())


MEASURES = (
    RunMeasure(
        name="data-copying",
        summary="whether generated images lie nearer to the training images than test images do (C_T)",
        samples=True,
        needs=(),
        settings=DataCopying,
        outputs=(
            Output(
                name="ct",
                summary="test of data copying: far below 0 copies, far above 0 underfits; beyond 3 is far",
                title="data-copying statistic",
                short="C_T",
                better="zero",
            ),
        ),
        check=_check,
        compute=_compute,
    ),
)
