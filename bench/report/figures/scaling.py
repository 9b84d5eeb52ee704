"""The axis of a score in a figure: logarithmic where values are compared as ratios, else linear."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bench.metrics.output import Output
from bench.stats import Interval, log_interval, t_interval

MARGIN = 1.3  # a log axis extends beyond the range of the rows by this factor
ROOM = 0.15  # a linear axis extends beyond it by this share of the range


@dataclass(frozen=True)
class Scaling:
    """How the values of a score are averaged; limits: the axis for the rows' least and greatest value."""

    mean: Callable[[np.ndarray], float]
    interval: Callable[[np.ndarray], Interval]
    limits: Callable[[float, float], tuple[float, float]]


def _padded(low: float, high: float) -> tuple[float, float]:
    alike = math.isclose(low, high)  # values that differ in their last digits only: an axis of their size
    pad = ROOM * ((abs(high) or 1.0) if alike else high - low)
    return low - pad, high + pad


LOG = Scaling(
    lambda values: float(np.exp(np.log(values).mean())),
    log_interval,
    lambda low, high: (low / MARGIN, high * MARGIN),
)
LINEAR = Scaling(lambda values: float(values.mean()), t_interval, _padded)


def mark_zero(panel: Axes, card: Output) -> None:
    """A thin line at 0, where nearer to it is better."""
    if card.better == "zero":
        panel.axhline(0.0, color="0.7", linewidth=0.6, zorder=0.5)


def log_values(panel: Axes) -> None:
    """A logarithmic y axis whose ticks are labelled as plain numbers."""
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
