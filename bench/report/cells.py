"""From scores to cells: one value per seed by the snapshot rule, then a mean with its interval over seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.evaluate.registry import output_card
from bench.metrics.selection import best_step
from bench.report.frame import of_evaluations, plain
from bench.report.model import OLDER, Cell, Rule
from bench.spec.run import Protocol
from bench.stats import Interval, pooled_sd, spread, t_interval

ENDED = ("done", "diverged")
Grid = dict[tuple[str, str], Cell]


class _Line(NamedTuple):
    """What a cell is made of: the score of one seed."""

    seed: int
    status: str
    version: Any  # a whole number, or pandas' mark of none
    value: Any


ProtocolOf = Callable[[str, str], Protocol | None]  # from the ids of a row and a column
Pick = Rule | int | float


def per_seed(results: pd.DataFrame, rule: Pick, protocol: Protocol | ProtocolOf) -> pd.DataFrame:
    """One line per run (kind, row, column, seed), metric and extractor: the score that `rule` picks.

    best: the snapshot of that seed with the best value of the selecting score, for all metrics alike. Training keeps
    best.pt by the same rule (`bench.metrics.selection`).
    final: the last snapshot; a diverged run has none. An evaluation has one snapshot.
    A whole number is a step. A share of the training is the snapshot that is nearest to it.
    The value is nan where a run has no such snapshot or has not ended.
    protocol: of all runs, or a function that gives each cell's.
    """
    keys, score = ["kind", "row", "column", "seed"], ["metric", "extractor"]
    # The picked step of each run; runs are numbered, so that all of them are joined in one go.
    numbered = results.assign(run=results.groupby(keys, sort=False).ngroup())
    steps = _picked_steps(numbered, rule, protocol)
    # Every metric that a run has, joined with the lines of the picked snapshot: an absent score is nan.
    every = numbered.drop_duplicates(["run", *score])[["run", *keys, *score, "status"]]
    at_step = (numbered["step"] == numbered["run"].map(steps).astype("Int64")).fillna(False).astype(bool)
    kept = [name for name in ("step", "value", "error", "version", "machine") if name in numbered]
    picked = numbered.loc[at_step, ["run", *score, *kept]]
    return every.merge(picked, how="left").drop(columns="run")


def make_cells(
    values: pd.DataFrame,
    metric: str,
    rows: Sequence[str],
    columns: Sequence[str],
    seeds: int,
    sharing: Collection[tuple[str, str]] = (),
) -> Grid:
    """A cell per row and column, from `per_seed` lines of one metric; `seeds` is the number planned per cell.

    The sd is pooled over the rows of a column where their spreads are alike. It is relative to the mean (on the log
    scale) for scores that are compared as ratios, and absolute for the others.
    sharing: cells that show the same trainings as another one of their column. They are no further replicates, so they
    are left out of the pool and have their own sd.
    """
    # Plain lists: a data frame for each of a table's cells would take most of a report's time.
    lines: dict[tuple[str, str], list[_Line]] = {}
    needed = (plain(values[name]) for name in ("row", "column", *_Line._fields))
    for row, column, *line in zip(*needed):
        lines.setdefault((row, column), []).append(_Line(*line))
    cells = {(r, c): _cell(lines.get((r, c), []), metric, seeds) for r in rows for c in columns}
    for column in columns:
        down = {key: cell for key, cell in cells.items() if key[1] == column and cell.sound and key not in sharing}
        for version in {cell.version for cell in down.values()}:
            cells |= _pooled({key: cell for key, cell in down.items() if cell.version == version}, metric)
    return cells


def degrees_of_freedom(cells: Mapping[tuple[str, str], Cell], column: str, whose: str = "paper's") -> str | None:
    """How the intervals of a column got their sd, in words; None while it has no interval at all.

    whose: rows the column's rows are, "paper's" or "table's".
    """
    down = [cell for (_, name), cell in cells.items() if name == column and cell.interval is not None]
    pooled = next((cell.interval for cell in down if cell.pooled), None)
    if pooled is not None:
        return f"{pooled.df:g}, sd pooled over the {whose} rows"
    if any(cell.interval is not None and cell.interval.n > 1 for cell in down):
        return "n - 1 a cell, as the rows' spreads differ (Bartlett's test)"
    return None


def _picked_steps(numbered: pd.DataFrame, rule: Pick, protocol: Protocol | ProtocolOf) -> dict[int, int | None]:
    """The step of each run's picked snapshot, by the run's number; None where it has no such snapshot."""
    lines_of: dict[int, list[dict[str, Any]]] = {}
    needed = ["run", "row", "column", "status", "step", "metric", "extractor", "value"]
    columns = [plain(numbered[name]) for name in needed]
    for *values, evaluated in zip(*columns, of_evaluations(numbered)):
        line = {**dict(zip(needed, values)), "evaluated": evaluated}
        lines_of.setdefault(line["run"], []).append(line)
    steps: dict[int, int | None] = {}
    for run, lines in lines_of.items():
        own = protocol if isinstance(protocol, Protocol) else protocol(str(lines[0]["row"]), str(lines[0]["column"]))
        # An evaluation has one snapshot, also where it has no protocol.
        known = own is not None or any(line["evaluated"] for line in lines)
        steps[run] = _snapshot(lines, rule, own) if known and lines[0]["status"] in ENDED else None
    return steps


def _snapshot(lines: list[dict[str, Any]], rule: Pick, protocol: Protocol | None) -> int | None:
    """The step that a rule picks among the lines of one run that has ended."""
    scored = [line for line in lines if not pd.isna(line["step"])]
    if not isinstance(rule, str):
        steps = sorted({int(line["step"]) for line in scored})
        wanted = rule * steps[-1] if isinstance(rule, float) and steps else rule
        nearest = min(steps, key=lambda step: abs(step - wanted), default=None)
        return nearest if isinstance(rule, float) or nearest == rule else None
    if rule == "final" or any(line["evaluated"] for line in lines):
        ended = lines[0]["status"] == "done" and scored
        return max(int(line["step"]) for line in scored) if ended else None
    return best_step(protocol, scored) if protocol is not None else None


def _cell(lines: Sequence[_Line], metric: str, seeds: int) -> Cell:
    if not lines:
        return Cell(statuses=Counter(missing=seeds))
    # How many seeds have which status; planned seeds without a line are missing.
    statuses = Counter(str(line.status) for line in lines)
    if len(lines) < seeds:
        statuses["missing"] += seeds - len(lines)
    # Only the newest version of the score counts: a mean over two versions would mean nothing.
    ended = sorted((line for line in lines if line.status in ENDED), key=lambda line: line.seed)
    version = max((int(line.version) for line in ended if not pd.isna(line.version)), default=None)
    older = [line for line in ended if not pd.isna(line.version) and line.version != version]
    for line in older:
        statuses[str(line.status)] -= 1
        statuses[OLDER] += 1
    ended = [line for line in ended if line not in older]
    values = tuple(float(line.value) for line in ended)
    outdated = version is not None and version < output_card(metric).version
    ended_seeds = tuple(int(line.seed) for line in ended)
    cell = Cell(ended_seeds, values, statuses, version=version, outdated=outdated)
    if not values:
        return cell
    # A diverged seed has no t interval: the cell then shows the median and range.
    if statuses["diverged"] or not np.isfinite(values).all():
        worst = output_card(metric).worst_value
        ok = sum(line.status == "done" and math.isfinite(value) for line, value in zip(ended, values))
        # A finite score from before the divergence does not count as ok.
        return replace(cell, spread=replace(spread(values, worst), ok=ok))
    return replace(cell, interval=t_interval(values))


def _pooled(down: Grid, metric: str) -> Grid:
    """The cells of one column with their pooled intervals; unchanged where the rule forbids pooling."""
    relative = output_card(metric).is_ratio and all(value > 0 for cell in down.values() for value in cell.values)
    groups = [np.log(cell.values) if relative else cell.values for cell in down.values()]
    pooled = pooled_sd(groups)
    if pooled is None:
        return down
    sd, df = pooled
    return {
        key: replace(cell, interval=_interval(cell, sd * (cell.centre if relative else 1.0), df), pooled=True)
        for key, cell in down.items()
    }


def _interval(cell: Cell, sd: float, df: float) -> Interval:
    return t_interval(cell.values, sd=sd, df=df)
