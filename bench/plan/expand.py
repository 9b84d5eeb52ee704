"""Which runs a table needs: a RunSpec for a row, a column and a seed, at one scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import ClassVar

from pydantic import PrivateAttr

from bench.contract.expression import parse_method
from bench.contract.signature import needed_sources
from bench.data.points import exists
from bench.errors import UserError, did_you_mean
from bench.evaluate.registry import gives, looks_at_no_run, run_measure, source_roles
from bench.evaluate.traces import traced
from bench.plan.borrowed import Lent, lent, measure_of, refuse_unkept, scored_with
from bench.spec.cell import Cell, Material, Scored, Unfinished, material
from bench.spec.measurement import measurement_run
from bench.spec.own_rows import group_of, split_label
from bench.spec.patch import merge_patches
from bench.spec.row_column import Column, Row
from bench.spec.run import MetricSpec, Part, RunSpec, WeightsFile, evaluation_run, reference_run
from bench.spec.source import Source
from bench.spec.table import TableSpec


class UnknownOutput(UserError):
    """A row or a column names a score or an output that its cell does not have."""


class Table(TableSpec):
    """A table that knows the runs of its cells: trainings, and evaluations of its own runs or of other tables'."""

    KEPT: ClassVar[tuple[str, ...]] = (*TableSpec.KEPT, "trained", "first_runs")  # whoever the lenders are

    _lenders: dict[str, Table] = PrivateAttr(default_factory=dict)
    _parsed: dict[str, tuple[Part, ...]] = PrivateAttr(default_factory=dict)
    _written: dict[str, Table] = PrivateAttr(default_factory=dict)

    def with_lenders(self, lenders: Mapping[str, Table]) -> Table:
        """This table with those whose runs it evaluates, by the names that its `of` keys have."""
        copied = self.model_copy()
        copied._lenders = dict(lenders)
        return copied

    def with_written(self, written: Mapping[str, Table]) -> Table:
        """This table with those, by scale, that its `resources` were written in, where settings have changed since."""
        copied = self.model_copy()
        copied._written = dict(written)
        return copied

    def written(self, scale: str) -> Table:
        """The table that the `resources` of a scale were written in: this one, unless settings have changed since."""
        return self._written.get(scale, self)

    def with_methods(self, expressions: Iterable[str]) -> Table:
        """This table with a row per method expression of the user's, written "expression" or "label=expression".

        The row's id and label are the label, else the expression; it trains the expression, with the settings of a
        group of rows where the label is "label@group". A table that evaluates the runs of others evaluates those of
        such rows of theirs. Raises UserError for a label that is taken, an unknown group, and what is no method.
        """
        expressions, rows = list(expressions), list(self.rows)
        if not expressions:
            return self
        for text in expressions:
            label, method = split_label(text)
            taken = {row.id for row in rows}
            if label is None and text in taken:
                continue
            if label is not None and label in {*taken, *self.references, "controls"}:
                raise UserError(f"'{text}': {self.name} has a row '{label}' already; choose another label")
            parse_method(method)
            group, groups = group_of(label), {row.group for row in self.rows if row.group is not None}
            if group is not None and group not in groups:
                raise UserError(f"'{text}': {self.name} has no group '{group}'; {did_you_mean(group, groups)}")
            name = label or text
            rows.append(Row.model_construct(id=name, label=name, method=method, group=group, control=True, added=True))
        lenders = {name: lender.with_methods(expressions) for name, lender in self._lenders.items()}
        return self.model_copy(update={"rows": tuple(rows)}).with_lenders(lenders)

    def cell(self, row: Row, column: Column, scale: str) -> Cell:
        """All settings of a trained cell. Raises UserError where a setting is missing or does not go with others."""
        try:
            return super().cell(row, column, scale)
        except Unfinished as problem:
            groups = sorted({other.group for other in self.rows if other.group is not None})
            if not (row.added and row.group is None and groups and problem.missing):
                raise
            hint = f"a row of your own has the settings of a group as --method '{row.label}@{groups[0]}=...'"
            raise UserError(f"{problem}; {hint} (groups: {', '.join(groups)})") from problem

    def fits(self, row: Row, scale: str) -> bool:
        """Whether the table has the settings of a trained row and the sources that it starts from, in all columns."""
        for column in self.columns:
            try:
                if self.looks_at_no_run(row, column, scale):
                    self.shown_spec(row, column, 0, scale)
                if (behind := self.behind(row, column, scale)) is None:
                    continue
                cell = behind.table.cell(behind.row, behind.column, scale)
            except UserError:
                return False
            if not set(needed_sources(self.parsed(cell.method))) <= cell.sources.keys():
                return False
        return True

    def looks_at_no_run(self, row: Row, column: Column, scale: str) -> bool:
        """Whether a cell shows a measure that is taken of no finished run."""
        if row.printed_only is not None or self.is_absent(row.id, column.id, scale):
            return False
        return looks_at_no_run(self.merged(column, scale, row).evaluate.get("measure"))

    def trains(self, row: Row, column: Column, scale: str) -> bool:
        """Whether a cell has trainings of its own: it shows them, or an evaluation of them."""
        key = (row.id, column.id, scale)
        if key not in self.trained:
            self.trained[key] = super().trains(row, column, scale) and not self.looks_at_no_run(row, column, scale)
        return self.trained[key]

    def behind(self, row: Row, column: Column, scale: str) -> Lent | None:
        """The trained cell behind what a cell shows: its own, or the one whose runs it evaluates.

        None for a cell that shows no runs: printed only, left out by its paper or by the lender's, or of a measure that
        looks at none.
        """
        if self.trains(row, column, scale):
            return Lent(self, row, column)
        if row.printed_only is not None or self.is_absent(row.id, column.id, scale):
            return None
        if self.merged(column, scale, row).of is None or self.looks_at_no_run(row, column, scale):
            return None
        return lent(self, self._lenders, row, column, scale)

    def shows(self, row: Row, column: Column, scale: str) -> bool:
        """Whether a cell shows tasks: trainings, evaluations of runs, or a measure that looks at none."""
        return self.looks_at_no_run(row, column, scale) or self.behind(row, column, scale) is not None

    def evaluates(self, row: Row, column: Column, scale: str) -> bool:
        """Whether a cell shows evaluations of runs, its own or borrowed ones."""
        return self.merged(column, scale, row).evaluate.get("measure") is not None

    def shown_cells(self, scale: str) -> Iterator[tuple[Row, Column]]:
        """The cells that show tasks (`shows`), row by row, controls among them.

        Rows of the user's own that the table has no settings for are left out: they are refused where they are planned.
        """
        self.at(scale)
        cells = ((row, column) for row in self.rows if self._has_settings(row, scale) for column in self.columns)
        return ((row, column) for row, column in cells if self.shows(row, column, scale))

    def scored_cells(self, scale: str) -> Iterator[tuple[Row, Column]]:
        """Those of `shown_cells` that show runs, trained or evaluated, whose images are scored."""
        return (cell for cell in self.shown_cells(scale) if self.behind(*cell, scale) is not None)

    def built_cells(self, scale: str) -> Iterator[tuple[Row, Column]]:
        """The cells whose networks make steps: those that are trained, and those whose step is measured."""
        for row, column in ((row, column) for row in self.rows for column in self.columns):
            if self.trains(row, column, scale):
                yield row, column
            elif self.looks_at_no_run(row, column, scale):
                name = str(self.merged(column, scale, row).evaluate["measure"])
                if {"method", "network", "train"} <= {*run_measure(name).uses}:
                    yield row, column

    def trained_cells(self, scale: str) -> Iterator[tuple[Row, Column]]:
        """The cells that have trainings of their own, but for rows of the user's own without settings."""
        return (cell for cell in super().trained_cells(scale) if self._has_settings(cell[0], scale))

    def _has_settings(self, row: Row, scale: str) -> bool:
        return not row.added or self.fits(row, scale)

    def shown(self, row: Row, column: Column, scale: str) -> Scored:
        """The images and the protocol of what a cell shows, which must show something."""
        behind = self.behind(row, column, scale)
        assert behind is not None
        if behind.table is self and (behind.row, behind.column) == (row, column):
            return self.cell(row, column, scale)
        where = f"{self.name} at scale {scale}: cell {row.id}/{column.id}"
        lender, own = behind.table.merged(behind.column, scale, behind.row), self.merged(column, scale, row)
        if behind.table is self:  # what the two cells have in common is not laid over the other's own settings
            common = len(self.layers(column, scale))
            own = merge_patches(*(patch for _, patch in self.layers(column, scale, row)[common:]))
        return scored_with(own, lender, where)

    def shown_spec(self, row: Row, column: Column, seed: int, scale: str) -> RunSpec:
        """The task that a cell shows, which must show one: a training, the evaluation of one, or one without a run."""
        if seed != 0:
            return self._shown_spec(row, column, seed, scale)
        if (key := (row.id, column.id, scale)) not in self.shown_first:  # that of seed 0 is asked for again and again
            self.shown_first[key] = self._shown_spec(row, column, 0, scale)
        return self.shown_first[key]

    def _shown_spec(self, row: Row, column: Column, seed: int, scale: str) -> RunSpec:
        if self.looks_at_no_run(row, column, scale):
            return self._measurement(row, column, seed, scale)
        behind, merged = self.behind(row, column, scale), self.merged(column, scale, row)
        assert behind is not None
        run = self.training(row, column, seed, scale)
        if not self.evaluates(row, column, scale):
            return run
        measure = measure_of(self, merged, behind.sampling)
        refuse_unkept(measure, run)
        sources = {
            role: self._source(role, merged.sources, f"measure '{measure.name}'", scale, run)
            for role in source_roles(measure)
        }
        return evaluation_run(measure, run, self.shown(row, column, scale).protocol, sources)

    def material(self, row: Row, column: Column, scale: str) -> Material:
        """The settings of a cell of a measure that looks at no run. Raises UserError for one that is missing."""
        merged = self.merged(column, scale, row)
        where = f"{self.name} at scale {scale}: cell {row.id}/{column.id}"
        if merged.of is not None:
            text = f"measure '{merged.evaluate['measure']}' looks at no run; leave this out"
            raise Unfinished(("of",), where, text)
        return material(merged, run_measure(str(merged.evaluate["measure"])).uses, where)

    def _measurement(self, row: Row, column: Column, seed: int, scale: str) -> RunSpec:
        merged, own = self.merged(column, scale, row), self.material(row, column, scale)
        measure = measure_of(self, merged, None)
        method = parse_method(own.method) if own.method is not None else ()
        whose = dict.fromkeys(source_roles(measure), f"measure '{measure.name}'")
        whose |= dict.fromkeys(needed_sources(method), f"row '{row.id}'")
        sources = {role: self._source(role, merged.sources, name, scale) for role, name in whose.items()}
        return measurement_run(measure, own.data, seed, method=method, network=own.network, train=own.train,
                               protocol=own.protocol, sources=sources)  # fmt: skip

    def training(self, row: Row, column: Column, seed: int, scale: str) -> RunSpec:
        """The training behind what a cell shows, which must show something."""
        behind = self.behind(row, column, scale)
        assert behind is not None and isinstance(behind.table, Table)
        return behind.table.run_spec(behind.row, behind.column, seed, scale)

    def gives(self, row: Row, column: Column, scale: str) -> tuple[MetricSpec, ...]:
        """The numbers that a cell shows, which must show some: scores of its protocol, or outputs of its measure.

        A row or a column may name one of them: one task then serves several cells. Raises UnknownOutput where there is
        none of that name.
        """
        if self.evaluates(row, column, scale):
            given = gives(self.shown_spec(row, column, 0, scale))
        else:
            protocol = self.shown(row, column, scale).protocol
            given = (*protocol.metrics, *traced(protocol))
        if (output := row.output or column.output) is None:
            return given
        if not (named := tuple(metric for metric in given if metric.name == output)):
            raise UnknownOutput(f"gives no '{output}'; {did_you_mean(output, [metric.name for metric in given])}")
        return named

    def run_spec(self, row: Row, column: Column, seed: int, scale: str) -> RunSpec:
        """The run of one cell and seed: what is trained for it. Seeds of a cell differ in nothing else."""
        key = (row.id, column.id, scale)
        if key not in self.first_runs:
            self.first_runs[key] = self._first_run(row, column, scale)
        first = self.first_runs[key]
        return first.model_copy(update={"seed": seed}) if seed else first

    def _first_run(self, row: Row, column: Column, scale: str) -> RunSpec:
        """The run of seed 0."""
        cell = self.cell(row, column, scale)
        method = self.parsed(cell.method)
        return RunSpec(
            method=method,
            network=cell.network,
            data=cell.data,
            train=cell.train,
            protocol=cell.protocol,
            seed=0,
            sources={
                role: self._source(role, cell.sources, f"row '{row.id}'", scale) for role in needed_sources(method)
            },
        )

    @cached_property
    def trained(self) -> dict[tuple[str, str, str], bool]:
        """Those of `trains` that have been asked for."""
        return {}

    @cached_property
    def first_runs(self) -> dict[tuple[str, str, str], RunSpec]:
        """Those of `run_spec` with seed 0 that have been asked for; a changed copy has its own."""
        return {}

    @cached_property
    def shown_first(self) -> dict[tuple[str, str, str], RunSpec]:
        """Those of `shown_spec` with seed 0 that have been asked for; a changed copy has its own."""
        return {}

    def parsed(self, method: str) -> tuple[Part, ...]:
        """The parts of a method expression, each worked out once: a table has the same few in many cells."""
        if method not in self._parsed:
            self._parsed[method] = parse_method(method)
        return self._parsed[method]

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

    def _source(
        self, role: str, sources: Mapping[str, Source | None], whose: str, scale: str, run: RunSpec | None = None
    ) -> RunSpec | WeightsFile:
        """What fills a role. run: the evaluated one, which a source of its measure may start from (role `run`)."""
        source = sources.get(role)
        if source is None:
            raise UserError(f"{whose} starts from a source '{role}', which {self.name} at scale {scale} lacks")
        if isinstance(source, WeightsFile):
            return source
        method = parse_method(source.method)
        needed = needed_sources(method)
        if odd := [name for name in needed if name != "run" or run is None]:
            raise UserError(f"source '{role}' of {whose} starts from a source '{odd[0]}', which a source cannot have")
        return RunSpec(
            method=method,
            network=source.network,
            data=source.data,
            train=source.train,
            protocol=None,
            seed=source.seed,
            sources={name: run for name in needed if run is not None},
        )
