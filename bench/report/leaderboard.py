"""The leaderboard: of every column that recorded sets have scores in, all recorded methods ranked under one protocol.

What is ranked together was scored alike: on as many images, against the same reference, on the same features, with the
settings that the table has today. Anything else has a ranking of its own, or is named as left out. Smoke ranks nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.evaluate.registry import on_features, output_card
from bench.paths import IMPORT_ROOT
from bench.plan.expand import Table
from bench.plan.load import load_table, table_names
from bench.plan.waiting import to_come
from bench.report.cell_settings import metrics_of, protocol_of
from bench.report.cells import Grid, make_cells, per_seed
from bench.report.comparable import best_of_printed
from bench.report.favoured import favoured
from bench.report.frame import machines_of
from bench.report.heads import column_heads
from bench.report.making import Making
from bench.report.marks import mark_best
from bench.report.marks import remarks as mark_remarks
from bench.report.model import Cell, ColumnHead, Kind
from bench.report.printed import printed_texts
from bench.report.recorded import every_recorded
from bench.report.recorded_settings import of_todays_settings
from bench.report.render.cell_text import cell_text
from bench.spec.run import MetricSpec
from bench.spec.table import Scale
from bench.spec.words import counts_words

# A run's lines of the main score have these alike where they are ranked together
SCORED_ALIKE = ("n_generated", "n_reference", "reference_split", "extractor_sha256", "reference_sha256")
SCORE_LINE = ["column", "uid", "metric", "extractor", "step"]  # which score of which run a line is


@dataclass(frozen=True)
class Entry:
    """A recorded method in a ranking. name: of its row, with its set where several have one of that name.

    others: its cells of the ranking's further scores. hours: of all its runs together; None where not recorded.
    """

    name: str
    label: str
    kind: Kind
    sets: tuple[str, ...]
    cell: Cell
    others: tuple[str, ...]
    commits: tuple[str, ...]
    machines: tuple[str, ...]
    hours: float | None

    @property
    def rank(self) -> str:
        """The 95 % interval of its rank: "2", "1–4"; "" where it is not ranked."""
        return "–".join(str(end) for end in dict.fromkeys(self.cell.rank)) if self.cell.rank else ""


@dataclass(frozen=True)
class Ranking:
    """One column of a table at a scale under one protocol: entries best first, then what stands apart from them.

    printed: (row, number) as the paper prints it; printed_score: what it calls that score. comparable: whether ours and
    those are of the same thing.
    """

    table: str
    title: str
    paper: str | None
    scale: Scale
    column: ColumnHead
    metric: str
    score: str
    direction: str
    protocol: str
    further: tuple[str, ...]
    entries: tuple[Entry, ...]
    points: tuple[Entry, ...]
    printed: tuple[tuple[str, str], ...]
    printed_score: str
    comparable: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Leaderboard:
    """All rankings, by table and scale, and what recorded sets hold beside them, in lines."""

    rankings: tuple[Ranking, ...]
    left_out: tuple[str, ...]


def leaderboard(root: Path | None = None) -> Leaderboard:
    """The rankings of all recorded sets in use, or of those below `root`. Raises UserError for a malformed set."""
    lines, making = every_recorded(root)
    rankings: list[Ranking] = []
    left_out: list[str] = []
    for (table, scale), own in lines.groupby(["table", "scale"], sort=True):
        sets = ", ".join(sorted(set(own["set"])))
        spec = _table(str(table))
        if spec is None:
            left_out.append(f"{table} at {scale} ({sets}): a table that does not ship with this version.")
        elif scale == "smoke":
            left_out.append(f"{table} at smoke ({sets}): numbers of that scale rank nothing.")
        elif scale not in spec.scales or to_come(spec) is not None:
            left_out.append(f"{table} at {scale} ({sets}): this version does not train it.")
        else:
            found = list(_of_table(spec, str(scale), own, making))  # type: ignore[arg-type]  # a scale of the table
            rankings += found
            if not found:
                left_out.append(f"{table} at {scale} ({sets}): nothing of it has the settings of the table today.")
    return Leaderboard(tuple(rankings), tuple(left_out))


def _table(name: str) -> Table | None:
    """A table that ships, or an experiment of this checkout; None for one that is neither."""
    if name in table_names():
        return load_table(name)
    # The name is that of a recorded file, which may be anybody's: it must not lead out of the folder.
    file = IMPORT_ROOT / "experiments" / f"{name}.yaml"
    return load_table(str(file)) if re.fullmatch(r"[a-z0-9-]+", name) and file.is_file() else None


def _of_table(spec: Table, scale: Scale, lines: pd.DataFrame, making: Making) -> Iterator[Ranking]:
    """The rankings of a table's columns, each under every protocol that it was recorded under."""
    lines, remarks = of_todays_settings(spec, scale, lines)
    lines = _told_apart(lines)
    metrics = metrics_of(spec, scale)
    for head in column_heads(spec, scale):
        own = lines[lines["column"] == head.id]
        scored = [metric for metric in metrics if not _of(own, metric).empty]
        main = next((metric for metric in scored if metric.name == spec.main_metric(scale)), next(iter(scored), None))
        if main is None:
            continue
        others = [metric for metric in scored if metric is not main]
        for alike in _scored_alike(own, main):
            yield _ranking(spec, scale, head, alike, main, others, making, remarks.get(head.id, ()))


