"""Generated parts that come from a table: its settings, the values that are ours, its claims, its recorded scores."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

import bench
from bench.metrics import label
from bench.plan.load import TABLES, load_table, table_names
from bench.report import markdown
from bench.spec.run import NetworkSpec
from bench.spec.table import Scale
from bench.spec.words import REFERENCES, data_words
from docs.grid import grid

OURS = re.compile(r"#\s*(declared|ours)\b")


def tables() -> str:
    """Every table that ships: what it is and how much of it is trained."""
    body = []
    for name in table_names():
        table = load_table(name)
        printed = sum(row.printed_only is not None for row in table.rows)
        controls = sum(row.control for row in table.rows)
        rows = [f"{len(table.pick_rows(None))} trained", f"{printed} printed only", f"{controls} controls"]
        columns = ", ".join(column.label for column in table.columns)
        counts = ", ".join(part for part in rows if not part.startswith("0 "))
        name = f"[`{name}`](docs/reproduce/{table.paper}.md)"
        scales = ", ".join(sorted(table.scales))
        body.append((name, table.title, counts, columns, str(table.seeds), scales, str(len(table.claims))))
    return grid(("table", "what it is", "rows", "columns", "seeds", "scales", "claims"), body)


def settings(name: str) -> str:
    """A table's settings at each of its scales."""
    body = []
    for scale, spec in load_table(name).scales.items():
        train, protocol = spec.train, spec.protocol
        data = [
            f"{column}: `{one.data.name}`{data_words(one.data).removeprefix(one.data.name)}"
            + (f" (stand-in: {one.stand_in})" if one.stand_in else "")
            + f"; {one.generated:,} / {one.reference:,}"
            + (REFERENCES[protocol.split] if protocol.split != "test" else "")
            for column, one in spec.columns.items()
        ]
        scores = [
            label(metric.name, metric.extractor) + (f", k = {metric.k}" if metric.k else "")
            for metric in protocol.metrics
        ]
        body.append((
            scale, _network(spec.network), f"{train.steps:,} x {train.batch}, {train.d_steps} of D",
            f"G {train.g_lr:g}, D {train.d_lr:g}, ({train.beta1:g}, {train.beta2:g})", "<br>".join(data),
            "; ".join(scores),
        ))  # fmt: skip
    heads = ("scale", "network", "steps x batch", "Adam", "column: data; generated / reference", "scores")
    return grid(heads, body)


def _network(network: NetworkSpec) -> str:
    options = ", ".join(f"{key}: {json.dumps(value)}" for key, value in network.options.items())
    return f"`{network.name}`" + (f" ({options})" if options else "")


def declared(name: str) -> str:
    """The values of a table that its YAML marks as ours: a line whose comment begins with "declared" or "ours"."""
    text = (TABLES / f"{name}.yaml").read_text()
    marked = {number for number, line in enumerate(text.splitlines()) if OURS.search(line)}
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = [f"- `{path}`: `{' '.join(value.split())}`" for path, value, line in _leaves(root, "") if line in marked]
    return "\n".join(lines) if lines else "None of its own."


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


def claims(name: str) -> str:
    """The paper's statements as a table has them, with all that each takes to be true."""
    lines = []
    for claim in load_table(name).claims:
        orders = "; ".join(
            f"`{order.lower}` < `{order.higher}` in {order.metric}"
            + (f" ({', '.join(order.columns)})" if order.columns else "")
            for order in claim.orders
        )
        lines.append(f"- **{claim.id}**: {claim.text} ({orders})")
    return "\n".join(lines)


def recorded(collection: str, name: str, scale: Scale, column: str, rows: str) -> str:
    """The first block of a table's report from a recorded set: its first score, under the paper's snapshot rule."""
    table = load_table(name)
    picked = table.model_copy(update={
        "rows": tuple(table.pick_rows(rows.split(","))), "columns": tuple(table.pick_columns([column])), "claims": (),
    })  # fmt: skip
    results = bench.load_results(name, scale, recorded=collection)
    report = bench.report.build_report(picked, scale, results[results["column"] == column])
    return markdown.render(report).split("\n### ")[1]
