"""One run by what people call it: its id or a piece of it, its label, or its row."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from bench.cli.options import rows_of, table_with
from bench.data.known import is_own
from bench.errors import UserError
from bench.launch.slurm.records import submissions
from bench.plan.expand import Table
from bench.plan.load import table_names
from bench.plan.runs import make_plan
from bench.plan.schedule import PlannedRun
from bench.plan.waiting import refuse_waiting
from bench.spec.row_column import Column, Row
from bench.spec.run import RunSpec
from bench.spec.table import SCALES
from bench.store.runs import RunFolder, Store

Labels = dict[str, list[str]]  # uid -> labels
MOST_LISTED = 10
NO_CHOICE: dict[str, Any] = {"rows": None, "columns": None, "seeds": None, "methods": (), "settings": ()}


def find_run(text: str, store: Store, table: str | None, scale: str | None, choice: Mapping[str, Any]) -> RunFolder:
    """The one run of the store that `text` means.

    `text` is tried in this order, and the first kind that fits any run decides:
    - a run's id, or the beginning or end of one;
    - a label as `bench plan` prints it ("scratch · faces · seed 0"), with or without the dots;
    - a row's id or label;
    - any piece of an id.

    Labels come from what was submitted and from `table` at `scale` (None: every shipped table, every scale), with the
    user's own data sets as columns where the store has runs on them. The choices of `selection_options` narrow them.
    Without --set a run with other settings fits too. Raises UserError if no run fits, or if several do, and then lists
    them.
    """
    # Ids first: they need no plan of any table
    uids = [run.uid for run in store]
    if text in uids:
        return store.folder(text)
    ends = [uid for uid in uids if uid.startswith(text) or uid.endswith(text)]
    if len(ends) == 1:
        return store.folder(ends[0])
    # Then labels and rows, exact ones before those of other settings, then pieces of ids
    exact, loose = _labels_of(store, table, scale, choice)
    narrow = any(choice[name] for name in ("rows", "columns", "seeds"))
    tiers = [
        *(uids_called(text, labels) for labels in (exact, loose) for uids_called in (_labelled, _in_row)),
        ends,
        [uid for uid in uids if text in uid],
    ]
    for tier in tiers:
        matches = [uid for uid in tier if uid in uids and not (narrow and uid not in exact and uid not in loose)]
        if matches:
            return _only(text, store, {uid: exact.get(uid) or loose.get(uid, []) for uid in matches})
    raise UserError(
        f"run '{text}': not in {store.root}; `bench plan TABLE` prints the ids and labels of runs "
        "(rows of --method are known where the same --method is given)"
    )


def _labelled(text: str, labels: Labels) -> list[str]:
    return [uid for uid, names in labels.items() if any(_words(name) == _words(text) for name in names)]


def _in_row(text: str, labels: Labels) -> list[str]:
    return [uid for uid, names in labels.items() if any(name.split(" · ")[0] == text for name in names)]


def _only(text: str, store: Store, matches: dict[str, list[str]]) -> RunFolder:
    if len(matches) == 1:
        return store.folder(next(iter(matches)))
    listed = [f"{labels[0]} ({uid})" if labels else uid for uid, labels in matches.items()]
    more = f" and {len(listed) - MOST_LISTED} more" if len(listed) > MOST_LISTED else ""
    raise UserError(f"run '{text}': fits several: {', '.join(listed[:MOST_LISTED])}{more}")


def _labels_of(store: Store, table: str | None, scale: str | None, choice: Mapping[str, Any]) -> tuple[Labels, Labels]:
    """The labels of runs: exact ones, and those of runs that differ from a planned run in their settings alone.

    Exact labels are from submissions and tables.
    """
    exact: Labels = {}
    loose: Labels = {}
    # Submissions know labels only, so that rows, columns and seeds cannot choose among them
    narrow = any(choice[name] for name in ("rows", "columns", "seeds"))
    for submission in submissions(store) if not narrow else []:
        for uid, label in submission.labels.items():
            exact.setdefault(uid, []).append(label)
    # The store's runs by what a label says, to find those with other settings
    by_essence: dict[str, list[str]] = {}
    stored = [run.spec() for run in store]
    for spec in stored:
        by_essence.setdefault(_essence(spec), []).append(spec.uid)
    similar = {_outline(spec) for spec in stored}
    behind: Labels = {}  # what another table calls a run that it evaluates: after what the run's own table calls it
    for planned in _planned(table, scale, store, choice):
        names = [f"{cell.row} · {cell.column} · seed {cell.seed}" for cell in planned.cells]
        (exact if names else behind).setdefault(planned.uid, []).extend(names or [planned.label])
        if choice["settings"] or _outline(planned.spec) not in similar:
            continue
        for uid in by_essence.get(_essence(planned.spec), []):
            loose.setdefault(uid, []).extend(names or [planned.label])
    for uid, labels in behind.items():
        exact.setdefault(uid, []).extend(labels)
    return exact, loose


def _planned(table: str | None, scale: str | None, store: Store, choice: Mapping[str, Any]) -> Iterator[PlannedRun]:
    """The runs that the tables plan at a scale, or at every one that they have.

    Where the choice names no seeds they are those of the store's runs: no other can be meant. A table that lacks a row
    or a column of the choice, or settings of a row of one's own, plans none. Raises UserError where no table plans any.
    """
    stored = [run.spec() for run in store]
    seeds = choice["seeds"] or sorted({spec.seed for spec in stored} or {0})
    names, refusals, some = {spec.data.name for spec in stored}, [], False
    for spec in _tables(table, store, choice):
        for at in [scale] if scale is not None else [each for each in SCALES if each in spec.scales]:
            try:
                asked = rows_of(choice)
                every = [row for row in spec.rows if row.printed_only is None]
                rows = spec.pick_rows(asked) if asked else every
                if columns := choice["columns"] or _columns_on(names, spec, at, rows):
                    ids = [row.id for row in rows if asked or spec.fits(row, at)]
                    yield from make_plan(spec, at, store, ids, columns, seeds).runs
                some = True
            except UserError as error:
                refusals.append(error)
    if refusals and not some:
        raise refusals[0]


def _columns_on(names: Collection[str], spec: Table, scale: str, rows: Sequence[Row]) -> list[str]:
    """The columns that have to do with one of these data sets: planning all others would take seconds."""

    def has_to_do(row: Row | None, column: Column) -> bool:
        """Whether a cell (a reference point without a row), the one whose runs it evaluates or a source is on one."""
        settings = [spec.merged(column, scale, row)]
        if row is not None and (behind := spec.behind(row, column, scale)) is not None:
            settings.append(behind.table.merged(behind.column, scale, behind.row))
        on = [patch for patch in settings if patch.data is not None and patch.data.name in names]
        return bool(on) or any(name in str(patch.sources) for patch in settings for name in names)

    return [column.id for column in spec.columns if any(has_to_do(row, column) for row in (None, *rows))]


def _tables(table: str | None, store: Store, choice: Mapping[str, Any]) -> list[Table]:
    """The table of a name, or every shipped one that has the columns and settings of the choice.

    Where the choice names no columns, the user's own data sets that the store has runs on are further columns.
    Raises UserError where no table has them.
    """
    own = {name for run in store if is_own(name := run.spec().data.name)} if choice["columns"] is None else set()
    tables, refusals = [], []
    for name in [table] if table is not None else table_names():
        try:
            spec = table_with(name, choice["settings"], choice["methods"], choice["columns"])
            if further := own - {column.id for column in spec.columns}:
                spec = table_with(name, choice["settings"], choice["methods"], sorted(further))
            refuse_waiting(spec)
            tables.append(spec)
        except UserError as error:
            refusals.append(error)
    if refusals and not tables:
        raise refusals[0]
    return tables


def _essence(spec: RunSpec) -> str:
    """What the label of a run tells of it: everything but its settings."""
    method = [part.model_dump() for part in (spec.evaluated or spec).method]
    measure = [] if spec.measure is None else [spec.measure.model_dump()]
    return json.dumps([spec.kind, spec.seed, spec.data.model_dump(), method, *measure])


def _outline(spec: RunSpec) -> tuple[str, int, str]:
    """A part of the essence that costs nothing: most runs that are planned differ in it from all of the store."""
    return spec.kind, spec.seed, spec.data.name


def _words(text: str) -> list[str]:
    """The words of a label without its dots, so that "scratch faces seed 0" is the same label."""
    return text.replace("·", " ").lower().split()
