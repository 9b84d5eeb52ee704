"""The card of a score: what it is called, which way is better, how it is compared, printed and computed.

A score is one file: in bench/metrics/cards/, a plug-in (`--plugin FILE.py`) or an installed package (entry points
`bench.scores`). Importing this module, and listing the scores, imports neither torch nor scipy.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from bench import features
from bench.errors import UserError
from bench.files.source_code import module_digest
from bench.metrics import cards
from bench.registry import Registry

if TYPE_CHECKING:
    import numpy as np

Value = TypeVar("Value")
NAME = r"[a-z][a-z0-9_]*"


class FeatureSets(Protocol):
    """What a score is computed from: the features of two sets of images in one extractor, each extracted once."""

    @property
    def real(self) -> np.ndarray:
        """Features of the reference images, (N, D)."""

    @property
    def fake(self) -> np.ndarray:
        """Features of the generated images, (M, D)."""

    @property
    def real_tied(self) -> np.ndarray:
        """`real`, with equal features to the last digit for equal pictures; see `bench.metrics.scores.tied`."""

    @property
    def fake_tied(self) -> np.ndarray:
        """`fake`, likewise, with the reference's features for pictures of the reference."""

    def keep(self, compute: Callable[[], Value], *key: str | int) -> Value:
        """`compute()`, computed once per `key` for all snapshots and the scores of a file.

        Use it for what depends on the reference alone.
        """


@dataclass(frozen=True)
class Measure:
    """A score. Raises UserError for values that a card cannot have.

    compute: takes the features and k (`default_k` where the protocol has none). It returns the value, or a pair of the
    value and its standard error over images.
    """

    name: str  # in tables, records and on the command line
    summary: str  # in one line, for `bench list metrics`
    title: str  # in words
    short: str  # in labels: "FD" for FD(vgg16@64)
    better: Literal["lower", "higher"]
    compute: Callable[[FeatureSets, int | None], float | tuple[float, float | None]]
    on_inception: str | None = None  # in labels on an Inception of FID; None: `short` there too
    unit: str = ""
    # Two values are compared by their ratio, if both are positive, or by their difference
    compared: Literal["ratio", "difference"] = "difference"
    worst: float | None = None  # what a diverged seed counts as; None: infinity, of the sign that is worse
    digits: int = 4  # significant digits of a value that is printed without an interval
    default_k: int | None = None  # the neighbour where a protocol names none; None: the score has no k
    k_among: Literal["reference", "generated"] = "reference"  # whose k-th neighbour must exist
    fewest: int = 2  # generated images that it needs at least, apart from k
    printed: str | None = None  # what the papers' tables call it; None: as we do
    biased_upward: bool = False  # whether few images raise it
    version: int = 1  # of its meaning: values of two versions are never averaged or compared

    def __post_init__(self) -> None:
        choices = {
            "better": (self.better, ("lower", "higher")),
            "compared": (self.compared, ("ratio", "difference")),
            "k_among": (self.k_among, ("reference", "generated")),
        }
        if not re.fullmatch(NAME, self.name):
            raise UserError(f"score name '{self.name}' must be lower-case letters, digits and underscores")
        for key, (value, allowed) in choices.items():
            if value not in allowed:
                raise UserError(f"score '{self.name}': {key} is '{value}', must be {' or '.join(allowed)}")
        if self.digits < 1 or self.fewest < 1 or self.version < 1 or (self.default_k or 1) < 1:
            raise UserError(f"score '{self.name}': digits, fewest, version and default_k must be at least 1")

    @property
    def is_ratio(self) -> bool:
        """Whether positive values are compared by their ratio, on the log scale."""
        return self.compared == "ratio"

    @property
    def sign(self) -> float:
        """1 where lower is better, else -1: the smaller of two signed values is the better one."""
        return 1.0 if self.better == "lower" else -1.0

    @property
    def worst_value(self) -> float:
        """The value that a seed without a score counts as."""
        return self.sign * math.inf if self.worst is None else self.worst

    @property
    def printed_name(self) -> str:
        """What the papers' tables call it."""
        return self.printed or self.name

    def label(self, extractor: str) -> str:
        """How the score is printed when it is computed on an extractor.

        "FID" on clean-fid's Inception, "FID(tensorflow)" on another variant of it, "FD(effnet_lite0@96)" on anything
        else. Raises UserError for an unknown extractor.
        """
        short = self.on_inception if self.on_inception and features.is_fid(extractor) else self.short
        qualifier = features.qualifier(extractor)
        return f"{short}({qualifier})" if qualifier else short


class MetricLike(Protocol):
    """A score of a protocol: its name, the extractor spec, and its neighbour where it has one."""

    @property
    def name(self) -> str:
        """The score's name."""
        ...

    @property
    def extractor(self) -> str:
        """The extractor spec, "name@size"."""
        ...

    @property
    def k(self) -> int | None:
        """Which neighbour; None for a score without neighbours."""
        ...


@cache
def measures() -> Registry:
    """Every known score by name: ours, those of installed packages, those of loaded plug-ins."""
    registry = Registry("metric")
    for file in pkgutil.iter_modules(cards.__path__):
        add_scores(registry, f"{cards.__name__}.{file.name}")
    registry.add_entry_points("bench.scores")
    return registry


def add_scores(registry: Registry, module: str) -> list[str]:
    """Register the cards that a module lists in SCORES, and return their names. UserError if one is not a card."""
    scores = getattr(importlib.import_module(module), "SCORES", ())
    if not isinstance(scores, (list, tuple)) or not all(isinstance(card, Measure) for card in scores):
        raise UserError(f"SCORES must be a list of bench.metrics.Measure cards, not {scores!r:.80}")
    for card in scores:
        registry.add(card.name, f"{module}:{card.name}", card.summary, card)
    return [card.name for card in scores]


def measure(name: str) -> Measure:
    """The card of a score. UserError for an unknown name, or if what a package offers is not a card."""
    card = measures().load(name)
    if not isinstance(card, Measure) or card.name != name:
        target = measures().entry(name).target
        raise UserError(f"metric '{name}' ({target}) must be a bench.metrics.Measure of that name")
    return card


def source_digest(name: str) -> str | None:
    """The digest of the code of a score from outside this project; None for our own, which has its `version`."""
    module = measures().entry(name).target.partition(":")[0]
    return None if module.startswith("bench.metrics.") else module_digest(module)


def label(name: str, extractor: str) -> str:
    """How a score is printed: `Measure.label`. Raises UserError for an unknown score or extractor."""
    return measure(name).label(extractor)


def version_of(name: str) -> int:
    """The version of a score as it is computed today."""
    return measure(name).version


def neighbour(metric: MetricLike) -> int | None:
    """The k of a protocol's score: its own, else the card's, or None. UserError for a k where the score has none."""
    card = measure(metric.name)
    if metric.k is not None and card.default_k is None:
        raise UserError(f"metric '{metric.name}' has no k; leave it out")
    return card.default_k if metric.k is None else metric.k


def fewest_generated(metric: MetricLike) -> int:
    """How many generated images a score needs at least; balls around them need a k-th neighbour."""
    card, k = measure(metric.name), neighbour(metric)
    return max(card.fewest, 1 + k if k is not None and card.k_among == "generated" else 0)
