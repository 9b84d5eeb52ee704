"""Which runs a table needs: a RunSpec for a row, a column and a seed, at one scale."""

from __future__ import annotations

from collections.abc import Iterable

from bench.contract.expression import parse_method
from bench.contract.signature import needed_sources
from bench.data.points import exists
from bench.errors import UserError
from bench.spec.own_rows import split_label
from bench.spec.row_column import Column, Row
from bench.spec.run import RunSpec, WeightsFile, reference_run
from bench.spec.table import TableSpec


class Table(TableSpec):
    """A table that knows the runs of its cells."""

    def with_methods(self, expressions: Iterable[str]) -> Table:
        """This table with a row per method expression of the user's, written "expression" or "label=expression".

        The row's id and label are the label, else the expression; it trains the expression. Raises UserError for a
        label that is taken, and for an expression that is not a method.
        """
        rows = list(self.rows)
        for text in expressions:
            label, method = split_label(text)
            taken = {row.id for row in rows}
            if label is None and text in taken:
                continue
            if label is not None and label in {*taken, *self.references, "controls"}:
                raise UserError(f"'{text}': {self.name} has a row '{label}' already; choose another label")
            parse_method(method)
            name = label or text
            rows.append(Row.model_construct(id=name, label=name, method=method, control=True, added=True))
        return self.model_copy(update={"rows": tuple(rows)})

    def fits(self, row: Row, scale: str) -> bool:
        """Whether the table has the settings of a trained row and the sources that it starts from, in all columns."""
        for column in self.columns:
            if not self.trains(row, column, scale):
                continue
            try:
                cell = self.cell(row, column, scale)
            except UserError:
                return False
            if not set(needed_sources(parse_method(cell.method))) <= cell.sources.keys():
                return False
        return True

    def run_spec(self, row: Row, column: Column, seed: int, scale: str) -> RunSpec:
        """The run of one cell and seed: what is trained for it."""
        cell = self.cell(row, column, scale)
        method = parse_method(cell.method)
        return RunSpec(
            method=method,
            network=cell.network,
            data=cell.data,
            train=cell.train,
            protocol=cell.protocol,
            seed=seed,
            sources={role: self._source(role, row, column, scale) for role in needed_sources(method)},
        )

    def points(self, column: Column, scale: str) -> list[str]:
        """The reference points of a column at a scale: those of the table that there are with its reference."""
        if not self.references:
            return []
        settings = self.scored(column, scale)
        return [point for point in self.references if exists(point, settings.data, settings.protocol)]

    def reference_spec(self, point: str, column: Column, seed: int, scale: str) -> RunSpec:
        """The run that scores a reference point (real images, memorised images) instead of a generator."""
        settings = self.scored(column, scale)
        return reference_run(point, settings.data, settings.protocol, seed)

    def _source(self, role: str, row: Row, column: Column, scale: str) -> RunSpec | WeightsFile:
        source = self.cell(row, column, scale).sources.get(role)
        if source is None:
            raise UserError(f"row '{row.id}' starts from a source '{role}', which {self.name} at scale {scale} lacks")
        if isinstance(source, WeightsFile):
            return source
        return RunSpec(
            method=parse_method(source.method),
            network=source.network,
            data=source.data,
            train=source.train,
            protocol=None,
            seed=source.seed,
        )
