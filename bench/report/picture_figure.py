"""A figure of pictures: what its cells hold, read from the records of their evaluations, and where each is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data.picture_grid import PictureGrid, read_grid
from bench.plan.expand import Table
from bench.plan.runs import make_plan
from bench.spec.show import Pictures
from bench.store.runs import Status, Store

WHY: dict[Status, str] = {
    "planned": "not run",
    "done": "taken before its measure gave pictures: --rerun takes it again",
    "running": "running",
    "interrupted": "interrupted",
    "lost": "its worker was lost",
    "failed": "failed",
    "stale": "stale: made from other inputs than are here",
    "diverged": "its training diverged",
}


@dataclass(frozen=True)
class PictureCell:
    """One evaluation: its grid, or why there is none.

    run, seed, step: the training that it is of, and the snapshot. file: the grid's record.
    """

    uid: str
    run: str
    seed: int
    status: Status
    step: int | None
    file: Path
    grid: PictureGrid | None

    @property
    def why(self) -> str:
        """Why there are no pictures; "" where there are."""
        return "" if self.grid is not None else WHY.get(self.status, self.status)

    @property
    def source(self) -> str:
        """Where the pictures are from: "run baseline_..., seed 0, step 60"."""
        return f"run {self.run}, seed {self.seed}, step {self.step}"


@dataclass(frozen=True)
class PictureFigure:
    """The cells of a figure by the ids of row and column, of one seed; a cell that its paper leaves out is not there.

    file: the name of the whole figure's PNG beside the report, once there is one.
    """

    seed: int
    drawn: Pictures
    cells: Mapping[tuple[str, str], PictureCell]
    file: str = ""


def picture_figure(
    spec: Table, scale: str, store: Store, rows: Sequence[str], columns: Sequence[str], seeds: Sequence[int] | None
) -> PictureFigure:
    """The figure of a table with `show: {pictures: ...}`: these rows and columns, and the first of the seeds.

    Raises UserError for a finished evaluation whose pictures are not what it wrote.
    """
    assert spec.pictures is not None
    seed = min(seeds) if seeds else 0
    cells: dict[tuple[str, str], PictureCell] = {}
    for run in make_plan(spec, scale, store, list(rows), list(columns), [seed]).runs:
        if not run.cells or run.spec.evaluated is None:
            continue
        folder = store.folder(run.uid)
        result = folder.result() if run.status == "done" else None
        grid = read_grid(folder.pictures) if result is not None and folder.pictures.exists() else None
        step = result["evaluated_step"] if result is not None else None
        cell = PictureCell(run.uid, run.spec.evaluated.uid, seed, run.status, step, folder.pictures, grid)
        cells |= {(place.row, place.column): cell for place in run.cells}
    return PictureFigure(seed, spec.pictures, cells)
