"""What a claim is: a sentence of a paper, in our words, as relations between cells of tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field, model_validator

from bench.errors import did_you_mean
from bench.spec.operand import CellOperand, cells_in
from bench.spec.relation import KINDS, RELATION_KEYS, AnyRelation, Bound, Count, Extremum
from bench.spec.run import Frozen


class Claim(Frozen):
    """A sentence that is true if all of its relations hold.

    In YAML a claim of one relation has the relation's keys as its own; one of several has them under `all_of`.

    table: the table that it is told with; None: the one whose file it is in. place: where the paper says it. note: how
    we read it, and which margin is ours. waits_for: a measure that does not exist yet.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    text: str
    all_of: tuple[AnyRelation, ...] = Field(min_length=1)
    table: str | None = None
    place: str | None = None
    note: str | None = None
    waits_for: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_relation(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "all_of" in value:
            return value
        if not value.keys() & KINDS.keys():
            odd = sorted(str(key) for key in value.keys() - cls.model_fields.keys() - RELATION_KEYS)
            raise ValueError(f"needs one of {', '.join(KINDS)}" + (f"; {did_you_mean(odd[0], KINDS)}" if odd else ""))
        own = {key: item for key, item in value.items() if key in RELATION_KEYS and key != "table"}
        return {**{key: item for key, item in value.items() if key not in own}, "all_of": [own]}

    @model_validator(mode="after")
    def _spreads_have_bounds(self) -> Claim:
        """A spread over seeds has no value a seed: it can only be compared with a number."""
        for relation in self.all_of:
            spreads = [cell for cell in cells_in(relation) if cell.of in ("spread", "sd")]
            limit = relation.bound if isinstance(relation, Bound) else None
            number = limit is not None and isinstance(limit.below if limit.above is None else limit.above, float)
            if spreads and not (limit is not None and number and all(one in spreads for one in limit.of)):
                raise ValueError("a spread over seeds (of: spread, sd) is compared with a number, in a bound")
        return self

    @property
    def metrics(self) -> set[str | None]:
        """The scores that it speaks of; None: a table's main one."""
        return {cell.metric or relation.metric for relation in self.all_of for cell in cells_in(relation)}

    def rows(self, table: str) -> set[str]:
        """The rows of a table that it names."""
        return {cell.row for name, cell, _ in self.cells(table) if name == table}

    def cells(self, home: str) -> Iterator[tuple[str, CellOperand, str | None]]:
        """(table, cell, score) of each cell that it names, where the claim is told with table `home`."""
        for relation in self.all_of:
            for cell in cells_in(relation):
                table = cell.table or relation.table or self.table or home
                yield table, cell, cell.metric or relation.metric

    def columns(self, home: str) -> Iterator[tuple[str, str]]:
        """(table, column) of each column that it names, but for those of single cells."""
        for relation in self.all_of:
            named = list(relation.columns)
            named += relation.count.only_in if isinstance(relation, Count) else ()
            named += [relation.extremum.at] if isinstance(relation, Extremum) else []
            for name in named:
                yield split_column(name, relation.table or self.table or home)


def split_column(name: str, table: str) -> tuple[str, str]:
    """(table, id) of a column of a claim: `anime` is of `table`, `sle/table3/art` of that one."""
    other, _, column = name.rpartition("/")
    return (other or table, column)
