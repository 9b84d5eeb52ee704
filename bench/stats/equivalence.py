"""Alike: two scores differ by no more than a margin that was declared before."""

from __future__ import annotations

import math

from bench.errors import UserError
from bench.stats.comparisons import Difference, Ratio
from bench.stats.distributions import t_above
from bench.stats.evidence import Finding, doubled


def alike(test: Ratio | Difference, within: float) -> Finding:
    """The statement that a and b differ by at most `within`, from the comparison of a with b.

    A ratio may lie between 1 / (1 + within) and 1 + within, a difference between -within and within. Two one-sided t
    tests (Schuirmann 1987): supported where the whole 95 % interval lies inside the margin, contradicted where it lies
    wholly outside. That a difference was not found is no evidence for it.
    """
    if not (within > 0 and math.isfinite(within)):
        raise UserError(f"a margin is a number above 0, not {within}")
    # On the scale of the test: logs for a ratio
    ratio = isinstance(test, Ratio)
    estimate = test.ratio if isinstance(test, Ratio) else test.difference
    centre, margin = (math.log(estimate), math.log1p(within)) if ratio else (estimate, within)
    error = test.sd / math.sqrt(test.n)
    if test.df <= 0:
        p_inside = p_outside = math.nan
    elif error == 0:
        p_inside, p_outside = (0.0, 1.0) if abs(centre) < margin else (1.0, 0.0)
        p_outside = 1.0 if abs(centre) == margin else p_outside
    else:
        # Inside is shown by the worse of both sides; outside by the side on which the estimate lies
        p_inside = t_above((margin - abs(centre)) / error, test.df)
        p_outside = t_above((abs(centre) - margin) / error, test.df)
    return Finding(doubled(p_inside), doubled(p_outside), estimate, test.low, test.high, test.n, test.df)
