"""A method against baselines: its rank, ratios with intervals, the seeds that differences would need, and its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.errors import UserError
from bench.evaluate.registry import on_features, output_card
from bench.metrics.output import Output
from bench.plan.expand import Table
from bench.report.cell_settings import metrics_of, protocol_of, protocols, sharing
from bench.report.cells import Grid, make_cells, per_seed
from bench.report.costs import ColumnCosts, Spent, column_costs
from bench.report.frame import machines_of
from bench.report.heads import column_heads
from bench.report.model import Cell, Rule
from bench.report.origins import stale_notes
from bench.report.pairs import standing
from bench.report.protocol_differences import refused, schedules
from bench.report.render.cell_text import column_text
from bench.report.verdicts import Standing, standing_of
from bench.spec.run import MetricSpec
from bench.spec.table import Scale
from bench.spec.words import against


class NoScoresError(UserError):
    """What is to be compared has no scores at all."""


@dataclass(frozen=True)
class MethodComparison:
    """A method against a recorded set, a table or the own store, in one metric of a table at a scale.

    recorded: what it is compared with, by name. columns: the labels of data sets, by column id.
    refused: (row, column id, why) of what was scored under another protocol. costs: of the columns, where any cost of
    the runs was measured. notes: what else is to be known of the rows.
    """

    method: str
    recorded: str
    table: str
    scale: Scale
    metric: str
    label: str
    rule: Rule
    standings: tuple[Standing, ...]
    columns: Mapping[str, str]
    refused: tuple[tuple[str, str, str], ...] = ()
    costs: tuple[ColumnCosts, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def card(self) -> Output:
        """The card of the metric."""
        return output_card(self.metric)


def compare(
    spec: Table,
    scale: Scale,
    method: str,
    ours: pd.DataFrame,
    recorded: pd.DataFrame,
    set_name: str = "recorded",
    metric: str | None = None,
    spent: Mapping[str, Spent] | None = None,
) -> MethodComparison:
    """Compare the runs of `method` (the lines of `ours` with that row id) with every row of a recorded set.

    ours, recorded: results (`load_results`, `load_recorded`) of the same table and scale. Both are reduced by the
    table's snapshot rule. Columns in which the method has no score are left out.
    metric: a metric of the table; None: its main one. Its card decides between ratios and differences; `verdicts` says
    how they are tested. spent: what runs cost, by uid (`costs.spent_by`).
    Raises UserError if either side has no such scores, and where all baselines were scored under another protocol.
    """
    spec_metric = _metric(spec, scale, metric)
    metric = spec_metric.name
    # One value per seed on either side, under one protocol
    own = ours[ours["row"] == method]
    trained = recorded[recorded["kind"] == "train"]
    mine, theirs = (_scores(lines, spec, scale, spec_metric) for lines in (own, trained))
    others = refused(own, trained, spec_metric)
    _refuse_nothing(mine, theirs, own, others, spec, scale, metric, (method, set_name))
    kept = [pair not in others for pair in zip(theirs["row"], theirs["column"])]
    theirs = theirs[kept]
    # The columns in which we have a score, and the baselines other than copies of our own runs
    columns = _columns(spec, mine, theirs, others, metric, (method, set_name))
    copies = set(recorded.loc[recorded["uid"].isin(set(own["uid"])), "row"])
    rows = [row for row in dict.fromkeys(theirs["row"]) if row not in copies]
    # Every pair of cells, tested; then the standing of the method in each column
    our_cells = make_cells(mine, metric, [method], columns, spec.seeds_at(scale))
    their_cells = make_cells(theirs, metric, rows, columns, spec.seeds_at(scale))
    shared = sharing(spec, scale)
    standings = tuple(
        standing_of(
            column,
            our_cells[method, column],
            {row: their_cells[row, column] for row in rows if (row, column) not in others},
            metric,
            scale,
            {row: (row, column) not in shared for row in rows},
        )
        for column in columns
    )
    splits = {protocol.split for protocol in protocols(spec, scale)}
    label = output_card(metric).label(spec_metric.extractor)
    return MethodComparison(
        method,
        set_name,
        spec.name,
        scale,
        metric,
        against(label, splits.pop() if len(splits) == 1 else "test"),
        spec.snapshot,
        standings,
        _labels(spec, scale),
        tuple((row, column, why) for (row, column), why in others.items() if column in columns and row not in copies),
        _costs({**our_cells, **their_cells}, columns, metric, pd.concat([own, trained]), spent or {}),
        tuple(_notes(own, trained, spec)),
    )


def _metric(spec: Table, scale: Scale, metric: str | None) -> MetricSpec:
    name = metric or spec.main_metric(scale) or ""
    found = next((candidate for candidate in metrics_of(spec, scale) if candidate.name == name), None)
    if found is None:
        raise UserError(f"table '{spec.name}' at scale {scale} does not score '{name}'")
    return found


def _scores(frame: pd.DataFrame, spec: Table, scale: Scale, metric: MetricSpec) -> pd.DataFrame:
    """One value per seed, by the table's snapshot rule."""
    values = per_seed(frame, spec.snapshot, protocol_of(spec, scale))
    return values[(values["metric"] == metric.name) & (values["extractor"] == on_features(metric.extractor))]


