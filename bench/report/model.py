"""What a rendered table consists of: plain data, built once (`build.py`), read by every renderer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from bench.evaluate.registry import output_card
from bench.evaluate.traces import Trace
from bench.metrics.output import Output
from bench.report.claims.result import ClaimResult
from bench.report.frame import of_evaluations
from bench.report.picture_figure import PictureFigure
from bench.spec.run import ReferenceSplit
from bench.spec.table import Scale
from bench.stats import Interval, Spread

Rule = Literal["best", "final"]
Kind = Literal["method", "control", "added", "printed", "reference"]

OLDER = "of an older score"  # the status of an ended seed beside seeds of a newer version of the score


@dataclass(frozen=True)
class RowHead:
    """A row's name; `why` is the reason of a row that is printed only, `output` the one number that it shows."""

    id: str
    label: str
    kind: Kind = "method"
    why: str | None = None
    output: str | None = None


@dataclass(frozen=True)
class ColumnHead:
    """A column: its data set at this scale (by name and in full), what it stands in for, and its counts (0: unscored).

    added: what the user has added by --columns, in words; "" for a column of the table.
    split: which images the reference is of. absent: the reference points of the table that it cannot have.
    others: rows whose data, counts or reference differ in it, each with theirs in words. output: the one number that it
    shows.
    """

    id: str
    label: str
    name: str
    dataset: str
    stand_in: str | None
    generated: int
    reference: int
    added: str = ""
    split: ReferenceSplit = "test"
    absent: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    output: str | None = None


@dataclass(frozen=True)
class Cell:
    """A reduction over the seeds of one row and column, for one metric and snapshot rule.

    seeds, values: of the runs that ended; nan where a diverged run has no score.
    statuses: how many of the planned seeds are done, diverged, running, failed, missing.
    interval: set where every value is a number. spread: set instead where a seed diverged. Neither is set while
    nothing has ended.
    best_of: the best single seed, where the paper reports the best of several.
    version: the version of the score in all values; seeds of an older one count as `OLDER` and are left out.
    outdated: whether that version is not today's.
    rank: the interval of its rank among the rows of its column; None where it is not ranked. groups: the letters of the
    groups of rows that it cannot be told apart from ("ab").
    """

    seeds: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    statuses: Mapping[str, int] = field(default_factory=Counter)
    interval: Interval | None = None
    spread: Spread | None = None
    pooled: bool = False
    printed: str | None = None
    verdict: str | None = None
    mark: Literal["best", "alike", ""] = ""
    best_of: float | None = None
    version: int | None = None
    outdated: bool = False
    rank: tuple[int, int] | None = None
    groups: str = ""

    @property
    def total(self) -> int:
        """The seeds that there should be."""
        return sum(self.statuses.values())

    @property
    def centre(self) -> float:
        """The mean, or the median where a seed diverged; nan while nothing has ended."""
        if self.interval is not None:
            return self.interval.mean
        return self.spread.median if self.spread is not None else math.nan

    @property
    def sound(self) -> bool:
        """Whether every value is a number: a cell to compare with others."""
        return self.interval is not None


@dataclass(frozen=True)
class Block:
    """One metric under one snapshot rule: a grid of cells, by row id and column id.

    selects: the metric by which the rule "best" picks a seed's snapshot. parts: further metrics whose cells it holds.
    groups: lines on which rows cannot be told apart, by column.
    """

    metric: str
    extractor: str
    label: str
    rule: Rule
    selects: str
    paper_rule: bool
    cells: Mapping[tuple[str, str], Cell]
    notes: tuple[str, ...] = ()
    split: ReferenceSplit = "test"  # which images the reference is of
    parts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def measure(self) -> Output:
        """The card of the metric."""
        return output_card(self.metric)

    def shows(self, head: RowHead | ColumnHead) -> bool:
        """Whether a row or a column has this metric: it names no output, or this one."""
        return head.output in (None, self.metric, *self.parts)

    @property
    def axis(self) -> str:
        """The label, with the unit where there is one."""
        return f"{self.label} in {self.measure.unit}" if self.measure.unit else self.label

    @property
    def rule_words(self) -> str:
        """For example "final snapshot (the table's rule)"."""
        whose = " (the table's rule)" if self.paper_rule else ""
        rule = "final snapshot"
        if self.rule == "best":
            rule = f"best snapshot of each seed by {output_card(self.selects).short}"
        return f"{rule}{whose}"

    @property
    def title(self) -> str:
        """For example "FD(effnet_lite0@96), lower is better; final snapshot (the table's rule)"."""
        return f"{self.axis}, {self.measure.direction}; {self.rule_words}"


@dataclass(frozen=True)
class Comparison:
    """Two cells in one column: `size`, a ratio of distances or a difference of other scores.

    p: two-sided. adjusted: Holm's p over all comparisons that were made together.
    sd, df: of the differences over seeds (of logs for a ratio).
    paired: whether it is over shared seeds; else it is Welch's test.
    """

    column: str
    what: Literal["ratio", "difference"]
    size: float
    low: float
    high: float
    p: float
    adjusted: float
    n: int
    df: float
    sd: float
    paired: bool

    @property
    def null(self) -> float:
        """The size of no difference."""
        return 1.0 if self.what == "ratio" else 0.0


@dataclass(frozen=True)
class CurveAxis:
    """The x axis of a figure: the training's steps, or what its columns differ in, whose points are its cells.

    x: of each cell, by row and column id; empty over steps. by_row: a panel for each row instead of a line.
    """

    label: str
    x: Mapping[tuple[str, str], float]
    over_steps: bool = False
    by_row: bool = False
    log: tuple[str, ...] = ()  # of "x" and "y"


@dataclass(frozen=True)
class TableReport:
    """A table, ready to be rendered. main: the metric whose block comes first among equals (curves show it)."""

    name: str
    title: str
    paper: str | None
    scale: Scale
    rows: tuple[RowHead, ...]
    columns: tuple[ColumnHead, ...]
    blocks: tuple[Block, ...]
    claims: tuple[ClaimResult, ...]
    caption: tuple[str, ...]
    notes: tuple[str, ...]
    results: pd.DataFrame
    main: str | None = None
    curve: CurveAxis | None = None  # of a table that is a figure of curves
    figure: PictureFigure | None = None  # of one that is a figure of pictures

    @property
    def main_block(self) -> Block | None:
        """The block that the curves show: the main metric's, else the first one shown."""
        return next((block for block in self.blocks if block.metric == self.main), next(iter(self.blocks), None))

    def scores(self, block: Block) -> pd.DataFrame:
        """The result lines that the curves of a block show: not stale, and finite (positive on a log axis)."""
        lines = self.results
        shown = np.isfinite(lines["value"])
        if block.measure.is_ratio:
            shown &= lines["value"] > 0
        same = (lines["metric"] == block.metric) & (lines["extractor"] == block.extractor)
        same &= ~of_evaluations(lines)  # an evaluation has one snapshot, no curve
        return lines[same & shown & (lines["status"] != "stale")]

    def traced(self, trace: Trace) -> pd.DataFrame:
        """The result lines of a trace that its curves show: finite, and not stale; none where a number is not shown."""
        names = {output.name for output in trace.outputs}
        if not names <= {block.metric for block in self.blocks}:
            return self.results.iloc[:0]
        lines = self.results[self.results["metric"].isin(names)]
        return lines[np.isfinite(lines["value"]) & (lines["status"] != "stale") & (lines["kind"] == "train")]
