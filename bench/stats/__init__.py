"""Intervals and tests for scores over training seeds: numpy and scipy alone.

The replicate is one training seed. Intervals are Student-t (bootstraps of 3 to 5 seeds cover 75 % where
they say 95 %); Fréchet distances are compared as ratios on the log scale, because their spread is
relative.
"""

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
from bench.stats.intervals import Interval, Spread, log_interval, pooled_sd, spread, t_interval
from bench.stats.prediction import predictive_interval, verdict

__all__ = [
    "Difference",
    "Interval",
    "Ratio",
    "Spread",
    "holm",
    "log_interval",
    "minimum_detectable_ratio",
    "paired_difference",
    "paired_ratio",
    "pooled_sd",
    "predictive_interval",
    "spread",
    "t_interval",
    "verdict",
    "welch_difference",
    "welch_ratio",
]