def _ranking(spec: Table, scale: Scale, head: ColumnHead, lines: pd.DataFrame, main: MetricSpec,
             others: Sequence[MetricSpec], making: Making, remarks: Sequence[str]) -> Ranking:  # fmt: skip
    """The ranking of one column from lines that were all scored alike."""
    values = per_seed(lines, spec.snapshot, protocol_of(spec, scale))
    kinds = _kinds(spec, lines)
    card, rows = output_card(main.name), [row for row, kind in kinds.items() if kind != "reference"]
    cells = _cells(values, main, kinds, head.id)
    machines = machines_of(_of(lines, main)) if card.of_machine else []
    if len(machines) < 2:
        cells, told = mark_best(cells, main.name, rows, [head.id])
        remarks = [*remarks, *mark_remarks(told, {head.id: head.label}, main.name)]
    else:
        remarks = [*remarks, f"Taken on {len(machines)} machines ({'; '.join(machines)}): not ranked across them."]
    # Entries in the order of their scores; those without a number last, in the table's order
    further = {metric: _cells(values, metric, kinds, head.id) for metric in others}
    labels = {row.id: row.label for row in spec.rows}
    entries = {
        row: _entry(row, kind, labels, lines[lines["row"] == row], cells[row, head.id],
                    [further[metric][row, head.id] for metric in others], making)
        for row, kind in kinds.items() if cells[row, head.id].values
    }  # fmt: skip
    if card.ranks:
        entries = dict(sorted(entries.items(), key=lambda item: _loss(item[1].cell, card.loss)))
    remarks = [*remarks, *favoured(spec, scale, set(entries))]
    printed = printed_texts(spec.name)
    first = _of(lines, main).iloc[0]
    counts = counts_words(first["n_generated"], first["n_reference"], first["reference_split"])
    return Ranking(
        table=spec.name,
        title=spec.title,
        paper=spec.paper,
        scale=scale,
        column=head,
        metric=main.name,
        score=f"{card.label(main.extractor)}{f' in {card.unit}' if card.unit else ''}",
        direction=card.direction,
        protocol=f"{head.dataset}; {counts}; {spec.snapshot} snapshot of each seed",
        further=tuple(output_card(metric.name).label(metric.extractor) for metric in others),
        entries=tuple(entry for entry in entries.values() if entry.kind != "reference"),
        points=tuple(entry for entry in entries.values() if entry.kind == "reference"),
        printed=tuple(
            (f"{row.label.strip()} · {row.id}", text)
            for row in spec.rows
            if (text := printed.get((row.id, head.id, card.printed_name))) is not None and not head.added
        ),
        printed_score=card.on_inception or card.short,  # the papers' features are an Inception's
        comparable=best_of_printed(spec, scale, main) is not None,
        notes=tuple(remarks),
    )


def _entry(row: str, kind: Kind, labels: Mapping[str, str], lines: pd.DataFrame, cell: Cell,
           others: Sequence[Cell], making: Making) -> Entry:  # fmt: skip
    own = str(lines["own_row"].iloc[0])
    runs = [str(uid) for uid in lines["uid"].unique()]
    made = [making[uid] for uid in runs if uid in making]
    known = len(made) == len(runs)
    return Entry(
        name=row,
        label=labels.get(own, own),
        kind=kind,
        sets=tuple(dict.fromkeys(name for names in lines["set"] for name in str(names).split(", "))),
        cell=cell,
        others=tuple(cell_text(other) for other in others),
        commits=tuple(sorted({str(commit) for commit in lines["commit"].dropna()})),
        machines=tuple(sorted({str(run["machine"]) for run in made})),
        hours=sum(float(run["seconds"]) for run in made) / 3600 if known else None,
    )


