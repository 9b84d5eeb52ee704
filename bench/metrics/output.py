"""The card of a number that a table shows: what it is called, which way is better, how two are compared and printed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from bench import features
from bench.errors import UserError

NAME = r"[a-z][a-z0-9_]*"


@dataclass(frozen=True, kw_only=True)
class Output:
    """A score of images (bench.metrics.measures.Measure is one), or an output of a measure of finished runs.

    Raises UserError for values that a card cannot have.
    """

    name: str  # in tables, records and on the command line
    summary: str  # in one line, for `bench list metrics`
    title: str  # in words
    short: str  # in labels: "FD" for FD(vgg16@64)
    better: Literal["lower", "higher"]
    on_inception: str | None = None  # in labels on an Inception of FID; None: `short` there too
    unit: str = ""
    # Two values are compared by their ratio, if both are positive, or by their difference
    compared: Literal["ratio", "difference"] = "difference"
    worst: float | None = None  # what a diverged seed counts as; None: infinity, of the sign that is worse
    digits: int = 4  # significant digits of a value that is printed without an interval
    printed: str | None = None  # what the papers' tables call it; None: as we do
    biased_upward: bool = False  # whether few images raise it
    version: int = 1  # of its meaning: values of two versions are never averaged or compared

    def __post_init__(self) -> None:
        choices = {"better": (self.better, ("lower", "higher")), "compared": (self.compared, ("ratio", "difference"))}
        if not re.fullmatch(NAME, self.name):
            raise UserError(f"score name '{self.name}' must be lower-case letters, digits and underscores")
        for key, (value, allowed) in choices.items():
            if value not in allowed:
                raise UserError(f"score '{self.name}': {key} is '{value}', must be {' or '.join(allowed)}")
        if self.digits < 1 or self.version < 1:
            raise UserError(f"score '{self.name}': digits and version must be at least 1")

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
        """How it is printed when it is computed on an extractor; "" for a number that is on no features.

        "FID" on clean-fid's Inception, "FID(tensorflow)" on another variant of it, "FD(effnet_lite0@96)" on anything
        else. Raises UserError for an unknown extractor.
        """
        if not extractor:
            return self.short
        short = self.on_inception if self.on_inception and features.is_fid(extractor) else self.short
        qualifier = features.qualifier(extractor)
        return f"{short}({qualifier})" if qualifier else short
