"""The runs of all tables together: each once, however many tables show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bench.errors import UserError
from bench.plan.expand import Table
from bench.plan.runs import Plan, make_plan
from bench.plan.schedule import PlannedRun, Schedule, with_sources
from bench.plan.store_view import StoreView
from bench.plan.table_files import ALL
from bench.plan.waiting import to_come


@dataclass
class JointPlan(Schedule):
    """The plans of several tables, and their runs, sources before their dependants.

    same: of each alias the table that it is the same as, whose runs it shows. waiting: of each table that is left out
    the measure that it waits for.
    """

    scale: str
    runs: list[PlannedRun]
    parts: list[Plan]
    same: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    trains: bool = True

    @property
    def name(self) -> str:
        """What is planned: the word for all tables."""
        return ALL

    def ask_again(self) -> None:
        """Let the finished runs of the tables' rows start too (--rerun), stale ones among them."""
        for part in self.parts:
            part.ask_again()
        self.again = {uid for part in self.parts for uid in part.again}

    def train_nothing(self) -> None:
        """Let no training of any table start (--no-train)."""
        self.trains = False
        for part in self.parts:
            part.train_nothing()

    def sharing(self) -> Sharing:
        """How many trainings and evaluations of one seed serve how many cells."""
        cells = [(part.name, run, cell) for part in self.parts for run in part.runs for cell in run.cells]
        first = min((cell.seed for _, _, cell in cells), default=0)
        needed = with_sources(self.runs, {run.uid for _, run, cell in cells if cell.seed == first})
        tables = Counter(uid for part in self.parts for uid in {run.uid for run in part.runs})
        distinct = {run.uid: run.spec.kind for run in self.runs if run.uid in needed}
        shown = {(name, cell.row, cell.column) for name, run, cell in cells if run.spec.kind != "reference"}
        trainings = [uid for uid, kind in distinct.items() if kind == "train"]
        return Sharing(
            trainings=len(trainings),
            evaluations=sum(kind == "evaluate" for kind in distinct.values()),
            cells=len(shown),
            shared=sum(tables[uid] > 1 for uid in trainings),
        )


@dataclass(frozen=True)
class Sharing:
    """What one seed of several tables takes. shared: of the trainings, those that serve more than one table."""

    trainings: int
    evaluations: int
    cells: int
    shared: int


def make_joint_plan(
    tables: Sequence[Table],
    scale: str,
    store: StoreView,
    seeds: Iterable[int] | None = None,
    references: bool = True,
) -> JointPlan:
    """The runs of several tables at a scale, each once and with its status in the store, which is looked through once.

    Tables that wait for a measure are left out, and an alias where the table is there whose runs it shows. seeds: None
    for each table's own. Raises UserError where a table has not the scale, and where nothing is left.
    """
    names, chosen = {table.name for table in tables}, None if seeds is None else list(seeds)
    waiting = {table.name: measure for table in tables if (measure := to_come(table)) is not None}
    same = {table.name: table.same_as for table in tables if table.same_as in names and table.name not in waiting}
    planned = [table for table in tables if table.name not in {*waiting, *same}]
    if not planned:
        raise UserError(f"nothing to plan: every table waits for a measure ({', '.join(sorted(waiting))})")
    parts = [make_plan(table, scale, store, None, None, chosen, references) for table in planned]
    # Each run once; it is called by the first table that has it
    runs: dict[str, PlannedRun] = {}
    for part in parts:
        for run in part.runs:
            runs.setdefault(run.uid, replace(run, title=f"{part.name}: {run.label}"))
    return JointPlan(scale, list(runs.values()), parts, same, waiting)