def _told_apart(lines: pd.DataFrame) -> pd.DataFrame:
    """Lines in which a row is one entry, with every run once; `own_row` is its name in the table.

    Sets that have a run in common, with the same scores, hold parts of one entry. Others are entries of their own,
    named after their sets too; so are two sets whose scores of one run differ, as they do between machines.
    """
    parts = []
    for row, own in lines.groupby("row", sort=False):
        entries: list[tuple[list[str], pd.DataFrame]] = []
        for name in sorted(set(own["set"])):
            mine = own[own["set"] == name]
            place = next((n for n, (_, theirs) in enumerate(entries) if _agree(theirs, mine)), None)
            if place is None:
                entries.append(([name], mine))
            else:
                names, theirs = entries[place]
                entries[place] = [*names, name], pd.concat([theirs, mine]).drop_duplicates(SCORE_LINE)
        for names, entry in entries:
            of = ", ".join(names)
            parts.append(entry.assign(own_row=row, row=row if len(entries) == 1 else f"{row} ({of})", set=of))
    return pd.concat(parts, ignore_index=True) if parts else lines.assign(own_row=lines["row"])


def _agree(theirs: pd.DataFrame, mine: pd.DataFrame) -> bool:
    """Whether two sets have a run in common, and the same scores of all that they have in common."""
    shared = theirs[[*SCORE_LINE, "value"]].merge(mine[[*SCORE_LINE, "value"]], on=SCORE_LINE)
    same = (shared["value_x"] == shared["value_y"]) | (shared["value_x"].isna() & shared["value_y"].isna())
    return len(shared) > 0 and bool(same.all())


def _scored_alike(lines: pd.DataFrame, main: MetricSpec) -> list[pd.DataFrame]:
    """The lines in parts whose runs were scored alike in the main score, the part with the most runs first.

    Digests that were not recorded tell nothing apart.
    """
    runs = _of(lines, main).drop_duplicates("uid")[["uid", *SCORED_ALIKE]].astype(object)
    for name in ("extractor_sha256", "reference_sha256"):
        known = [digest for digest in runs[name].unique() if digest]
        if len(known) == 1:
            runs[name] = known[0]
    parts = [group["uid"] for _, group in runs.groupby(list(SCORED_ALIKE), dropna=False, sort=False)]
    return [lines[lines["uid"].isin(uids)] for uids in sorted(parts, key=len, reverse=True)]


def _kinds(spec: Table, lines: pd.DataFrame) -> dict[str, Kind]:
    """Each row's kind, in the order of the table: its methods, what is not its own, its controls, reference points."""
    own = {row.id: row for row in spec.rows}
    kinds: dict[str, Kind] = {}
    for name, row, kind in lines[["row", "own_row", "kind"]].drop_duplicates().itertuples(index=False, name=None):
        known = own.get(row)
        kinds[name] = "reference" if kind == "reference" else "added" if known is None else "method"
        if known is not None and known.control and kind != "reference":
            kinds[name] = "control"
    order = [*own, *lines["own_row"]]
    first = {str(row): place for place, row in reversed(list(enumerate(order)))}
    of = dict(lines[["row", "own_row"]].drop_duplicates().itertuples(index=False, name=None))
    return dict(sorted(kinds.items(), key=lambda item: first[of[item[0]]]))


def _cells(values: pd.DataFrame, metric: MetricSpec, kinds: Mapping[str, Kind], column: str) -> Grid:
    """The cells of all rows; the sd is pooled within a kind, so that a control that collapses widens no interval."""
    lines = _of(values, metric)
    cells: Grid = {}
    for kind in dict.fromkeys(kinds.values()):
        rows = [row for row, own in kinds.items() if own == kind]
        # A set has the seeds that it has: none is missing
        cells |= make_cells(lines[lines["row"].isin(rows)], metric.name, rows, [column], 0)
    return cells


def _of(lines: pd.DataFrame, metric: MetricSpec) -> pd.DataFrame:
    return lines[(lines["metric"] == metric.name) & (lines["extractor"] == on_features(metric.extractor))]


def _loss(cell: Cell, loss: object) -> float:
    assert callable(loss)
    return math.inf if math.isnan(cell.centre) else float(loss(cell.centre))
