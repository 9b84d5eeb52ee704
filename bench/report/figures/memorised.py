"""The memorisation panel: samples of a row above the training images nearest to them, by LPIPS and by features.

The samples are the first of a run's last snapshot, from the picture that it has kept. Of an evaluation they are those
that it has scored, or those of the run that it evaluates, where its own picture shows other images.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.data.contact_sheet import cut_sheet
from bench.data.picture_grid import PictureGrid
from bench.evaluate.registry import run_measure
from bench.plan.expand import Table
from bench.plan.runs import make_plan
from bench.report.figures.picture_grids import drawn_grid, side_by_side
from bench.report.figures.samples import latest_sheet
from bench.report.pictures import Picture
from bench.spec.run import RunSpec
from bench.store.runs import Store

SHOWN = 8  # samples of a run
MOST = 5_000  # training images: LPIPS to more of them takes minutes
NET = "alex"
SIDE = 64  # pixels of a picture
Grids = dict[str, dict[str, tuple[str, PictureGrid | None]]]  # by row and column: where it is from, and the grid


def grids(
    spec: Table,
    scale: str,
    store: Store,
    rows: list[str],
    columns: list[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> Grids:
    """A grid for each of these rows that has samples, in every column: of its first seed.

    None in the place of a run of more training images than `MOST`. Raises UserError where the weights of LPIPS or of
    the protocol's first extractor, or the training images, are not here.
    """
    found: Grids = {}
    for run in make_plan(spec, scale, store, rows, columns, seeds).runs:
        shown = _shown(run.spec)
        sheet = latest_sheet(store.folder(shown.uid)) if shown is not None and run.status != "stale" else None
        cells = [cell for cell in run.cells if cell.column not in found.get(cell.row, {})]
        if shown is None or sheet is None or not cells:
            continue
        where = f"run {shown.uid}, seed {shown.seed}, step {int(sheet.stem.removeprefix('step-'))}"
        grid = _grid(shown, sheet)
        for cell in cells:
            found.setdefault(cell.row, {})[cell.column] = (where, grid)
    return found


def by_row(found: Grids) -> dict[str, Picture]:
    """A panel of every row that has a grid: its columns side by side."""
    return {row: picture for row, cells in found.items() if (picture := _picture(row, cells)) is not None}


def by_cell(found: Grids) -> dict[tuple[str, str], Picture]:
    """A panel of every cell that has a grid."""
    pictures = {
        (row, column): _picture(row, {column: of_cell})
        for row, cells in found.items()
        for column, of_cell in cells.items()
    }
    return {cell: picture for cell, picture in pictures.items() if picture is not None}


def write(shown: Mapping[str, Picture], folder: Path) -> list[Path]:
    """<folder>/<row>.png for each panel."""
    from bench.files import atomic

    for row, picture in shown.items():
        atomic.write_bytes(folder / f"{row}.png", picture.png)
    return [folder / f"{row}.png" for row in shown]


def _shown(run: RunSpec) -> RunSpec | None:
    """The task whose picture has a row's samples: itself, or the run that it evaluates; None where there are none."""
    shown = run
    if run.evaluated is not None and run.measure is not None and not run_measure(run.measure.name).samples:
        shown = run.evaluated
    return None if shown.kind == "reference" or shown.protocol is None else shown


def _grid(run: RunSpec, sheet: Path) -> PictureGrid | None:
    """The first samples of a sheet above their nearest training images; None for too many of these."""
    from bench import features  # here, for they import torch
    from bench.data.draws import training_images
    from bench.evaluate.lpips_space import LpipsSpace
    from bench.evaluate.nearest_images import nearest_of
    from bench.features.cache import cached_features
    from bench.files.memory_map import rows

    assert run.protocol is not None
    train = training_images(run.data, run.seed).images
    if len(train) > MOST:
        return None
    with Image.open(sheet) as image:
        samples = cut_sheet(image, run.data.resolution)[: min(SHOWN, run.protocol.generated)]
    far_N, by_lpips = LpipsSpace(NET).nearest(samples, train)
    network = features.load(run.protocol.metrics[0].extractor)
    by_features = nearest_of(network(samples), cached_features(network, train))
    pictures = np.concatenate([samples, rows(train, by_lpips), rows(train, by_features)])
    names = ("sample", f"nearest by LPIPS ({NET})", f"nearest by {run.protocol.metrics[0].extractor}")
    captions = tuple(f"LPIPS {far:.3f}" for far in far_N)
    return PictureGrid(pictures, names, captions, "samples above their nearest training images")


def _picture(row: str, cells: Mapping[str, tuple[str, PictureGrid | None]]) -> Picture | None:
    """The columns side by side, with where each is from; None where all of them have too many training images."""
    drawn = [(column, drawn_grid(grid, SIDE)) for column, (_, grid) in cells.items() if grid is not None]
    if not drawn:
        return None
    told = "; ".join(f"{column}: {where}" for column, (where, grid) in cells.items() if grid is not None)
    left_out = [column for column, (_, grid) in cells.items() if grid is None]
    without = f"; left out, as they have over {MOST:,} training images: {', '.join(left_out)}" if left_out else ""
    written = io.BytesIO()
    side_by_side(drawn).save(written, "PNG")
    return Picture(f"Samples of {row} above their nearest training images ({told}{without})", written.getvalue())
