"""Where in a table's YAML the settings of a planned run stand, for what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bench.files.yamlfile import Keys
from bench.plan.runs import Plan
from bench.spec.row_column import Column, Row
from bench.spec.table import TableSpec

MORE_IMAGES = (
    ": build the set with more pictures or a larger --test-share, or take all of them as the reference "
    "(--set protocol.reference_split=all)"
)


@dataclass(frozen=True)
class Context:
    """The cell for which a run is planned, and of a source its role there."""

    table: TableSpec
    row: Row | None  # None: a reference point
    column: Column
    role: str | None = None


def contexts(plan: Plan) -> dict[str, Context]:
    """The cell of each run by its uid, of sources and evaluated runs too."""
    columns = {column.id: column for column in plan.table.columns}
    rows = {row.id: row for row in plan.table.rows}
    contexts: dict[str, Context] = {}
    for run in plan.runs:
        if run.cells:
            cell = run.cells[0]
            contexts[run.uid] = Context(plan.table, rows.get(cell.row), columns[cell.column])
    for run in reversed(plan.runs):  # what needs a run comes after it
        own = contexts[run.uid]
        for role, source in run.spec.run_sources.items():
            there = Context(own.table, own.row, own.column, own.role or role)
            if source == run.spec.evaluated and own.row is not None:
                behind = plan.table.behind(own.row, own.column, plan.scale)
                there = Context(behind.table, behind.row, behind.column) if behind else there
            contexts.setdefault(source.uid, there)
    return contexts


class Places:
    """The places of a run's settings, of a source's below its role. Most are never asked for, and not looked for.

    more_images: how a column that the user has added gets more reference images.
    """

    def __init__(self, context: Context, scale: str) -> None:
        self._context, self._scale = context, scale
        self.is_source = context.role is not None
        self.more_images = MORE_IMAGES if context.column.added and not self.is_source else ""

    @cached_property
    def data(self) -> Keys:
        """Of its images."""
        return self._of("data")

    @cached_property
    def counts(self) -> Keys:
        """Of what holds the counts of scored images."""
        return () if self.is_source else self._of("reference")[:-1]

    @cached_property
    def metrics(self) -> Keys:
        """Of its scores."""
        return () if self.is_source else self._of("protocol", "metrics")

    @cached_property
    def split(self) -> Keys:
        """Of the images that the reference is of."""
        return () if self.is_source else self._of("protocol", "reference_split")

    @cached_property
    def network(self) -> Keys:
        """Of its network."""
        return self._of("network")

    @cached_property
    def method(self) -> Keys:
        """Of its method; no place for a row of the user's own."""
        row = self._context.row
        return () if row is not None and row.added and not self.is_source else self._of("method")

    @cached_property
    def evaluate(self) -> Keys:
        """Of its measure."""
        return () if self.is_source else self._of("evaluate")

    @cached_property
    def gpus(self) -> Keys:
        """Of how many devices train it together."""
        return self._of("train", "gpus")

    @cached_property
    def own_network(self) -> bool:
        """Whether the row, its group or the cell has a network of its own."""
        return self.is_source or self.network[2] in ("groups", "rows", "cells")

    def _of(self, *keys: str) -> Keys:
        """Where a setting stands; of a source, below its role."""
        context = self._context
        if context.role is not None:
            keys, below = ("sources", context.role), keys
            return (*context.table.place(keys, context.column, self._scale, context.row), *below)
        return context.table.place(keys, context.column, self._scale, context.row)
