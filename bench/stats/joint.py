"""Several comparisons as one statement: all of them hold, at least k do, or those of some columns and no others.

p values may depend on each other in any way, as comparisons that share a row do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.errors import UserError
from bench.stats.evidence import NO_TEST, Evidence


def at_least(count: int, parts: Sequence[Evidence]) -> Evidence:
    """The statement that at least `count` of the parts hold.

    Partial conjunction (Benjamini and Heller 2008, Bonferroni's form): the `count`-th smallest of m p values times
    m - count + 1. For all parts that is the largest p, the intersection-union test (Berger 1982), which needs no
    further correction; for any part, Bonferroni's. The statement is false where m - count + 1 parts fail, which is
    tested in the same way. Parts without a test show nothing for or against.
    """
    m = len(parts)
    if not 1 <= count <= m:
        raise UserError(f"at least {count} of {m} is no statement")
    if all(math.isnan(part.p_for) for part in parts):
        return NO_TEST
    return Evidence(
        _partial(count, [part.p_for for part in parts]), _partial(m - count + 1, [part.p_against for part in parts])
    )


def every(parts: Sequence[Evidence]) -> Evidence:
    """The statement that all parts hold: an order of several rows, or the best of a curve against each other point."""
    return at_least(len(parts), parts)


def some(parts: Sequence[Evidence]) -> Evidence:
    """The statement that at least one part holds."""
    return at_least(1, parts)


def only(inside: Sequence[Evidence], outside: Sequence[Evidence]) -> Evidence:
    """The statement that the parts `inside` hold, and that none of those `outside` does."""
    return every([*inside, *(part.reversed() for part in outside)])


def _partial(count: int, p_values: Sequence[float]) -> float:
    ordered = sorted(1.0 if math.isnan(p) else p for p in p_values)
    return min(1.0, (len(ordered) - count + 1) * ordered[count - 1])
