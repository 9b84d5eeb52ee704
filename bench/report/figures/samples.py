"""Pictures of a table's samples: one per row, the columns' sheets side by side, labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from bench.plan.expand import Table
from bench.plan.runs import make_plan
from bench.report.pictures import Picture
from bench.store.runs import RunFolder, Store

MARGIN, TITLE = 8, 16  # pixels
Sheets = dict[str, dict[str, tuple[str, Path]]]  # by row and column: where it is from, and the file


def write(pictures: Mapping[str, Image.Image], folder: Path) -> list[Path]:
    """<folder>/<row>.png for each of the `pictures`."""
    folder.mkdir(parents=True, exist_ok=True)
    for row, picture in pictures.items():
        picture.save(folder / f"{row}.png")
    return [folder / f"{row}.png" for row in pictures]


def sheets(
    spec: Table,
    scale: str,
    store: Store,
    rows: list[str],
    columns: list[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> Sheets:
    """The samples of each of these trained rows, and each reference point, that has some.

    They are of the last snapshot of the first seed in every column.
    """
    found: Sheets = {}
    for run in make_plan(spec, scale, store, rows, columns, seeds).runs:
        sheet = latest_sheet(store.folder(run.uid)) if run.status != "stale" else None
        for cell in run.cells:
            if sheet is not None:
                label = f"{cell.column} · seed {cell.seed} · step {int(sheet.stem.removeprefix('step-'))}"
                found.setdefault(cell.row, {}).setdefault(cell.column, (label, sheet))
    return found


def by_row(found: Sheets) -> dict[str, Image.Image]:
    """A picture of every row: its columns' samples side by side."""
    return {row: _side_by_side(list(of_row.values())) for row, of_row in found.items()}


def by_cell(found: Sheets) -> dict[tuple[str, str], Picture]:
    """Each cell's samples, as the run has kept them."""
    return {
        (row, column): Picture(f"Samples of {row}: {label}", path.read_bytes())
        for row, of_row in found.items()
        for column, (label, path) in of_row.items()
    }


def latest_sheet(folder: RunFolder) -> Path | None:
    """The contact sheet of a run's last snapshot."""
    sheets = folder.sheets()
    return sheets[-1] if sheets else None


def _side_by_side(sheets: list[tuple[str, Path]]) -> Image.Image:
    pictures = [Image.open(path).convert("RGB") for _, path in sheets]
    width = sum(picture.width + MARGIN for picture in pictures) + MARGIN
    canvas = Image.new("RGB", (width, max(picture.height for picture in pictures) + TITLE + 2 * MARGIN), "white")
    left = MARGIN
    for (label, _), picture in zip(sheets, pictures, strict=True):
        ImageDraw.Draw(canvas).text((left, MARGIN // 2), label, fill="black")
        canvas.paste(picture, (left, TITLE + MARGIN))
        left += picture.width + MARGIN
    return canvas
