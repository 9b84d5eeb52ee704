"""`bench report --claims`: the claims of the papers on one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.json_document import answer
from bench.cli.options import table_with
from bench.errors import UserError, did_you_mean
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.report.claims.page import ClaimsPage
    from bench.report.claims.scores import Load

SUFFIXES = {None: "txt", "latex": "tex", "markdown": "md", "html": "html", "csv": "csv"}


def show_claims(names: tuple[str, ...], scale: Any, style: str | None, output: Path | None, store: Store,
                recorded: str | None, choice: Mapping[str, Any]) -> None:  # fmt: skip
    """The claims of the named tables and papers, or of all, judged at a scale; shown, or written below `output`."""
    from bench.files import atomic
    from bench.report.claims.page import claims_page

    for option, key in (("--rows", "rows"), ("--columns", "columns"), ("--metric", "metrics")):
        if choice[key] is not None:
            raise UserError(f"{option} is of a table; a claim names its own rows, columns and scores")
    page = claims_page(_tables(names), scale, loader(scale, store, recorded, choice))
    if output is not None:
        for form, suffix in SUFFIXES.items():
            path = output / f"claims-{scale}.{suffix}"
            atomic.write_text(path, _render(page, form))
            click.echo(f"wrote {path}")
    if style == "json":
        from bench.report.render.report_data import claims_data

        answer(**claims_data(page))
    elif output is None or style is not None:
        click.echo(_render(page, style))


def loader(scale: Any, store: Store, recorded: str | None, choice: Mapping[str, Any]) -> Load:
    """Gives claims the tables that they compare, with their results at a scale."""
    from bench.plan.waiting import to_come
    from bench.report.claims.scores import Lack, Loaded
    from bench.report.results import load_results

    def load(name: str) -> Loaded | Lack:
        spec = table_with(name, choice["settings"], (), None)
        if (measure := to_come(spec)) is not None:
            return Lack(f"the measure {measure}", waits=True)
        if scale not in spec.scales:
            return Lack(f"scale {scale} of {name}", waits=True)
        return spec, load_results(spec, scale, store, recorded, seeds=choice["seeds"])

    return load


def _tables(names: tuple[str, ...]) -> list[str]:
    """The tables that claims are told with: those named, or those of the papers named, or all."""
    from bench.plan.claims import claim_papers, every_claim
    from bench.plan.table_files import ALL

    every = list(dict.fromkeys(table for table, _ in every_claim()))
    if not names or ALL in names:
        return every
    known, found = {*every, *claim_papers()}, []
    for name in names:
        full = name if "/" in name or name in known else f"disp/{name}"
        if full not in known:
            raise UserError(f"no claims of '{name}'; {did_you_mean(full, known)}")
        found += [table for table in every if full in (table, table.partition("/")[0])]
    return list(dict.fromkeys(found))


def _render(page: ClaimsPage, style: str | None) -> str:
    from bench.report.render import csv, html, latex, markdown, text

    renderers = {
        None: text.render_claims,
        "latex": latex.render_claims,
        "markdown": markdown.render_claims,
        "csv": csv.claims,
        "html": html.render_claims,
    }
    return renderers[style](page)
