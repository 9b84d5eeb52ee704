"""Tables as a folder of pages with an index, or as one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.files import atomic
from bench.report.html.comparison import COMPARISON
from bench.report.html.files import Beside, Inside, write_assets
from bench.report.html.index import IndexEntry, Link
from bench.report.html.leaderboard import PAGE, leaderboard_page
from bench.report.html.page import Extras, TablePage, rendered, stem, table_page
from bench.report.leaderboard import Leaderboard
from bench.report.model import TableReport
from bench.spec.table import Scale

HOME = "index.html"
Reports = Sequence[tuple[TableReport, Extras]]


def write_site(
    root: Path, reports: Reports, index: Sequence[IndexEntry], board: Leaderboard | None = None
) -> list[Path]:
    """Write `root`/index.html, a page a report and the leaderboard; pages that were there stay, linked."""
    write_assets(root)
    written = []
    for report, extras in reports:
        files = Beside(root, stem(report))
        path = root / f"{stem(report)}.html"
        atomic.write_text(path, rendered([table_page(report, extras, files)], files, HOME))
        written.append(path)
    linked = [replace(entry, pages=_there(entry, root)) for entry in index]
    linked.sort(key=lambda entry: not entry.pages)  # what can be read comes first
    if board is not None:
        pages = {page for entry in linked for page in entry.pages.values()}
        atomic.write_text(root / PAGE, leaderboard_page(board, Beside(root, ""), HOME, pages))
        written.append(root / PAGE)
    atomic.write_text(root / HOME, rendered([], Beside(root, ""), index=linked, beside=_beside(root)))
    return [root / HOME, *written]


def whole(reports: Reports, index: Sequence[IndexEntry] = ()) -> str:
    """Everything as one document, with the index above where it is given."""
    files = Inside()
    pages: list[TablePage] = []
    for report, extras in reports:
        prefix = f"{stem(report)}-" if len(reports) > 1 else ""
        pages.append(table_page(report, extras, files, prefix))
    tops = {(page.report.name, page.report.scale): f"#{page.prefix}top" for page in pages}
    linked = [
        replace(entry, pages={s: tops[entry.name, s] for s in entry.at if (entry.name, s) in tops}) for entry in index
    ]
    return rendered(pages, files, index=linked)


def _beside(root: Path) -> list[Link]:
    """The leaderboard and the comparisons that lie in the folder."""
    board = [Link(PAGE, "Leaderboard", "all recorded methods, ranked.")] if (root / PAGE).exists() else []
    compared = sorted(root.glob(f"{COMPARISON}-*.html"))
    return board + [Link(page.name, page.stem, "a method against the others, by bench compare.") for page in compared]


def _there(entry: IndexEntry, root: Path) -> dict[Scale, str]:
    """The pages of a table that lie in the folder, by scale."""
    names = {scale: f"{entry.name.replace('/', '-')}-{scale}.html" for scale in entry.at}
    return {scale: name for scale, name in names.items() if (root / name).exists()}
