"""A claim as comparisons: each of its relations in each of its columns, one statement a comparison."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bench.errors import UserError
from bench.metrics.output import Better
from bench.report.claims.expressions import (
    Expression,
    Joint,
    Less,
    Like,
    Made,
    Mean,
    Not,
    Pick,
    Place,
    Same,
    Slope,
    Statement,
    every,
    has_mixed_picks,
    places,
)
from bench.spec.claim import Claim, split_column
from bench.spec.operand import CellOperand, Highest, Lowest, Minus, Operand, Over, Range, cells_in
from bench.spec.relation import Agree, Alike, AnyRelation, Bound, Count, Extremum, Order, Trend

Column = tuple[str, str]  # table, id


class Known(Protocol):
    """What must be known of tables to write a claim out."""

    def columns(self, table: str) -> Sequence[str]:
        """The columns that the paper has, in order."""

    def rows(self, table: str) -> Sequence[str]:
        """The rows that the paper has."""

    def absent(self, table: str, row: str, column: str) -> bool:
        """Whether a cell is left out of its table."""

    def x(self, table: str, column: str) -> float | None:
        """Where a column lies on the axis of a curve; None if the table does not say."""

    def better(self, table: str, metric: str | None) -> Better:
        """Which way a score is better; None: the table's main one."""


@dataclass(frozen=True)
class Question:
    """One comparison of a claim. about: the column, or what else tells it from the claim's others."""

    about: str
    statement: Statement


def questions(claim: Claim, home: str, known: Known, whole: bool = False) -> list[Question]:
    """All comparisons of a claim that is told with table `home`; the claim is true if all of them are.

    Cells that are absent from their table make no comparison; whole: they do, as the paper may print them.
    """
    parts = (_Written(relation, relation.table or claim.table or home, known, whole) for relation in claim.all_of)
    return [question for part in parts for question in part.questions()]


