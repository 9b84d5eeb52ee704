"""Our runs, by the cells that claims name: one value a seed, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from bench.evaluate.registry import on_features, output_card
from bench.plan.expand import Table
from bench.plan.load import table_names
from bench.plan.waiting import to_come
from bench.report.cell_settings import gives_of, protocol_of
from bench.report.cells import ENDED, Pick, ProtocolOf, make_cells, per_seed
from bench.report.claims.expressions import Expression, Made, Place
from bench.report.claims.numbers import Numbers
from bench.report.comparable import best_of_printed
from bench.report.frame import machines_of, of_evaluations, pairs
from bench.report.model import Cell
from bench.spec.run import MetricSpec, ReferenceSplit
from bench.spec.table import Scale
from bench.spec.words import against

Loaded = tuple[Table, pd.DataFrame]
Load = Callable[[str], "Loaded | Lack"]  # from the name of a table that exists


@dataclass(frozen=True)
class Sample:
    """An operand over seeds. ratio: whether it is compared by ratios. kind: what may be compared with what.

    fixed: a printed number, which has no seeds.
    """

    values: Mapping[int, float]
    ratio: bool
    label: str
    kind: tuple[str, ...]
    fixed: bool = False


@dataclass(frozen=True)
class Lack:
    """Why an operand has no values. of: the row that it is about. diverged: at how many seeds, if at all of them.

    waits: whether it will come with a table or a score that does not exist yet. unrun: whether no run has ended. ran:
    whether runs ended that cannot be compared.
    """

    reason: str
    of: str = ""
    waits: bool = False
    unrun: bool = False
    ran: bool = False
    diverged: int = 0
    worst: float = 1.0  # positive where a higher score is worse, 0 where neither end is


class Scores:
    """The results of the tables that claims are about, at one scale; each table is read when it is first named."""

    def __init__(self, scale: Scale, load: Load, *given: Loaded) -> None:
        self.scale, self._load = scale, load
        self._tables: dict[str, Loaded | Lack] = {spec.name: (spec, results) for spec, results in given}
        self._picked: dict[tuple[str, Pick], pd.DataFrame] = {}
        self._protocols: dict[str, ProtocolOf] = {}
        self._given: dict[str, Mapping[tuple[str, str], tuple[MetricSpec, ...]]] = {}
        self._ended: dict[str, set[tuple[str, str]]] = {}  # table -> the cells in which some run has ended

    def table(self, name: str) -> Loaded | Lack:
        """A table with its results, or why there is none."""
        if name not in self._tables:
            exists = name in table_names()
            self._tables[name] = self._load(name) if exists else Lack(f"the table {name}", waits=True)
        return self._tables[name]

    def sample(self, expression: Expression) -> Sample | Lack:
        """The values of a cell, or of a difference or ratio of two over their shared seeds."""
        if isinstance(expression, Place):
            return self._of_place(expression)
        assert isinstance(expression, Made)
        sides = [self.sample(side) if not isinstance(side, float) else _constant(side)
                 for side in (expression.left, expression.right)]  # fmt: skip
        for side in sides:
            if isinstance(side, Lack):
                return side
        a, b = (side for side in sides if isinstance(side, Sample))
        return _made(expression.by, a, b)

    def steps(self, place: Place) -> list[int]:
        """The steps at which a cell's finished runs have been scored."""
        loaded = self.table(place.table)
        if isinstance(loaded, Lack):
            return []
        lines = _lines_of(loaded[1], place)
        return sorted({int(step) for step in lines["step"].dropna()})

    def _of_place(self, place: Place) -> Sample | Lack:
        loaded = self.table(place.table)
        if isinstance(loaded, Lack):
            return loaded
        spec, _ = loaded
        row = next((row for row in spec.rows if row.id == place.row), None)
        if row is not None and row.printed_only is not None:
            return self._printed(spec, place)
        found = self._found(place)
        if isinstance(found, Lack):
            return found
        cell, lines, label = found
        if not cell.sound:
            return self._unsound(spec, place, cell)
        # One value a seed: the score, or what else the claim is about
        values = _values(cell, lines, loaded[1], place)
        if any(math.isnan(value) for value in values.values()):
            return Lack(f"no {place.of}", place.row, ran=True)
        on = machines_of(lines) if output_card(self._metric(spec, place)).of_machine else []
        if len(on) > 1:
            return Lack("taken on several machines:", place.row, ran=True)
        kind = (*label[1], str(cell.version), *on) if place.of in ("value", "abs") else (place.of,)
        ratio = output_card(self._metric(spec, place)).is_ratio or place.of in ("steps", "minutes")
        return Sample(values, ratio, label[0], kind)

    def _found(self, place: Place) -> tuple[Cell, pd.DataFrame, tuple[str, tuple[str, ...]]] | Lack:
        """A cell, its lines (one a seed), and the label and kind of its score."""
        loaded = self.table(place.table)
        if isinstance(loaded, Lack):
            return loaded
        spec, results = loaded
        if (waiting := to_come(spec)) is not None:
            return Lack(f"the measure {waiting}", waits=True)
        if spec.is_absent(place.row, place.column, self.scale):
            return Lack(f"no cell at scale {self.scale}", place.row)
        scored = self._scored(spec, place)
        if isinstance(scored, Lack):
            return scored
        metric, split = scored
        if place.snapshot is not None and of_evaluations(_lines_of(results, place)).any():
            return Lack(f"an evaluation, whose snapshot is its own, not '{place.snapshot}':", place.row, ran=True)
        if spec.name not in self._ended:
            self._ended[spec.name] = pairs(results[results["status"].isin(ENDED)])
        if (place.row, place.column) not in self._ended[spec.name]:  # most claims' cells: no frame is made for them
            return _unrun(place)
        # The lines of this cell and score under the rule
        rule = place.snapshot or spec.snapshot
        assert rule != "every", "written out before"
        key = (spec.name, rule)
        if key not in self._picked:
            self._picked[key] = per_seed(results, rule, self._protocol_of(spec))
        lines = _lines_of(self._picked[key], place)
        extractor = on_features(metric.extractor)
        lines = lines[(lines["metric"] == metric.name) & (lines["extractor"] == extractor)]
        seeds = spec.seeds_at(self.scale)
        cell = make_cells(lines, metric.name, [place.row], [place.column], seeds)[place.row, place.column]
        return cell, lines, (_label(metric, split), (metric.name, extractor, split))

    def _scored(self, spec: Table, place: Place) -> tuple[MetricSpec, ReferenceSplit] | Lack:
        """The score of a cell as its runs or evaluations give it, and which images the reference is of."""
        name, protocol = self._metric(spec, place), self._protocol_of(spec)(place.row, place.column)
        given = self._given[spec.name].get((place.row, place.column), protocol.metrics if protocol else ())
        metric = next((one for one in given if one.name == name), None)
        if metric is None:
            return Lack(f"'{name}', which {spec.name} does not score at scale {self.scale}", waits=True)
        return metric, protocol.split if protocol else "test"

    def _protocol_of(self, spec: Table) -> ProtocolOf:
        if spec.name not in self._protocols:
            self._protocols[spec.name] = protocol_of(spec, self.scale)
            self._given[spec.name] = gives_of(spec, self.scale)
        return self._protocols[spec.name]

    def _metric(self, spec: Table, place: Place) -> str:
        heads = ((spec.rows, place.row), (spec.columns, place.column))
        named = (item.output for items, wanted in heads for item in items if item.id == wanted and item.output)
        return place.metric or next(named, None) or spec.main_metric(self.scale) or ""

    def _unsound(self, spec: Table, place: Place, cell: Cell) -> Lack:
        diverged = cell.statuses.get("diverged", 0)
        if not diverged:
            return _unrun(place)
        everywhere = diverged if diverged == len(cell.seeds) == cell.total else 0
        card = output_card(self._metric(spec, place))
        worst = 1.0 if card.better == "zero" and place.of == "abs" else card.sign
        reason = f"diverged at {diverged} of {cell.total} seeds:"
        return Lack(reason, place.row, ran=True, diverged=everywhere, worst=worst)

    def _printed(self, spec: Table, place: Place) -> Sample | Lack:
        """The number of a row that is printed only: a fixed value, where it is on our own features."""
        scored = self._scored(spec, place)
        if isinstance(scored, Lack) or best_of_printed(spec, self.scale, scored[0]) is None:
            return Lack("printed only, on other data or features than ours:", place.row)
        metric, split = scored
        found = Numbers().printed(replace(place, metric=metric.name, snapshot=None))
        if found is None:
            return Lack("printed only, and not here:", place.row)
        return Sample(
            {0: found[0]}, output_card(metric.name).is_ratio, f"{_label(metric, split)}, printed", ("printed",), True
        )


