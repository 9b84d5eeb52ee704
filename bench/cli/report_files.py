"""What `bench report` prints, and the files that it writes with --output."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import report_pictures

if TYPE_CHECKING:
    from bench.cli.report_pictures import Found
    from bench.plan.expand import Table
    from bench.report.html.page import Extras
    from bench.report.model import TableReport
    from bench.store.runs import Store

SUFFIXES = {"latex": "tex", "markdown": "md", "html": "html"}


def shown_part(table_report: TableReport, everything: bool, named: Collection[str]) -> TableReport:
    """The report as people are shown it: without what has no run, and with what its pictures need said."""
    from bench.report.fold import folded
    from bench.report.picture_words import told

    shown = table_report if everything else folded(table_report, named)
    return replace(shown, notes=(*told(shown), *shown.notes))


def render(table_report: TableReport, style: str | None, everything: bool, named: Collection[str],
           extras: Extras | None = None) -> str:  # fmt: skip
    """The report in one style; an HTML page has `extras` inside."""
    from bench.report.render import csv, html, latex, markdown, text

    if style == "csv":
        return csv.raw(table_report)
    shown = shown_part(table_report, everything, named)
    if style == "html":
        return html.render(shown, extras)
    renderers = {None: text.render, "latex": latex.render, "markdown": markdown.render}
    return renderers[style](shown)


def write(table_report: TableReport, spec: Table, folder: Path, store: Store, pictures: Found, everything: bool,
          named: Collection[str]) -> list[Path]:  # fmt: skip
    """Write all formats of one table below `folder`; the CSV files have every row, shown or not."""
    from bench.files import atomic
    from bench.report.figures import memorised, samples
    from bench.report.figures.curves import save
    from bench.report.figures.drawing import drawn
    from bench.report.figures.trace_curves import trace_curves
    from bench.report.pictures import plotted_block, plotted_traces
    from bench.report.render import csv

    stem = f"{table_report.name.replace('/', '-')}-{table_report.scale}"
    drawings: list[Path] = []
    if table_report.figure is not None:
        table_report, drawings = report_pictures.write_figure(table_report, folder, stem)
    extras = report_pictures.extras(table_report, spec, pictures, store)
    written = [folder / f"{stem}.{suffix}" for suffix in SUFFIXES.values()]
    for (style, _), path in zip(SUFFIXES.items(), written, strict=True):
        atomic.write_text(path, render(table_report, style, everything, named, extras))
    # Text and CSV have no pictures
    for name, content in (
        ("txt", render(table_report, None, everything, named)),
        ("seeds.csv", csv.raw(table_report)),
        ("cells.csv", csv.cells(table_report)),
    ):
        written.append(folder / f"{stem}.{name}")
        atomic.write_text(written[-1], content)
    if (block := plotted_block(table_report)) is not None:
        figure = drawn(table_report)
        for suffix in ("png", "svg"):
            written.append(folder / f"{stem}.{block.metric}.{suffix}")
            save(figure, written[-1])
    for card in plotted_traces(table_report):
        figure = trace_curves(table_report, card)
        for suffix in ("png", "svg"):
            written.append(folder / f"{stem}.{card.name}.{suffix}")
            save(figure, written[-1])
    drawings += memorised.write(memorised.by_row(pictures.nearest), folder / f"{stem}.nearest")
    sheets = samples.by_row(pictures.samples)
    return written + drawings + (samples.write(sheets, folder / f"{stem}.samples") if sheets else [])
