"""Measures of finished runs whose needs are images only, taken of pictures from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from bench.data.draws import training_images
from bench.errors import UserError
from bench.evaluate.registry import gives, output_card, parse_measure, run_measure, run_measures, settings_of
from bench.evaluate.subject import Opened, Subject
from bench.features import parse_spec
from bench.features.lookup import digest
from bench.metrics.scores import Score
from bench.plan.load import parse_setting
from bench.spec.run import DataSpec, MeasureSpec, Protocol, RunSpec, evaluation_run

BATCH = 100  # images that a measure is given at once


def split_measures(texts: Sequence[str] | None) -> tuple[list[str] | None, list[MeasureSpec]]:
    """What --measures names: scores as they are written, and measures as NAME:SETTING=VALUE:..., or NAME:EXTRACTOR.

    Raises UserError for a measure that needs more than images, and for settings that it does not have.
    """
    if texts is None:
        return None, []
    scores, found = [], []
    for text in texts:
        name, *rest = text.split(":")
        if name not in run_measures():
            scores.append(text)
            continue
        card = run_measure(name)
        if card.needs or card.sources or card.scores or not (card.outputs and card.of_run):
            raise UserError(
                f"--measures: '{name}' is a measure of finished runs, which needs more than images: a table takes it "
                "(evaluate: {measure: ...}); `bench list metrics` has the scores"
            )
        settings = dict(parse_setting(each if "=" in each else f"extractor={each}") for each in rest)
        found.append(parse_measure({"measure": name, **settings}))
    return scores, found


def measured(
    measure: MeasureSpec, images_NHWC: np.ndarray, data: DataSpec, protocol: Protocol, seed: int, device: str
) -> list[Score]:
    """The outputs of a measure of uint8 images (N, H, W, 3), as if a run of this seed on this data had made them.

    Raises UserError where it needs more images, or cannot be taken on this data.
    """
    run = RunSpec(method=(), network=None, data=data, train=None, protocol=protocol, seed=seed)
    task, card, begin = evaluation_run(measure, run, protocol), run_measure(measure.name), time.perf_counter()
    settings = settings_of(measure)
    if card.check is not None:
        card.check(run, settings)
    pictures = cast(Opened, _Pictures(images_NHWC, data, seed, f"measure '{measure.name}'"))
    taken = card.compute(Subject(task, lambda inference: pictures, device), settings)
    # Its outputs, as scores
    extractors = {metric.name: metric.extractor for metric in gives(task)}
    scores = []
    for value in taken.values:
        if isinstance(value, Score):
            scores.append(value)
            continue
        extractor = extractors[value.output]
        sha256 = digest(parse_spec(extractor)[0]) if extractor else ""
        counts, seconds = (value.n_generated, value.n_reference), time.perf_counter() - begin
        version = output_card(value.output).version
        scores.append(
            Score(value.output, extractor, float(value.value), value.error, *counts, seconds, sha256,
                  value.reference_sha256, version)
        )  # fmt: skip
    return scores


@dataclass(frozen=True)
class _Pictures:
    """What a `Subject` takes for its run: images and training images; there is nothing else."""

    images_NHWC: np.ndarray
    data: DataSpec
    seed: int
    whose: str
    step: int = 0

    @cached_property
    def ctx(self) -> Any:
        """The run's training images."""
        return SimpleNamespace(images_u8_NHWC=training_images(self.data, self.seed).images)

    def images(self, count: int, seed: int | None = None) -> Iterator[np.ndarray]:
        """The first `count` images. UserError where there are fewer."""
        if count > len(self.images_NHWC):
            raise UserError(
                f"{self.whose} looks at {count:,} images, and there are {len(self.images_NHWC):,}; its settings say "
                "how many (NAME:SETTING=VALUE, see docs/measures.md)"
            )
        for start in range(0, count, BATCH):
            yield self.images_NHWC[start : min(start + BATCH, count)]
