"""inversion: how well test images are found again in G, by IvOM and by the FID of what is found (DISP, table 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from bench.data import counting
from bench.data.picture_grid import PictureGrid
from bench.errors import UserError
from bench.evaluate.card import Result, RunMeasure, Value
from bench.evaluate.unsampled import UnsampledSettings
from bench.metrics.output import Output
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    import numpy as np

    from bench.evaluate.subject import Subject

SHOWN = 8  # queries of the grid


class Settings(UnsampledSettings):
    """images: the first so many of the test split, which is in random order. lr: of Adam, with betas 0.9 and 0.999.

    start: what each block's condition begins as, "prior" (of the query) or "mean" (of the training images).
    extractor: of the FID of inverted images to queries.
    """

    images: PositiveInt = 500
    lr: float = Field(default=0.1, gt=0)
    steps: PositiveInt = 500
    start: Literal["prior", "mean"] = "prior"
    extractor: str = "inception@299"


def check(run: RunSpec, settings: Settings) -> None:
    """UserError for fewer test images than are asked for, and for a start from priors without any."""
    from bench.contract.composition import build_method  # here, for they import torch
    from bench.evaluate.inverting import NO_PRIOR

    found = counting.counts(run.data.name, run.data.resolution)
    if settings.images < 2 or (found is not None and found[1] < settings.images):
        has = "" if found is None else f"; data set '{run.data.name}' has {found[1]} test images"
        raise UserError(f"inversion: images is {settings.images}, must be from 2 to the test images{has}")
    if settings.start == "prior" and build_method(run.method).query_condition() is None:
        raise UserError(f"inversion: start is prior, but {NO_PRIOR}")


def compute(subject: Subject, settings: Settings) -> Result:
    """The mean squared error over the queries with its standard error, and the Fréchet distance to them."""
    from bench.evaluate.descent import Adam
    from bench.evaluate.inverting import inverted, start_of
    from bench.metrics.frechet import fit_gaussian, frechet_distance
    from bench.networks.common.pixels import to_uint8

    # The queries, and the fit of each.
    count, generator = settings.images, subject.generator
    queries_NHWC, sha256 = subject.named_test_images(count)
    start = start_of(subject.opened.ctx, subject.method, generator, queries_NHWC, settings.start)
    adam = Adam(settings.steps, settings.lr)
    streams = lambda place: subject.stream("noise", place)  # noqa: E731
    images_NCHW, errors_N = inverted(generator, start, queries_NHWC, adam, streams, subject.pause)

    # What they come to.
    images_NHWC, ivom = to_uint8(images_NCHW), errors_N.double()
    reference = fit_gaussian(subject.features(queries_NHWC, settings.extractor), "queries")
    distance = frechet_distance(reference, subject.features(images_NHWC, settings.extractor))
    error = float(ivom.std() / count**0.5)
    return Result(
        [
            Value("ivom", float(ivom.mean()), error, count, count, sha256),
            Value("inversion_fd", distance, None, count, count, sha256),
        ],
        images_NHWC,
        _grid(queries_NHWC, images_NHWC),
    )


def _grid(queries_NHWC: np.ndarray, images_NHWC: np.ndarray) -> PictureGrid:
    """The first queries above what is found of them."""
    import numpy as np

    count = min(SHOWN, len(images_NHWC))
    pictures = np.concatenate([queries_NHWC[:count], images_NHWC[:count]])
    return PictureGrid(pictures, ("query", "inverted"), ("",) * count, "test images and what G makes nearest to them")


MEASURES = [
    RunMeasure(
        name="inversion",
        summary="how well test images are found again in G: IvOM, and the FID of the inverted images to them",
        settings=Settings,
        pictures=True,
        outputs=(
            Output(
                name="ivom",
                summary="mean squared error of inverted test images, on values from -1 to 1",
                title="inference via optimization",
                short="IvOM",
                better="lower",
                compared="ratio",
                featureless=True,
            ),
            Output(
                name="inversion_fd",
                summary="Fréchet distance of inverted test images to the test images themselves",
                title="Fréchet distance of inverted images",
                short="FD",
                on_inception="FID",
                better="lower",
                compared="ratio",
                printed="fid",
                biased_upward=True,
            ),
        ),
        compute=compute,
        check=check,
    )
]
