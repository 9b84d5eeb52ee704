"""The adapter between a protocol's scores and images: what runs and evaluations call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from bench import features
from bench.data.image_digests import image_digests
from bench.metrics.measures import MetricLike, measure, neighbour, version_of
from bench.metrics.real_sets import RealSets, Training, tied

Value = TypeVar("Value")
Watch = Callable[[Iterable[int], int, str], Iterable[int]]
# Images per part of a watched extraction: a whole number of batches of an extractor, so that no digit changes
WATCHED = 160


@dataclass(frozen=True)
class Score:
    """The value of one score.

    seconds: how long it took; the first score of each extractor includes the time of extraction.
    extractor_sha256, reference_sha256: of the weights that made the features, and of the reference images.
    reference_split: which images those are (Protocol.reference_split).
    """

    metric: str
    extractor: str  # with its size, e.g. "effnet_lite0@96"
    value: float
    error: float | None  # standard error over samples, where the score gives one
    n_generated: int
    n_reference: int
    seconds: float
    extractor_sha256: str
    reference_sha256: str
    version: int = 1  # of the score's meaning; see its card
    reference_split: str = "test"


class Scorer:
    """Scores sets of generated images against one reference.

    Extractors are loaded, and the reference's features, moments and balls computed, when a score first needs them.

    reference_u8: uint8 images (N, H, W, 3).
    reference_sha256: their content hash, which names their cached features.
    watch: passes on the parts of a long extraction and reports progress (bench.machine.long_work.progress).
    reference_split: which images the reference is of, for the record.
    training: gives the images that the generator was trained on, and a name of exactly these images; without it,
    scores that look at them are refused.
    Raises UserError for an unknown metric or extractor, or a k where the score has none.
    """

    def __init__(
        self,
        metrics: Sequence[MetricLike],
        reference_u8: np.ndarray,
        reference_sha256: str,
        device: str = "cpu",
        watch: Watch | None = None,
        reference_split: str = "test",
        training: Training | None = None,
    ) -> None:
        for metric in metrics:
            neighbour(metric)  # raises where there is no such score, or no k
        self._metrics = [(metric, features.canonical(metric.extractor)) for metric in metrics]
        self._real = RealSets(reference_u8, reference_sha256, device, training)
        self._watch = watch
        self._reference_split = reference_split

    def score(self, generated_u8: np.ndarray) -> list[Score]:
        """One score for each metric, in order, of uint8 images (M, H, W, 3).

        Raises UserError where weights are missing, or a set is too small for a metric's k.
        """
        sets: dict[str, _Sets] = {}
        scores = []
        # The first score of each extractor extracts the features; the others share them.
        for metric, spec in self._metrics:
            start = time.perf_counter()
            if spec not in sets:
                sets[spec] = _Sets(self._real, spec, generated_u8, self._extracted(spec, generated_u8))
            result = measure(metric.name).compute(sets[spec], neighbour(metric))
            value, error = result if isinstance(result, tuple) else (result, None)
            counts = len(generated_u8), len(self._real.reference_u8)
            digests = self._real.extractor(spec).weights_sha256, self._real.reference_sha256
            seconds, last = time.perf_counter() - start, (version_of(metric.name), self._reference_split)
            scores.append(Score(metric.name, spec, float(value), error, *counts, seconds, *digests, *last))
        return scores

    def _extracted(self, spec: str, generated_u8: np.ndarray) -> np.ndarray:
        extractor = self._real.extractor(spec)
        if self._watch is None or not len(generated_u8):
            return extractor(generated_u8)
        starts = range(0, len(generated_u8), WATCHED)
        parts = self._watch(starts, len(starts), f"{spec}, parts of {WATCHED} images")
        return np.concatenate([extractor(generated_u8[start : start + WATCHED]) for start in parts])


class _Sets:
    """The features of one extractor, of real images and of one set of generated images (`FeatureSets`)."""

    def __init__(self, images: RealSets, spec: str, generated_u8: np.ndarray, fake: np.ndarray) -> None:
        self._images, self._spec, self._generated_u8 = images, spec, generated_u8
        self.fake = fake
        self._shared: dict[tuple[str | int, ...], object] = {}

    @property
    def real(self) -> np.ndarray:
        return self._images.reference(self._spec)

    @property
    def real_tied(self) -> np.ndarray:
        return self._images.tied_reference(self._spec)

    @property
    def train(self) -> np.ndarray:
        return self._images.train(self._spec)

    @property
    def real_beside_train(self) -> np.ndarray:
        return self._images.reference_beside_train(self._spec)

    @cached_property
    def fake_tied(self) -> np.ndarray:
        return tied(self.fake, self._digests, self._images.known(self._spec))

    @cached_property
    def fake_beside_train(self) -> np.ndarray:
        return tied(self.fake, self._digests, self._images.known_of_all(self._spec))

    @cached_property
    def order(self) -> np.ndarray:
        return np.array(sorted(range(len(self._digests)), key=self._digests.__getitem__), np.int64)

    @property
    def device(self) -> str:
        return self._images.device

    def keep(self, compute: Callable[[], Value], *key: str | int) -> Value:
        return self._images.once(compute, self._spec, compute.__module__, *key)

    def share(self, compute: Callable[[], Value], *key: str | int) -> Value:
        place = (compute.__module__, *key)
        if place not in self._shared:
            self._shared[place] = compute()
        return self._shared[place]  # type: ignore[return-value]  # a key has one kind of value

    @cached_property
    def _digests(self) -> list[bytes]:
        return image_digests(self._generated_u8)
