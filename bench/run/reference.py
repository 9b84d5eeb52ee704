"""The scores of a reference point: real images, or mixtures of them, in place of generated ones."""

from __future__ import annotations

import time

from bench.data.points import FLOOR
from bench.data.reference import floor_beside_training, reference_point
from bench.metrics.of_training import with_training, without_training
from bench.metrics.scorers import make_scorer
from bench.run.scoring import record_scores
from bench.run.settings import Outcome, Settings
from bench.spec.run import RunSpec
from bench.store.runs import RunFolder


def score_reference(spec: RunSpec, folder: RunFolder, settings: Settings) -> Outcome:
    """Score the images of a reference point and write its record."""
    begin = time.monotonic()
    images = reference_point(spec)
    folder.rewind(-1)
    assert spec.protocol is not None
    plain, looking = spec.protocol, None
    if spec.method[0].name == FLOOR:
        # No image of a floor may be known to what it is scored by; nearly all scores know the reference alone.
        plain, looking = without_training(spec.protocol), with_training(spec.protocol)
    scorer = make_scorer(plain, spec.data, spec.seed, str(settings.device), len(images))
    record_scores(folder, 0, scorer, images)
    if looking is not None and looking.metrics:
        new = floor_beside_training(spec)
        scorer = make_scorer(looking, spec.data, spec.seed, str(settings.device), len(new))
        record_scores(folder, 0, scorer, new, sheet=False)
    seconds = time.monotonic() - begin
    folder.finish({"steps": 0, "diverged_at": None, "weights_sha256": None, "seconds": seconds})
    folder.beat("done", 0, 0, None)
    return "done"
