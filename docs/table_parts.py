"""Generated parts that come from a table: its settings, the values that are ours, its claims, its recorded scores."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import yaml

import bench
from bench.metrics import label
from bench.plan.claims import every_claim
from bench.plan.expand import Table
from bench.plan.load import TABLES, load_table, table_names
from bench.plan.waiting import to_come
from bench.report import markdown
from bench.report.cell_settings import said_of_cells
from bench.report.claims.judge import judge
from bench.report.claims.known import KnownTables
from bench.spec.cell import Cell, Scored
from bench.spec.row_column import Column, Row
from bench.spec.run import NetworkSpec
from bench.spec.table import Scale
from bench.spec.words import REFERENCES, data_words
from docs.grid import grid

OURS = re.compile(r"#\s*(declared|ours)\b")


def tables() -> str:
    """Every table that ships: what it is, and how much of it is trained or waits for a measure."""
    body = []
    for name in table_names():
        table = load_table(name)
        printed = sum(row.printed_only is not None for row in table.rows)
        controls = sum(row.control for row in table.rows)
        measure = to_come(table)
        state = f"wait for `{measure}`" if measure else "trained"
        rows = [f"{len(table.pick_rows(None))} {state}", f"{printed} printed only", f"{controls} controls"]
        columns = ", ".join(column.label for column in table.columns)
        counts = ", ".join(part for part in rows if not part.startswith("0 "))
        name = f"[`{name}`](docs/reproduce/{table.paper}.md)"
        scales = ", ".join(sorted(table.scales))
        body.append((name, table.title, counts, columns, _seeds(table), scales, str(len(table.claims))))
    return grid(("table", "what it is", "rows", "columns", "seeds", "scales", "claims"), body)


def _seeds(table: Table) -> str:
    """The number of seeds, at each scale where it is not the same at all."""
    counts = {scale: table.seeds_at(scale) for scale in sorted(table.scales)}
    if len(set(counts.values())) == 1:
        return str(next(iter(counts.values())))
    return ", ".join(f"{scale} {count}" for scale, count in counts.items())


def settings(name: str) -> str:
    """A table's settings at each of its scales; where cells differ, each setting with the cells that have it."""
    body = []
    table = load_table(name)
    for scale in table.scales:
        body.append((
            scale, _said(table, scale, lambda cell: _network(cell.network)), _said(table, scale, _steps),
            _said(table, scale, _adam), "<br>".join(_data(table, scale)), _said(table, scale, _scores),
        ))  # fmt: skip
    heads = ("scale", "network", "steps x batch", "Adam", "column: data; generated / reference", "scores")
    return grid(heads, body)


def _said(table: Table, scale: str, say: Callable[[Cell], str]) -> str:
    """What there is to say of the paper's cells, each text once."""
    own = table.model_copy(update={"rows": tuple(table.pick_rows(None))})
    cells = own.built_cells(scale)
    texts = said_of_cells(own, cells, lambda row, column: say(own.cell(row, column, scale)))
    return "<br>".join(f"{cells}: {text}" if cells else text for text, cells in texts)


def _steps(cell: Cell) -> str:
    return f"{cell.train.steps:,} x {cell.train.batch}, {cell.train.d_steps} of D"


def _adam(cell: Cell) -> str:
    return f"G {cell.train.g_lr:g}, D {cell.train.d_lr:g}, ({cell.train.beta1:g}, {cell.train.beta2:g})"


def _data(table: Table, scale: str) -> list[str]:
    """The data and counts of each column."""
    texts = []
    for column in table.columns:
        cells = [pair for pair in table.shown_cells(scale) if pair[1].id == column.id]
        for text, rows in said_of_cells(table, cells, lambda row, one: _cell_text(table, row, one, scale)):
            texts.append(f"{column.id}{f' ({rows})' if rows else ''}: {text}")
    return texts


def _cell_text(table: Table, row: Row, column: Column, scale: str) -> str:
    if not table.looks_at_no_run(row, column, scale):
        return _data_text(table.shown(row, column, scale))
    own = table.material(row, column, scale)
    stand_in = f" (stand-in: {own.stand_in})" if own.stand_in else ""
    return f"`{own.data.name}`{data_words(own.data).removeprefix(own.data.name)}{stand_in}"


