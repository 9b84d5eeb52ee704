"""`bench report --html`, `--single` and `--open`: pages for a browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.report.html.index import IndexEntry
    from bench.report.html.page import Extras
    from bench.report.model import TableReport

SINGLE = "report.html"  # the one file, in the folder of --html


def usual_folder(store: Store) -> Path:
    """Where --open writes without --html: beside the store, results/report/html."""
    return store.root.parent / "report" / "html"


def write(reports: Sequence[tuple[TableReport, Extras]], folder: Path, store: Store, single: bool) -> Path:
    """Write the pages and the index, or one file, below `folder`; returns what a browser is to open."""
    from bench.files import atomic
    from bench.report.html.page import stem
    from bench.report.html.site import whole, write_site
    from bench.report.leaderboard import leaderboard

    index = list(_index(store))
    if single:
        path = folder / SINGLE
        atomic.write_text(path, whole(reports, index))
        click.echo(f"wrote {path}")
        return path
    home, *pages = write_site(folder, reports, index, leaderboard())
    click.echo(f"wrote {home} and {', '.join(page.name for page in pages)}")
    return folder / f"{stem(reports[0][0])}.html" if len(reports) == 1 else home


def open_in_browser(path: Path) -> None:
    """Open a file in the user's browser; where there is none, say where it lies."""
    address = path.resolve().as_uri()
    if not webbrowser.open(address):
        click.echo(f"no browser was found here; open {address}")


def _index(store: Store) -> Iterator[IndexEntry]:
    from bench.cli.table_list import table_states
    from bench.report.html.index import IndexEntry, ScaleState

    for table in table_states(store):
        at = {
            scale: ScaleState(state.runs, state.done, state.cost_words, state.seconds)
            for scale, state in table.at.items()
        }
        yield IndexEntry(table.name, table.kind, table.title, at, {})
