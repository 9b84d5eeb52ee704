"""A claim on our runs: every comparison tested over seeds, and what they come to together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from bench import stats
from bench.report.claims.expressions import (
    Expression,
    Joint,
    Less,
    Like,
    Made,
    Mean,
    Not,
    Place,
    Same,
    Slope,
    Statement,
    places,
    spelled_out,
)
from bench.report.claims.result import Compared
from bench.report.claims.scores import Lack, Sample, Scores
from bench.report.claims.words import name
from bench.stats import Difference, Evidence, Ratio


class Tester:
    """Tests statements, and keeps what it compared and what it lacked on the way."""

    def __init__(self, home: str, scores: Scores) -> None:
        self.home, self.scores = home, scores
        self.compared: list[Compared] = []
        self.lacks: list[tuple[str, Lack]] = []
        self._denied = False

    def test(self, statement: Statement, about: str) -> Evidence:
        """The evidence on a statement; about: what tells it from the claim's others."""
        match statement:
            case Joint(at_least, parts, names):
                labels = names or [about] * len(parts)
                return stats.at_least(at_least, [self.test(part, label) for part, label in zip(parts, labels)])
            case Not(part):
                self._denied = not self._denied
                evidence = self.test(part, about).reversed()
                self._denied = not self._denied
                return evidence
            case Less():
                return self._less(statement, about)
            case Mean(parts):
                return self._mean(parts, about)
            case Like():
                return self._alike(statement, about)
            case Slope():
                return self._slope(statement, about)
            case Same():
                return self._same(statement, about)

    def _less(self, test: Less, about: str) -> Evidence:
        spelled = spelled_out(test)
        if not isinstance(spelled, Less):
            return self.test(spelled, about)
        if any(place.snapshot == "every" for place in places(test)):
            return self._at_every_snapshot(test, about)
        if _is_spread(test.left) or _is_spread(test.right):
            return self._spread([test], about)
        left, right = self._side(test.left), self._side(test.right)
        if isinstance(left, Lack) or isinstance(right, Lack):
            return self._diverged(test, left, right, about) or self._lack(about, left, right)
        return self._compare(self._where(test, left, right), about, left, right)

    def _compare(self, where: str, about: str, left: Sample, right: Sample) -> Evidence:
        if left.fixed or right.fixed:
            return self._bound(where, about, left, right)
        unlike = {"minus", "over"}.isdisjoint((*left.kind, *right.kind)) and left.kind != right.kind
        if unlike:
            return self._lack(about, Lack("scores of different versions, features, references or machines", ran=True))
        ratio = left.ratio and right.ratio and min(*left.values.values(), *right.values.values()) > 0
        test, paired = _tested(left, right, ratio)
        finding = stats.lower(test)
        what: Literal["ratio", "difference"] = "ratio" if isinstance(test, Ratio) else "difference"
        return self._keep(Compared(where, about, what, finding, paired))

    def _bound(self, where: str, about: str, left: Sample, right: Sample) -> Evidence:
        """A value against a number."""
        value, limit = (right, left.values[0]) if left.fixed else (left, right.values[0])
        x = list(value.values.values())
        log = value.ratio and limit > 0 and min(x) > 0
        return self._keep(
            Compared(where, about, "value", stats.bound(x, limit, "above" if left.fixed else "below", log))
        )

    def _diverged(self, test: Less, left: Sample | Lack, right: Sample | Lack, about: str) -> Evidence | None:
        """A row that diverged at all seeds against one that did at none; None where that is not what happened.

        None also for a number whose worst is at neither end.
        """
        lack, other = (left, right) if isinstance(left, Lack) else (right, left)
        if not (isinstance(lack, Lack) and lack.diverged and isinstance(other, Sample) and not other.fixed):
            return None
        if lack.worst == 0:
            return None
        higher = lack is right  # whether the diverged one is said to be higher
        n = min(lack.diverged, len(other.values))
        finding = stats.all_against_none(n, as_stated=higher == (lack.worst > 0))
        return self._keep(Compared(self._where(test, other, other), about, "diverged", finding))

    def _at_every_snapshot(self, test: Less, about: str) -> Evidence:
        """The comparison at each step at which all of its cells were scored."""
        found = [set(self.scores.steps(place)) for place in places(test)]
        steps = sorted(set.intersection(*found))
        if not steps:
            return self._lack(about, Lack("no snapshot of all rows", unrun=True))
        parts = [Less(_at(test.left, step), _at(test.right, step), test.column) for step in steps]
        return stats.every([self.test(part, f"{about}, step {step}") for part, step in zip(parts, steps)])

    def _mean(self, parts: Sequence[Less], about: str) -> Evidence:
        """The comparison of each seed, averaged over the columns: logs where they are ratios."""
        if _is_spread(parts[0].left) or _is_spread(parts[0].right):
            return self._spread(parts, about)
        sides = [(self._side(part.left), self._side(part.right)) for part in parts]
        gaps, ratio = [], True
        for left, right in sides:
            if isinstance(left, Lack) or isinstance(right, Lack):
                return self._lack(about, left, right)
            ratio &= (left.ratio or left.fixed) and (right.ratio or right.fixed)
            ratio &= min(*left.values.values(), *right.values.values()) > 0
            gaps.append((left, right))
        # One gap a seed and column, over the seeds that all columns share
        free = [set(side.values) for pair in gaps for side in pair if not side.fixed]
        seeds = sorted(set.intersection(*free))
        if not seeds:
            return self._lack(about, Lack("no seeds are shared", ran=True))
        table = np.array(
            [[(a.values[0 if a.fixed else s], b.values[0 if b.fixed else s]) for a, b in gaps] for s in seeds]
        )
        where = self._where(replace(parts[0], column=""), *gaps[0])
        if ratio:
            logs = np.log(table)
            finding = stats.bound(np.exp((logs[..., 0] - logs[..., 1]).mean(1)), 1.0, "below", log=True)
            return self._keep(Compared(f"{about}, {where}", about, "ratio", finding, True))
        finding = stats.bound((table[..., 0] - table[..., 1]).mean(1), 0.0, "below")
        return self._keep(Compared(f"{about}, {where}", about, "difference", finding, True))

    def _spread(self, parts: Sequence[Less], about: str) -> Evidence:
        """The sd over seeds of one cell, or of several together, against a number."""
        groups, labels = [], []
        for part in parts:
            place, limit, side = _bounded(part)
            sample = self.scores.sample(replace(place, of="value"))
            if isinstance(sample, Lack):
                return self._lack(about, sample)
            groups.append(list(sample.values.values()))
            labels.append(sample.label)
        relative = place.of == "spread"
        if relative and min(map(min, groups)) <= 0:
            return self._lack(about, Lack("a relative spread needs scores above 0", ran=True))
        finding = stats.spread_bound(groups, limit, side, log=relative)
        text = f"{'relative ' if relative else ''}sd over seeds {side} {limit:g}, {labels[0]}"
        return self._keep(Compared(f"{about}, {text}" if about else text, about, "spread", finding))

    def _alike(self, test: Like, about: str) -> Evidence:
        left, right = self._side(test.left), self._side(test.right)
        if isinstance(left, Lack) or isinstance(right, Lack):
            return self._lack(about, left, right)
        if left.fixed or right.fixed or left.kind != right.kind:
            return self._lack(about, Lack("scores of different versions, features, references or machines", ran=True))
        if test.by == "ratio" and min(*left.values.values(), *right.values.values()) <= 0:
            return self._lack(about, Lack("a ratio needs scores above 0", ran=True))
        compared, paired = _tested(left, right, ratio=test.by == "ratio")
        margin = f"{100 * test.within:g} %" if test.by == "ratio" else f"{test.within:g}"
        where = self._where(Less(test.left, test.right, test.column), left, right, f"alike within {margin}:")
        return self._keep(Compared(where, about, test.by, stats.alike(compared, test.within), paired))

    def _slope(self, test: Slope, about: str) -> Evidence:
        samples = [self._side(point) for _, point in test.points]
        for sample in samples:
            if isinstance(sample, Lack):
                return self._lack(about, sample)
        found = [sample for sample in samples if isinstance(sample, Sample)]
        x = [x for x, _ in test.points if x is not None]
        seeds = sorted(set.intersection(*(set(sample.values) for sample in found)))
        if len(x) < len(found) or not seeds:
            why = "no seeds are shared" if len(x) == len(found) else "the table does not say where its columns lie (x)"
            return self._lack(about, Lack(why, ran=True))
        # Logs of both where that is possible: a power law is straight then
        y = np.array([[sample.values[seed] for sample in found] for seed in seeds])
        at, label = np.array(x), "slope"
        if at.min() > 0 and y.min() > 0 and all(sample.ratio for sample in found):
            at, y, label = np.log(at), np.log(y), "slope of logs"
        finding = stats.trend(at, y, test.direction)
        where = f"{about}, {test.direction}, {found[0].label}, {label}"
        return self._keep(Compared(where, about, "slope", finding))

    def _same(self, test: Same, about: str) -> Evidence:
        lists: list[list[float]] = []
        fewest = math.inf
        for part in (test.first, test.second):
            samples = [self._side(one) for one in part]
            if lacking := [sample for sample in samples if isinstance(sample, Lack)]:
                return self._lack(about, *lacking)
            values = [list(sample.values.values()) for sample in samples if isinstance(sample, Sample)]
            fewest = min(fewest, *map(len, values))
            lists.append([float(np.mean(one)) for one in values])
        finding = stats.agree(*lists)
        if fewest < 2:  # one seed's order may be chance
            finding = replace(finding, p_for=math.nan, p_against=math.nan, df=0.0)
        rows = ", ".join(name(one, self.home) for one in test.first)
        return self._keep(Compared(f"{about}, order of {rows}" if about else f"order of {rows}", about, "tau", finding))

    def _side(self, expression: Expression) -> Sample | Lack:
        if isinstance(expression, float):
            return Sample({0: expression}, True, "", ("constant",), fixed=True)
        return self.scores.sample(expression)

    def _where(self, test: Less, left: Sample, right: Sample, sign: str = "<") -> str:
        pinned = not test.column
        sides = [name(one, self.home, pinned) for one in (test.left, test.right)]
        said = f"{sides[0]} {sign} {sides[1]}" if sign == "<" else f"{sign} {sides[0]} and {sides[1]}"
        label = next(filter(None, (side.label for side in (left, right) if side.fixed)), left.label or right.label)
        return ", ".join(filter(None, (test.column, said, label)))

    def _keep(self, compared: Compared) -> Evidence:
        self.compared.append(replace(compared, denied=self._denied))
        return compared.finding

    def _lack(self, about: str, *sides: Sample | Lack) -> Evidence:
        self.lacks += [(about, side) for side in sides if isinstance(side, Lack)]
        return stats.NO_TEST


