"""What a report shows: the rows, columns and metrics that were asked for, and what has no run in one line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from bench.errors import UserError, did_you_mean
from bench.report.caption import column_sentence
from bench.report.model import TableReport
from bench.spec.claim import Claim

PARTLY = "Shown are the rows that were asked for; pooled spreads, marks and adjusted p are those of the whole table."


@dataclass(frozen=True)
class Asked:
    """The row, column and metric ids that were asked for; None: all."""

    rows: Collection[str] | None = None
    columns: Collection[str] | None = None
    metrics: Collection[str] | None = None

    def everything(self) -> bool:
        """Whether nothing was narrowed."""
        return self.rows is None and self.columns is None and self.metrics is None


def narrowed(report: TableReport, asked: Asked, claims: Sequence[Claim]) -> TableReport:
    """The parts of a whole report that were asked for; no number in it changes.

    Reference points stay beside the rows; a claim stays if all its rows and metrics do. Raises UserError for a
    metric that the report lacks.
    """
    if asked.everything():
        return report
    names = list(dict.fromkeys(block.metric for block in report.blocks))
    for name in asked.metrics or ():
        if name not in names:
            raise UserError(
                f"table '{report.name}' at scale {report.scale} does not score '{name}'; {did_you_mean(name, names)}"
            )
    # The heads and blocks that were asked for.
    rows = tuple(row for row in report.rows
                 if asked.rows is None or row.id in asked.rows or row.kind == "reference")  # fmt: skip
    columns = tuple(column for column in report.columns if asked.columns is None or column.id in asked.columns)
    blocks = tuple(block for block in report.blocks if asked.metrics is None or block.metric in asked.metrics)
    # The claims that can be read from them.
    ids = {row.id for row in rows}
    metrics = {block.metric for block in blocks}
    within = {claim.id for claim in claims if _is_shown(claim, report, ids, metrics)}
    spoken_of = any(not column.added for column in columns)  # claims are about the table's own columns
    claims_shown = tuple(claim for claim in report.claims if spoken_of and claim.id in within)
    # The results and the caption, without what is no longer shown.
    frame = report.results
    frame = frame[frame["row"].isin(ids) & frame["column"].isin([column.id for column in columns])]
    frame = frame[frame["metric"].isin(metrics)] if report.blocks else frame
    dropped = {column_sentence(column) for column in report.columns if column not in columns}
    caption = tuple(line for line in report.caption if line not in dropped)
    caption += () if asked.rows is None else (PARTLY,)
    return replace(
        report, rows=rows, columns=columns, blocks=blocks, claims=claims_shown, caption=caption, results=frame
    )


def _is_shown(claim: Claim, report: TableReport, rows: set[str], metrics: set[str]) -> bool:
    """Whether all rows and scores of the report's table that a claim names are shown."""
    own = [(cell.row, metric or report.main) for table, cell, metric in claim.cells(report.name)
           if table == report.name]  # fmt: skip
    return all(row in rows and metric in metrics for row, metric in own)


def folded(report: TableReport, named: Collection[str] = ()) -> TableReport:
    """The report without the rows, columns and claims that have no run yet; notes name what was dropped.

    Rows in `named` stay. Where nothing at all has been run, the whole report stays as it is. A figure of pictures does
    too: it shows what is missing.
    """
    tried = report.results[report.results["status"] != "missing"]
    if tried.empty or report.figure is not None:
        return report
    # What nothing was run for
    have, columns_with = set(tried["row"]), set(tried["column"])
    idle = [row for row in report.rows if row.kind != "printed" and row.id not in have and row.id not in named]
    columns = tuple(column for column in report.columns if column.id in columns_with)
    empty = [column for column in report.columns if column not in columns]
    untested = [claim for claim in report.claims if claim.untested]
    lines = [
        f"{what}: {', '.join(head.id for head in heads)}."
        for what, heads in (("Rows not run", idle), ("Columns not run", empty),
                            ("Claims not tested, for lack of finished runs", untested))
        if heads
    ]  # fmt: skip
    # The report without it; captions speak of the columns that stay
    dropped = {column_sentence(column) for column in empty}
    return replace(
        report,
        rows=tuple(row for row in report.rows if row not in idle),
        columns=columns,
        claims=tuple(claim for claim in report.claims if not claim.untested),
        caption=tuple(line for line in report.caption if line not in dropped),
        notes=(*lines, *report.notes),
    )
