"""How a claim relates its operands: seven kinds, each with the columns and the score that it is about."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveFloat, PositiveInt, Tag, model_validator

from bench.spec.operand import Operand, Side, Snapshot
from bench.spec.run import Frozen


class Relation(Frozen):
    """What all kinds share.

    columns: ids, or paper/table/id of another table; empty: all columns of the table. table: where the rows are; None:
    the claim's. metric, snapshot: of every operand that names none; None: the main score, the table's rule.
    """

    columns: tuple[str, ...] = ()
    metric: str | None = None
    table: str | None = None
    snapshot: Snapshot | None = None


class _InColumns(Relation):
    """A relation that must hold in every column, in at least so many (`at_least`), or on average over them (`mean`)."""

    at_least: PositiveInt | None = None
    mean: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> _InColumns:
        if self.mean and self.at_least:
            raise ValueError("at_least and mean exclude each other")
        return self


class Order(_InColumns):
    """Each operand is lower than the next; a list of operands: each of them is."""

    order: tuple[Side, ...] = Field(min_length=2)


class Limit(Frozen):
    """An operand, or each of several, below or above a number or another operand."""

    of: Side
    below: float | Operand | None = None
    above: float | Operand | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Limit:
        if (self.below is None) == (self.above is None):
            raise ValueError("a bound has either below or above")
        return self


class Bound(_InColumns):
    """A value against a limit."""

    bound: Limit


class Likeness(Frozen):
    """Operands of which no two differ by more than `within`: 0.05 is a ratio within 5 %, or a difference of 0.05."""

    of: tuple[Operand, ...] = Field(min_length=2)
    within: PositiveFloat
    by: Literal["ratio", "difference"] = "ratio"


class Alike(Relation):
    """Equivalence, with a margin that is declared."""

    alike: Likeness


class Course(Frozen):
    """How an operand, or each of several, runs over the columns in the order in which they are named."""

    of: Side
    direction: Literal["increasing", "decreasing"]
    over: Literal["columns"] = "columns"


class Trend(Relation):
    """Rising or falling all along the columns' x."""

    trend: Course


class Peak(Frozen):
    """An operand, or each of several, is at its lowest or highest in column `at`, and worse to both sides."""

    of: Side
    at: str
    kind: Literal["min", "max"]
    over: Literal["columns"] = "columns"


class Extremum(Relation):
    """Best at one point of a curve."""

    extremum: Peak


class Agree(Relation):
    """Two lists of operands in the same order: Kendall's tau."""

    agree: tuple[tuple[Operand, ...], tuple[Operand, ...]]

    @model_validator(mode="after")
    def _same_length(self) -> Agree:
        first, second = map(len, self.agree)
        if first != second or first < 4:
            raise ValueError(
                f"agree takes two lists of the same length of at least 4, not {first} and {second}: "
                "of three things in the same order chance makes one in six"
            )
        return self


class Best(Frozen):
    """A row that is the best among others (empty: all of the table) in at least k columns, or in these only."""

    best: Operand
    among: tuple[Operand, ...] = ()
    at_least: PositiveInt | None = None
    only_in: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Best:
        if (self.at_least is None) == (not self.only_in):
            raise ValueError("count has either at_least or only_in")
        return self


class Count(Relation):
    """In how many, or in which, columns a row is the best."""

    count: Best


KINDS: dict[str, type[Relation]] = {
    "order": Order, "bound": Bound, "alike": Alike, "trend": Trend, "extremum": Extremum, "agree": Agree,
    "count": Count,
}  # fmt: skip


def _kind(value: Any) -> str:
    """Which kind a relation is, so that pydantic reports a mistake in it for that kind only."""
    if isinstance(value, Relation):
        return type(value).__name__
    return next((kind.__name__ for key, kind in KINDS.items() if isinstance(value, dict) and key in value), "Order")


AnyRelation = Annotated[
    Annotated[Order, Tag("Order")]
    | Annotated[Bound, Tag("Bound")]
    | Annotated[Alike, Tag("Alike")]
    | Annotated[Trend, Tag("Trend")]
    | Annotated[Extremum, Tag("Extremum")]
    | Annotated[Agree, Tag("Agree")]
    | Annotated[Count, Tag("Count")],
    Discriminator(_kind),
]
RELATION_KEYS = {key for kind in KINDS.values() for key in kind.model_fields}
