"""What the cells of a table have in common, and where they differ: a report says each thing once, and of whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from bench.features import canonical
from bench.spec.cell import Cell, Scored, Unfinished
from bench.spec.row_column import Column
from bench.spec.run import MetricSpec, Protocol
from bench.spec.table import TableSpec


def of_column(spec: TableSpec, scale: str, column: Column) -> Scored | None:
    """The data and the protocol of most trained cells of a column; without such cells its own, None if it has none."""
    cells = [spec.cell(row, other, scale) for row, other in spec.trained_cells(scale) if other.id == column.id]
    counts = Counter((cell.data, cell.protocol, cell.stand_in) for cell in cells)
    if counts:
        return Scored(*counts.most_common(1)[0][0])
    try:
        return spec.scored(column, scale)
    except Unfinished:
        return None


def protocol_of(spec: TableSpec, scale: str) -> Callable[[str, str], Protocol | None]:
    """A function from the ids of a row, a reference point or a row of another table, and of a column, to the protocol.

    What is no trained row of this table has its column's.
    """
    cells = {(row.id, column.id): spec.cell(row, column, scale).protocol for row, column in spec.trained_cells(scale)}
    columns = {column.id: of_column(spec, scale, column) for column in spec.columns}
    own = {name: settings.protocol for name, settings in columns.items() if settings is not None}
    return lambda row, column: cells.get((row, column), own.get(column))


def protocols(spec: TableSpec, scale: str) -> list[Protocol]:
    """The protocols of all cells, each once; without trained cells those of the columns."""
    cells = [spec.cell(row, column, scale).protocol for row, column in spec.trained_cells(scale)]
    columns = [settings.protocol for column in spec.columns if (settings := of_column(spec, scale, column))]
    return list(dict.fromkeys([*cells, *columns]))


def metrics_of(spec: TableSpec, scale: str) -> list[MetricSpec]:
    """The scores of all cells that the table shows, in the table's order."""
    found: dict[tuple[str, str], MetricSpec] = {}
    for protocol in protocols(spec, scale):
        for metric in protocol.metrics:
            found.setdefault((metric.name, canonical(metric.extractor)), metric)
    return [metric for name in spec.metrics for (scored, _), metric in found.items() if scored == name]


def said_of_cells(
    spec: TableSpec, scale: str, say: Callable[[Cell], str], columns: Iterable[str] | None = None
) -> list[tuple[str, str]]:
    """What there is to say of the trained cells, each text with the cells that it is about.

    These are named by their columns' labels or their rows' ids. They are "" where the text is about all cells, and
    where it is about most of them and comes first.
    columns: ids; only the cells of these.
    """
    shown = {column.id for column in spec.columns} if columns is None else set(columns)
    cells = [pair for pair in spec.trained_cells(scale) if pair[1].id in shown]
    texts: dict[str, list[tuple[str, str]]] = {}
    for row, column in cells:
        texts.setdefault(say(spec.cell(row, column, scale)), []).append((row.id, column.id))
    labels = {column.id: column.label for column in spec.columns}
    every = [(row.id, column.id) for row, column in cells]
    ordered = sorted(texts.items(), key=lambda item: -len(item[1]))
    return [(text, _whose(about, every, labels) if 2 * len(about) <= len(every) else "") for text, about in ordered]


def _whose(about: list[tuple[str, str]], every: list[tuple[str, str]], labels: dict[str, str]) -> str:
    """The names of cells: of whole columns, else of whole rows, else of one after the other."""
    columns, rows = (list(dict.fromkeys(pair[place] for pair in about)) for place in (1, 0))
    if sum(column in columns for _, column in every) == len(about):
        return ", ".join(labels[column] for column in columns)
    if sum(row in rows for row, _ in every) == len(about):
        return ", ".join(rows)
    return ", ".join(f"{row} in {labels[column]}" for row, column in about)
