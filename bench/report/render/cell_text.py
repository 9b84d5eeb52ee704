"""A cell in words, the same for every renderer; a renderer only escapes and embellishes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.model import OLDER, Block, Cell, ColumnHead, RowHead, TableReport

DAGGER = "†"


@dataclass(frozen=True)
class Shown:
    """The text of a cell, and whether it is marked as best or alike."""

    text: str
    marked: bool = False


def shown_columns(report: TableReport, block: Block) -> list[ColumnHead]:
    """The columns of a block: all but those that show another number."""
    return [column for column in report.columns if block.shows(column)]


def shown_rows(report: TableReport, block: Block) -> list[tuple[RowHead, list[Shown]]]:
    """The lines of a block: every row that has anything to say under its snapshot rule, with `shown_columns`."""
    lines, columns = [], shown_columns(report, block)
    for row in report.rows:
        cells = [block.cells.get((row.id, column.id), Cell()) for column in columns]
        if not block.shows(row):
            continue
        if row.kind != "printed" or any(cell.printed for cell in cells):
            lines.append((row, cells))
    plain = block.measure.digits
    tested = [cells for row, cells in lines if row.kind == "method"]
    digits = [_more_digits(column, plain) for column in zip(*tested)] or [0] * len(columns)
    return [
        (row, [Shown(cell_text(cell, more, plain), bool(cell.mark)) for cell, more in zip(cells, digits)])
        for row, cells in lines
    ]


def _more_digits(column: Sequence[Cell], plain: int) -> int:
    """The extra digits needed so that no marked cell reads like an unmarked one it was tested against."""
    newest = max((cell.version or 0 for cell in column), default=0)
    tested = [
        (bool(cell.mark), cell.interval)
        for cell in column
        if cell.interval is not None and (cell.version or 0) == newest
    ]
    for more in range(_MORE):
        texts: dict[bool, set[str]] = {True: set(), False: set()}
        for marked, interval in tested:
            texts[marked].add(_number(interval.mean, interval.half_width, more, plain))
        if not texts[True] & texts[False]:
            return more
    return _MORE


def row_text(row: RowHead) -> str:
    """The paper's label; a row that builds on the one above it is indented, others say what they are."""
    label = f"  {row.label}" if row.label.startswith("+") else row.label
    return f"{label} ({_KINDS[row.kind]})" if row.kind in _KINDS else label


def column_text(column: ColumnHead) -> str:
    """The paper's label, and what stands in for its data set."""
    return f"{column.label} ({column.name})" if column.stand_in else column.label


def cell_text(cell: Cell, more: int = 0, plain: int = 4) -> str:
    """For example "812 ± 95 (n=3) [66.85]"; "median 900 (800 to ∞), 1 of 3 diverged †" where a seed diverged.

    more: digits beyond those that the interval deserves; plain: those of a value without an interval.
    """
    parts = [_reduction(cell, more, plain)]
    if cell.best_of is not None:
        parts.append(f"best {_plain(cell.best_of, plain)}")
    text = ", ".join(part for part in parts if part)
    printed = f"[{cell.printed}]" if cell.printed is not None else ""
    verdict = cell.verdict or ""
    return " ".join(part for part in (text, printed, verdict) if part) or "–"


def _reduction(cell: Cell, more: int, plain: int) -> str:
    progress = _progress(cell)
    remarks = [text for text in (progress, f"v{cell.version}" if cell.outdated else "") if text]
    if cell.spread is not None:
        spread = cell.spread
        if math.isnan(spread.median):
            return f"{', '.join(_unsound(cell) + remarks)} {DAGGER}"
        median, low, high = (_plain(x, plain) for x in (spread.median, spread.low, spread.high))
        return f"median {median} ({low} to {high}), {', '.join(_unsound(cell) + remarks)} {DAGGER}"
    if cell.interval is not None:
        interval = cell.interval
        counts = f"({', '.join([f'n={interval.n}', *remarks])})"
        return f"{_number(interval.mean, interval.half_width, more, plain)} {counts}"
    return progress


def _number(mean: float, width: float, more: int, plain: int) -> str:
    """The mean and half-width, rounded to two significant digits of the half-width, and `more` digits.

    A half-width that is absent, 0 or mere rounding error gives no place to round to: the mean then has `plain` digits.
    """
    if math.isnan(width):
        return _plain(mean, plain + more)
    if width <= _ROUNDING * abs(mean) or not math.isfinite(width):
        return f"{_plain(mean, plain + more)} ± {0 if width <= _ROUNDING * abs(mean) else _plain(width, plain)}"
    places = max(1 - math.floor(math.log10(width)), 0) + more
    return f"{mean:.{places}f} ± {width:.{places}f}"


def _progress(cell: Cell) -> str:
    """Which seeds a cell still lacks, e.g. "1 of 3 missing"; empty when every planned seed has ended."""
    if cell.total == cell.statuses.get("missing", 0):
        return "missing" if cell.total else ""
    kinds = [status for status in _UNFINISHED if cell.statuses.get(status)]
    return ", ".join(f"{cell.statuses[status]} of {cell.total} {status}" for status in kinds)


def _unsound(cell: Cell) -> list[str]:
    """How many seeds kept a cell from having an interval, of all that are planned."""
    diverged = cell.statuses.get("diverged", 0)
    unscored = cell.spread.n - cell.spread.ok - diverged if cell.spread else 0
    kinds = ((diverged, "diverged"), (unscored, "without a finite score"))
    return [f"{count} of {cell.total} {what}" for count, what in kinds if count]


def _plain(value: float, digits: int) -> str:
    """A value without an interval, to the number of digits that its card names."""
    return f"{'-' * (value < 0)}∞" if math.isinf(value) else f"{value:.{digits}g}"


_KINDS = {"control": "control, ours", "printed": "printed only", "reference": "reference"}
# In the order in which they need attention.
_UNFINISHED = ("failed", "stale", "lost", "interrupted", "running", OLDER, "missing")
_ROUNDING = 1e-12  # a width below this share of the mean is rounding error of float64
_MORE = 6  # digits added at most to tell two cells apart
