"""Intervals and tests for scores over training seeds: numpy and scipy alone.

The replicate is one training seed. Intervals are Student-t (bootstraps of 3 to 5 seeds cover 75 % where
they say 95 %); Fréchet distances are compared as ratios on the log scale, because their spread is
relative.
"""

from bench.stats.agreement import agree
from bench.stats.bounds import bound, spread_bound
from bench.stats.comparisons import (
    Difference,
    Ratio,
    holm,
    minimum_detectable_ratio,
    paired_difference,
    paired_ratio,
    welch_difference,
    welch_ratio,
)
from bench.stats.divergence import all_against_none
from bench.stats.equivalence import alike
from bench.stats.evidence import ALPHA, NO_TEST, Decision, Evidence, Finding, lower
from bench.stats.intervals import Interval, Spread, log_interval, pooled_sd, spread, t_interval
from bench.stats.joint import at_least, every, only, some
from bench.stats.power import Needed, needed, power_at, seeds_needed
from bench.stats.prediction import predictive_interval, verdict
from bench.stats.standings import Standings, standings
from bench.stats.trends import trend
from bench.stats.versus import Pairing, Versus, versus

__all__ = [
    "ALPHA",
    "NO_TEST",
    "Decision",
    "Difference",
    "Evidence",
    "Finding",
    "Interval",
    "Needed",
    "Pairing",
    "Ratio",
    "Spread",
    "Standings",
    "Versus",
    "agree",
    "alike",
    "all_against_none",
    "at_least",
    "bound",
    "every",
    "holm",
    "log_interval",
    "lower",
    "minimum_detectable_ratio",
    "needed",
    "only",
    "paired_difference",
    "paired_ratio",
    "pooled_sd",
    "power_at",
    "predictive_interval",
    "seeds_needed",
    "some",
    "spread",
    "spread_bound",
    "standings",
    "t_interval",
    "trend",
    "verdict",
    "versus",
    "welch_difference",
    "welch_ratio",
]
