"""The leaderboard as GitHub Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.report.leaderboard import Entry, Leaderboard, Ranking
from bench.report.leaderboard_words import HOW_TO_READ, heads, printed_words, values
from bench.report.render.markdown import escape, table


def render(board: Leaderboard, level: int = 2) -> str:
    """The whole leaderboard; level: of its headings."""
    parts = [escape(HOW_TO_READ)] if board.rankings else ["Nothing is recorded that could be ranked."]
    for ranking in board.rankings:
        parts += _ranking(ranking, "#" * level)
    if board.left_out:
        parts.append("Recorded, and not ranked:")
        parts.append("\n".join(f"- {escape(line)}" for line in board.left_out))
    return "\n\n".join(parts) + "\n"


def _ranking(ranking: Ranking, hashes: str) -> Iterator[str]:
    yield f"{hashes} {escape(ranking.table)}, {escape(ranking.column.label)}, scale {ranking.scale}"
    yield f"{escape(ranking.score)}, {ranking.direction}. {escape(ranking.protocol)}."
    yield "\n".join(_grid(ranking, (*ranking.entries, *ranking.points)))
    yield from (escape(note) for note in ranking.notes)
    if ranking.printed:
        body = [[escape(row), escape(text)] for row, text in ranking.printed]
        yield escape(printed_words(ranking))
        yield "\n".join(table(["printed in the paper", escape(ranking.printed_score)], body))


def _grid(ranking: Ranking, entries: Sequence[Entry]) -> list[str]:
    return table([escape(head) for head in heads(ranking)], [[escape(text) for text in values(one)] for one in entries])
