"""Nearest training images: how far images are from them, generated ones and augmented ones (FastGAN, table 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from bench.data.picture_grid import PictureGrid
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output

if TYPE_CHECKING:
    import numpy as np

    from bench.evaluate.subject import Subject

SHOWN = 25  # images of the sheet and of the grid, each beside its nearest
ACROSS = 5  # of them in a row of the grid


class Nearest(MeasureSettings):
    """The mean distance of images to their nearest training image, of several trials.

    images: generated ones; or augmented, training images against what a flip and a crop make of them.
    samples: images of a trial, of which each has others. reduce: the lowest trial, or the mean over trials.
    extractor: None, and the distance is LPIPS of `net`, at `size` pixels (None: the images' own). Or an extractor, and
    it is the Euclidean distance of its features.
    crop: the share of an augmented image's area that is left.
    """

    images: Literal["generated", "augmented"] = "generated"
    samples: PositiveInt = 100
    trials: PositiveInt = 3
    reduce: Literal["mean", "lowest"] = "mean"
    extractor: str | None = None
    net: Literal["alex", "vgg"] = "alex"
    size: int | None = Field(default=None, ge=32)
    crop: float = Field(default=0.8, gt=0, le=1)


def _compute(subject: Subject, settings: Nearest) -> Result:
    import numpy as np

    from bench.evaluate.draws import in_turn
    from bench.evaluate.lpips_space import LpipsSpace
    from bench.evaluate.nearest_images import FeatureDistance, augmented
    from bench.files.memory_map import rows

    space = (
        LpipsSpace(settings.net, settings.size, subject.device, subject.pause)
        if settings.extractor is None
        else FeatureDistance(subject, settings.extractor)
    )
    train, count = subject.train_images, settings.samples * settings.trials
    # Images, and the training image of each
    if settings.images == "augmented":
        which_N = in_turn(len(train), settings.samples, settings.trials, subject.stream("augmented"))
        pairs_of = rows(train, which_N)
        images = augmented(pairs_of, settings.crop, subject.stream("crops"))
        far_N = space.distances(images, pairs_of)
    else:
        images = subject.images(count)
        far_N, which_N = space.nearest(images, train)
    # One number for each trial
    trials = far_N.reshape(settings.trials, -1).mean(1)
    value = float(trials.min() if settings.reduce == "lowest" else trials.mean())
    spread = float(trials.std(ddof=1)) if settings.trials > 1 else None
    name = "nearest_lpips" if settings.extractor is None else "nearest_distance"
    sheet = np.stack([images[:SHOWN], rows(train, which_N[:SHOWN])], 1).reshape(-1, *images.shape[1:])
    return Result(
        [Value(name, value, spread, n_generated=count, n_reference=len(train))], sheet, _grid(sheet, settings)
    )


def _grid(pairs_NHWC: np.ndarray, settings: Nearest) -> PictureGrid:
    """The first images, each beside its nearest: as many whole rows as there are."""
    across = min(ACROSS, len(pairs_NHWC) // 2)
    rows = len(pairs_NHWC) // (2 * across)
    pair = ("augmented", "original") if settings.images == "augmented" else ("sample", "nearest")
    space = f"LPIPS ({settings.net})" if settings.extractor is None else f"features of {settings.extractor}"
    shows = f"samples, each beside the training image that is nearest to it by {space}"
    if settings.images == "augmented":
        shows = "augmented training images, each beside its original"
    return PictureGrid(pairs_NHWC[: 2 * across * rows], ("",) * rows, pair * across, shows)


MEASURES = (
    RunMeasure(
        name="nearest",
        summary="how far generated images are from their nearest training image, in LPIPS or in features",
        needs=(),
        settings=Nearest,
        pictures=True,
        outputs=(
            Output(
                name="nearest_lpips",
                summary="mean LPIPS to the nearest training image; a copy has 0, and noise much: neither end is good",
                title="LPIPS to the nearest training image",
                short="LPIPS",
                better="none",
                printed="lpips",
            ),
            Output(
                name="nearest_distance",
                summary="mean distance of features to those of the nearest training image; neither end is good",
                title="distance to the nearest training image",
                short="distance",
                better="none",
            ),
        ),
        gives=lambda settings: ["nearest_lpips" if settings.extractor is None else "nearest_distance"],
        compute=_compute,
    ),
)
