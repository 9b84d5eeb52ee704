"""`bench list tables`: of each table what it is, its runs, what the store has of them, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.cli.cost_lines import card_for
from bench.plan.cost.model import USUAL, card_of
from bench.plan.estimate import Estimates
from bench.plan.expand import Table
from bench.plan.load import load_table, table_names
from bench.plan.runs import Plan, make_plan
from bench.plan.schedule import with_sources
from bench.plan.store_view import StoreView
from bench.plan.waiting import to_come
from bench.spec.table import SCALES, Scale
from bench.store.runs import Store

HEADS = ("kind", *SCALES, "title")
LEGEND = (
    "at each scale: runs a seed x seeds, how many are done here, the time of one worker for all "
    f"(midi and paper: of one {card_of(USUAL).name})"
)


@dataclass(frozen=True)
class ScaleState:
    """A table at a scale: its runs, those of one seed, and how many are done. seconds: None where nobody knows."""

    runs: int
    a_seed: int
    seeds: int
    done: int
    seconds: float | None

    @property
    def cost_words(self) -> str:
        """The time of one worker for all of it: "10 min", "36 h"; a dash where nobody knows."""
        if self.seconds is None:
            return "-"
        return f"{self.seconds / 3600:,.0f} h" if self.seconds >= 3 * 3600 else f"{self.seconds / 60:.0f} min"

    def __str__(self) -> str:
        """For example "34 x 3, 12 done, 10 min"."""
        return f"{self.a_seed} x {self.seeds}, {self.done} done, {self.cost_words}"


@dataclass(frozen=True)
class TableState:
    """A table, what it is, and how far it has come at each scale that it has."""

    name: str
    kind: str
    title: str
    at: Mapping[Scale, ScaleState]


def table_states(store: Store) -> list[TableState]:
    """Every table that ships; the store is looked through once."""
    view = StoreView(store)
    tables = [load_table(name) for name in table_names()]
    plans: dict[tuple[str, Scale], Plan] = {
        (table.name, scale): make_plan(table, scale, view)
        for table in tables
        if to_come(table) is None
        for scale in SCALES
        if scale in table.scales
    }
    estimates = Estimates.measured(store, [run for plan in plans.values() for run in plan.runs])
    return [
        TableState(
            table.name,
            _kind(table),
            table.title,
            {s: _state(plans[table.name, s], estimates) for s in SCALES if (table.name, s) in plans},
        )
        for table in tables
    ]


def table_lines(store: Store) -> list[tuple[str, str]]:
    """(name, line) of every table that ships, below a head."""
    states = table_states(store)
    grid = [HEADS, *((one.kind, *(str(one.at.get(scale, "-")) for scale in SCALES), one.title) for one in states)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = ["  ".join(piece.ljust(width) for piece, width in zip(row, widths, strict=True)) for row in grid]
    return [("", LEGEND), *zip(("", *(one.name for one in states)), lines, strict=True)]


def _kind(table: Table) -> str:
    """What a table is: "table", "curve over step", "pictures", "= disp/table2", "waits for data-copying"."""
    if (measure := to_come(table)) is not None:
        return f"waits for {measure}"
    if table.same_as is not None:
        return f"= {table.same_as}"
    if table.pictures is not None:
        return "pictures"
    return "table" if table.curve is None else f"curve over {table.curve.x}"


def _state(plan: Plan, estimates: Estimates) -> ScaleState:
    of_a_seed = with_sources(plan.runs, {run.uid for run in plan.runs if any(cell.seed == 0 for cell in run.cells)})
    card = card_for(plan.scale, card_of(USUAL))
    times = [span.expected for run in plan.runs if (span := estimates.span(run, card)) is not None]
    return ScaleState(
        runs=len(plan.runs),
        a_seed=len(of_a_seed),
        seeds=plan.table.seeds_at(plan.scale),
        done=sum(run.status in ("done", "diverged") for run in plan.runs),
        seconds=sum(times) if len(times) == len(plan.runs) else None,
    )
