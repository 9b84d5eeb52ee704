"""What the cells of a table have in common, and where they differ: a report says each thing once, and of whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from bench.evaluate.registry import on_features
from bench.plan.expand import Table
from bench.spec.cell import Material, Scored, Unfinished
from bench.spec.row_column import Column, Row
from bench.spec.run import MetricSpec, Protocol


def of_column(spec: Table, scale: str, column: Column) -> Scored | None:
    """The data and the protocol of most cells of a column; without any that show runs its own, None if it has none.

    None also for a column whose measure looks at no run.
    """
    if of_no_run(spec, scale, column):
        return None
    cells = [spec.shown(row, other, scale) for row, other in spec.scored_cells(scale) if other.id == column.id]
    counts = Counter((cell.data, cell.protocol, cell.stand_in) for cell in cells)
    if counts:
        return Scored(*counts.most_common(1)[0][0])
    try:
        return spec.scored(column, scale)
    except Unfinished:
        return None


def of_no_run(spec: Table, scale: str, column: Column) -> list[Material]:
    """The settings of a column's cells where all of them show a measure that looks at no run; else none."""
    shown = [row for row, other in spec.shown_cells(scale) if other.id == column.id]
    if not all(spec.looks_at_no_run(row, column, scale) for row in shown):
        return []
    return [spec.material(row, column, scale) for row in shown]


def protocol_of(spec: Table, scale: str) -> Callable[[str, str], Protocol | None]:
    """A function from the ids of a row, a reference point or a row of another table, and of a column, to the protocol.

    What is no row of this table that shows runs has its column's.
    """
    cells = {(row.id, column.id): spec.shown(row, column, scale).protocol for row, column in spec.scored_cells(scale)}
    columns = {column.id: of_column(spec, scale, column) for column in spec.columns}
    own = {name: settings.protocol for name, settings in columns.items() if settings is not None}
    return lambda row, column: cells.get((row, column), own.get(column))


def protocols(spec: Table, scale: str) -> list[Protocol]:
    """The protocols of all cells, each once; without cells that show runs those of the columns."""
    cells = [spec.shown(row, column, scale).protocol for row, column in spec.scored_cells(scale)]
    columns = [settings.protocol for column in spec.columns if (settings := of_column(spec, scale, column))]
    return list(dict.fromkeys([*cells, *columns]))


def metrics_of(spec: Table, scale: str) -> list[MetricSpec]:
    """The scores and outputs of all cells that the table shows, in the table's order."""
    found: dict[tuple[str, str], MetricSpec] = {}
    columns = [settings.protocol for column in spec.columns if (settings := of_column(spec, scale, column))]
    for metrics in (*gives_of(spec, scale).values(), *(protocol.metrics for protocol in columns)):
        for metric in metrics:
            found.setdefault((metric.name, on_features(metric.extractor)), metric)
    return [metric for name in spec.metrics for (scored, _), metric in found.items() if scored == name]


def gives_of(spec: Table, scale: str, *, evaluated: bool = True) -> dict[tuple[str, str], tuple[MetricSpec, ...]]:
    """What each cell that shows runs gives, by the ids of its row and column. evaluated: evaluations among them."""
    cells = [pair for pair in spec.shown_cells(scale) if evaluated or not spec.evaluates(*pair, scale)]
    return {(row.id, column.id): spec.gives(row, column, scale) for row, column in cells}


def sharing(spec: Table, scale: str) -> set[tuple[str, str]]:
    """The cells that show the same number of the same trainings as a cell above them in their column.

    They are named by the ids of row and column.
    """
    shared: set[tuple[str, str]] = set()
    seen: set[tuple[str, str, str | None]] = set()
    evaluated = {column.id for row, column in spec.shown_cells(scale) if spec.evaluates(row, column, scale)}
    for row, column in spec.shown_cells(scale):
        if column.id not in evaluated:
            continue
        alone = spec.looks_at_no_run(row, column, scale)
        run = spec.shown_spec(row, column, 0, scale) if alone else spec.training(row, column, 0, scale)
        training = column.id, run.uid, row.output
        shared |= {(row.id, column.id)} if training in seen else set()
        seen.add(training)
    return shared


def said_of_cells(
    spec: Table, cells: Iterable[tuple[Row, Column]], say: Callable[[Row, Column], str], *, most: float = 0.5
) -> list[tuple[str, str]]:
    """What there is to say of some cells, each text with those that it is about; "" says nothing.

    These are named by their columns' labels or their rows' ids. They are "" where the text is about more than a share
    `most` of the cells, as it comes first, and where it is about all of them.
    """
    cells = list(cells)
    texts: dict[str, list[tuple[str, str]]] = {}
    for row, column in cells:
        texts.setdefault(say(row, column), []).append((row.id, column.id))
    texts.pop("", None)
    labels = {column.id: column.label for column in spec.columns}
    every = [(row.id, column.id) for row, column in cells]
    ordered = sorted(texts.items(), key=lambda item: -len(item[1]))
    return [
        (text, _whose(about, every, labels) if len(about) <= most * len(every) and len(about) < len(every) else "")
        for text, about in ordered
    ]


def _whose(about: list[tuple[str, str]], every: list[tuple[str, str]], labels: dict[str, str]) -> str:
    """The names of cells: of whole columns, else of whole rows, else of one after the other."""
    columns, rows = (list(dict.fromkeys(pair[place] for pair in about)) for place in (1, 0))
    if sum(column in columns for _, column in every) == len(about):
        return ", ".join(labels[column] for column in columns)
    if sum(row in rows for row, _ in every) == len(about):
        return ", ".join(rows)
    return ", ".join(f"{row} in {labels[column]}" for row, column in about)
