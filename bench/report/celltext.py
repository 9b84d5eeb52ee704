"""A cell in words, the same for every renderer; a renderer only escapes and embellishes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.report.model import Block, Cell, ColumnHead, RowHead, TableReport

DAGGER = "†"


@dataclass(frozen=True)
class Shown:
    """The text of a cell, and whether it is marked as best or alike."""

    text: str
    marked: bool = False


def shown_rows(report: TableReport, block: Block) -> list[tuple[RowHead, list[Shown]]]:
    """The lines of a block: every row that has anything to say under its snapshot rule."""
    lines = []
    for row in report.rows:
        cells = [block.cells.get((row.id, column.id), Cell()) for column in report.columns]
        if row.kind != "printed" or any(cell.printed for cell in cells):
            lines.append((row, [Shown(cell_text(cell), bool(cell.mark)) for cell in cells]))
    return lines


def row_text(row: RowHead) -> str:
    """The paper's label; a row that builds on the one above it is indented, others say what they are."""
    label = f"  {row.label}" if row.label.startswith("+") else row.label
    return label if row.kind == "method" else f"{label} ({_KINDS[row.kind]})"


def column_text(column: ColumnHead) -> str:
    """The paper's label, and what stands in for its data set."""
    return f"{column.label} ({column.name})" if column.stand_in else column.label


def cell_text(cell: Cell) -> str:
    """For example "812 ± 95 (n=3) [66.85]"; "median 900 (800 to ∞), 2/3 ok †" where a seed diverged."""
    parts = [_reduction(cell)]
    if cell.best_of is not None:
        parts.append(f"best {_plain(cell.best_of)}")
    text = ", ".join(part for part in parts if part)
    printed = f"[{cell.printed}]" if cell.printed is not None else ""
    verdict = cell.verdict or ""
    return " ".join(part for part in (text, printed, verdict) if part) or "–"


def _reduction(cell: Cell) -> str:
    progress = _progress(cell)
    if cell.spread is not None:
        spread = cell.spread
        median, low, high = (_plain(x) for x in (spread.median, spread.low, spread.high))
        ok = f"{spread.ok}/{spread.n} ok {DAGGER}{progress and f', {progress}'}"
        return f"median {median} ({low} to {high}), {ok}"
    if cell.interval is not None:
        interval = cell.interval
        counts = f"(n={interval.n}{progress and f', {progress}'})"
        if math.isnan(interval.half_width):
            return f"{_plain(interval.mean)} {counts}"
        places = _places(interval.half_width)
        return f"{interval.mean:.{places}f} ± {interval.half_width:.{places}f} {counts}"
    return progress


def _progress(cell: Cell) -> str:
    """What keeps a cell from being whole; empty when every planned seed has ended."""
    ended = cell.statuses.get("done", 0) + cell.statuses.get("diverged", 0)
    others = [status for status in _UNFINISHED if cell.statuses.get(status)]
    if not others:
        return ""
    status = others[0]
    return status if status == "missing" and ended == 0 else f"{status} {ended}/{cell.total}"


def _places(width: float) -> int:
    """Decimals that show two digits of a half-width, at most 4."""
    if not math.isfinite(width) or width <= 0:
        return 2
    return min(max(1 - math.floor(math.log10(width)), 0), 4)


def _plain(value: float) -> str:
    """Four digits: all that a lone score deserves."""
    return "∞" if math.isinf(value) else f"{value:.4g}"


_KINDS = {"control": "control, ours", "added": "added", "printed": "printed only", "reference": "reference"}
_UNFINISHED = ("failed", "lost", "interrupted", "running", "missing")  # what needs attention first
