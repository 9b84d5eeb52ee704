"""What a cell opens to: its seeds, their curves, samples above the nearest training images, and what made the runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from bench.report.claims.result import ClaimResult
from bench.report.html.curve import Seed, curve_svg
from bench.report.html.tables import anchor_of
from bench.report.model import Block, Cell, ColumnHead, RowHead, TableReport
from bench.report.pictures import Picture
from bench.report.render.cell_text import column_text, row_text
from bench.report.render.joined import shown_blocks


@dataclass(frozen=True)
class RunView:
    """A run of a cell: its seed, and what is recorded of it as (name, value)."""

    seed: int
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Details:
    """All of a cell. heads, seeds: a table with a line a seed. pictures: (address, picture), samples first."""

    anchor: str
    title: str
    heads: Sequence[str]
    seeds: Sequence[Sequence[str]]
    curves: Sequence[tuple[str, Markup]]
    pictures: Sequence[tuple[str, Picture]]
    runs: Sequence[RunView]
    claims: Sequence[ClaimResult]


@dataclass(frozen=True)
class Known:
    """What is known of cells beside their scores, by (row, column): samples, their nearest training images; by run."""

    samples: Mapping[tuple[str, str], Picture] = field(default_factory=dict)
    nearest: Mapping[tuple[str, str], Picture] = field(default_factory=dict)
    started: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


def details_of(report: TableReport, known: Known) -> Iterator[tuple[Details, list[tuple[str, Picture]]]]:
    """The details of every cell that has a run, with its pictures by name; the page gives these an address."""
    every = report.results
    if every.empty:
        return
    for row in report.rows:
        for column in report.columns:
            lines = every[(every["row"] == row.id) & (every["column"] == column.id) & (every["status"] != "missing")]
            if not lines.empty:
                yield _details(report, row, column, lines, known)


def _details(
    report: TableReport, row: RowHead, column: ColumnHead, lines: pd.DataFrame, known: Known
) -> tuple[Details, list[tuple[str, Picture]]]:
    anchor = anchor_of(report, row.id, column.id)
    blocks = [block for block in shown_blocks(report) if block.shows(row) and block.shows(column)]
    heads, seeds = _seeds(blocks, row, column, lines)
    kinds = (("samples", known.samples), ("nearest", known.nearest))
    pictures = [(f"{anchor}-{kind}", by[row.id, column.id]) for kind, by in kinds if (row.id, column.id) in by]
    made = Details(
        anchor=anchor,
        title=f"{row_text(row).strip()} · {column_text(column)}",
        heads=heads,
        seeds=seeds,
        curves=list(_curves(report, blocks, row, column)),
        pictures=(),
        runs=[_run(line, known.started) for line in lines.drop_duplicates("uid").to_dict("records")],
        claims=[claim for claim in report.claims if row.id in claim.rows],
    )
    return made, pictures


def _seeds(
    blocks: Sequence[Block], row: RowHead, column: ColumnHead, lines: pd.DataFrame
) -> tuple[list[str], list[list[str]]]:
    """A line a seed: its status, and its value of each score under each rule that has one."""
    pairs = [(block, block.cells.get((row.id, column.id), Cell())) for block in blocks]
    shown = [(block, cell) for block, cell in pairs if cell.values]
    heads = ["seed", "status", *(f"{block.label}, {block.rule}" for block, _ in shown)]
    values = [(block.measure.digits, dict(zip(cell.seeds, cell.values))) for block, cell in shown]
    body = []
    for seed, status in lines.drop_duplicates("seed").sort_values("seed")[["seed", "status"]].itertuples(index=False):
        numbers = [_number(of.get(int(seed), math.nan), digits) for digits, of in values]
        body.append([str(seed), str(status), *numbers])
    return heads, body


def _curves(
    report: TableReport, blocks: Sequence[Block], row: RowHead, column: ColumnHead
) -> Iterator[tuple[str, Markup]]:
    """A picture for each score that has more than one snapshot; under either rule it is the same."""
    done = set()
    for block in blocks:
        if (block.metric, block.extractor) in done:
            continue
        done.add((block.metric, block.extractor))
        scores = report.scores(block)
        own = scores[(scores["row"] == row.id) & (scores["column"] == column.id)]
        if own["step"].nunique() < 2:
            continue
        seeds = [
            Seed(
                int(str(seed)),
                [(float(step), float(value)) for step, value in zip(group["step"], group["value"])],
                bool((group["status"] == "diverged").any()),
            )
            for seed, group in own.sort_values("step").groupby("seed")
        ]
        points = scores[(scores["kind"] == "reference") & (scores["column"] == column.id)]
        levels = {str(name): float(np.mean(group["value"])) for name, group in points.groupby("row")}
        log = block.measure.is_ratio
        label = f"{block.label} of {row_text(row).strip()} in {column.label} over the steps, a line a seed"
        yield block.axis, curve_svg(f"{label}{', log scale' if log else ''}", seeds, levels, log)


def _run(line: dict[Any, Any], started: Mapping[str, Sequence[tuple[str, str]]]) -> RunView:
    """What is recorded of a run, without what is not."""
    seconds = float(line["train_seconds"] or 0.0)
    facts = [
        ("run", line["uid"]),
        ("status", line["status"]),
        ("from", "" if line["origin"] == "runs" else line["origin"]),
        ("seconds", f"{seconds:,.0f}" if seconds else ""),
        ("code", line["commit"]),
        *started.get(str(line["uid"]), ()),
        ("packages", line["packages"]),
        ("read", line["inputs"]),
        ("changed since", line["changed"]),
        ("remark", line["remark"]),
    ]
    return RunView(int(line["seed"]), [(name, str(value)) for name, value in facts if value and not pd.isna(value)])


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}g}"
