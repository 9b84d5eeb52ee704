"""`bench list tables`: of each table what it is, its runs, what the store has of them, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator

from bench.cli.cost_lines import card_for
from bench.plan.cost.model import USUAL, card_of
from bench.plan.estimate import Estimates
from bench.plan.expand import Table
from bench.plan.load import load_table, table_names
from bench.plan.runs import Plan, make_plan
from bench.plan.store_view import StoreView
from bench.plan.waiting import to_come
from bench.spec.table import SCALES
from bench.store.runs import Store

HEADS = ("kind", *SCALES, "title")
LEGEND = (
    "at each scale: runs a seed x seeds, how many are done here, the time of one worker for all "
    f"(paper: of one {card_of(USUAL).name})"
)


def table_lines(store: Store) -> list[tuple[str, str]]:
    """(name, line) of every table that ships, below a head; the store is looked through once."""
    view = StoreView(store)
    tables = [load_table(name) for name in table_names()]
    plans: dict[tuple[str, str], Plan] = {
        (table.name, scale): make_plan(table, scale, view)
        for table in tables
        if to_come(table) is None
        for scale in SCALES
        if scale in table.scales
    }
    estimates = Estimates.measured(store, [run for plan in plans.values() for run in plan.runs])
    grid = [HEADS, *(tuple(_pieces(table, plans, estimates)) for table in tables)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = ["  ".join(piece.ljust(width) for piece, width in zip(row, widths, strict=True)) for row in grid]
    return [("", LEGEND), *zip(("", *(table.name for table in tables)), lines, strict=True)]


def _pieces(table: Table, plans: dict[tuple[str, str], Plan], estimates: Estimates) -> Iterator[str]:
    """A table's kind, its runs at each scale, and its title."""
    yield _kind(table)
    for scale in SCALES:
        yield _at_scale(plans[table.name, scale], estimates) if (table.name, scale) in plans else "-"
    yield table.title


def _kind(table: Table) -> str:
    """What a table is: "table", "curve over step", "pictures", "= disp/table2", "waits for data-copying"."""
    if (measure := to_come(table)) is not None:
        return f"waits for {measure}"
    if table.same_as is not None:
        return f"= {table.same_as}"
    if table.pictures is not None:
        return "pictures"
    return "table" if table.curve is None else f"curve over {table.curve.x}"


def _at_scale(plan: Plan, estimates: Estimates) -> str:
    """For example "34 x 3, 12 done, 10 min"; a dash where nobody knows how long a run takes."""
    a_seed = sum(run.spec.seed == 0 or run.is_source for run in plan.runs)
    done = sum(run.status in ("done", "diverged") for run in plan.runs)
    card = card_for(plan.scale, card_of(USUAL))
    times = [span.expected for run in plan.runs if (span := estimates.span(run, card)) is not None]
    seconds = sum(times)
    hours = f"{seconds / 3600:,.0f} h" if seconds >= 3 * 3600 else f"{seconds / 60:.0f} min"
    cost = hours if len(times) == len(plan.runs) else "-"
    return f"{a_seed} x {plan.table.seeds_at(plan.scale)}, {done} done, {cost}"
