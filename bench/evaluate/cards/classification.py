"""Scores by a classifier: the Inception score of generated images, and how well one trained on them tells real ones.

Inception score: Salimans et al. 2016 (LT-GAN, table 5). Classification accuracy score: Ravuri and Vinyals 2019 (LT-GAN,
section 5). The classifier of the second is a run of its own, which starts from the evaluated run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from bench import features
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject

ROLE = "classifier"


class InceptionSettings(MeasureSettings):
    """images: the run's first so many. splits: consecutive parts of them, which are scored one by one and averaged.

    extractor: of logits of classes, `inception_logits` for the published score; None: the source `classifier`.
    """

    images: PositiveInt = 50_000
    splits: PositiveInt = 10
    extractor: str | None = None


def _inception(subject: Subject, settings: InceptionSettings) -> Result:
    from scipy.special import softmax

    from bench.evaluate.trained_source import source_classifier
    from bench.metrics.classes import inception_score

    images_NHWC = subject.images(settings.images)
    if settings.extractor is None:
        probabilities_NK = source_classifier(subject, ROLE, "labels").probabilities(images_NHWC)
    else:
        probabilities_NK = softmax(subject.features(images_NHWC, settings.extractor).astype("float64"), axis=1)
    score = inception_score(probabilities_NK, settings.splits)
    # The deviation over the splits has no degree of freedom taken off, as published; the error of their mean has.
    error = score.sd / (settings.splits - 1) ** 0.5 if settings.splits > 1 else None
    return Result([Value("inception_score", score.mean, error, n_generated=len(images_NHWC))], images_NHWC)


def _check_inception(run: RunSpec, settings: InceptionSettings) -> None:
    if settings.splits > settings.images // 2:
        raise UserError(f"splits is {settings.splits}, must be at most {settings.images // 2}, half of the images")
    if settings.extractor is not None and not features.gives_logits(settings.extractor):
        raise UserError(
            f"extractor '{settings.extractor}' gives features and no logits of classes; write extractor: "
            "inception_logits, or leave it out for the source 'classifier'"
        )


class AccuracySettings(MeasureSettings):
    """The classifier of the source `classifier` is trained on samples of the run's final weights: snapshot is final."""


def _accuracy(subject: Subject, settings: AccuracySettings) -> Result:
    from bench.data import imageset
    from bench.evaluate.trained_source import source_classifier
    from bench.metrics.classes import top_accuracy

    data = subject.run.data
    images = imageset.load(data.name, data.resolution)
    assert images.test_labels is not None, "a measure that needs labels is taken of a set with labels"
    classifier = source_classifier(subject, ROLE, "labels")
    if classifier.names != tuple(images.class_names):
        raise UserError(f"source '{ROLE}' tells other classes than data set '{data.name}' has; train it on that set")
    subject.pause()
    logits_NK, count = classifier.logits(images.test), len(images.test)
    values = []
    for k in (1, 5):
        share = top_accuracy(logits_NK, images.test_labels, min(k, logits_NK.shape[1]))
        error = 100 * (share * (1 - share) / count) ** 0.5
        values.append(
            Value(
                f"cas_top{k}", 100 * share, error, n_reference=count, reference_sha256=f"{images.sha256}-test-{count}"
            )
        )
    return Result(values, subject.images(min(50, subject.protocol.generated)))


def _check_accuracy(run: RunSpec, settings: AccuracySettings) -> None:
    if settings.snapshot != "final":
        raise UserError(
            f"measure 'classification-accuracy': snapshot is {settings.snapshot}, must be final: its classifier is "
            "trained on samples of the run's final weights"
        )


MEASURES = (
    RunMeasure(
        name="inception-score",
        summary="Inception score on an extractor's logits or on a classifier of the table's (images=, splits=)",
        samples=True,
        settings=InceptionSettings,
        outputs=(
            Output(
                name="inception_score",
                summary="how sure and how varied a classifier's answers are; from 1 to the number of classes",
                title="Inception score",
                short="IS",
                better="higher",
                worst=1.0,
                printed="is",
            ),
        ),
        sources=(ROLE,),
        reads=lambda settings: (ROLE,) if settings.extractor is None else (),
        check=_check_inception,
        compute=_inception,
    ),
    RunMeasure(
        name="classification-accuracy",
        summary="classification accuracy score: how often a classifier trained on samples tells real test images",
        samples=True,
        settings=AccuracySettings,
        outputs=tuple(
            Output(
                name=f"cas_top{k}",
                summary=f"share of real test images whose class is among the first {k} of a classifier of samples",
                title=f"classification accuracy score, top {k}",
                short=f"CAS top {k}",
                better="higher",
                unit="%",
                worst=0.0,
                printed=f"top{k}",
            )
            for k in (5, 1)
        ),
        needs=("generator", "labels"),
        sources=(ROLE,),
        check=_check_accuracy,
        compute=_accuracy,
    ),
)
