"""Diverged seeds as evidence: one row diverged at every seed, the other at none."""

from __future__ import annotations

import math

from bench.stats.evidence import Finding, doubled


def all_against_none(seeds: int, as_stated: bool) -> Finding:
    """The statement that one row is better than another, where one diverged at all its seeds and the other at none.

    as_stated: whether it is the worse one that diverged. Were both equally likely to diverge, with probability q, this
    would happen with probability (q (1 - q))^seeds, at most 4^-seeds (Barnard 1947): three seeds suffice, two do not.
    """
    p = doubled(0.25**seeds) if seeds > 1 else math.nan
    against = 1.0 if seeds > 1 else math.nan
    p_for, p_against = (p, against) if as_stated else (against, p)
    return Finding(p_for, p_against, math.inf, math.nan, math.nan, seeds, float(seeds - 1))
