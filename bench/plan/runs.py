"""From a table to the runs it needs: which are done, and which would start, in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.errors import UserError
from bench.paths import weights_root
from bench.plan.expand import Table
from bench.plan.inputs import Machine
from bench.plan.waiting import refuse_waiting
from bench.spec.row_column import Column, Row
from bench.spec.run import RunSpec, WeightsFile
from bench.spec.scale import Resources
from bench.store.runs import Cause, RunFolder, Status, Store

Retry = Literal["failed", "lost", "stale", "all"]
MOST_SEEDS = 100_000  # a typing error must not plan runs until the memory is full


@dataclass(frozen=True)
class PlannedCell:
    """Where in a table a run is shown: a row (or a reference point), a column, a seed."""

    row: str
    column: str
    seed: int


@dataclass
class PlannedRun:
    """One run of a plan. `cells` is empty for a source run that other runs start from, and for one that is evaluated.

    behind: of a run that is evaluated, the cell that trains it, in words.
    """

    spec: RunSpec
    cells: list[PlannedCell] = field(default_factory=list)
    needs: tuple[str, ...] = ()
    status: Status = "planned"
    cause: Cause | None = None  # of a failed run: its method's fault or the machine's
    changes: tuple[str, ...] = ()  # of a stale run: which inputs differ now
    edited: tuple[str, ...] = ()  # parts whose code has changed since, under the same version
    resources: Resources | None = None  # the table's own figures of its cost
    behind: str | None = None
    title: str | None = None  # its label in the plan, where the cells are not known (a cluster job)

    @property
    def uid(self) -> str:
        """The run's name: the hash of its spec."""
        return self.spec.uid

    @property
    def label(self) -> str:
        """What the run is, for people."""
        if self.title is not None:
            return self.title
        if self.cells:
            first = self.cells[0]
            return f"{first.row} · {first.column} · seed {first.seed}"
        if self.behind is not None:
            return f"{self.behind} (training)"
        return f"source · {self.spec.data.name} · seed {self.spec.seed}"


@dataclass
class Plan:
    """The runs of a table at a scale, sources before their dependants.

    again: finished runs to be done once more (`ask_again`). trains: whether trainings may start; without, only what
    scores real images or evaluates a run that is over.
    """

    table: Table
    scale: str
    runs: list[PlannedRun]
    again: set[str] = field(default_factory=set)
    trains: bool = True

    def counts(self, elsewhere: Mapping[str, str] | None = None) -> Counter[str]:
        """How many runs have which status; `elsewhere` (uid -> status) is believed before a run's own."""
        return Counter((elsewhere or {}).get(run.uid, run.status) for run in self.runs)

    def to_start(self, retry: Retry | None) -> list[PlannedRun]:
        """The runs that would start now: never finished ones; failed or stale ones only when `retry` asks for them.

        Interrupted runs and lost ones (whose worker vanished) continue from their checkpoints. A run whose source is
        stale waits until the source is trained anew.
        retry: "lost" also starts runs that failed through their machine (a full disk, a broken GPU). "failed" starts
        every failed run. "stale" trains anew the runs that were made from other inputs. "all" does all of these.
        """
        left_out = {run.uid for run in self.left_out(retry)}
        return [run for run in self._asked_for(retry) if run.uid not in left_out]

    def left_out(self, retry: Retry | None) -> list[PlannedRun]:
        """The runs that would start if trainings might: these, and the evaluations of runs that are not over."""
        if self.trains:
            return []
        over = {run.uid for run in self.runs if run.status in ("done", "diverged")}
        return [run for run in self._asked_for(retry) if run.spec.kind == "train" or not over >= {*run.needs}]

    def _asked_for(self, retry: Retry | None) -> list[PlannedRun]:
        statuses: set[Status] = {"planned", "interrupted", "lost"}
        statuses |= {"failed"} if retry in ("failed", "all") else set()
        statuses |= {"stale"} if retry in ("stale", "all") else set()
        by_machine = retry == "lost"
        stale = set() if "stale" in statuses else self._stale_or_behind()
        candidates = [run for run in self.runs if run.status in statuses or run.uid in self.again
                 or (by_machine and run.cause == "machine")]  # fmt: skip
        return [run for run in candidates if not stale & {*run.needs}]

    def waiting_for_stale(self) -> list[PlannedRun]:
        """Runs that have not begun and will not while their source is stale."""
        stale = self._stale_or_behind()
        return [run for run in self.runs if run.status == "planned" and stale & {*run.needs}]

    def _stale_or_behind(self) -> set[str]:
        """The stale runs, and those that have not begun and wait for one, through others too."""
        stale: set[str] = set()
        for run in self.runs:  # sources come first
            if run.status == "stale" or (run.status == "planned" and stale & {*run.needs}):
                stale.add(run.uid)
        return stale

    def ask_again(self) -> None:
        """Let the finished runs of the plan's rows start too (--rerun), stale ones among them.

        Sources and reference points stay as they are. Raises UserError if one of the rows' runs is at work now.
        """
        rows = [run for run in self.runs if any(cell.row not in self.table.references for cell in run.cells)]
        for run in rows:
            if run.status == "running":
                raise UserError(f"--rerun: {run.label} ({run.uid}) is at work; wait, or stop it with `bench cancel`")
        self.again = {run.uid for run in rows if run.status in ("done", "diverged", "stale")}

    def missing_weights(self) -> dict[str, str]:
        """Weights that the user has yet to supply: name -> where to put the file."""
        names = {source.weights for run in self.runs for source in run.spec.sources.values()
                 if isinstance(source, WeightsFile)}  # fmt: skip
        files = {name: weights_root() / f"{name}.pt" for name in sorted(names)}
        return {name: str(path) for name, path in files.items() if not path.is_file()}


