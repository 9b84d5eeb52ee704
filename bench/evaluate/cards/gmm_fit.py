"""Mixtures of several fits: scores of images whose conditions are drawn from one, and the seconds of a fit (DISP)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import PositiveInt, model_validator

from bench.data import counting, draw_counts
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject
    from bench.metrics.scores import Score
    from bench.spec.run import RunSpec


class GmmFit(MeasureSettings):
    """A Gaussian mixture of a method that can be sampled by one (DISP's `sampling`).

    components: of the mixture. images: training images whose conditions it is fitted to. fits: how often, each time to
    other images, where there are more, and from another start; values are means over fits.
    """

    images: PositiveInt
    components: PositiveInt = 1000
    fits: PositiveInt = 3

    @model_validator(mode="after")
    def _agrees(self) -> GmmFit:
        if self.sampling is not None:
            raise ValueError("sampling is the mixture, by components and images; give sampling: null")
        if self.components >= self.images:
            raise ValueError(f"components is {self.components}, must be fewer than images, {self.images}")
        return self

    def sampling_of(self, fit: int) -> str:
        """The sampling of a fit, counted from 1."""
        return f"gmm-{self.components}@{self.images}" + (f"#{fit}" if fit > 1 else "")


def _check(run: RunSpec, settings: GmmFit) -> None:
    from bench.contract.composition import build_method
    from bench.contract.expression import at_inference

    build_method(at_inference(run.method, {"sampling": settings.sampling_of(1)}))
    counts = counting.counts(run.data.name, run.data.resolution)
    if counts is not None and settings.images > (there := draw_counts.drawn(run.data, counts[0])):
        raise UserError(
            f"measure 'gmm-fit': images is {settings.images}, must be at most the training images of the run, {there} "
            f"of data set '{run.data.name}' at {run.data.resolution} px"
        )


def _compute(subject: Subject, settings: GmmFit) -> Result:
    import numpy as np

    seconds, scores, images_NHWC = [], [], np.empty(0)
    for fit in range(1, settings.fits + 1):
        fitted = subject.sampled({"sampling": settings.sampling_of(fit)})
        seconds.append(_seconds_of_fit(fitted))
        images_NHWC = fitted.images()
        scores.append(fitted.scores(images_NHWC))
    means = [_mean(list(of_fits)) for of_fits in zip(*scores, strict=True)]
    took = Value("gmm_seconds", float(np.mean(seconds)), _spread(seconds), n_reference=settings.images)
    return Result([*means, took], images_NHWC)


def _seconds_of_fit(subject: Subject) -> float:
    """How long the mixture takes, with the embedding of the conditions and without the features that they are."""
    from bench.contract.base import FittingSampler

    sampler = subject.sampler
    if not isinstance(sampler, FittingSampler):
        raise UserError(f"measure 'gmm-fit': the method of run {subject.run.uid} fits nothing when it is sampled")
    start = time.perf_counter()
    sampler.fit(subject.generator)
    return time.perf_counter() - start


def _mean(scores: list[Score]) -> Score:
    values = [score.value for score in scores]
    return replace(scores[0], value=sum(values) / len(values), error=_spread(values))


def _spread(values: list[float]) -> float | None:
    import numpy as np

    return float(np.std(values, ddof=1)) if len(values) > 1 else None


MEASURES = (
    RunMeasure(
        name="gmm-fit",
        summary="scores under a Gaussian mixture of so many images' conditions, and the seconds of its fit",
        samples=True,
        settings=GmmFit,
        outputs=(
            Output(
                name="gmm_seconds",
                summary="seconds that a fit of the mixture takes on this machine, on as many threads as the run has",
                title="seconds of a fit",
                short="seconds",
                unit="s",
                better="lower",
                compared="ratio",
                printed="seconds",
                of_machine=True,
            ),
        ),
        scores=True,
        exclusive=True,
        check=_check,
        compute=_compute,
    ),
)
