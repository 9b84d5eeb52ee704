"""What `bench report` draws beside its tables: figures of pictures, samples of rows, their nearest training images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.plan.expand import Table
    from bench.report.figures.memorised import Grids
    from bench.report.figures.samples import Sheets
    from bench.report.html.page import Extras
    from bench.report.model import TableReport
    from bench.report.picture_figure import PictureFigure


def figure(table_report: TableReport, spec: Table, store: Store, seeds: Sequence[int] | None) -> PictureFigure | None:
    """The pictures of a table that is a figure of them."""
    from bench.report.picture_figure import picture_figure

    if spec.pictures is None:
        return None
    rows = [row.id for row in table_report.rows if row.kind in ("method", "control", "added")]
    columns = [column.id for column in table_report.columns]
    return picture_figure(spec, table_report.scale, store, rows, columns, seeds)


def write_figure(table_report: TableReport, folder: Path, stem: str) -> tuple[TableReport, list[Path]]:
    """Write the whole figure as one PNG, and its index; returns the report that shows it, and the files."""
    from bench.files import atomic
    from bench.report.picture_words import index
    from bench.report.pictures import figure_png

    assert table_report.figure is not None
    png, listed = folder / f"{stem}.pictures.png", folder / f"{stem}.pictures.json"
    table_report = replace(table_report, figure=replace(table_report.figure, file=png.name))
    atomic.write_bytes(png, figure_png(table_report))
    atomic.write_json(listed, index(table_report))
    return table_report, [png, listed]


@dataclass(frozen=True)
class Found:
    """The pictures of a table's runs, looked for once: samples, and their nearest training images if asked for."""

    samples: Sheets
    nearest: Grids


def found(table_report: TableReport, spec: Table, store: Store, choice: Mapping[str, Any]) -> Found:
    """The samples of every row that has some; with --nearest above their nearest training images, too."""
    from bench.report.figures import memorised, samples

    which = (spec, table_report.scale, store, *_tried(table_report, spec), choice["seeds"])
    return Found(samples.sheets(*which), memorised.grids(*which) if choice["nearest"] else {})


def extras(table_report: TableReport, spec: Table, pictures: Found, store: Store) -> Extras:
    """What the page of a table shows beside its numbers."""
    from bench.report.figures import memorised, samples
    from bench.report.html.details import Known
    from bench.report.html.methods import methods_view
    from bench.report.html.page import Extras
    from bench.report.html.starts import starts_of
    from bench.report.pictures import pictures as figures

    uids = [str(uid) for uid in table_report.results["uid"].unique()]
    known = Known(samples.by_cell(pictures.samples), memorised.by_cell(pictures.nearest), starts_of(uids, store))
    shown = {row.id for row in table_report.rows}
    return Extras(figures(table_report), known, methods_view(spec, table_report.scale, shown), plots=True)


def _tried(table_report: TableReport, spec: Table) -> tuple[list[str], list[str]]:
    """The rows that have runs, and the columns."""
    tried = set(table_report.results.loc[table_report.results["status"] != "missing", "row"])
    rows = [row.id for row in spec.rows if row.id in tried and row.printed_only is None]
    return rows, [column.id for column in table_report.columns]
