"""The scores of a reference point: real images, or mixtures of them, in place of generated ones."""

from __future__ import annotations

import time

from bench.data.reference import reference_point
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
    scorer = make_scorer(spec.protocol, spec.data, spec.seed, str(settings.device), len(images))
    record_scores(folder, 0, scorer, images)
    seconds = time.monotonic() - begin
    folder.finish({"steps": 0, "diverged_at": None, "weights_sha256": None, "seconds": seconds})
    folder.beat("done", 0, 0, None)
    return "done"