def make_plan(
    table: Table,
    scale: str,
    store: Store,
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
    for column in chosen_columns:
        for point in table.points(column, scale) if references else ():
            for seed in chosen_seeds:
                spec = table.reference_spec(point, column, seed, scale)
                _add(runs, spec).cells.append(PlannedCell(point, column.id, seed))
    for seed in chosen_seeds:  # seed by seed, so that an interrupted table has whole replicates first
        for row in table.pick_rows(rows):
            for column in chosen_columns:
                _add_cell(runs, table, row, column, seed, scale)
    # What the store knows of these runs.
    stored, machine = {run.uid for run in store}, Machine(store)
    for uid in stored & runs.keys():
        _look_up(runs[uid], store.folder(uid), machine)
    for run in runs.values():
        run.resources = table.at(scale).resources
    return Plan(table, scale, list(runs.values()))


def _look_up(run: PlannedRun, folder: RunFolder, machine: Machine) -> None:
    """Fill in what the store knows of a run, and whether its inputs are still those of this machine."""
    run.status = machine.status(folder)
    run.cause = folder.cause() if run.status == "failed" else None
    run.changes = tuple(machine.changes(folder)) if run.status == "stale" else ()
    run.edited = tuple(machine.edited(folder))


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


def _add_cell(runs: dict[str, PlannedRun], table: Table, row: Row, column: Column, seed: int, scale: str) -> None:
    behind = table.behind(row, column, scale)
    if behind is None:
        return
    spec = table.shown_spec(row, column, seed, scale)
    _add(runs, spec).cells.append(PlannedCell(row.id, column.id, seed))
    if spec.evaluated is not None:
        lender, evaluated = "" if behind.table is table else f"{behind.table.name}: ", runs[spec.evaluated.uid]
        evaluated.behind = evaluated.behind or f"{lender}{behind.row.id} · {behind.column.id} · seed {seed}"


def _add(runs: dict[str, PlannedRun], spec: RunSpec) -> PlannedRun:
    """The run of the plan with this spec, added after what it needs, unless it is there."""
    needs = tuple(_add(runs, source).uid for source in spec.run_sources.values())
    return runs.setdefault(spec.uid, PlannedRun(spec, needs=needs))
