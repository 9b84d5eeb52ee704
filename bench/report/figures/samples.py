"""Pictures of a table's samples: one per row, the columns' sheets side by side, labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from bench.plan.expand import Table
from bench.plan.runs import make_plan
from bench.store.runs import RunFolder, Store

MARGIN, TITLE = 8, 16  # pixels


def write(pictures: Mapping[str, Image.Image], folder: Path) -> list[Path]:
    """<folder>/<row>.png for each of the `pictures`."""
    folder.mkdir(parents=True, exist_ok=True)
    for row, picture in pictures.items():
        picture.save(folder / f"{row}.png")
    return [folder / f"{row}.png" for row in pictures]


def pictures(
    spec: Table,
    scale: str,
    store: Store,
    rows: list[str],
    columns: list[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> dict[str, Image.Image]:
    """A picture for each of these trained rows, and each reference point, that has samples.

    It shows the last snapshot of the first seed in every column.
    """
    sheets_of: dict[str, dict[str, tuple[str, Path]]] = {}
    for run in make_plan(spec, scale, store, rows, columns, seeds).runs:
        sheet = latest_sheet(store.folder(run.uid)) if run.status != "stale" else None
        for cell in run.cells:
            if sheet is not None:
                label = f"{cell.column} · seed {cell.seed} · step {int(sheet.stem.removeprefix('step-'))}"
                sheets_of.setdefault(cell.row, {}).setdefault(cell.column, (label, sheet))
    return {row: _side_by_side(list(sheets.values())) for row, sheets in sheets_of.items()}


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
