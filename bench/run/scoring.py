"""The scores of generated images, a picture of them, and a training's traces, as a run records them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from bench.errors import UserError
from bench.evaluate.snapshot import AtSnapshot
from bench.evaluate.traces import Trace
from bench.metrics.scores import Score, Scorer
from bench.store.runs import RunFolder
from bench.train.sampling import save_sheet


def record_scores(folder: RunFolder, step: int, scorer: Scorer, images_NHWC: np.ndarray, *, sheet: bool = True) -> None:
    """Score uint8 images (N, H, W, 3): the lines go to metrics.jsonl, the first images to samples/ (with `sheet`)."""
    lines = [{"step": step, **vars(score)} for score in scorer.score(images_NHWC)]
    folder.append(folder.metrics_log, lines)
    if sheet:
        save_sheet(folder.sheet(step), images_NHWC)


def record_traces(folder: RunFolder, step: int, traces: Sequence[Trace], seen: AtSnapshot, split: str) -> None:
    """Take traces of a training at a snapshot: a line for each of their outputs goes to metrics.jsonl.

    split: which images the protocol's reference is of, for the record. Raises UserError for a trace that gives other
    outputs than its card says.
    """
    lines = []
    for card in traces:
        begin = time.perf_counter()
        values = {value.output: value for value in card.compute(seen)}
        seconds = time.perf_counter() - begin
        if set(values) != {output.name for output in card.outputs}:
            raise UserError(f"trace '{card.name}' gives {', '.join(values) or 'nothing'}, and its card says otherwise")
        for name, value in values.items():
            counts = value.n_generated, value.n_reference
            score = Score(name, "", value.value, value.error, *counts, seconds, "", "", card.version, split)
            lines.append({"step": step, **vars(score)})
    folder.append(folder.metrics_log, lines)
