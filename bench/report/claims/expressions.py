"""The operands of a claim once every table, column and score is filled in, and the comparisons made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench.spec.operand import Snapshot


@dataclass(frozen=True)
class Place:
    """A cell of a table. metric None: the table's main score. snapshot None: the table's rule."""

    table: str
    row: str
    column: str
    metric: str | None
    snapshot: Snapshot | int | None = None  # a whole number: a step
    of: str = "value"


@dataclass(frozen=True)
class Made:
    """The difference or the ratio of two expressions."""

    by: Literal["minus", "over"]
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Pick:
    """The lowest or the highest of several expressions."""

    by: Literal["min", "max"]
    options: tuple[Expression, ...]


Expression = Place | Made | Pick | float


@dataclass(frozen=True)
class Less:
    """left < right. column: where, in words; "" where both sides name their own."""

    left: Expression
    right: Expression
    column: str = ""


@dataclass(frozen=True)
class Mean:
    """A `Less` on average over its parts, each of another column."""

    parts: tuple[Less, ...]


@dataclass(frozen=True)
class Like:
    """left and right differ by at most `within`, as a ratio or a difference."""

    left: Expression
    right: Expression
    within: float
    by: Literal["ratio", "difference"]
    column: str = ""


@dataclass(frozen=True)
class Slope:
    """An expression rises or falls over the points, given as (x, expression); x None: the table does not say."""

    points: tuple[tuple[float | None, Expression], ...]
    direction: Literal["increasing", "decreasing"]


@dataclass(frozen=True)
class Same:
    """Two lists in the same order."""

    first: tuple[Expression, ...]
    second: tuple[Expression, ...]
    column: str = ""


@dataclass(frozen=True)
class Not:
    """The opposite of a statement."""

    part: Statement


@dataclass(frozen=True)
class Joint:
    """At least so many of the parts hold. names: of the parts, where the report names those that do."""

    at_least: int
    parts: tuple[Statement, ...]
    names: tuple[str, ...] = ()


Statement = Less | Mean | Like | Slope | Same | Not | Joint


def every(parts: tuple[Statement, ...]) -> Statement:
    """All parts hold."""
    return parts[0] if len(parts) == 1 else Joint(len(parts), parts)


def places(statement: Statement | Expression) -> Iterator[Place]:
    """Every cell that a statement or an expression looks at."""
    match statement:
        case Place():
            yield statement
        case Made(_, left, right) | Less(left, right) | Like(left, right):
            yield from places(left)
            yield from places(right)
        case Pick(_, parts) | Joint(_, parts) | Mean(parts):
            for part in parts:
                yield from places(part)
        case Slope(points):
            for _, point in points:
                yield from places(point)
        case Same(first, second):
            for part in (*first, *second):
                yield from places(part)
        case Not(part):
            yield from places(part)


def spelled_out(test: Less) -> Statement:
    """A comparison without picks: the lowest of several is below x if any of them is, above x if all are.

    That holds for picks inside differences and ratios too, by the sign with which they enter: in max - min < gap all
    pairs must hold. Comparing the least of noisy scores itself would be biased: it lies below every mean.
    """
    found = next(_picks(test.left, 1), None) or next(_picks(test.right, -1), None)
    if found is None:
        return test
    pick, sign = found
    parts = tuple(
        spelled_out(Less(_with(test.left, pick, option), _with(test.right, pick, option), test.column))
        for option in pick.options
    )
    return Joint(1 if (pick.by == "min") == (sign > 0) else len(parts), parts)


def has_mixed_picks(test: Less) -> bool:
    """Whether one and the same pick enters with both signs, which cannot be spelled out."""
    signs: dict[Pick, set[int]] = {}
    for pick, sign in (*_picks(test.left, 1), *_picks(test.right, -1)):
        signs.setdefault(pick, set()).add(sign)
    return any(len(found) > 1 for found in signs.values())


def _picks(expression: Expression, sign: int) -> Iterator[tuple[Pick, int]]:
    match expression:
        case Pick():
            yield expression, sign
        case Made(_, left, right):
            yield from _picks(left, sign)
            yield from _picks(right, -sign)


def _with(expression: Expression, pick: Pick, option: Expression) -> Expression:
    """The expression with one option in place of a pick."""
    if expression == pick:
        return option
    if isinstance(expression, Made):
        return Made(expression.by, _with(expression.left, pick, option), _with(expression.right, pick, option))
    return expression