class _Written:
    """One relation, written out over its columns."""

    def __init__(self, relation: AnyRelation, table: str, known: Known, whole: bool) -> None:
        self.relation, self.table, self.known, self.whole = relation, table, known, whole

    def questions(self) -> Iterator[Question]:
        relation = self.relation
        match relation:
            case Order() | Bound() if relation.mean or relation.at_least:
                yield self._together(relation)
            case Order() | Bound():
                for a, b in _pairs(relation):
                    yield from (Question(one.column, one) for one in self._lesses(a, b, self._columns()))
            case Alike():
                yield from self._alike(relation)
            case Trend():
                for operand in relation.trend.of:
                    points = tuple((self.known.x(*c), self._at(operand, c)) for c in self._columns() if c)
                    yield Question(_rows(points[0][1]) if points else "", Slope(points, relation.trend.direction))
            case Extremum():
                yield from self._extremum(relation)
            case Agree():
                for column in self._columns():
                    first, second = (tuple(self._at(one, column) for one in part) for part in relation.agree)
                    yield Question(_name(column), Same(first, second, _name(column)))
            case Count():
                yield self._count(relation)

    def _columns(self) -> list[Column | None]:
        """The relation's columns; [None] where every cell names its own."""
        if self.relation.columns:
            return [split_column(name, self.table) for name in self.relation.columns]
        if all(cell.column for cell in cells_in(self.relation)):
            return [None]
        return [(self.table, column) for column in self.known.columns(self.table)]

    def _together(self, relation: Order | Bound) -> Question:
        """One question of all columns: on average over them, or in at least so many."""
        pairs, columns = list(_pairs(relation)), self._columns()
        if relation.at_least is None:
            parts = tuple(one for a, b in pairs for one in self._lesses(a, b, columns))
            return Question(f"mean of {len(parts)}", Mean(parts))
        held = [(_name(c), tuple(one for a, b in pairs for one in self._lesses(a, b, [c]))) for c in columns]
        return Question(f"{len(held)} columns", _joint(relation.at_least, held))

    def _alike(self, relation: Alike) -> Iterator[Question]:
        for a, b in itertools.combinations(relation.alike.of, 2):
            for column in self._columns():
                one = Like(
                    self._at(a, column), self._at(b, column), relation.alike.within, relation.alike.by, _name(column)
                )
                if self._there(one):
                    yield Question(_name(column), one)

    def _extremum(self, relation: Extremum) -> Iterator[Question]:
        """The best point against each other one: the curve rises, or falls, to both sides of it."""
        best = split_column(relation.extremum.at, self.table)
        for operand in relation.extremum.of:
            for column in self._columns():
                if column is not None and column != best:
                    sides = self._at(operand, best), self._at(operand, column)
                    left, right = sides if relation.extremum.kind == "min" else sides[::-1]
                    yield Question(f"{best[1]} to {column[1]}", Less(left, right))

    def _count(self, relation: Count) -> Question:
        """How often a row is the best: a joint statement over columns, each of them over the other rows."""
        count = relation.count
        held = []
        for column in self._columns():
            best = self._at(count.best, column)
            others = [self._at(one, column) for one in count.among] or self._others(best)
            ways = {self.known.better(place.table, place.metric) for place in places(best)}
            if "none" in ways:
                raise UserError("a claim counts how often a row is the best in a score of which neither way is better")
            if "zero" in ways:
                best, *others = (_magnitude(one) for one in (best, *others))
            lower = ways <= {"lower", "zero"}
            lesses = (Less(best, one, _name(column)) if lower else Less(one, best, _name(column)) for one in others)
            held.append((_name(column), tuple(one for one in lesses if self._there(one))))
        if count.at_least is not None:
            return Question(f"{len(held)} columns", _joint(count.at_least, held))
        # In these columns and no others
        inside = {split_column(name, self.table)[1] for name in count.only_in}
        parts = tuple(every(parts) if name in inside else Not(every(parts)) for name, parts in held if parts)
        return Question(f"{len(parts)} columns", Joint(len(parts), parts, tuple(name for name, parts in held if parts)))

    def _others(self, best: Expression) -> list[Expression]:
        """Every other row in the column of a cell."""
        (place,) = places(best)
        return [replace(place, row=row) for row in self.known.rows(place.table) if row != place.row]

    def _lesses(self, a: Operand | float, b: Operand | float, columns: Sequence[Column | None]) -> list[Less]:
        made = [Less(self._at(a, one), self._at(b, one), _name(one)) for one in columns]
        if any(map(has_mixed_picks, made)):
            raise UserError("a claim has one min or max on both sides of a comparison; write what it means without it")
        return [one for one in made if self._there(one)]

    def _there(self, statement: Statement) -> bool:
        if self.whole:
            return True
        return not any(self.known.absent(place.table, place.row, place.column) for place in places(statement))

    def _at(self, operand: Operand | float, column: Column | None) -> Expression:
        """An operand in a column of the relation."""
        match operand:
            case CellOperand():
                table = operand.table or self.relation.table or (column[0] if column else self.table)
                name = operand.column or (column[1] if column else "")
                metric, snapshot = operand.metric or self.relation.metric, operand.snapshot or self.relation.snapshot
                return Place(table, operand.row, name, metric, snapshot, operand.of)
            case Minus():
                return Made("minus", *(self._at(one, column) for one in operand.minus))
            case Over():
                return Made("over", *(self._at(one, column) for one in operand.over))
            case Lowest():
                return Pick("min", tuple(self._at(one, column) for one in operand.min))
            case Highest():
                return Pick("max", tuple(self._at(one, column) for one in operand.max))
            case Range():
                options = tuple(self._at(one, column) for one in operand.range)
                return Made("minus", Pick("max", options), Pick("min", options))
            case _:
                return float(operand)


def _magnitude(expression: Expression) -> Expression:
    """A cell's distance from 0, where a claim is about its value."""
    return replace(expression, of="abs") if isinstance(expression, Place) and expression.of == "value" else expression


def _pairs(relation: Order | Bound) -> Iterator[tuple[Operand | float, Operand | float]]:
    """The pairs of which the first is said to be lower."""
    if isinstance(relation, Order):
        for lower, higher in itertools.pairwise(relation.order):
            yield from itertools.product(lower, higher)
        return
    limit = relation.bound
    for operand in limit.of:
        if limit.below is not None:
            yield operand, limit.below
        elif limit.above is not None:
            yield limit.above, operand


def _joint(at_least: int, held: Sequence[tuple[str, tuple[Less, ...]]]) -> Joint:
    """At least so many columns, in each of which all comparisons hold."""
    there = [(name, parts) for name, parts in held if parts]
    return Joint(at_least, tuple(every(parts) for _, parts in there), tuple(name for name, _ in there))


def _rows(expression: Expression) -> str:
    return ", ".join(dict.fromkeys(place.row for place in places(expression)))


def _name(column: Column | None) -> str:
    return column[1] if column else ""
