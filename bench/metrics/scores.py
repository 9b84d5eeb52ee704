"""The adapter between a protocol's metrics and images: what runs, reports and `bench evaluate` call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from bench import features
from bench.errors import UserError, did_you_mean
from bench.features.cache import cached_features
from bench.metrics.frechet import fit_gaussian, frechet_distance
from bench.metrics.kernel import kernel_distance
from bench.metrics.neighbours import balls, coverage, density, share_inside

if TYPE_CHECKING:
    from bench.features.extractor import Extractor

Value = TypeVar("Value")
# The neighbour of each metric that has one, where a protocol does not say: DISP's 10 and 40, prdc's example
# 5.
DEFAULT_K = {"precision": 10, "recall": 40, "density": 5, "coverage": 5}
METRICS = ("fd", "kid", *DEFAULT_K)


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
    """One number. seconds: what it took, with the features' time in the first score of each extractor."""

    metric: str
    extractor: str  # with its size, e.g. "effnet_lite0@96"
    value: float
    error: float | None  # standard error over samples, where the metric gives one
    n_generated: int
    n_reference: int
    seconds: float


def label(name: str, extractor: str) -> str:
    """How a metric is printed: "FID" on the Inception of FID alone, "FD(effnet_lite0@96)" on anything else.

    Raises UserError for an unknown extractor.
    """
    base, size = features.parse_spec(extractor)
    if base == "inception":
        return {"fd": "FID", "kid": "KID"}.get(name, name)
    return f"{name.upper() if name in ('fd', 'kid') else name}({base}@{size})"


class Scorer:
    """Scores sets of generated images against one reference.

    reference_u8: uint8 images (N, H, W, 3) with their content hash, which names their cached features. Raises
    UserError for an unknown metric or extractor, or a k where there is none. Extractors are loaded, and the
    reference's features, moments and balls computed, at the first score that needs them.
    """

    def __init__(
        self,
        metrics: Sequence[MetricLike],
        reference_u8: np.ndarray,
        reference_sha256: str,
        device: str = "cpu",
    ) -> None:
        for metric in metrics:
            if metric.name not in METRICS:
                raise UserError(f"unknown metric '{metric.name}'; {did_you_mean(metric.name, METRICS)}")
            if metric.k is not None and metric.name not in DEFAULT_K:
                raise UserError(f"metric '{metric.name}' has no k; leave it out")
        self._metrics = [
            (metric, "{}@{}".format(*features.parse_spec(metric.extractor))) for metric in metrics
        ]
        self._reference_u8 = reference_u8
        self._reference_sha256 = reference_sha256
        self._device = device
        self._kept: dict[tuple[str | int, ...], object] = {}

    def score(self, generated_u8: np.ndarray) -> list[Score]:
        """One score for each metric, in order, of uint8 images (M, H, W, 3).

        Raises UserError where weights are missing, or a set is too small for a metric's k.
        """
        extracted: dict[str, np.ndarray] = {}
        scores = []
        for metric, spec in self._metrics:
            start = time.perf_counter()
            if spec not in extracted:
                extracted[spec] = self._extractor(spec)(generated_u8)
            value, error = self._value(metric, spec, extracted[spec])
            counts = len(generated_u8), len(self._reference_u8)
            scores.append(Score(metric.name, spec, value, error, *counts, time.perf_counter() - start))
        return scores

    def _value(self, metric: MetricLike, spec: str, fake: np.ndarray) -> tuple[float, float | None]:
        real = self._reference(spec)
        if metric.name == "fd":
            fit = self._once(lambda: fit_gaussian(real, "reference"), spec, "fit")
            return frechet_distance(fit, fake), None
        if metric.name == "kid":
            return kernel_distance(real, fake)
        k = DEFAULT_K[metric.name] if metric.k is None else metric.k
        if metric.name == "recall":
            return share_inside(balls(fake, k, "generated"), real), None
        around = self._once(lambda: balls(real, k, "reference"), spec, "balls", k)
        return {"precision": share_inside, "density": density, "coverage": coverage}[metric.name](
            around, fake
        ), None

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
        return self._kept[key]  # type: ignore[return-value]