def _refuse_nothing(
    mine: pd.DataFrame,
    theirs: pd.DataFrame,
    own: pd.DataFrame,
    others: Mapping[tuple[str, str], str],
    spec: Table,
    scale: Scale,
    metric: str,
    names: tuple[str, str],
) -> None:
    """Raise UserError where a side has no finished score, or has times of several machines."""
    method, set_name = names
    for name, values in ((f"method '{method}'", mine), (f"recorded set '{set_name}'", theirs)):
        if values["value"].notna().sum() == 0:
            if values is theirs and others:
                raise UserError(_all_refused(set_name, metric, others))
            stale = " ".join(stale_notes(own)) if values is mine else ""
            raise NoScoresError(
                f"{name} has no finished '{metric}' scores for {spec.name} at scale {scale}"
                + (f". {stale}" if stale else "")
            )
    machines = machines_of(pd.concat([mine, theirs])) if output_card(metric).of_machine else []
    if len(machines) > 1:
        raise UserError(f"'{metric}' was taken on several machines ({'; '.join(machines)}), and is not compared across")


def _columns(
    spec: Table,
    mine: pd.DataFrame,
    theirs: pd.DataFrame,
    others: Mapping[tuple[str, str], str],
    metric: str,
    names: tuple[str, str],
) -> list[str]:
    """The columns in which ours has a score. Raises UserError where no baseline has one in any of them."""
    method, set_name = names
    scored = set(mine.loc[mine["value"].notna(), "column"])
    columns = [column.id for column in spec.columns if column.id in scored]
    held = set(theirs.loc[theirs["value"].notna(), "column"])
    if not held & set(columns):
        here = {pair: why for pair, why in others.items() if pair[1] in scored}
        if here:
            raise UserError(_all_refused(set_name, metric, here))
        raise UserError(
            f"recorded set '{set_name}' has no finished '{metric}' scores in {_listed(columns)}, where '{method}' has "
            f"some; it has {_listed(sorted(held))}. --against runs compares with the rows of this store"
        )
    return columns


def _all_refused(set_name: str, metric: str, others: Mapping[tuple[str, str], str]) -> str:
    whose = "; ".join(f"{row} in {column}: {why}" for (row, column), why in list(others.items())[:3])
    more = f"; and {len(others) - 3} more" if len(others) > 3 else ""
    return f"no '{metric}' of '{set_name}' was scored as ours was: {whose}{more} (ours first)"


def _listed(columns: list[str]) -> str:
    return f"column{'s' if len(columns) > 1 else ''} {', '.join(columns)}"


def _labels(spec: Table, scale: Scale) -> dict[str, str]:
    """The columns as reports name them: the paper's label, with what stands in for its data."""
    return {head.id: column_text(head) for head in column_heads(spec, scale)}


def _costs(
    cells: Grid, columns: list[str], metric: str, lines: pd.DataFrame, spent: Mapping[str, Spent]
) -> tuple[ColumnCosts, ...]:
    """What the rows of each column cost beside their score; nothing where no run has measured hours."""
    if not output_card(metric).ranks:
        return ()
    runs: dict[tuple[str, str], list[str]] = {}
    for row, column, uid in lines[["row", "column", "uid"]].drop_duplicates().itertuples(index=False, name=None):
        runs.setdefault((row, column), []).append(uid)
    found = []
    for column in columns:
        rows = {row: _score(cell, metric) for (row, name), cell in cells.items() if name == column and cell.sound}
        found.append(column_costs(column, rows, {row: runs.get((row, column), []) for row in rows}, spent))
    return tuple(found) if any(one.devices for one in found) else ()


def _score(cell: Cell, metric: str) -> tuple[float, float]:
    return cell.centre, standing(cell, metric)


def _notes(ours: pd.DataFrame, theirs: pd.DataFrame, spec: Table) -> list[str]:
    if spec.snapshot != "best":
        return []
    found = schedules(ours, theirs)
    told = "; ".join(f"{row} in {column}: {text}" for (row, column), text in found.items())
    return [f"More snapshots give a better best one (ours first): {told}."] if told else []
