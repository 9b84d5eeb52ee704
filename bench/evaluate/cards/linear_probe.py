"""Linear probe: what a linear classifier tells from an extractor's features of real images (DISP, section 5.1).

The text fits one linear classifier to features of 50,000 of 70,000 faces with 50 tags, one of which each face has, and
gives its accuracy on these and on the others. Declared: the loss is the cross entropy with a penalty on the weights,
the features are standardised, and a prediction is the most likely tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from bench.data import counting
from bench.errors import UserError
from bench.evaluate.card import PlainSettings, Result, RunMeasure, Value
from bench.metrics.output import Output

if TYPE_CHECKING:
    import numpy as np

    from bench.evaluate.material import Material
    from bench.spec.run import RunSpec

ROLE = "simclr"


class ProbeSettings(PlainSettings):
    """extractor: whose features are probed; None: those of the encoder of the source `simclr`.

    images: of the test split, the first so many; None: all. inverse_penalty: C of scikit-learn's logistic regression.
    steps: of its solver, at most.
    """

    extractor: str | None = None
    images: PositiveInt | None = None
    inverse_penalty: float = Field(default=1.0, gt=0)
    steps: PositiveInt = 1000


def _compute(material: Material, settings: ProbeSettings) -> Result:
    from bench.data import imageset
    from bench.evaluate.probing import fit_probe
    from bench.metrics.classes import top_accuracy

    data = material.task.data
    images = imageset.load(data.name, data.resolution)
    train_labels, test_labels = material.train_labels, material.test_labels(settings.images)
    assert train_labels is not None and test_labels is not None, "a measure that needs labels is of a set with labels"
    train_NHWC, test_NHWC = material.train_images, material.test_images(settings.images)

    # Fitted to the training images, tried on them and on the others.
    features_ND = _features(material, settings, train_NHWC)
    probe = fit_probe(features_ND, train_labels, len(images.class_names), settings.inverse_penalty, settings.steps)
    values = []
    for name, tried_ND, labels_N in (
        ("train", features_ND, train_labels),
        ("test", _features(material, settings, test_NHWC), test_labels),
    ):
        share, count = top_accuracy(probe.logits(tried_ND), labels_N), len(labels_N)
        sha256 = f"{images.sha256}-{name}-{count}"
        values.append(Value(f"probe_{name}_accuracy", 100 * share, 100 * (share * (1 - share) / count) ** 0.5,
                            n_reference=count, reference_sha256=sha256))  # fmt: skip
    return Result(values)


def _features(material: Material, settings: ProbeSettings, images_NHWC: np.ndarray) -> np.ndarray:
    if settings.extractor is not None:
        return material.features(images_NHWC, settings.extractor, keep=True)
    from bench.features.cache import cached_features
    from bench.features.simclr import trained_extractor

    encoder = trained_extractor(material.source(ROLE), images_NHWC.shape[1], material.device)
    return cached_features(encoder, images_NHWC)


def _check(task: RunSpec, settings: ProbeSettings) -> None:
    found = counting.counts(task.data.name, task.data.resolution)
    if settings.images is not None and found is not None and settings.images > found[1]:
        raise UserError(
            f"measure 'linear-probe': images is {settings.images}, and data set '{task.data.name}' has {found[1]} test "
            "images"
        )


MEASURES = (
    RunMeasure(
        name="linear-probe",
        summary="what a linear classifier tells from an extractor's features of real images (extractor=)",
        of_run=False,
        settings=ProbeSettings,
        outputs=tuple(
            Output(
                name=f"probe_{name}_accuracy",
                summary=f"right answers of a linear classifier on features, about {whose} images",
                title=f"accuracy of a linear classifier on features, {whose} images",
                short=f"probe accuracy, {whose}",
                better="higher",
                unit="%",
                worst=0.0,
                printed="accuracy",
                part_of="probe accuracy",
                featureless=True,
            )
            for name, whose in (("train", "training"), ("test", "test"))
        ),
        needs=("labels",),
        sources=(ROLE,),
        reads=lambda settings: (ROLE,) if settings.extractor is None else (),
        check=_check,
        compute=_compute,
    ),
)
