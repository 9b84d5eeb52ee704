"""From a table to the runs it needs: which are done, and which would start, in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.errors import UserError
from bench.plan.expand import Table
from bench.plan.own_figures import figures_of_sources, lend_minutes, scale_minutes
from bench.plan.schedule import PlannedCell, PlannedRun, Schedule
from bench.plan.store_view import StoreView
from bench.plan.waiting import refuse_waiting
from bench.spec.row_column import Column, Row
from bench.spec.run import RunSpec
from bench.store.runs import Store

MOST_SEEDS = 100_000  # a typing error must not plan runs until the memory is full


@dataclass
class Plan(Schedule):
    """The runs of a table at a scale."""

    table: Table
    scale: str
    runs: list[PlannedRun]
    again: set[str] = field(default_factory=set)
    trains: bool = True

    @property
    def name(self) -> str:
        """What is planned: the table's name."""
        return self.table.name

    def ask_again(self) -> None:
        """Let the finished runs of the plan's rows start too (--rerun), stale ones among them.

        Sources and reference points stay as they are. Raises UserError if one of the rows' runs is at work now.
        """
        rows = [run for run in self.runs if any(cell.row not in self.table.references for cell in run.cells)]
        for run in rows:
            if run.status == "running":
                raise UserError(f"--rerun: {run.label} ({run.uid}) is at work; wait, or stop it with `bench cancel`")
        self.again = {run.uid for run in rows if run.status in ("done", "diverged", "stale")}


def make_plan(
    table: Table,
    scale: str,
    store: Store | StoreView,
    rows: list[str] | None = None,
    columns: list[str] | None = None,
    seeds: Iterable[int] | None = None,
    references: bool = True,
) -> Plan:
    """Every run that the chosen cells need, each once and with its status in the store.

    Runs of the table's reference points (floor, memorised) go with their columns, unless `references` is False.
    Raises UserError for unknown names, and for a table that waits for a measure. Costs one directory look-up per run.
    """
    refuse_waiting(table)
    # Reference points first, then the seeds of all cells; `runs` keeps the order in which they are added.
    chosen_columns = table.pick_columns(columns)
    chosen_seeds = list(range(table.seeds_at(scale))) if seeds is None else list(seeds)
    runs: dict[str, PlannedRun] = {}
    lenders: dict[str, Table] = {}
    for column in chosen_columns:
        for point in table.points(column, scale) if references else ():
            for seed in chosen_seeds:
                spec = table.reference_spec(point, column, seed, scale)
                _add(runs, spec).cells.append(PlannedCell(point, column.id, seed))
    for seed in chosen_seeds:  # seed by seed, so that an interrupted table has whole replicates first
        for row in table.pick_rows(rows):
            for column in chosen_columns:
                _add_cell(runs, lenders, table, row, column, seed, scale)
    chosen_rows = table.pick_rows(rows)
    chosen = [(row.id, column.id) for row in chosen_rows for column in chosen_columns]
    if chosen and all(table.is_absent(*cell, scale) for cell in chosen):
        why = "the paper leaves it out" if table.is_absent(*chosen[0]) else f"scale {scale} cannot have it"
        cell = "/".join(chosen[0])
        raise UserError(f"{table.name} has no cell {cell}: {why}; choose other rows or columns")
    # What the store knows of these runs.
    view = store if isinstance(store, StoreView) else StoreView(store)
    for run in runs.values():
        view.look_up(run)
        run.resources = lenders.get(run.uid, table).at(scale).resources
    figures_of_sources(table, scale, runs)
    lend_minutes(runs)
    scale_minutes(table, scale, runs, lenders.values())
    return Plan(table, scale, list(runs.values()))


def other_sources(runs: list[PlannedRun], store: Store) -> Counter[str]:
    """How many runs of the store differ from these only in the code of a part from outside the project.

    Returns part -> number of runs. They were trained before a plug-in was edited, or by another plug-in of the same
    name.
    """
    planned = {run.uid for run in runs}
    outside = {part.name for run in runs for part in run.spec.method if part.source is not None}
    bare = {_without_sources(run.spec) for run in runs if outside & {part.name for part in run.spec.method}}
    labels = {run.uid.rpartition("_")[0] for run in runs}
    counts: Counter[str] = Counter()
    # A uid ends in the hash of the spec: only runs that share the rest of it need to be read.
    for folder in store if outside else ():
        if folder.uid in planned or folder.uid.rpartition("_")[0] not in labels or not folder.has_progress():
            continue
        spec = folder.spec()
        if _without_sources(spec) in bare:
            counts.update(part.name for part in spec.method if part.name in outside)
    return counts


def _without_sources(spec: RunSpec) -> str:
    method = tuple(part.model_copy(update={"source": None}) for part in spec.method)
    return spec.model_copy(update={"method": method}).canonical()


def parse_seeds(text: str) -> list[int]:
    """`0..2` as [0, 1, 2], `0,3` as [0, 3]. Raises UserError otherwise."""
    seeds: list[int] = []
    try:
        for piece in text.split(","):
            first, dots, last = piece.partition("..")
            stop = int(last if dots else first) + 1
            if stop > MOST_SEEDS:
                raise UserError(f"seeds '{text}': a seed must be below {MOST_SEEDS}")
            seeds += range(int(first), stop)
    except ValueError as error:
        raise UserError(f"seeds '{text}': write 0..2 or 0,1,2") from error
    if not seeds or min(seeds) < 0:
        raise UserError(f"seeds '{text}': write 0..2 or 0,1,2")
    return list(dict.fromkeys(seeds))


def _add_cell(
    runs: dict[str, PlannedRun],
    lenders: dict[str, Table],
    table: Table,
    row: Row,
    column: Column,
    seed: int,
    scale: str,
) -> None:
    """Add the runs of a cell and a seed; `lenders` is told whose those are that another table trains, by uid."""
    if not table.shows(row, column, scale):
        return
    spec = table.shown_spec(row, column, seed, scale)
    _add(runs, spec).cells.append(PlannedCell(row.id, column.id, seed))
    if spec.evaluated is not None and (behind := table.behind(row, column, scale)) is not None:
        lender, evaluated = "" if behind.table is table else f"{behind.table.name}: ", runs[spec.evaluated.uid]
        evaluated.behind = evaluated.behind or f"{lender}{behind.row.id} · {behind.column.id} · seed {seed}"
        if isinstance(behind.table, Table) and behind.table is not table:
            lenders |= dict.fromkeys((evaluated.uid, *evaluated.needs), behind.table)


def _add(runs: dict[str, PlannedRun], spec: RunSpec) -> PlannedRun:
    """The run of the plan with this spec, added after what it needs, unless it is there."""
    needs = tuple(_add(runs, source).uid for source in spec.run_sources.values())
    return runs.setdefault(spec.uid, PlannedRun(spec, needs=needs))
