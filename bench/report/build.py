"""Everything a renderer needs, computed once: blocks of cells, marks, verdicts, claims, caption and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bench.evaluate.registry import on_features, output_card
from bench.features import inception_variant
from bench.metrics.measures import measures
from bench.plan.claims import told_with
from bench.plan.expand import Table
from bench.report import picture_words
from bench.report.best_seeds import with_best_of
from bench.report.caption import caption, notes
from bench.report.cell_settings import gives_of, metrics_of, protocol_of, protocols, sharing
from bench.report.cells import ENDED, Grid, degrees_of_freedom, make_cells, per_seed
from bench.report.claims.judge import judge
from bench.report.claims.known import KnownTables
from bench.report.claims.scores import Lack, Load, Scores
from bench.report.comparable import best_of_printed
from bench.report.curve_axis import curve_axis
from bench.report.fold import Asked, narrowed
from bench.report.frame import machines_of, of_evaluations, pairs
from bench.report.heads import column_heads, row_heads
from bench.report.marks import Told, groups_text, mark_best
from bench.report.marks import remarks as mark_remarks
from bench.report.model import (
    OLDER,
    Block,
    Cell,
    ColumnHead,
    Kind,
    RowHead,
    Rule,
    TableReport,
)
from bench.report.origins import origin_notes
from bench.report.picture_rows import is_of_pictures, remarks
from bench.report.printed import printed_texts
from bench.spec.run import MetricSpec
from bench.spec.table import Scale
from bench.spec.words import against
from bench.stats import verdict

OTHER_KINDS: tuple[Kind, ...] = ("control", "added", "reference")
OTHER: dict[Rule, Rule] = {"best": "final", "final": "best"}


def build_report(
    spec: Table, scale: Scale, results: pd.DataFrame, asked: Asked | None = None, load: Load | None = None
) -> TableReport:
    """The report of a table at a scale from its results (`load_results`), or the part that is asked for.

    Blocks are ordered by snapshot rule, the paper's first, then by metric. Printed numbers, verdicts and the best
    of several seeds appear only under the paper's own rule, so that the two rules are never mixed. At smoke scale
    there are no marks and no claims, because its numbers rank nothing.
    load: gives the other tables that claims compare with, with their results; None: these claims are left open.
    """
    rows = row_heads(spec, results)
    columns = column_heads(spec, scale)
    shown = [column for column in columns if asked is None or asked.columns is None or column.id in asked.columns]
    told_of = _asked_for(results, rows, asked)  # what captions and notes speak of
    own = tuple(column.id for column in spec.columns if not column.added)  # what the paper speaks of
    printed = {key: text for key, text in printed_texts(spec.name).items() if key[1] in own}
    # One block of cells for each snapshot rule and metric.
    blocks = []
    # An evaluation is of one snapshot, and stands under the table's own rule.
    every, trained = gives_of(spec, scale), gives_of(spec, scale, evaluated=False)
    for rule in (spec.snapshot, OTHER[spec.snapshot]) if spec.pictures is None else ():
        gives, lines = (every, results) if rule == spec.snapshot else (trained, results[~of_evaluations(results)])
        if every and not gives:
            continue
        values = per_seed(lines, rule, protocol_of(spec, scale))
        blocks += [
            _block(spec, scale, metric, rule, values, rows, columns, printed, gives, shown)
            for metric in metrics_of(spec, scale)
        ]
    main = spec.main_metric(scale)
    blocks = with_best_of(spec, scale, main, blocks, results)
    # The claims, in the table's own columns
    known, scores = KnownTables(spec), Scores(scale, load or _not_read, (spec, results))
    claims = tuple(judge(claim, spec.name, known, scores) for claim in told_with(spec) if _ranks(scale))
    shows_printed = any(asked is None or asked.columns is None or key[1] in asked.columns for key in printed)
    whole = TableReport(
        name=spec.name,
        title=spec.title,
        paper=spec.paper,
        scale=scale,
        rows=rows,
        columns=columns,
        blocks=tuple(blocks),
        claims=claims,
        caption=picture_words.caption(spec, scale, columns, results)
        if spec.pictures is not None
        else caption(spec, scale, columns, told_of, shows_printed),
        notes=(*notes(spec, scale, rows, blocks, shown), *origin_notes(told_of), *remarks(told_of)),
        results=results,
        main=main,
        curve=curve_axis(spec, scale),
    )
    return narrowed(whole, asked, told_with(spec)) if asked else whole


def _asked_for(results: pd.DataFrame, rows: Sequence[RowHead], asked: Asked | None) -> pd.DataFrame:
    """The results of the rows and columns that are shown, with the reference points of these columns."""
    if asked is None:
        return results
    if asked.columns is not None:
        results = results[results["column"].isin(asked.columns)]
    if asked.rows is not None:
        points = {row.id for row in rows if row.kind == "reference"}
        results = results[results["row"].isin({*asked.rows, *points})]
    return results


def _not_read(name: str) -> Lack:
    return Lack(f"the runs of {name} are not read here")


def _block(
    spec: Table,
    scale: Scale,
    metric: MetricSpec,
    rule: Rule,
    values: pd.DataFrame,
    rows: Sequence[RowHead],
    columns: Sequence[ColumnHead],
    printed: dict[tuple[str, str, str], str],
    gives: Mapping[tuple[str, str], tuple[MetricSpec, ...]],
    shown: Sequence[ColumnHead],
) -> Block:
    """One score under one snapshot rule: the cells of all columns, and remarks on those that are shown."""
    extractor = on_features(metric.extractor)
    lines = values[(values["metric"] == metric.name) & (values["extractor"] == extractor)]
    ids = [column.id for column in columns]
    own, known = protocol_of(spec, scale), {row.id for row in spec.rows}
    pictures = {row.id for row in spec.rows if is_of_pictures(row)}

    def scores(row: str, column: str) -> bool:
        """Whether a cell is to have this score: it is not left out, and its protocol or its measure has the score."""
        protocol = own(row, column) if row not in known else None
        metrics = protocol.metrics if protocol else gives.get((row, column), ())
        return (metric.name, extractor) in {(each.name, on_features(each.extractor)) for each in metrics}

    def cells_of(kind: Kind) -> Grid:
        """The cells of one kind of row.

        The sd is pooled within a kind: a control that collapses must not widen the intervals of the paper's rows.
        """
        names = [row.id for row in rows if row.kind == kind]
        mine = ["reference" if kind == "reference" else "train"]
        own_lines = lines[lines["kind"].isin(mine)]
        cells = make_cells(own_lines, metric.name, names, ids, spec.seeds_at(scale), sharing(spec, scale))
        cells |= {key: Cell() for key, cell in cells.items() if not cell.values and not scores(*key)}
        cells |= {key: _as_held(cell) for key, cell in cells.items() if key[0] in pictures}
        ended = values[values["kind"].isin(mine) & values["status"].isin(ENDED)]
        unscored = pairs(ended) - pairs(lines)
        # A run that ended without a line for this metric had too few images for it: its cell is empty.
        return cells | {key: Cell() for key in unscored & cells.keys()}

    # The paper's rows first: marks and remarks are about them alone.
    method_rows = [row.id for row in rows if row.kind == "method"]
    cells = cells_of("method")
    told: dict[str, Told] = {}
    machines = _machines(lines, metric.name)
    if _ranks(scale) and len(machines) < 2:
        cells, told = mark_best(cells, metric.name, method_rows, ids, sharing(spec, scale))
    labels = {column.id: column.label for column in shown}
    told = {column: one for column, one in told.items() if column in labels}
    remarks = (*_freedom(cells, shown, "paper's" if spec.paper else "table's"),
               *mark_remarks(told, labels, metric.name))  # fmt: skip
    if len(machines) > 1:
        remarks += (f"Taken on {len(machines)} machines ({'; '.join(machines)}): nothing is marked across them.",)
    for kind in OTHER_KINDS:
        cells |= cells_of(kind)
    remarks += _versions(_of_columns(cells, shown), metric.name)
    # Printed numbers and verdicts, under the paper's own snapshot rule only.
    ours = rule == spec.snapshot
    if ours:
        cells = _with_printed(cells, metric, rows, ids, printed, best_of_printed(spec, scale, metric))
        remarks += _other_features(spec, scale, metric, _of_columns(cells, shown))
    used = protocols(spec, scale)
    splits = {protocol.split for protocol in used}
    split = splits.pop() if len(splits) == 1 else "test"  # where columns differ in it, the caption says it of each
    selects = {protocol.selects.name for protocol in used if protocol.selects}
    label = output_card(metric.name).label(metric.extractor)
    return Block(
        metric=metric.name,
        extractor=extractor,
        label=against(label, split) if metric.name in measures() else label,
        rule=rule,
        selects=selects.pop() if len(selects) == 1 else metric.name,
        paper_rule=ours,
        cells=cells,
        notes=remarks,
        split=split,
        groups=groups_text(told, labels),
    )


def _as_held(cell: Cell) -> Cell:
    """A cell of pictures from elsewhere: it has the seeds that were kept, and nobody plans further ones."""
    return replace(cell, statuses=Counter({status: n for status, n in cell.statuses.items() if status != "missing"}))


def _machines(lines: pd.DataFrame, metric: str) -> list[str]:
    """The machines on which a number was taken that depends on them; none for any other number."""
    return machines_of(lines) if output_card(metric).of_machine else []


def _freedom(cells: Grid, columns: Sequence[ColumnHead], whose: str) -> tuple[str, ...]:
    """What a block's intervals rest on, by column: their degrees of freedom."""
    freedom = {column.label: degrees_of_freedom(cells, column.id, whose) for column in columns}
    text = "; ".join(f"{label} {what}" for label, what in freedom.items() if what)
    return (f"Degrees of freedom: {text}.",) if text else ()


