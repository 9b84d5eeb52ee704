"""Attributes: what a linear SVM tells from the latent code, and how a detector's scores go together (LT-GAN 4.3, 5).

One task has all numbers of a run: of each of four attributes, the accuracy of an SVM on the latent codes, and of every
two the correlation of their scores. Scores are the detector's probabilities. The normals of the SVMs are kept, and
pictures show samples that are moved along them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from bench.data import counting
from bench.errors import UserError, did_you_mean
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output
from bench.seeds import numpy_stream
from bench.spec.run import WeightsFile

if TYPE_CHECKING:
    import numpy as np

    from bench.evaluate.subject import Subject
    from bench.spec.run import RunSpec

PLACES = (1, 2, 3, 4)
PAIRS = tuple(itertools.combinations_with_replacement(PLACES, 2))


class AttributesSettings(MeasureSettings):
    """attributes: the names of four of the detector's, in the order of the outputs 1 to 4.

    images: how many are scored. each_side: of an attribute, how many of the highest and of the lowest scores the SVM is
    made of. train_share: of these, the share that trains it. space: whether codes are z, or w of a style-based G.
    """

    attributes: tuple[str, str, str, str]
    images: PositiveInt = 500_000
    each_side: PositiveInt = 10_000
    train_share: float = Field(default=0.7, gt=0, le=1)
    space: Literal["z", "w"] = "z"

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.images < 2 * self.each_side + 2:
            least = 2 * self.each_side + 2
            raise ValueError(f"images is {self.images}, must be {least} or more: 2 x each_side, and some to try it on")
        return self


def _compute(subject: Subject, settings: AttributesSettings) -> Result:
    import numpy as np

    from bench.evaluate.attribute_edits import attribute_edits
    from bench.evaluate.boundaries import boundary, correlations

    codes_NZ, scores_NA, shown_NHWC = _scored(subject, settings)

    # A boundary for each attribute.
    values, normals, offsets = [], [], []
    for place, name in zip(PLACES, settings.attributes, strict=True):
        stream = numpy_stream(subject.run.seed, "evaluate", "attributes", "svm", place)
        try:
            found = boundary(codes_NZ, scores_NA[:, place - 1], settings.each_side, settings.train_share, stream)
        except UserError as problem:
            raise UserError(f"measure 'attributes': '{name}': {problem}") from problem
        tried = settings.images - 2 * settings.each_side
        error = 100 * (found.accuracy * (1 - found.accuracy) / tried) ** 0.5
        values.append(Value(f"svm_accuracy_{place}", 100 * found.accuracy, error, n_generated=tried))
        values.append(Value(f"svm_majority_{place}", 100 * found.majority, n_generated=tried))
        normals.append(found.normal_Z)
        offsets.append(found.offset)
        subject.pause()

    # The correlation of every two.
    together_AA = correlations(scores_NA)
    for one, other in PAIRS:
        value = float(together_AA[one - 1, other - 1])
        values.append(Value(f"attribute_correlation_{one}{other}", value, n_generated=settings.images))
    normals_AZ, offsets_A = np.stack(normals), np.array(offsets)
    grid = attribute_edits(subject, settings.attributes, normals_AZ, offsets_A, settings.space)
    arrays = {"svm_normals": normals_AZ, "svm_offsets": offsets_A}
    return Result(values, shown_NHWC, grid, arrays)


def _scored(subject: Subject, settings: AttributesSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The latent codes (N, Z), the scores (N, 4) of the attributes in order, and the first block of images."""
    import numpy as np

    from bench.evaluate.coded_images import coded_images
    from bench.evaluate.trained_source import source_classifier

    detector = source_classifier(subject, "detector", "attributes")
    for name in settings.attributes:
        if name not in detector.names:
            known = did_you_mean(name, detector.names)
            raise UserError(f"measure 'attributes': the detector has no attribute '{name}'; {known}")
    columns = [detector.names.index(name) for name in settings.attributes]
    codes, scores, shown = [], [], None
    for code_NZ, images_NHWC in coded_images(subject, settings.images, settings.space):
        codes.append(code_NZ)
        scores.append(detector.probabilities(images_NHWC)[:, columns])
        shown = images_NHWC if shown is None else shown
    assert shown is not None
    return np.concatenate(codes), np.concatenate(scores), shown


def _check(run: RunSpec, settings: AttributesSettings) -> None:
    if run.train is not None and run.train.batch_statistics is not None:
        raise UserError(
            "measure 'attributes': the run's images depend on each other (train.batch_statistics), so that none has "
            "a latent code of its own"
        )


def _check_sources(sources: Mapping[str, RunSpec | WeightsFile], settings: AttributesSettings) -> None:
    """UserError for a name that the detector's data set has not; weights of the user's are asked when they are read."""
    detector = sources["detector"]
    data = None if isinstance(detector, WeightsFile) else detector.data
    if data is None or (known := counting.attribute_names(data.name, data.resolution)) is None:
        return
    for name in settings.attributes:
        if name not in known:
            trained = f"data set '{data.name}', which the detector is trained on"
            raise UserError(f"measure 'attributes': {trained}, has no attribute '{name}'; {did_you_mean(name, known)}")


def _output(name: str, title: str, short: str, **fields: object) -> Output:
    return Output(name=name, summary=title, title=title, short=short, **fields)  # type: ignore[arg-type]


MEASURES = (
    RunMeasure(
        name="attributes",
        summary="what an SVM on latent codes tells of a detector's attributes, and how these correlate (attributes=)",
        settings=AttributesSettings,
        pictures=True,
        outputs=(
            *(
                _output(
                    f"svm_accuracy_{place}",
                    f"accuracy of a linear SVM on the latent code, attribute {place}",
                    f"SVM accuracy, attribute {place}",
                    better="higher",
                    unit="%",
                    worst=0.0,
                    printed="accuracy",
                    part_of="SVM accuracy",
                )
                for place in PLACES
            ),
            *(
                _output(
                    f"svm_majority_{place}",
                    f"share of the more frequent answer where that SVM is tried, attribute {place}",
                    f"majority, attribute {place}",
                    better="none",
                    unit="%",
                )
                for place in PLACES
            ),
            *(
                _output(
                    f"attribute_correlation_{one}{other}",
                    f"correlation of the scores of attributes {one} and {other}",
                    f"correlation, attributes {one} and {other}",
                    better="zero",
                    printed="correlation",
                    part_of="correlation of attributes",
                )
                for one, other in PAIRS
            ),
        ),
        sources=("detector",),
        check=_check,
        check_sources=_check_sources,
        compute=_compute,
    ),
)
