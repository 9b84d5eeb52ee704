"""The card of a score: what it is called, which way is better, how it is compared, printed and computed.

A score is one file: in bench/metrics/cards/, a plug-in (`--plugin FILE.py`) or an installed package (entry points
`bench.scores`). Importing this module, and listing the scores, imports neither torch nor scipy.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from bench.errors import UserError
from bench.files.source_code import module_digest
from bench.metrics import cards
from bench.metrics.output import Output
from bench.registry import Registry

if TYPE_CHECKING:
    import numpy as np

Value = TypeVar("Value")


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
        """`real`, with equal features to the last digit for equal pictures; see `bench.metrics.real_sets.tied`."""

    @property
    def fake_tied(self) -> np.ndarray:
        """`fake`, likewise, with the reference's features for pictures of the reference."""

    @property
    def train(self) -> np.ndarray:
        """Of the images that the generator was trained on, (T, D), with ties; for cards with `of_training`."""

    @property
    def real_beside_train(self) -> np.ndarray:
        """`real`, likewise, with the training images' features for pictures that are among them."""

    @property
    def fake_beside_train(self) -> np.ndarray:
        """`fake`, likewise, with the features of real images for pictures that are among them."""

    @property
    def order(self) -> np.ndarray:
        """Places (M,) of the generated images by their pixels: for parts of them that depend on no order of files."""

    @property
    def device(self) -> str:
        """Where the extractor runs and heavy arithmetic may be done: "cpu", or a GPU's name for torch."""

    def keep(self, compute: Callable[[], Value], *key: str | int) -> Value:
        """`compute()`, computed once per `key` for all snapshots and the scores of a file.

        Use it for what depends on the reference and the training images alone.
        """

    def share(self, compute: Callable[[], Value], *key: str | int) -> Value:
        """`compute()`, computed once per `key` for this set of generated images and the scores of a file."""


@dataclass(frozen=True, kw_only=True)
class Measure(Output):
    """A score of images: an `Output` and how it is computed. Raises UserError for values that a card cannot have.

    compute: takes the features and k (`default_k` where the protocol has none). It returns the value, or a pair of the
    value and its standard error over images.
    """

    compute: Callable[[FeatureSets, int | None], float | tuple[float, float | None]]
    default_k: int | None = None  # the neighbour where a protocol names none; None: the score has no k
    k_among: Literal["reference", "generated"] = "reference"  # whose k-th neighbour must exist
    fewest: int = 2  # generated images that it needs at least, apart from k
    of_training: bool = False  # whether it looks at the training images
    held_out: bool = False  # whether the reference must be of images that no run trains on

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k_among not in ("reference", "generated"):
            raise UserError(f"score '{self.name}': k_among is '{self.k_among}', must be reference or generated")
        if self.fewest < 1 or (self.default_k or 1) < 1:
            raise UserError(f"score '{self.name}': fewest and default_k must be at least 1")
        if self.held_out and not self.of_training:
            raise UserError(f"score '{self.name}': held_out is for scores with of_training")


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
