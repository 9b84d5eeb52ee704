"""What a claim compares: a cell of a table, and what is made of cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from bench.spec.run import Frozen

Share = Annotated[float, Field(gt=0, lt=1)]
# best, final: by that rule; every: each scored snapshot; a share: the one nearest to that part of the training
Snapshot = Literal["best", "final", "every"] | Share
PLACES = {1: ("row",), 2: ("row", "column"), 3: ("table", "row"), 4: ("table", "row", "column")}


class CellOperand(Frozen):
    """A cell: `row`, `row/column`, `paper/table/row`, `paper/table/row/column`, or a mapping with these keys.

    What is left out is the claim's. of: the score (value), its magnitude (abs), its own error (error), its standard
    deviation over seeds, relative (spread) or absolute (sd), the snapshot's step (steps), the training's minutes, or,
    of an evaluation, the score of its run by which snapshots are chosen (run_score).
    """

    row: str
    table: str | None = None
    column: str | None = None
    metric: str | None = None
    snapshot: Snapshot | None = None
    of: Literal["value", "abs", "error", "spread", "sd", "steps", "minutes", "run_score"] = "value"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = value.split("/")
        if len(parts) not in PLACES or not all(parts):
            raise ValueError(f"'{value}' is no cell: write row, row/column, paper/table/row or paper/table/row/column")
        if len(parts) > 2:
            parts[:2] = ["/".join(parts[:2])]
        return dict(zip(PLACES[len(value.split("/"))], parts))


class Minus(Frozen):
    """The difference of two operands, seed by seed."""

    minus: tuple[Operand, Operand]


class Over(Frozen):
    """The ratio of two operands, seed by seed."""

    over: tuple[Operand, Operand]


class Lowest(Frozen):
    """The lowest of several operands: below another if any of them is, above it if all are."""

    min: tuple[Operand, ...] = Field(min_length=2)


class Highest(Frozen):
    """The highest of several operands."""

    max: tuple[Operand, ...] = Field(min_length=2)


class Range(Frozen):
    """The highest of several operands minus the lowest."""

    range: tuple[Operand, ...] = Field(min_length=2)


MADE: dict[str, str] = {"minus": "Minus", "over": "Over", "min": "Lowest", "max": "Highest", "range": "Range"}


def _kind(value: Any) -> str:
    """Which kind an operand is, so that pydantic reports a mistake in it for that kind only."""
    if isinstance(value, Frozen):
        return type(value).__name__
    keys = value.keys() if isinstance(value, dict) else ()
    return next((kind for key, kind in MADE.items() if key in keys), "CellOperand")


Operand = Annotated[
    Annotated[CellOperand, Tag("CellOperand")]
    | Annotated[Minus, Tag("Minus")]
    | Annotated[Over, Tag("Over")]
    | Annotated[Lowest, Tag("Lowest")]
    | Annotated[Highest, Tag("Highest")]
    | Annotated[Range, Tag("Range")],
    Discriminator(_kind),
]


def _listed(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


# One operand, or several that are all meant
Side = Annotated[tuple[Operand, ...], BeforeValidator(_listed), Field(min_length=1)]


def cells_in(value: Any) -> Iterator[CellOperand]:
    """Every cell that an operand, a relation or a claim names."""
    if isinstance(value, CellOperand):
        yield value
    elif isinstance(value, Frozen):
        for name in type(value).model_fields:
            yield from cells_in(getattr(value, name))
    elif isinstance(value, tuple):
        for part in value:
            yield from cells_in(part)
