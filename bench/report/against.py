"""Pictures against other pictures, two folders of anyone's: no data set, no protocol's counts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from bench.data.image_digests import image_digests
from bench.data.picture_folder import Wanted, opened_pictures
from bench.machine.long_work import progress
from bench.metrics.measures import fewest_generated
from bench.metrics.scores import Scorer
from bench.report.evaluation import Evaluation, left_out, lines_of
from bench.spec.run import MetricSpec

OPTION = "--against"


def evaluate_against(
    root: Path,
    other: Path,
    metrics: Sequence[MetricSpec],
    asked: str,
    device: str = "cpu",
    *,
    method: str | None = None,
    resolution: int | None = None,
    resize: bool = False,
) -> Evaluation:
    """Score all pictures below `root` against all below `other`, which must have the same size.

    asked: where the scores are from, in words. resolution: pixels a side; None: those of `root`'s pictures. Raises
    UserError for pictures that cannot be read or are of another size (unless `resize`), and for too few.
    """
    with opened_pictures(root, Wanted(resolution, None, resize=resize)) as pictures:
        side = Wanted(pictures.images.shape[1], None, resize=resize)
        with opened_pictures(other, side, OPTION) as reference:
            # What they are named by in records and in the cache of features: their pixels, in order
            images_NHWC = reference.images.whole()
            digest = hashlib.sha256(b"".join(image_digests(images_NHWC))).hexdigest()
            few = left_out(metrics, len(pictures.images))
            enough = [metric for metric in metrics if len(pictures.images) >= fewest_generated(metric)]
            scorer = Scorer(enough, images_NHWC, f"{digest}-pictures-{len(images_NHWC)}", device, progress)
            scores = scorer.score(pictures.images)  # type: ignore[arg-type]  # has what is asked of images
            return Evaluation(
                subject=str(root),
                method=method,
                asked=asked,
                data=None,
                wanted=None,
                of=f" of {other}",
                lines=lines_of(metrics, scores),
                notes=(*pictures.notes, *(f"{OPTION}: {note}" for note in reference.notes), *few),
                floor_hint="of a data set alone real images are known that are not in the reference (--dataset)",
            )
