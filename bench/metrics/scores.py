"""The adapter between a protocol's metrics and images: what runs and reports call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from bench import features
from bench.data.disk import image_digests
from bench.errors import UserError, did_you_mean
from bench.features.cache import cached_features
from bench.metrics.frechet import fit_gaussian, frechet_distance
from bench.metrics.kernel import kernel_distance
from bench.metrics.neighbour_counts import DEFAULT_K, METRICS
from bench.metrics.neighbours import balls, coverage, density, share_inside

if TYPE_CHECKING:
    from bench.features.extractor import Extractor

Value = TypeVar("Value")
Watch = Callable[[Iterable[int], int, str], Iterable[int]]
WATCHED = (
    160  # images a part of a watched extraction: whole batches of an extractor, so that no digit changes
)
# Raised when the meaning of a score changes: numbers of two versions are never averaged or compared.
# 2: closed balls, and exact ties (before: open balls, so that repeated images lay in none).
VERSIONS = dict.fromkeys(DEFAULT_K, 2)


def version_of(metric: str) -> int:
    """The version of a score as it is computed today."""
    return VERSIONS.get(metric, 1)


class MetricLike(Protocol):
    """A metric of a protocol: its name, the extractor spec, and its neighbour where it has one."""

    @property
    def name(self) -> str: ...
    @property
    def extractor(self) -> str: ...
    @property
    def k(self) -> int | None: ...


@dataclass(frozen=True)
class Score:
    """One number. seconds: what it took, with the features' time in the first score of each extractor.

    The digests say on which weights the features were made, and against which reference images.
    """

    metric: str
    extractor: str  # with its size, e.g. "effnet_lite0@96"
    value: float
    error: float | None  # standard error over samples, where the metric gives one
    n_generated: int
    n_reference: int
    seconds: float
    extractor_sha256: str
    reference_sha256: str
    version: int = 1  # of the score's meaning; see VERSIONS


def fewest_generated(metric: MetricLike) -> int:
    """How many generated images a metric takes at least: balls around them need a k-th neighbour."""
    if metric.name != "recall":
        return 2
    return 1 + (DEFAULT_K["recall"] if metric.k is None else metric.k)


def label(name: str, extractor: str) -> str:
    """How a metric is printed: "FID" on clean-fid's Inception, "FID(tensorflow)" on another variant of it, and
    "FD(effnet_lite0@96)" on anything else.

    Raises UserError for an unknown extractor.
    """
    short = {"fd": "FID" if features.is_fid(extractor) else "FD", "kid": "KID"}.get(name, name)
    qualifier = features.qualifier(extractor)
    return f"{short}({qualifier})" if qualifier else short


def tied(
    features: np.ndarray, digests: Sequence[bytes], known: dict[bytes, np.ndarray] | None = None
) -> np.ndarray:
    """Features (N, D) in which equal pictures have equal vectors: the known one's, else the first copy's.

    A network's last digits depend on a picture's place in its batch (and on the batch's size), so that copies
    would be neighbours at a distance of rounding, in an order that means nothing.
    """
    first, same = dict(known or {}), features.copy()
    for place, digest in enumerate(digests):
        same[place] = first.setdefault(digest, same[place])
    return same


class Scorer:
    """Scores sets of generated images against one reference.

    reference_u8: uint8 images (N, H, W, 3) with their content hash, which names their cached features. Raises
    UserError for an unknown metric or extractor, or a k where there is none. Extractors are loaded, and the
    reference's features, moments and balls computed, at the first score that needs them. watch: says how far it is
    while it passes on the parts of a long extraction (bench.machine.long_work.progress).
    """

    def __init__(
        self,
        metrics: Sequence[MetricLike],
        reference_u8: np.ndarray,
        reference_sha256: str,
        device: str = "cpu",
        watch: Watch | None = None,
    ) -> None:
        for metric in metrics:
            if metric.name not in METRICS:
                raise UserError(f"unknown metric '{metric.name}'; {did_you_mean(metric.name, METRICS)}")
            if metric.k is not None and metric.name not in DEFAULT_K:
                raise UserError(f"metric '{metric.name}' has no k; leave it out")
        self._metrics = [(metric, features.canonical(metric.extractor)) for metric in metrics]
        self._reference_u8 = reference_u8
        self._reference_sha256 = reference_sha256
        self._device = device
        self._watch = watch
        self._kept: dict[tuple[str | int, ...], object] = {}

    def score(self, generated_u8: np.ndarray) -> list[Score]:
        """One score for each metric, in order, of uint8 images (M, H, W, 3).

        Raises UserError where weights are missing, or a set is too small for a metric's k.
        """
        extracted: dict[str | tuple[str, str], np.ndarray] = {}
        scores = []
        for metric, spec in self._metrics:
            start = time.perf_counter()
            if spec not in extracted:
                extracted[spec] = self._extracted(spec, generated_u8)
            if metric.name in DEFAULT_K and (spec, "tied") not in extracted:
                extracted[spec, "tied"] = self._tied(spec, generated_u8, extracted[spec])
            value, error = self._value(metric, spec, extracted)
            counts = len(generated_u8), len(self._reference_u8)
            digests = self._extractor(spec).weights_sha256, self._reference_sha256
            seconds, version = time.perf_counter() - start, version_of(metric.name)
            scores.append(Score(metric.name, spec, value, error, *counts, seconds, *digests, version))
        return scores

    def _value(
        self, metric: MetricLike, spec: str, extracted: dict[str | tuple[str, str], np.ndarray]
    ) -> tuple[float, float | None]:
        if metric.name == "fd":
            fit = self._once(lambda: fit_gaussian(self._reference(spec), "reference"), spec, "fit")
            return frechet_distance(fit, extracted[spec]), None
        if metric.name == "kid":
            return kernel_distance(self._reference(spec), extracted[spec])
        real, fake = self._tied_reference(spec), extracted[spec, "tied"]
        k = DEFAULT_K[metric.name] if metric.k is None else metric.k
        if metric.name == "recall":
            return share_inside(balls(fake, k, "generated"), real), None
        around = self._once(lambda: balls(real, k, "reference"), spec, "balls", k)
        return {"precision": share_inside, "density": density, "coverage": coverage}[metric.name](
            around, fake
        ), None

    def _extracted(self, spec: str, generated_u8: np.ndarray) -> np.ndarray:
        extractor = self._extractor(spec)
        if self._watch is None or not len(generated_u8):
            return extractor(generated_u8)
        starts = range(0, len(generated_u8), WATCHED)
        parts = self._watch(starts, len(starts), f"{spec}, parts of {WATCHED} images")
        return np.concatenate([extractor(generated_u8[start : start + WATCHED]) for start in parts])

    def _tied_reference(self, spec: str) -> np.ndarray:
        return self._once(lambda: tied(self._reference(spec), self._digests()), spec, "tied")

    def _tied(self, spec: str, generated_u8: np.ndarray, fake: np.ndarray) -> np.ndarray:
        known = dict(zip(self._digests(), self._tied_reference(spec), strict=True))
        return tied(fake, image_digests(generated_u8), known)

    def _digests(self) -> list[bytes]:
        return self._once(lambda: image_digests(self._reference_u8), "digests")

    def _extractor(self, spec: str) -> Extractor:
        return self._once(lambda: features.load(spec, self._device), spec, "extractor")

    def _reference(self, spec: str) -> np.ndarray:
        return self._once(
            lambda: cached_features(
                self._extractor(spec),
                self._reference_u8,
                self._reference_sha256,
                "the reference of a protocol",
            ),
            spec,
            "features",
        )

    def _once(self, compute: Callable[[], Value], *key: str | int) -> Value:
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]  # type: ignore[return-value]  # a key has one kind of value