def _tested(left: Sample, right: Sample, ratio: bool) -> tuple[Ratio | Difference, bool]:
    """Two samples compared, and whether over shared seeds: where there are two, or all are; else by Welch's test."""
    a, b = left.values, right.values
    shared = sorted(a.keys() & b.keys())
    if len(shared) > 1 or a.keys() == b.keys():
        x, y = [a[seed] for seed in shared], [b[seed] for seed in shared]
        return (stats.paired_ratio(x, y) if ratio else stats.paired_difference(x, y)), True
    x, y = list(a.values()), list(b.values())
    return (stats.welch_ratio(x, y) if ratio else stats.welch_difference(x, y)), False


def _is_spread(expression: Expression) -> bool:
    return isinstance(expression, Place) and expression.of in ("spread", "sd")


def _bounded(part: Less) -> tuple[Place, float, Literal["below", "above"]]:
    """The cell whose spread is bounded, the bound, and the side of it that is claimed."""
    if isinstance(part.left, Place) and isinstance(part.right, float):
        return part.left, part.right, "below"
    assert isinstance(part.right, Place) and isinstance(part.left, float), "Claim refuses other bounds of spreads"
    return part.right, part.left, "above"


def _at(expression: Expression, step: int) -> Expression:
    """An expression with every cell at one step; picks are spelled out before."""
    if isinstance(expression, Place):
        return replace(expression, snapshot=step)
    if isinstance(expression, Made):
        return replace(expression, left=_at(expression.left, step), right=_at(expression.right, step))
    return expression
