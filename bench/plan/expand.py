"""Which runs a table needs: a RunSpec for a row, a column and a seed, at one scale."""

from __future__ import annotations

from collections.abc import Iterable

from bench.contract.expression import parse_method
from bench.contract.signature import needed_sources
from bench.data.points import exists
from bench.errors import UserError
from bench.spec.own_rows import split_label
from bench.spec.run import Protocol, RunSpec, TrainSettings, WeightsFile, reference_run
from bench.spec.table import Column, Row, RowOverride, TableSpec


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
        """Whether the table has the sources that a trained row starts from."""
        method = self.at(scale).rows.get(row.id, RowOverride()).method or row.method
        return method is not None and set(needed_sources(parse_method(method))) <= self.at(scale).sources.keys()

    def run_spec(self, row: Row, column: Column, seed: int, scale: str) -> RunSpec:
        """The run of one cell and seed."""
        settings, override = self.at(scale), self.at(scale).rows.get(row.id, RowOverride())
        assert row.method is not None
        train = TrainSettings.model_validate({**settings.train.model_dump(), **override.train})
        method = parse_method(override.method or row.method)
        return RunSpec(
            method=method,
            network=override.network or settings.network,
            data=settings.columns[column.id].data,
            train=train,
            protocol=self.protocol_of(column, scale),
            seed=seed,
            sources={role: self._source(role, row, scale) for role in needed_sources(method)},
        )

    def points(self, column: Column, scale: str) -> list[str]:
        """The reference points of a column at a scale: those of the table that there are with its reference."""
        data, protocol = self.at(scale).columns[column.id].data, self.protocol_of(column, scale)
        return [point for point in self.references if exists(point, data, protocol)]

    def reference_spec(self, point: str, column: Column, seed: int, scale: str) -> RunSpec:
        """The run that scores a reference point (real images, memorised images) instead of a generator."""
        data = self.at(scale).columns[column.id].data
        return reference_run(point, data, self.protocol_of(column, scale), seed)

    def _source(self, role: str, row: Row, scale: str) -> RunSpec | WeightsFile:
        source = self.at(scale).sources.get(role)
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

    def protocol_of(self, column: Column, scale: str) -> Protocol:
        """How a column's runs are scored at one scale: the scale's protocol with the column's counts."""
        settings = self.at(scale)
        counts = settings.columns[column.id]
        update = {"generated": counts.generated, "reference": counts.reference}
        return settings.protocol.model_copy(update=update)
