"""Marks: the best rows of a column, every row's rank with its interval, and the groups that cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.evaluate.registry import output_card
from bench.report.cells import Grid
from bench.report.model import Cell
from bench.report.pairs import gap_text
from bench.stats import Standings, standings

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Told:
    """What the seeds say of the order of a column's rows; found: None where no test is possible (one seed)."""

    rows: tuple[str, ...]
    found: Standings | None

    @property
    def any_apart(self) -> bool:
        """Whether any two rows are told apart."""
        return self.found is not None and bool(self.found.apart)

    @property
    def groups(self) -> list[list[str]]:
        """The rows that cannot be told apart, group by group, in order of their scores."""
        return [[self.rows[i] for i in group] for group in self.found.groups] if self.found is not None else []

    def gap(self, is_ratio: bool) -> str | None:
        """The gap that two rows would most likely have been told apart by, in words; None for differences."""
        if self.found is None:
            return "none (no test is possible)"
        return gap_text(self.found.detectable()) if is_ratio and math.isfinite(self.found.sd) else None


def mark_best(
    cells: Grid, metric: str, rows: Sequence[str], columns: Sequence[str], sharing: Collection[tuple[str, str]] = ()
) -> tuple[Grid, dict[str, Told]]:
    """Rank `rows` in each column, and mark the best and all that are not told apart from it, where any row is.

    Ratios are compared by logs, scores of which 0 is best by the distance from it. Cells with a diverged seed or of an
    older version of the score are not ranked, nor is a column of fewer than two others, nor a metric of which neither
    way is better. sharing: cells of the same trainings as another one; their noise says nothing more of its spread.
    """
    card = output_card(metric)
    if not card.ranks:
        return dict(cells), {}
    marked, told = dict(cells), {}
    for column in columns:
        sound = _newest({row: cells[row, column] for row in rows if cells[row, column].sound})
        if len(sound) < 2:
            continue
        found = standings(_losses(list(sound.values()), metric), [(row, column) not in sharing for row in sound])
        told[column] = Told(tuple(sound), found)
        if found is not None:
            marked |= {(row, column): cell for row, cell in _ranked(sound, found).items()}
    return marked, told


def remarks(told: Mapping[str, Told], labels: Mapping[str, str], metric: str) -> tuple[str, ...]:
    """What a block's marks rest on, by the labels of columns: gaps that could be seen, and where nothing was."""
    gaps = {labels[column]: one.gap(output_card(metric).is_ratio) for column, one in told.items()}
    seen = "; ".join(f"{label} {gap}" for label, gap in gaps.items() if gap)
    none = [labels[column] for column, one in told.items() if one.found is not None and not one.any_apart]
    apart = [labels[column] for column, one in told.items() if one.found is not None and not one.found.pooled]
    lines = [
        f"Gap that would most likely have been seen (80 % power): {seen}." if seen else "",
        f"No two rows are told apart, and nothing is marked: {', '.join(none)}." if none else "",
        f"Rows whose spreads differ (Bartlett's test), so that each pair has its own: {', '.join(apart)}."
        if apart
        else "",
    ]
    return tuple(filter(None, lines))


def groups_text(told: Mapping[str, Told], labels: Mapping[str, str]) -> tuple[str, ...]:
    """For example "Anime, not told apart: scratch+disp, ada | ada, scratch (best first)", of columns with any apart."""
    return tuple(
        f"{labels[column]}, not told apart: {' | '.join(', '.join(group) for group in one.groups)} (best first)."
        for column, one in told.items()
        if one.any_apart
    )


def _ranked(sound: Mapping[str, Cell], found: Standings) -> dict[str, Cell]:
    """The cells with rank, groups and mark."""
    letters = ["".join(_letter(n) for n, group in enumerate(found.groups) if i in group) for i in range(len(sound))]
    first = found.groups[0][0]  # the best score
    ranked: dict[str, Cell] = {}
    for i, (row, cell) in enumerate(sound.items()):
        ranked[row] = replace(cell, rank=(found.low[i], found.high[i]), groups=letters[i])
        if found.apart and found.low[i] == 1:
            ranked[row] = replace(ranked[row], mark="best" if i == first else "alike")
    return ranked


def _losses(cells: Sequence[Cell], metric: str) -> list[dict[int, float]]:
    """Each cell's losses by seed: the smaller, the better; logs where all are positive and compared by ratios."""
    card = output_card(metric)
    log = card.is_ratio and all(value > 0 for cell in cells for value in cell.values)

    def loss(value: float) -> float:
        return card.sign * math.log(value) if log else card.loss(value)

    return [{seed: loss(value) for seed, value in zip(cell.seeds, cell.values)} for cell in cells]


def _letter(place: int) -> str:
    """a to z, then a1, b1, ..."""
    return LETTERS[place % 26] + (str(place // 26) if place >= 26 else "")


def _newest(cells: dict[str, Cell]) -> dict[str, Cell]:
    """The cells whose score has the newest version among them."""
    newest = max((cell.version or 0 for cell in cells.values()), default=0)
    return {row: cell for row, cell in cells.items() if (cell.version or 0) == newest}
