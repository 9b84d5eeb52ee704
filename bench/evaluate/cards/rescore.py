"""Rescore: the protocol's scores of a finished run that is sampled in another way than it was in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.contract.expression import at_inference
from bench.evaluate.card import MeasureSettings, Result, RunMeasure
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject


class RescoreSettings(MeasureSettings):
    """sampling: how the method draws its conditions (of disp: mix, pure, gmm-1000@200000, ...); None: its own way."""

    sampling: str | None = None


def _inference(settings: RescoreSettings) -> dict[str, Any]:
    return {} if settings.sampling is None else {"sampling": settings.sampling}


def _check(run: RunSpec, settings: RescoreSettings) -> None:
    """UserError for a method that cannot be sampled like this."""
    from bench.contract.composition import build_method  # here, for it imports torch

    build_method(at_inference(run.method, _inference(settings)))


def _compute(subject: Subject, settings: RescoreSettings) -> Result:
    """The scores that a training sampled like this would have had at this snapshot."""
    images_NHWC = subject.sampled(_inference(settings)).images()
    return Result(subject.scores(images_NHWC), images_NHWC)


MEASURES = (
    RunMeasure(
        name="rescore",
        summary="the protocol's scores under another sampling at inference (sampling=mix, pure, gmm-1000@200000, ...)",
        settings=RescoreSettings,
        compute=_compute,
        check=_check,
    ),
)
