"""The leaderboard as a page for a browser."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bench.evaluate.registry import output_card
from bench.report.html.environment import fill
from bench.report.html.files import Files
from bench.report.leaderboard import Entry, Leaderboard, Ranking
from bench.report.leaderboard_words import HOW_TO_READ, KINDS, heads, printed_words, values

PAGE = "leaderboard.html"


@dataclass(frozen=True)
class CellView:
    """A cell: its text, and what it is sorted by ("": last)."""

    text: str
    key: str = ""


@dataclass(frozen=True)
class RowView:
    """An entry as a row. name: of its row, where the label is another; what: it is, if no paper's method."""

    id: str
    kind: str
    label: str
    name: str
    what: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class RankingView:
    """A ranking as a section of the page; page: the address of its table's page, "" without one."""

    name: str
    column: str
    scale: str
    page: str
    caption: str
    heads: list[str]
    rows: tuple[RowView, ...]
    notes: tuple[str, ...]
    printed: tuple[tuple[str, str], ...]
    printed_words: str

    @property
    def label(self) -> str:
        """What the table is, for who does not see it."""
        return f"{self.name}, {self.column}, scale {self.scale}: {self.caption}"


def leaderboard_page(board: Leaderboard, files: Files, home: str, pages: Collection[str] = ()) -> str:
    """The page; home: the address of the index. pages: addresses of the tables' pages that are there."""
    return fill(
        "leaderboard.html.j2",
        head=files.head(),
        home=home,
        reading=HOW_TO_READ,
        rankings=[_view(ranking, pages) for ranking in board.rankings],
        left_out=board.left_out,
    )


def _view(ranking: Ranking, pages: Collection[str]) -> RankingView:
    page = f"{ranking.table.replace('/', '-')}-{ranking.scale}.html"
    return RankingView(
        name=ranking.table,
        column=ranking.column.label,
        scale=ranking.scale,
        page=page if page in pages else "",
        caption=f"{ranking.score}, {ranking.direction}; {ranking.protocol}",
        heads=heads(ranking),
        rows=tuple(_row(ranking, entry) for entry in (*ranking.entries, *ranking.points)),
        notes=ranking.notes,
        printed=ranking.printed,
        printed_words=printed_words(ranking),
    )


def _row(ranking: Ranking, entry: Entry) -> RowView:
    _, *texts = values(entry)
    rank, score, hours = 0, 1, len(texts) - 1
    sound = entry.cell.interval is not None
    keys = {
        rank: str(entry.cell.rank[0]) if entry.cell.rank else "",
        score: repr(float(output_card(ranking.metric).compared_as(entry.cell.centre))) if sound else "",
        hours: "" if entry.hours is None else repr(entry.hours),
    }
    cells = tuple(CellView(text, keys.get(place, "")) for place, text in enumerate(texts))
    label = entry.label.strip() or entry.name
    name = entry.name if label != entry.name else ""
    return RowView(f"{entry.name} {' '.join(entry.sets)}", entry.kind, label, name, KINDS.get(entry.kind, ""), cells)
