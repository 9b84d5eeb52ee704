"""Rescore: the protocol's scores of a finished run, sampled in another way than it was in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.evaluate.card import MeasureSettings, Result, RunMeasure

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject


def _compute(subject: Subject, settings: MeasureSettings) -> Result:
    """The scores that a training sampled like this would have had at this snapshot."""
    images_NHWC = subject.images()
    return Result(subject.scores(images_NHWC), images_NHWC)


MEASURES = (
    RunMeasure(
        name="rescore",
        summary="the protocol's scores under another sampling at inference (sampling=mix, pure, gmm-1000@200000, ...)",
        samples=True,
        compute=_compute,
    ),
)
