"""The heads of a report: which rows and columns it has, and what each of them is."""

from __future__ import annotations

import pandas as pd

from bench.data.known import is_own
from bench.data.points import exists
from bench.plan.expand import Table
from bench.report.cell_settings import of_column, of_no_run, said_of_cells
from bench.report.model import ColumnHead, Kind, RowHead
from bench.report.picture_rows import is_of_pictures
from bench.spec.cell import Scored
from bench.spec.row_column import Column
from bench.spec.table import Scale
from bench.spec.words import counts_words, data_words


def row_heads(spec: Table, results: pd.DataFrame) -> tuple[RowHead, ...]:
    """The table's rows; controls and reference points only where they have been run."""
    run_rows = set(results["row"])
    rows = []
    for row in spec.rows:
        if is_of_pictures(row):
            rows.append(RowHead(row.id, f"{row.label} (pictures)", "added"))
        elif row.printed_only is not None:
            rows.append(RowHead(row.id, row.label, "printed", row.printed_only, output=row.output))
        elif not row.control or row.id in run_rows:
            kind: Kind = "added" if row.added else "control" if row.control else "method"
            unnamed = row.added and row.label == row.method
            label = f"{row.label} (added)" if unnamed else row.label
            rows.append(RowHead(row.id, label, kind, output=row.output))
    return (*rows, *(RowHead(point, point, "reference") for point in spec.references if point in run_rows))


def column_heads(spec: Table, scale: Scale) -> tuple[ColumnHead, ...]:
    """The table's columns at a scale, with those that the user has added."""
    return tuple(_column_head(spec, scale, column) for column in spec.columns)


def _column_head(spec: Table, scale: Scale, column: Column) -> ColumnHead:
    # A measure that looks at no run has images, and no counts of generated and reference ones.
    if materials := of_no_run(spec, scale, column):
        own, stand_in = materials[0].data, materials[0].stand_in
        return ColumnHead(column.id, column.label, own.name, data_words(own), stand_in, 0, 0, output=column.output)
    settings = of_column(spec, scale, column)
    if settings is None:  # nothing is trained in it, and it says nothing of images
        return ColumnHead(column.id, column.label, "", "", None, 0, 0, output=column.output)
    data, protocol = settings.data, settings.protocol
    words = _data_and_counts if spec.pictures is None else _data
    plain = words(settings)
    cells = [(row, other) for row, other in spec.scored_cells(scale) if other.id == column.id]
    texts = said_of_cells(spec, cells, lambda row, other: words(spec.shown(row, other, scale)))
    others = [(text, rows) for text, rows in texts if text != plain]
    return ColumnHead(
        column.id,
        column.label,
        data.name,
        data_words(data),
        settings.stand_in,
        protocol.generated if spec.pictures is None else 0,
        protocol.reference if spec.pictures is None else 0,
        _addition(spec, scale, settings) if column.added else "",
        protocol.split,
        tuple(point for point in spec.references if not exists(point, data, protocol)),
        tuple(f"{rows}: {text}" for text, rows in others),
        column.output,
    )


def _data(settings: Scored) -> str:
    return data_words(settings.data)


def _data_and_counts(settings: Scored) -> str:
    protocol = settings.protocol
    return f"{data_words(settings.data)}; {counts_words(protocol.generated, protocol.reference, protocol.split)}"


def _addition(spec: Table, scale: Scale, settings: Scored) -> str:
    """What an added column is: whose data set it has, that the paper says nothing of it, fewer reference images."""
    whose = "a data set of your own" if is_own(settings.data.name) else "a data set added by --columns"
    says = "the paper's claims and printed numbers" if spec.paper else "the table's claims"
    own = (of_column(spec, scale, column) for column in spec.columns if not column.added)
    most = max(other.protocol.reference for other in own if other is not None)
    fewer = f"; the table's columns have up to {most} reference images" if settings.protocol.reference < most else ""
    return f"{whose}, which {says} are not about{fewer}"
