"""What became of a claim: plain data for every renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.stats import ALPHA, Finding

Verdict = Literal["supported", "contradicted", "inconclusive", "waits", "not judged"]


@dataclass(frozen=True)
class Compared:
    """One comparison over seeds.

    where: the column, the operands and the score. about: the column, or what else tells it from the claim's others.
    what: a ratio of left to right, their difference, a value against a number, the spread of seeds, the slope of a
    trend, Kendall's tau, or that one side diverged. adjusted: Holm's p over all comparisons of the claim. paired: over
    shared seeds; None where there is one sample. denied: whether the claim says that it does not hold.
    """

    where: str
    about: str
    what: Literal["ratio", "difference", "value", "spread", "slope", "tau", "diverged"]
    finding: Finding
    paired: bool | None = None
    adjusted: float = 1.0
    denied: bool = False

    @property
    def p(self) -> float:
        """Of what is seen, whichever side it is on."""
        return min(self.finding.p_for, self.finding.p_against)

    @property
    def agrees(self) -> bool | None:
        """Whether it is clearly as the claim has it; None if it is not clear. The p that counts here is its own."""
        if self.finding.p_for <= ALPHA:
            return not self.denied
        return self.denied if self.finding.p_against <= ALPHA else None


@dataclass(frozen=True)
class Printed:
    """The claim on the paper's printed numbers: how many of its comparisons agree, and those that do not, in words."""

    agree: int
    of: int
    against: tuple[str, ...] = ()

    @property
    def contradicts(self) -> bool:
        """Whether the paper's numbers do not bear out its sentence."""
        return self.agree < self.of


@dataclass(frozen=True)
class ClaimResult:
    """A sentence of the paper with the verdict of our runs on it, and with that of the paper's own numbers.

    verdict: "waits" for a table or measure that does not exist yet; "not judged" at a scale that ranks nothing.
    printed: None where the paper prints none of the numbers, or where the claim is of no paper.
    scores, rows: what it speaks of; None among the scores: the table's main one. Rows of its own table alone.
    """

    id: str
    text: str
    verdict: Verdict
    comparisons: tuple[Compared, ...] = ()
    reason: str = ""
    printed: Printed | None = None
    place: str | None = None
    note: str | None = None
    untested: bool = False  # in no comparison has a run of each side ended
    scores: frozenset[str | None] = frozenset({None})
    rows: frozenset[str] = frozenset()
