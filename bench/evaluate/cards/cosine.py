"""Cosine similarity of images, in features of D or of an extractor, and whether the two agree (DISP, tables 12, 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt, model_validator

from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject
    from bench.spec.run import RunSpec

Space = Literal["perceptual", "discriminator"]


class Cosine(MeasureSettings):
    """The cosine similarity of the features of pairs of images: its mean, or its correlation with another likeness.

    pairs: how many. of_pairs: random, two training images; generated, a training image x and G(z | C(x)), what is made
    from its condition. space: whose features, perceptual (of `extractor`) or the discriminator's.
    against: None, and the mean similarity is given. Else Pearson's correlation over pairs with the similarity in
    `extractor` (perceptual), or with the Euclidean distance of the images (pixels).
    """

    pairs: PositiveInt = 1000
    of_pairs: Literal["random", "generated"] = "random"
    space: Space = "discriminator"
    against: Literal["perceptual", "pixels"] | None = None
    extractor: str | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Cosine:
        if self.sampling is not None:
            raise ValueError("sampling changes nothing: conditions are those of training images; give sampling: null")
        if self.against == self.space:
            raise ValueError(f"against is {self.against}, as space is; must be another")
        perceptual = "perceptual" in (self.space, self.against)
        if perceptual and self.extractor is None:
            raise ValueError("perceptual features need an extractor")
        if self.extractor is not None and not perceptual:
            raise ValueError(f"extractor is {self.extractor}, but no perceptual features are looked at; leave it out")
        if self.against is not None and self.pairs < 3:
            raise ValueError(f"pairs is {self.pairs}, must be 3 or more for a correlation")
        return self


def _check(run: RunSpec, settings: Cosine) -> None:
    if settings.of_pairs == "generated":
        from bench.contract.composition import build_method
        from bench.evaluate.conditioned import refuse_batch_statistics

        if not build_method(run.method).has("condition"):
            raise UserError(
                f"measure 'cosine': the method of run {run.uid} conditions on nothing; of_pairs must be random"
            )
        refuse_batch_statistics(run, "cosine")


def _compute(subject: Subject, settings: Cosine) -> Result:
    import numpy as np

    from bench.evaluate.draws import in_turn
    from bench.evaluate.likeness import Likeness, random_pairs

    spaces = [settings.space, *([settings.against] if settings.against else [])]
    likeness, count = Likeness(subject, spaces, settings.extractor), len(subject.train_images)
    if settings.of_pairs == "random":
        alike = likeness.of_training_images(*random_pairs(count, settings.pairs, subject.stream("pairs")))
    else:
        alike = likeness.of_made_images(in_turn(count, settings.pairs, 1, subject.stream("images")))
    made = settings.pairs if settings.of_pairs == "generated" else 0
    if settings.against is None:
        spread = float(alike[0].std(ddof=1)) if settings.pairs > 1 else None
        return Result([Value("cosine_similarity", float(alike[0].mean()), spread, made, count)])
    for space, values_N in zip(spaces, alike, strict=True):
        if np.ptp(values_N) == 0:
            raise UserError(f"measure 'cosine': all pairs are equally alike in {space}, so that nothing correlates")
    correlation = float(np.corrcoef(alike[0], alike[1])[0, 1])
    return Result([Value("cosine_correlation", correlation, None, made, count)])


MEASURES = (
    RunMeasure(
        name="cosine",
        summary="cosine similarity of pairs of images in features, or its correlation with another likeness",
        settings=Cosine,
        outputs=(
            Output(
                name="cosine_similarity",
                summary="mean over pairs of images; its error is the standard deviation over pairs",
                title="cosine similarity",
                short="cosine",
                better="none",
                printed="cosine",
            ),
            Output(
                name="cosine_correlation",
                summary="Pearson's, over pairs of images, of cosine similarity in D's features with another likeness",
                title="correlation",
                short="correlation",
                better="none",
                printed="correlation",
            ),
        ),
        needs=("generator", "discriminator"),
        gives=lambda settings: ["cosine_similarity" if settings.against is None else "cosine_correlation"],
        check=_check,
        compute=_compute,
    ),
)
