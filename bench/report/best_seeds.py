"""The seed that stands for a cell where the paper reports the best of several runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from bench.evaluate.registry import output_card
from bench.metrics.measures import measures
from bench.metrics.output import Output
from bench.plan.expand import Table
from bench.report.cells import ENDED, Grid
from bench.report.frame import of_evaluations
from bench.report.model import Block, Cell
from bench.spec.table import Scale


def chooses(main: str | None) -> bool:
    """Whether a table's main metric says which run is the best.

    A score does, unless neither way of it is better; an output of a measure does not.
    """
    return main is not None and main in measures() and output_card(main).ranks


def with_best_of(
    spec: Table, scale: Scale, main: str | None, blocks: list[Block], results: pd.DataFrame
) -> list[Block]:
    """The blocks with the best seed in their cells, where the paper reports the best of several.

    The main metric chooses it; the seed of an evaluation that does not give that score, the score of its run by which
    the run's snapshots are chosen.
    """
    if spec.best_of == 1:
        return blocks
    by_main = next((block for block in blocks if block.paper_rule and block.metric == main and chooses(main)), None)
    chosen = _by_run_score(spec, scale, results)
    if by_main is not None:
        chosen |= {key: _best(cell, by_main.measure) for key, cell in by_main.cells.items() if cell.values}
    return [replace(block, cells=_of_seed(block.cells, chosen)) if block.paper_rule else block for block in blocks]


def _by_run_score(spec: Table, scale: Scale, results: pd.DataFrame) -> dict[tuple[str, str], int | None]:
    """The seed of each evaluated cell whose run has the best selecting score at the snapshot that was looked at."""
    lines = results[of_evaluations(results) & (results["run_score"] != "") & results["status"].isin(ENDED)]
    found: dict[tuple[str, str], int | None] = {}
    for row, column in spec.scored_cells(scale):
        behind = spec.behind(row, column, scale)
        mine = lines[(lines["row"] == row.id) & (lines["column"] == column.id)].drop_duplicates("seed")
        selects = behind.table.cell(behind.row, behind.column, scale).protocol.selects if behind else None
        if selects is not None and len(mine) and (card := output_card(selects.name)).ranks:
            found[row.id, column.id] = min(
                (card.loss(float(score)), int(seed))
                for score, seed in zip(mine["run_score"], mine["seed"], strict=True)
            )[1]
    return found


def _best(cell: Cell, card: Output) -> int | None:
    pairs = [(card.loss(value), seed) for seed, value in zip(cell.seeds, cell.values) if value == value]
    return min(pairs)[1] if pairs else None


def _of_seed(cells: Mapping[tuple[str, str], Cell], chosen: dict[tuple[str, str], int | None]) -> Grid:
    return {
        # A cell without a chosen seed looks up None, which is no seed: it has no best.
        key: replace(cell, best_of=dict(zip(cell.seeds, cell.values)).get(chosen.get(key)))  # type: ignore[arg-type]
        for key, cell in cells.items()
    }