def _of_columns(cells: Grid, columns: Sequence[ColumnHead]) -> Grid:
    """The cells of some of the columns."""
    ids = {column.id for column in columns}
    return {key: cell for key, cell in cells.items() if key[1] in ids}


def _versions(cells: Grid, metric: str) -> tuple[str, ...]:
    """The note under a block that holds values of an older version of its score."""
    older = sorted({cell.version for cell in cells.values() if cell.outdated and cell.version})
    if not older and not any(cell.statuses.get(OLDER) for cell in cells.values()):
        return ()
    marks = " and ".join(f"v{version}" for version in older) or "an older score"
    return (
        f"{marks}: {metric} as an older version of the score gave it (today's is {output_card(metric).version}; see "
        "docs/reports.md). Versions are never averaged or compared with each other: train these runs again "
        "(--rerun) for today's.",
    )


def _ranks(scale: Scale) -> bool:
    """Whether the numbers of a scale say which row is better."""
    return scale != "smoke"


def _other_features(spec: Table, scale: Scale, metric: MetricSpec, cells: Grid) -> tuple[str, ...]:
    """Why the printed numbers of a block get no verdict at paper scale."""
    printed = any(cell.printed is not None for cell in cells.values())
    if scale != "paper" or not printed or best_of_printed(spec, scale, metric) is not None:
        return ()
    if output_card(metric.name).of_machine:
        return ("[printed]: on the paper's machine, not comparable.",)
    ours = inception_variant(metric.extractor)
    unsaid = {"unknown": "the paper does not say which", "other": "the paper uses one that we do not have"}
    theirs = unsaid.get(spec.inception, f"the paper's: {spec.inception}")
    if ours is None:
        return (f"[printed]: on an Inception ({theirs}), ours on {metric.extractor}, not comparable.",)
    return (f"[printed]: other Inception, not comparable ({theirs}; ours: {ours}).",)


def _with_printed(
    cells: Grid,
    metric: MetricSpec,
    rows: Sequence[RowHead],
    columns: Sequence[str],
    printed: dict[tuple[str, str, str], str],
    best_of: int | None,
) -> Grid:
    """The cells with the paper's numbers added, and a verdict where the two are comparable."""
    filled = dict(cells)
    for row in rows:
        for column in columns:
            text = printed.get((row.id, column, output_card(metric.name).printed_name))
            if text is not None:
                cell = cells.get((row.id, column), Cell())
                judgement = _verdict(cell, metric.name, float(text), best_of) if best_of is not None else None
                filled[row.id, column] = replace(cell, printed=text, verdict=judgement)
    return filled


def _verdict(cell: Cell, metric: str, printed: float, best_of: int) -> str | None:
    if cell.interval is None:
        return None
    has_spread = cell.interval.df > 0
    return verdict(
        cell.values,
        printed,
        best_of,
        sd=cell.interval.sd if has_spread else None,
        df=cell.interval.df if has_spread else None,
        better=output_card(metric).better,
    )