def _unrun(place: Place) -> Lack:
    return Lack("no finished run", place.row, unrun=True)


def _label(metric: MetricSpec, split: ReferenceSplit) -> str:
    return against(output_card(metric.name).label(metric.extractor), split)


def _lines_of(frame: pd.DataFrame, place: Place) -> pd.DataFrame:
    return frame[(frame["row"] == place.row) & (frame["column"] == place.column)]


def _values(cell: Cell, lines: pd.DataFrame, results: pd.DataFrame, place: Place) -> dict[int, float]:
    """What a claim asks of a cell, by seed; nan where it is not known."""
    scores = dict(zip(cell.seeds, cell.values))
    if place.of == "abs":
        return {seed: abs(value) for seed, value in scores.items()}
    if place.of in ("error", "steps"):
        column = "error" if place.of == "error" else "step"
        own = dict(zip(lines["seed"].astype(int), lines[column].astype(float)))
        return {seed: own[seed] for seed in scores}
    if place.of in ("minutes", "run_score"):
        column = "train_seconds" if place.of == "minutes" else "run_score"
        runs = _lines_of(results, place).drop_duplicates("seed")
        of_run = dict(zip(runs["seed"].astype(int), pd.to_numeric(runs[column], errors="coerce")))
        return {seed: float(of_run[seed]) / (60 if place.of == "minutes" else 1) or math.nan for seed in scores}
    return scores


def _constant(value: float) -> Sample:
    return Sample({0: value}, False, "", ("constant",), fixed=True)


def _made(by: Literal["minus", "over"], a: Sample, b: Sample) -> Sample | Lack:
    """A difference or a ratio, seed by seed."""
    if a.fixed or b.fixed:
        seeds = sorted((b if a.fixed else a).values)
        x = [a.values[0] if a.fixed else a.values[seed] for seed in seeds]
        y = [b.values[0] if b.fixed else b.values[seed] for seed in seeds]
    else:
        seeds = sorted(a.values.keys() & b.values.keys())
        x, y = [a.values[seed] for seed in seeds], [b.values[seed] for seed in seeds]
    if not seeds:
        return Lack("no seeds are shared", ran=True)
    if by == "over" and any(value == 0 for value in y):
        return Lack("a ratio with 0 below", ran=True)
    made = [i - j if by == "minus" else i / j for i, j in zip(x, y)]
    label = a.label if a.label == b.label else ", ".join(filter(None, (a.label, b.label)))
    return Sample(dict(zip(seeds, made)), by == "over", label, (by,))
