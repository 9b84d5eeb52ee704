"""The heads of a report: which rows and columns it has, and what each of them is."""

from __future__ import annotations

import pandas as pd

from bench.data.known import is_own
from bench.data.points import exists
from bench.report.model import ColumnHead, Kind, RowHead
from bench.spec.table import ColumnData, Scale, TableSpec
from bench.spec.words import data_words


def row_heads(spec: TableSpec, results: pd.DataFrame) -> tuple[RowHead, ...]:
    """The table's rows; controls and reference points only where they have been run."""
    run_rows = set(results["row"])
    rows = []
    for row in spec.rows:
        if row.printed_only is not None:
            rows.append(RowHead(row.id, row.label, "printed", row.printed_only))
        elif not row.control or row.id in run_rows:
            kind: Kind = "added" if row.added else "control" if row.control else "method"
            unnamed = row.added and row.label == row.method
            rows.append(RowHead(row.id, f"{row.label} (added)" if unnamed else row.label, kind))
    return (*rows, *(RowHead(point, point, "reference") for point in spec.references if point in run_rows))


def column_heads(spec: TableSpec, scale: Scale) -> tuple[ColumnHead, ...]:
    """The table's columns at a scale, with those that the user has added."""
    settings = spec.at(scale)
    heads = []
    for column in spec.columns:
        at_scale = settings.columns[column.id]
        heads.append(
            ColumnHead(
                column.id,
                column.label,
                at_scale.data.name,
                data_words(at_scale.data),
                at_scale.stand_in,
                at_scale.generated,
                at_scale.reference,
                _addition(spec, scale, at_scale) if column.added else "",
                settings.protocol.split,
                tuple(point for point in spec.references if not exists(point, at_scale.data, settings.protocol)),
            )
        )
    return tuple(heads)


def _addition(spec: TableSpec, scale: Scale, data: ColumnData) -> str:
    """What an added column is: whose data set it has, that the paper says nothing of it, fewer reference images."""
    whose = "a data set of your own" if is_own(data.data.name) else "a data set added by --columns"
    says = "the paper's claims and printed numbers" if spec.paper else "the table's claims"
    most = max(spec.at(scale).columns[column.id].reference for column in spec.columns if not column.added)
    fewer = f"; the table's columns have up to {most} reference images" if data.reference < most else ""
    return f"{whose}, which {says} are not about{fewer}"
