"""The card of a number that a table shows: what it is called, which way is better, how two are compared and printed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from bench import features
from bench.errors import UserError

NAME = r"[a-z][a-z0-9_]*"
# zero: the nearer to 0, from either side (C_T). none: neither way is better (seconds, counts)
Better = Literal["lower", "higher", "zero", "none"]
IN_WORDS: dict[Better, str] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "zero": "nearer to 0 is better",
    "none": "neither way is better",
}


@dataclass(frozen=True, kw_only=True)
class Output:
    """A score of images (bench.metrics.measures.Measure is one), or an output of a measure of finished runs.

    `better` decides what is made of its values, by `ranks`, `loss`, `compared_as`, `sign` and `worst_value` alone:

    - lower, higher: marks, ranks, verdicts and best snapshots go by the value, differences and ratios are of values.
    - zero: all of these go by the distance from 0, seed by seed; a mean and its interval are still of the values.
    - none: two values may differ, none is better: no mark, no rank, no best snapshot or seed, and a verdict says
      larger or smaller. A seed without a value is left out of a cell's range, as no value is the worst.

    Raises UserError for values that a card cannot have.
    """

    name: str  # in tables, records and on the command line
    summary: str  # in one line, for `bench list metrics`
    title: str  # in words
    short: str  # in labels: "FD" for FD(vgg16@64)
    better: Better
    on_inception: str | None = None  # in labels on an Inception of FID; None: `short` there too
    unit: str = ""
    # Two values are compared by their ratio, if both are positive, or by their difference
    compared: Literal["ratio", "difference"] = "difference"
    worst: float | None = None  # what a diverged seed counts as; None: infinity, on the side that is worse
    digits: int = 4  # significant digits of a value that is printed without an interval
    printed: str | None = None  # what the papers' tables call it; None: as we do
    biased_upward: bool = False  # whether few images raise it
    featureless: bool = False  # of a measure with an `extractor`: this output is not on its features
    of_machine: bool = False  # whether it depends on the machine that it was taken on, as seconds do
    part_of: str = ""  # in words, what it is one value of where rows or columns show one output each: one block
    version: int = 1  # of its meaning: values of two versions are never averaged or compared

    def __post_init__(self) -> None:
        choices = {"better": (self.better, (*IN_WORDS,)), "compared": (self.compared, ("ratio", "difference"))}
        if not re.fullmatch(NAME, self.name):
            raise UserError(f"score name '{self.name}' must be lower-case letters, digits and underscores")
        for key, (value, allowed) in choices.items():
            if value not in allowed:
                raise UserError(f"score '{self.name}': {key} is '{value}', must be {' or '.join(allowed)}")
        if self.better == "zero" and self.is_ratio:
            raise UserError(f"score '{self.name}': better is 'zero', so compared must be difference")
        if self.better == "none" and self.worst is not None:
            raise UserError(f"score '{self.name}': better is 'none', so no value is the worst; leave worst out")
        if self.digits < 1 or self.version < 1:
            raise UserError(f"score '{self.name}': digits and version must be at least 1")

    @property
    def is_ratio(self) -> bool:
        """Whether positive values are compared by their ratio, on the log scale."""
        return self.compared == "ratio"

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        return IN_WORDS[self.better]

    @property
    def ranks(self) -> bool:
        """Whether one value can be better than another."""
        return self.better != "none"

    @property
    def sign(self) -> float:
        """1 where the worst is the highest value, -1 where it is the lowest, 0 where it is at neither end."""
        return {"lower": 1.0, "higher": -1.0, "zero": 0.0, "none": 0.0}[self.better]

    def loss(self, value: float) -> float:
        """The smaller, the better. UserError where neither way is better."""
        if not self.ranks:
            raise UserError(f"'{self.name}' ranks nothing: {self.direction}")
        return abs(value) if self.better == "zero" else self.sign * value

    def compared_as(self, value: float) -> float:
        """The number that stands for a seed's value where two rows are compared."""
        return abs(value) if self.better == "zero" else value

    @property
    def worst_value(self) -> float | None:
        """The value that a seed without a score counts as; None where no value is the worst."""
        if self.worst is not None or not self.ranks:
            return self.worst
        return math.inf if self.better == "zero" else self.sign * math.inf

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
