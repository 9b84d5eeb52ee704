"""The scores of generated images and a picture of them, as a run records both."""

from __future__ import annotations

import numpy as np

from bench.metrics.scores import Scorer
from bench.store.runs import RunFolder
from bench.train.sampling import save_sheet


def record_scores(folder: RunFolder, step: int, scorer: Scorer, images_NHWC: np.ndarray, *, sheet: bool = True) -> None:
    """Score uint8 images (N, H, W, 3): the lines go to metrics.jsonl, the first images to samples/ (with `sheet`)."""
    lines = [{"step": step, **vars(score)} for score in scorer.score(images_NHWC)]
    folder.append(folder.metrics_log, lines)
    if sheet:
        save_sheet(folder.sheet(step), images_NHWC)