def _data_text(cell: Scored) -> str:
    protocol = cell.protocol
    return (
        f"`{cell.data.name}`{data_words(cell.data).removeprefix(cell.data.name)}"
        + (f" (stand-in: {cell.stand_in})" if cell.stand_in else "")
        + f"; {protocol.generated:,} / {protocol.reference:,}"
        + (REFERENCES[protocol.split] if protocol.split != "test" else "")
    )


def _scores(cell: Cell) -> str:
    return "; ".join(
        label(metric.name, metric.extractor) + (f", k = {metric.k}" if metric.k else "")
        for metric in cell.protocol.metrics
    )


def _network(network: NetworkSpec) -> str:
    options = ", ".join(f"{key}: {json.dumps(value)}" for key, value in network.options.items())
    return f"`{network.name}`" + (f" ({options})" if options else "")


def declared(name: str) -> str:
    """The values of a table that its YAML marks as ours: a line whose comment begins with "declared" or "ours"."""
    lines = [f"- `{path}`: `{value}`" for path, value in marked_as_ours((TABLES / f"{name}.yaml").read_text())]
    return "\n".join(lines) if lines else "None of its own."


@cache
def marked_as_ours(text: str) -> tuple[tuple[str, str], ...]:
    """(keys, value) of each line of a YAML file whose comment begins with "declared" or "ours"."""
    marked = {number for number, line in enumerate(text.splitlines()) if OURS.search(line)}
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return tuple((path, " ".join(value.split())) for path, value, line in _leaves(root, "") if line in marked)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, str, int]]:
    """(keys, text, line) of every value that stands on one line."""
    if node.start_mark.line == node.end_mark.line:
        yield (
            path,
            node.start_mark.buffer[node.start_mark.pointer : node.end_mark.pointer],
            node.start_mark.line,
        )
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, f"{path}.{key.value}".lstrip("."))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _leaves(value, f"{path}[{number}]")


def claims(paper: str) -> str:
    """A paper's statements by table, and what its own printed numbers say of each."""
    known, body = KnownTables(), []
    for table, claim in every_claim():
        if table.partition("/")[0] == paper:
            found = judge(claim, table, known, None)
            printed = f"{found.printed.agree}/{found.printed.of}" if found.printed else "-"
            note = f"<br>*{html.escape(claim.note)}*" if claim.note else ""
            body.append((f"`{claim.id}`", html.escape(claim.text) + note, claim.place or "", f"`{table}`", printed))
    return grid(("claim", "what the paper says, in our words", "place", "told with", "printed"), body)


def recorded(collection: str, name: str, scale: Scale, column: str, rows: str) -> str:
    """The first block of a table's report from a recorded set: its first score, under the paper's snapshot rule."""
    table = load_table(name)
    picked = table.model_copy(update={
        "rows": tuple(table.pick_rows(rows.split(","))), "columns": tuple(table.pick_columns([column])), "claims": (),
    })  # fmt: skip
    results = bench.load_results(name, scale, recorded=collection)
    report = bench.report.build_report(picked, scale, results[results["column"] == column])
    return markdown.render(report).split("\n### ")[1]


def recorded_curve(
    collection: str, name: str, scale: Scale, column: str, seed: str, metric: str, extractor: str
) -> str:
    """One seed's score at every snapshot, a line a row, from a recorded set, and under them the reference points."""
    frame = bench.load_results(name, scale, recorded=collection)
    frame = frame[(frame["column"] == column) & (frame["seed"] == int(seed)) & frame["value"].notna()]
    frame = frame[(frame["metric"] == metric) & (frame["extractor"] == extractor)]
    trained, points = frame[frame["kind"] == "train"], frame[frame["kind"] == "reference"]
    steps = sorted(trained["step"].astype(int).unique())
    body = []
    for row in load_table(name).rows:
        values = trained[trained["row"] == row.id].set_index("step")["value"]
        if len(values):
            body.append((f"`{row.id}`", *(f"{values[step]:.4g}" if step in values.index else "–" for step in steps)))
    lines = [f"{point}: {value:.4g}" for point, value in zip(points["row"], points["value"], strict=True)]
    return f"{grid((label(metric, extractor), *(f'step {step:,}' for step in steps)), body)}\n\n{'; '.join(lines)}."
