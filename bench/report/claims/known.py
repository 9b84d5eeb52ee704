"""What claims must know of tables: from their YAML, or from their printed numbers alone."""

from __future__ import annotations

from collections.abc import Sequence

from bench.evaluate.registry import output_card
from bench.metrics.output import Better
from bench.plan.expand import Table
from bench.plan.load import load_table, table_names
from bench.report.printed import read_printed


class KnownTables:
    """The tables of the project, with those given in place of the shipped ones of their names."""

    def __init__(self, *given: Table) -> None:
        self._specs: dict[str, Table | None] = {spec.name: spec for spec in given}

    def spec(self, table: str) -> Table | None:
        """A table, or None where the project has none of that name."""
        if table not in self._specs:
            self._specs[table] = load_table(table) if table in table_names() else None
        return self._specs[table]

    def columns(self, table: str) -> Sequence[str]:
        """The paper's columns, in order."""
        if spec := self.spec(table):
            return [column.id for column in spec.columns if not column.added]
        return list(dict.fromkeys(read_printed(table)["column"]))

    def rows(self, table: str) -> Sequence[str]:
        """The paper's rows."""
        if spec := self.spec(table):
            return [row.id for row in spec.rows if not row.control]
        return list(dict.fromkeys(read_printed(table)["row"]))

    def absent(self, table: str, row: str, column: str) -> bool:
        """Whether a cell is left out of its table."""
        spec = self.spec(table)
        return spec is not None and spec.is_absent(row, column)

    def x(self, table: str, column: str) -> float | None:
        """Where a column lies on the axis of a curve; None if the table does not say."""
        spec = self.spec(table)
        return next((one.x for one in spec.columns if one.id == column), None) if spec else None

    def better(self, table: str, metric: str | None) -> Better:
        """Which way a score is better; None: a table's first. Raises UserError for one that is not known yet."""
        spec = self.spec(table)
        name = metric or (spec.metrics[0] if spec and spec.metrics else "")
        return output_card(name).better
