"""What scores over seeds say of a statement: for it, against it, or neither.

Every p value of a comparison is two-sided: twice the one-sided p, at most 1. A statement is then supported at 5 %
exactly where the whole 95 % interval lies on its side, so that what is printed is what decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from bench.stats.comparisons import Difference, Ratio

ALPHA = 0.05
Decision = Literal["supported", "contradicted", "inconclusive"]


@dataclass(frozen=True)
class Evidence:
    """p_for: how probable such scores, or clearer ones, are where the statement is not true; p_against: where it is.

    nan: no test is possible, as there is one seed, or none.
    """

    p_for: float
    p_against: float

    def decide(self, alpha: float = ALPHA) -> Decision:
        """The verdict; a statement that is refuted in one part is contradicted, whatever the rest shows."""
        if self.p_against <= alpha:
            return "contradicted"
        return "supported" if self.p_for <= alpha else "inconclusive"

    def reversed(self) -> Evidence:
        """The evidence on the opposite of the statement."""
        return Evidence(self.p_against, self.p_for)


@dataclass(frozen=True)
class Finding(Evidence):
    """One comparison: an estimate with its 95 % limits (nan for one seed), and what it says of a statement.

    n: seeds, or pairs of them. df: degrees of freedom; 0 for one seed.
    """

    estimate: float
    low: float
    high: float
    n: int
    df: float


NO_TEST = Evidence(math.nan, math.nan)


def lower(test: Ratio | Difference) -> Finding:
    """The statement that a is lower than b, from the comparison of a with b."""
    estimate, null = (test.ratio, 1.0) if isinstance(test, Ratio) else (test.difference, 0.0)
    untested = math.isnan(test.p)
    p_for = test.p if estimate < null or untested else 1.0
    p_against = test.p if estimate > null or untested else 1.0
    return Finding(p_for, p_against, estimate, test.low, test.high, test.n, test.df)


def doubled(p: float) -> float:
    """A one-sided p as a two-sided one; nan stays."""
    return min(1.0, 2 * p) if p == p else p
