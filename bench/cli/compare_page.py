"""`bench compare --html`, `--single` and `--open`: the page for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import report_site
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.report.compare import MethodComparison


def show(
    comparisons: Sequence[MethodComparison],
    remarks: Sequence[str],
    site: Path | None,
    store: Store,
    *,
    single: bool,
    opens: bool,
) -> None:
    """Write the page, and open it; or print it, as one file."""
    from bench.files import atomic
    from bench.report.html.comparison import stem, whole, write_page

    folder = site or (report_site.usual_folder(store) if opens else None)
    if folder is None:
        click.echo(whole(comparisons, remarks))
        return
    if single:
        path = folder / f"{stem(comparisons)}.html"
        atomic.write_text(path, whole(comparisons, remarks))
    else:
        path = write_page(folder, comparisons, remarks)
    click.echo(f"wrote {path}")
    if opens:
        report_site.open_in_browser(path)
