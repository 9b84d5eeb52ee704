"""Things and blocks: x_ij = a_i + b_j + e_ij, fitted by least squares over the scores that there are.

`standings` and `versus` take from it how far two things lie apart and how large the noise e is (see `standings`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import stats
from scipy.interpolate import BarycentricInterpolator

from bench.stats.intervals import ALIKE, bartlett

ROUNDING = 1e-12  # of a value: what is smaller is float64's rounding
Scores = Mapping[Any, float]  # of one thing, by block: any key that can be hashed


@dataclass(frozen=True)
class Fit:
    """The additive fit: levels of things, the matrix of their variances, residuals by thing, sd and df."""

    levels: np.ndarray
    covariance: np.ndarray
    connected: np.ndarray
    residuals: list[np.ndarray]
    sd: float
    df: float

    def level(self, i: int) -> float:
        """Of a thing, in units of the scores; only differences of levels mean something."""
        return float(self.levels[i])

    def difference(self, i: int, j: int) -> float:
        """Thing i less thing j, in units of the scores."""
        return float(self.levels[i] - self.levels[j])

    def variance(self, i: int, j: int) -> float:
        """Of a difference, in units of s^2; infinite for two that no block connects."""
        if self.connected[i] != self.connected[j]:
            return math.inf
        c = self.covariance
        return float(c[i, i] + c[j, j] - 2 * c[i, j])


def fit(things: Sequence[Scores]) -> Fit:
    """Least squares of thing + block, over the scores that there are."""
    blocks = {block: place for place, block in enumerate(dict.fromkeys(b for thing in things for b in thing))}
    where = np.array([(i, blocks[block]) for i, thing in enumerate(things) for block in thing])
    x = np.array([value for thing in things for value in thing.values()], float)
    design = np.zeros((x.size, len(things) + len(blocks)))
    design[np.arange(x.size), where[:, 0]] = 1
    design[np.arange(x.size), len(things) + where[:, 1]] = 1
    inverse = np.linalg.pinv(design.T @ design)
    solution = inverse @ design.T @ x
    residual = x - design @ solution
    residual[np.abs(residual) <= ROUNDING * float(np.abs(x).max())] = 0.0  # rounding errors are no spread
    df = float(x.size - np.linalg.matrix_rank(design))
    return Fit(
        levels=solution[: len(things)],
        covariance=inverse[: len(things), : len(things)],
        connected=_components(things),
        residuals=[residual[where[:, 0] == i] for i in range(len(things))],
        sd=math.sqrt(float((residual**2).sum()) / df) if df > 0 else math.nan,
        df=df,
    )


def _components(things: Sequence[Scores]) -> np.ndarray:
    """A number for each thing, equal where blocks connect them."""
    label = np.arange(len(things))
    for i, j in itertools.combinations(range(len(things)), 2):
        if things[i].keys() & things[j].keys():
            label[label == label[j]] = label[i]
    return label


def alike(residuals: Sequence[np.ndarray]) -> bool:
    """Whether the things' spreads may be one: Bartlett's test does not reject at 5 %. Two things always have one."""
    samples = [x for x in residuals if x.size > 1]
    flat = [not x.any() for x in samples]
    if len(samples) < 3 or all(flat):
        return True
    return not any(flat) and bartlett(samples) > ALIKE


NODES = (8.0, 14.0, 32.0, 120.0, math.inf)  # degrees of freedom between which `range_point_near` interpolates


@cache
def range_point(confidence: float, things: int, df: float) -> float:
    """The point of the studentised range of so many things that `confidence` of all samples lie below (Tukey 1953)."""
    return float(stats.studentized_range.ppf(confidence, things, df))


def range_point_near(confidence: float, things: int, df: float) -> float:
    """`range_point` to 1e-4 of its value: from 8 degrees of freedom on interpolated over 1 / df; one takes 0.2 s."""
    if df < NODES[0]:
        return range_point(confidence, things, df)
    return float(_curve(confidence, things)(1 / df))


@cache
def _curve(confidence: float, things: int) -> BarycentricInterpolator:
    points = [range_point(confidence, things, node) for node in NODES]
    return BarycentricInterpolator([1 / node for node in NODES], points)
